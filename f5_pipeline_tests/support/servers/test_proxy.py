"""The proxy keeps signatures valid, and makes each fault that it claims to make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionError, EndpointConnectionError, HTTPClientError

from f5_pipeline_tests.support.servers.proxy import Fault, FaultProxy, denies, only_below, slow_down
from f5_pipeline_tests.support.servers.server import S3Server

BUCKET = "proxied-bucket"
ONCE = Config(retries={"mode": "standard", "total_max_attempts": 1}, read_timeout=1)
BROKEN = (HTTPClientError, ConnectionError, OSError)


@pytest.fixture(scope="module")
def behind(swift_server: S3Server) -> Iterator[FaultProxy]:
    swift_server.make_bucket(BUCKET)
    made = FaultProxy(swift_server)
    yield made
    made.stop()


@pytest.fixture
def proxy(behind: FaultProxy) -> Iterator[FaultProxy]:
    behind.clear()
    yield behind
    behind.clear()


@pytest.fixture
def client(proxy: FaultProxy) -> Any:
    """One that tries once."""
    return proxy.server.client(config=ONCE)


def test_signed_requests_and_links_pass(proxy: FaultProxy, client: Any) -> None:
    body = bytes(range(256)) * 4000
    client.put_object(Bucket=BUCKET, Key="a/ü b", Body=body, Metadata={"sha256": "ab"})
    assert client.get_object(Bucket=BUCKET, Key="a/ü b")["Body"].read() == body
    assert proxy.server.keys(BUCKET) == ["a/ü b"]
    client.head_object(Bucket=BUCKET, Key="a/ü b")
    client.delete_object(Bucket=BUCKET, Key="a/ü b")
    assert proxy.counts == {
        "PutObject": 1,
        "GetObject": 1,
        "ListObjectsV2": 1,
        "HeadObject": 1,
        "DeleteObject": 1,
    }


def test_wrong_secrets_are_still_refused(proxy: FaultProxy) -> None:
    client = proxy.server.client(aws_secret_access_key="wrong")
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        client.put_object(Bucket=BUCKET, Key="x", Body=b"1")


def test_moto_behind_it(moto_server: S3Server) -> None:
    moto_server.make_bucket(BUCKET)
    proxy = FaultProxy(moto_server)
    try:
        client = proxy.server.client()
        client.put_object(Bucket=BUCKET, Key="x", Body=b"12")
        assert client.get_object(Bucket=BUCKET, Key="x")["Body"].read() == b"12"
    finally:
        proxy.stop()


def test_request_cut(proxy: FaultProxy, client: Any) -> None:
    proxy.add(Fault(("PutObject",), skip=1, cut_request=300_000))
    client.put_object(Bucket=BUCKET, Key="whole", Body=bytes(1_000_000))
    with pytest.raises(BROKEN):
        client.put_object(Bucket=BUCKET, Key="cut", Body=bytes(1_000_000))
    client.put_object(Bucket=BUCKET, Key="after", Body=bytes(1_000_000))
    assert "cut" not in proxy.server.keys(BUCKET)


def test_response_cut(proxy: FaultProxy, client: Any) -> None:
    client.put_object(Bucket=BUCKET, Key="x", Body=bytes(1_000_000))
    proxy.add(Fault(("GetObject",), cut_response=300_000))
    with pytest.raises(BROKEN):
        client.get_object(Bucket=BUCKET, Key="x")["Body"].read()
    assert len(client.get_object(Bucket=BUCKET, Key="x")["Body"].read()) == 1_000_000


def test_storm_and_lost_answer(proxy: FaultProxy, client: Any) -> None:
    proxy.add(slow_down(times=2))
    for _ in range(2):
        with pytest.raises(ClientError, match="SlowDown"):
            client.put_object(Bucket=BUCKET, Key="x", Body=b"1")
    proxy.add(Fault(("PutObject",), lose_answer=True))
    with pytest.raises(BROKEN):
        client.put_object(Bucket=BUCKET, Key="unheard", Body=b"1")
    assert "unheard" in proxy.server.keys(BUCKET)


def test_slow_server(proxy: FaultProxy, client: Any) -> None:
    proxy.add(Fault(("HeadObject",), pause=1.5), Fault(("GetObject",), trickle=(1, 1.5)))
    client.put_object(Bucket=BUCKET, Key="x", Body=b"12")
    with pytest.raises(HTTPClientError):
        client.head_object(Bucket=BUCKET, Key="x")
    with pytest.raises(BROKEN):
        client.get_object(Bucket=BUCKET, Key="x")["Body"].read()


def test_restricted_keys(proxy: FaultProxy, client: Any) -> None:
    proxy.add(denies("DeleteObject"), only_below("mine/"))
    client.put_object(Bucket=BUCKET, Key="mine/x", Body=b"1")
    client.list_objects_v2(Bucket=BUCKET, Prefix="mine/")
    for work in (
        lambda: client.delete_object(Bucket=BUCKET, Key="mine/x"),
        lambda: client.list_objects_v2(Bucket=BUCKET),
        lambda: client.head_bucket(Bucket=BUCKET),
        lambda: client.put_object(Bucket=BUCKET, Key="other/x", Body=b"1"),
    ):
        with pytest.raises(ClientError) as refused:
            work()
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_stopped_and_started(proxy: FaultProxy, client: Any) -> None:
    client.put_object(Bucket=BUCKET, Key="x", Body=b"1")
    proxy.stop()
    with pytest.raises((EndpointConnectionError, *BROKEN)):
        client.head_object(Bucket=BUCKET, Key="x")
    proxy.start()
    client.head_object(Bucket=BUCKET, Key="x")
