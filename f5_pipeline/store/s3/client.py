"""The S3 client of a process, and the counter of its requests."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from f5_pipeline import __version__
from f5_pipeline.errors import InputError
from f5_pipeline.store.calls import Calls
from f5_pipeline.store.s3.access import Access

MAX_ATTEMPTS = 8
"""How often a request is sent, with growing random pauses (up to 20 s) between."""

CONNECT_SECONDS = 10
READ_SECONDS = 60


@dataclass
class RequestCount:
    """How often a request was sent, and the counter that it adds to."""

    calls: Calls
    sent: int = 0


_current: ContextVar[RequestCount | None] = ContextVar("current", default=None)
_clients: dict[object, Any] = {}
_lock = threading.Lock()


@contextmanager
def count_requests(calls: Calls) -> Iterator[RequestCount]:
    """Count in `calls` the requests that this thread sends in the context."""
    count = RequestCount(calls)
    token = _current.set(count)
    try:
        yield count
    finally:
        _current.reset(token)


def _count(event_name: str, **_: Any) -> None:
    if count := _current.get():
        count.calls.add(event_name.rpartition(".")[2])
        count.sent += 1


def _keep_region(context: dict[str, Any], **_: Any) -> None:
    """Keep botocore from looking up the bucket's region and signing for that instead of the configured one.

    Requests would then succeed, but presigned URLs, which are not signed again, would be refused.
    """
    context.get("s3_redirect", {})["redirected"] = True


def client(access: Access, transfers: int) -> Any:
    """The botocore S3 client of this process for `access`; threads share it.

    It signs with version 4 and sends only the required checksums: Backblaze B2 refuses others.
    """
    key = (access, transfers, MAX_ATTEMPTS, READ_SECONDS)
    with _lock:
        if key not in _clients:
            _clients[key] = _new_client(access, transfers)
        return _clients[key]


def _new_client(access: Access, transfers: int) -> Any:
    from boto3.session import Session
    from botocore.config import Config
    from botocore.session import get_session

    from f5_pipeline.store.s3.parser import ParserFactory

    core = get_session()
    core.register_component("response_parser_factory", ParserFactory())
    session = Session(
        aws_access_key_id=access.key_id,
        aws_secret_access_key=access.key,
        region_name=access.region,
        botocore_session=core,
    )
    try:
        s3 = session.client(
            "s3",
            endpoint_url=access.endpoint,
            config=Config(
                signature_version="s3v4",
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                # A bucket in the host name needs DNS and a certificate for it: only AWS is sure to have them.
                s3={"addressing_style": "path" if access.endpoint else "auto"},
                retries={"mode": "standard", "total_max_attempts": MAX_ATTEMPTS},
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                max_pool_connections=2 * transfers + 8,
                tcp_keepalive=True,
                user_agent_extra=f"f5_pipeline/{__version__}",
            ),
        )
    except ValueError as error:  # botocore's error for an invalid address
        raise InputError(
            f"{access.endpoint!r} is not the address of an S3 service",
            file="F5_STORE_ENDPOINT",
            hint="Set F5_STORE_ENDPOINT to https://<host>.",
        ) from error
    s3.meta.events.register("before-send.s3", _count)
    s3.meta.events.register("before-parameter-build.s3", _keep_region)
    return s3


def _reset_after_fork() -> None:
    """A forked process must not use its parent's connections, nor wait for a lock of a thread that is gone."""
    global _lock
    _lock = threading.Lock()
    _clients.clear()


os.register_at_fork(after_in_child=_reset_after_fork)
