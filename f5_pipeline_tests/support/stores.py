"""Stores of every kind, each empty and a test's own."""

from __future__ import annotations

import itertools
from pathlib import Path

from f5_pipeline.store.connect import Access, connect
from f5_pipeline.store.s3.store import S3Store
from f5_pipeline_tests.support.servers.fixtures import moto_server, swift_server  # noqa: F401
from f5_pipeline_tests.support.servers.server import S3Server

PART = 5 << 20
"""The smallest part that S3 allows."""

_numbers = itertools.count()


def access_of(server: S3Server) -> Access:
    return Access(server.key_id, server.key, server.endpoint, server.region)


def again(server: S3Server, url: str, state: Path, **changed: str) -> S3Store:
    """The store at `url`, opened as another process would."""
    made = connect(url, Access(**{**vars(access_of(server)), **changed}), transfers=4, part_bytes=PART, state=state)
    assert isinstance(made, S3Store)
    return made


KINDS = ("file", "moto", "moto-versions", "swift", "swift-versions")
