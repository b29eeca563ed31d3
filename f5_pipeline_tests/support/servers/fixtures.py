"""The S3 servers as fixtures: one of each for a test process, started when first asked for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from f5_pipeline_tests.support.servers.moto import moto
from f5_pipeline_tests.support.servers.server import S3Server
from f5_pipeline_tests.support.servers.swift import missing, swift


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Moto: lenient, with versions."""
    yield from _running(moto(tmp_path_factory.mktemp("moto")))


@pytest.fixture(scope="session")
def swift_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Swift: as strict as B2. Skips where it is not installed."""
    folder = tmp_path_factory.mktemp("swift")
    if why := missing(folder):
        pytest.skip(why)
    yield from _running(swift(folder))


def _running(server: S3Server) -> Iterator[S3Server]:
    try:
        server.start()
        yield server
    finally:
        server.stop()
