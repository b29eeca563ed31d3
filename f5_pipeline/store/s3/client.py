"""The S3 client of a process, and what it has sent."""

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

ATTEMPTS = 8
"""How often a request is sent at most, with growing pauses of random length (up to 20 s) between."""

CONNECT_SECONDS = 10
READ_SECONDS = 60


@dataclass
class Asked:
    """One question to the service: where it is counted, and how often it was sent."""

    calls: Calls
    sent: int = 0


_asked: ContextVar[Asked | None] = ContextVar("asked", default=None)
_clients: dict[object, Any] = {}
_lock = threading.Lock()


@contextmanager
def asking(calls: Calls) -> Iterator[Asked]:
    """Count in `calls` what this thread sends in the context."""
    asked = Asked(calls)
    token = _asked.set(asked)
    try:
        yield asked
    finally:
        _asked.reset(token)


def _count(event_name: str, **_: Any) -> None:
    if asked := _asked.get():
        asked.calls.add(event_name.rpartition(".")[2])
        asked.sent += 1


def _stay(context: dict[str, Any], **_: Any) -> None:
    """Keep botocore from heading the bucket to look for its region, and from signing for another one than was set.

    Requests would pass then and presigned addresses, which nobody signs anew, would all be refused.
    """
    context.get("s3_redirect", {})["redirected"] = True


def client(access: Access, transfers: int) -> Any:
    """The botocore S3 client of this process for `access`; threads share it.

    It signs with version 4, and sends checksums only where the protocol demands them: Backblaze B2 refuses others.
    """
    key = (access, transfers, ATTEMPTS, READ_SECONDS)
    with _lock:
        if key not in _clients:
            _clients[key] = _make(access, transfers)
        return _clients[key]


def _make(access: Access, transfers: int) -> Any:
    from boto3.session import Session
    from botocore.config import Config

    session = Session(aws_access_key_id=access.key_id, aws_secret_access_key=access.key, region_name=access.region)
    try:
        made = session.client(
            "s3",
            endpoint_url=access.endpoint,
            config=Config(
                signature_version="s3v4",
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                # A bucket as host name needs a name server and a certificate that know it: AWS has them.
                s3={"addressing_style": "path" if access.endpoint else "auto"},
                retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                max_pool_connections=2 * transfers + 8,
                tcp_keepalive=True,
                user_agent_extra=f"f5_pipeline/{__version__}",
            ),
        )
    except ValueError as error:  # botocore's word for an address that is none
        raise InputError(
            f"{access.endpoint!r} is not the address of an S3 service",
            file="F5_STORE_ENDPOINT",
            hint="Set F5_STORE_ENDPOINT to https://<host>.",
        ) from error
    made.meta.events.register("before-send.s3", _count)
    made.meta.events.register("before-parameter-build.s3", _stay)
    return made


def _forget() -> None:
    """A forked process must not speak on its parent's connections, nor wait for a lock that a lost thread held."""
    global _lock
    _lock = threading.Lock()
    _clients.clear()


os.register_at_fork(after_in_child=_forget)
