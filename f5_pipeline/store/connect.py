"""Opening a store by its address."""

from __future__ import annotations

import re
from pathlib import Path

from f5_pipeline.errors import InputError, StoreError
from f5_pipeline.store.base import Store, check_key
from f5_pipeline.store.local import LocalStore
from f5_pipeline.store.s3.access import Access, complete

__all__ = ["Access", "connect", "is_bucket"]

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_BUCKETS = ("b2", "s3")
_HINT = "Use file:<folder>, b2://<bucket>/<prefix> or s3://<bucket>/<prefix>."


def is_bucket(url: str) -> bool:
    """Whether the address is that of an S3 bucket."""
    return url.partition(":")[0] in _BUCKETS


def connect(
    url: str,
    access: Access = Access(),  # noqa: B008 - frozen
    *,
    transfers: int = 8,
    part_bytes: int = 16 << 20,
    state: Path = Path("~/.cache/f5_pipeline/uploads"),
) -> Store:
    """The store at `url`: `file:<folder>`, `b2://<bucket>/<prefix>` or `s3://<bucket>/<prefix>`. Sends no request.

    Args:
        access: key, endpoint and region of the bucket. A folder needs none.
        transfers: maximum number of requests to the bucket at once.
        part_bytes: size of the parts of large objects in a transfer.
        state: folder of this machine for the journals of uploads, so that interrupted ones can be resumed.

    Raises:
        InputError: the address is invalid, or a setting that the bucket needs is missing.
    """
    scheme, _, rest = url.partition(":")
    if scheme == "file" and (folder := rest.removeprefix("//")):
        return LocalStore(Path(folder).expanduser())
    name, _, prefix = rest.removeprefix("//").partition("/")
    if scheme not in _BUCKETS or not rest.startswith("//") or not _BUCKET.fullmatch(name):
        # The part before an @ may be a key.
        shown = url if "@" not in url else f"{scheme}:…"
        raise InputError(f"{shown!r} is not the address of a store", file="F5_STORE", hint=_HINT)
    prefix = prefix.strip("/")
    try:
        if prefix:
            check_key(prefix)
    except StoreError:
        raise InputError(f"{prefix!r} cannot begin the keys of a store", file="F5_STORE", hint=_HINT) from None

    from f5_pipeline.store.s3.store import S3Store

    return S3Store(
        f"{scheme}://{name}/{prefix}".rstrip("/"),
        complete(scheme, access),
        transfers=transfers,
        part_bytes=part_bytes,
        state=state.expanduser(),
    )
