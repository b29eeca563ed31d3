"""Weights in a bucket that two machines share."""

from __future__ import annotations

import uuid

import pytest

from f5_pipeline.store.connect import Access, connect
from f5_pipeline.store.s3.store import S3Store
from f5_pipeline.weights.library import Library, Progress
from f5_pipeline_tests.support.servers.fixtures import moto_server  # noqa: F401
from f5_pipeline_tests.support.weights_place import Place


@pytest.fixture
def bucket(moto_server, tmp_path) -> S3Store:  # noqa: F811
    name = moto_server.make_bucket(f"weights-{uuid.uuid4().hex}")
    access = Access(moto_server.key_id, moto_server.key, moto_server.endpoint, moto_server.region)
    made = connect(f"b2://{name}/studio", access, transfers=2, state=tmp_path / "uploads")
    assert isinstance(made, S3Store)
    return made


def machine(place: Place, bucket: S3Store, name: str) -> Library:
    made = Library(
        bucket,
        cache=place.root / name,
        cache_bytes=1 << 30,
        hub=place.hub.url,
        models=place.models,
        vocoders=place.vocoders,
    )
    made.hub._pause = 0.01
    return made


def test_the_second_machine_takes_weights_from_the_bucket(place, bucket):
    first = machine(place, bucket, "first").acquire("one")
    assert first.source == "hub"
    asked = len(place.hub.requests)
    seen: list[Progress] = []
    second = machine(place, bucket, "second").acquire("one", seen.append)
    assert second.source == "store"
    assert len(place.hub.requests) == asked
    assert second.files.checkpoint.read_bytes() == place.files["sub/model 1.safetensors"]
    assert {now.what for now in seen} == {"from store"} and seen[-1].done == seen[-1].total
    assert machine(place, bucket, "second").acquire("one").source == "cache"


def test_a_damaged_object_is_fetched_again_and_mended(place, bucket):
    machine(place, bucket, "first").acquire("one")
    (largest,) = sorted(bucket.list("models/blobs/"), key=lambda found: found.size)[-1:]
    bucket.put_bytes(largest.key, bytes(largest.size))
    second = machine(place, bucket, "second").acquire("one")
    assert second.files.checkpoint.read_bytes() == place.files["sub/model 1.safetensors"]
    assert bucket.stat(largest.key).sha256 == largest.key.rpartition("/")[2].partition(".")[0]
