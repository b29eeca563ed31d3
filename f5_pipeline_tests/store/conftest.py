"""Stores of every kind, each empty and a test's own."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from f5_pipeline.store.connect import connect
from f5_pipeline.store.s3 import bucket as bucket_module
from f5_pipeline.store.s3 import client as client_module
from f5_pipeline.store.s3.store import S3Store
from f5_pipeline_tests.support.servers.fixtures import moto_server, swift_server  # noqa: F401
from f5_pipeline_tests.support.servers.server import S3Server
from f5_pipeline_tests.support.stores import KINDS, _numbers, again


@pytest.fixture
def open_bucket(tmp_path: Path) -> Callable[..., S3Store]:
    """Opens a store in a new bucket of a server, of a test's own."""

    def opened(server: S3Server, *, versioned: bool = False, prefix: str = "studio/one") -> S3Store:
        name = server.make_bucket(f"store-{os.getpid()}-{next(_numbers)}", versioned=versioned)
        return again(server, f"b2://{name}/{prefix}", tmp_path / "uploads")

    return opened


@pytest.fixture(params=KINDS)
def any_store(request: pytest.FixtureRequest, tmp_path: Path):
    """A store of each kind; a kind whose server cannot run here is skipped."""
    kind, _, versions = request.param.partition("-")
    if kind == "file":
        return connect(f"file:{tmp_path / 'studio'}")
    server = request.getfixturevalue(f"{kind}_server")
    return request.getfixturevalue("open_bucket")(server, versioned=bool(versions))


@pytest.fixture
def moto_store(moto_server: S3Server, open_bucket) -> S3Store:  # noqa: F811
    return open_bucket(moto_server)


@pytest.fixture
def swift_store(swift_server: S3Server, open_bucket) -> S3Store:  # noqa: F811
    return open_bucket(swift_server)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two tries at most: for tests of what stays out of order."""
    monkeypatch.setattr(client_module, "MAX_ATTEMPTS", 2)
    monkeypatch.setattr(bucket_module, "pause", lambda failures: None)
