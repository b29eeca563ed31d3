"""Responses with the bytes of a delivered file: types, names, ranges, validators.

One response class serves every store: it reads through `open`. Starlette's own FileResponse reads local paths only, has
no 304 and sends its headers before it opens the file, so that a missing file would cut the connection.

A delivered file never changes, and its manifest has its size, hash and age: the store is asked for the bytes alone, as
each request to a bucket takes time and is billed.
"""

from __future__ import annotations

import base64
import os
import re
import unicodedata
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO, Protocol
from urllib.parse import quote

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from f5_pipeline.errors import StoreError
from f5_pipeline.gateway.verification import Verifier
from f5_pipeline.studio.formats import format_of

BLOCK_BYTES = 256 * 1024
"""Bytes read and sent at a time."""

# What a browser may show inline. Everything else is always a download, so that no file becomes a page of our origin.
_INLINE = re.compile(r"(audio/[\w.+-]+|text/vtt)(;|$)")

# A private cache may keep it, but must revalidate it each time: an expired link ends playback of cached copies too.
_CACHE_CONTROL = "private, no-cache"


@dataclass(frozen=True)
class DeliveredFile:
    """A file of a delivered revision.

    Attributes:
        name: file name for the listener and in links.
        key: its key in the store; never shown.
        size: in bytes.
        sha256: of the content, 64 hex digits.
        media_type: for example "audio/flac"; see `media_type_of`.
        modified: when its revision was made, Unix time, s.
        chapter: number of the only chapter in it; None: it is about the whole narration.
    """

    name: str
    key: str
    size: int
    sha256: str
    media_type: str
    modified: float
    chapter: int | None = None

    @property
    def etag(self) -> str:
        """The strong validator."""
        return f'"{self.sha256}"'

    @property
    def playable(self) -> bool:
        """Whether a browser may show it inline."""
        return bool(_INLINE.match(self.media_type))


class ObjectStat(Protocol):
    """Size of an object, in bytes."""

    @property
    def size(self) -> int: ...


class ObjectReader(Protocol):
    """What the service needs of a store. `stat` and `open` (or the first read) raise NotFoundError for a missing key,
    StoreError otherwise."""

    def local_path(self, key: str) -> Path | None:
        """The object's file where the store is a local folder, else None."""
        ...

    def stat(self, key: str) -> ObjectStat: ...

    def open(self, key: str, start: int = 0, end: int | None = None) -> BinaryIO:
        """A seekable stream at byte `start`, which is not read beyond `end`."""
        ...

    def presign(self, key: str, seconds: int, *, headers: Mapping[str, str]) -> str | None:
        """A URL from which anybody can GET the object for `seconds`; None where the store has no URLs."""
        ...


def media_type_of(name: str) -> str:
    """Media type of a file by its name, with the charset where it is text; "application/octet-stream" if unknown."""
    file_format = format_of(name)
    return file_format.media_type if file_format else "application/octet-stream"


def content_disposition(name: str, *, inline: bool = False) -> str:
    """Content-Disposition of a file, in the two forms of RFC 6266: plain ASCII, and UTF-8 by RFC 5987."""
    kind = "inline" if inline else "attachment"
    decomposed = unicodedata.normalize("NFKD", name)
    plain = "".join(c for c in decomposed if not unicodedata.combining(c)).encode("ascii", "replace").decode()
    plain = re.sub(r'[\x00-\x1f\x7f"\\/%?*:<>|;]', "_", plain).strip(". ") or "file"
    value = f'{kind}; filename="{plain}"'
    if plain != name:
        # A lone surrogate, which has no UTF-8, becomes a question mark.
        value += f"; filename*=UTF-8''{quote(name.encode('utf-8', 'replace'), safe='')}"
    return value


async def redirect(request: Request, store: ObjectReader, file: DeliveredFile, seconds: int) -> Response | None:
    """Redirect a download to the store's own URL of `file`, valid for `seconds` (307); None where `deliver` must do it.

    That is so where the store has no URLs, for a HEAD (a URL is signed for one method, and one for GET answers a HEAD
    with 403), and for requests with our validators as conditions: the store has others.
    """
    conditions = (request.headers.get(name, "") for name in ("if-match", "if-none-match", "if-range"))
    if request.method != "GET" or seconds < 1 or any(file.etag in condition for condition in conditions):
        return None
    headers = {
        "content-type": file.media_type,
        "content-disposition": content_disposition(file.name),
        "cache-control": _CACHE_CONTROL,
    }
    url = await run_in_threadpool(lambda: store.presign(file.key, seconds, headers=headers))
    # Not cached: the next request must check its link here again.
    return Response(status_code=307, headers={"location": url, "cache-control": "no-store"}) if url else None


async def deliver(
    request: Request, store: ObjectReader, file: DeliveredFile, verifier: Verifier, *, inline: bool
) -> Response:
    """Answer a GET or HEAD for `file` from here: 200, 206, 304, 412 or 416.

    A single byte range is honoured. Several ranges, and other units, get the whole file, as RFC 9110 (14.2) allows:
    players and download managers ask for one.

    Raises:
        NotFoundError: the object does not exist.
        StoreError: the store fails, or the object differs from what was delivered.
    """
    etag, modified, size = file.etag, int(file.modified), file.size
    headers = {
        "etag": etag,
        "last-modified": formatdate(modified, usegmt=True),
        "cache-control": _CACHE_CONTROL,
        "accept-ranges": "bytes",
    }
    conditions = request.headers
    if _fails_precondition(conditions, etag, modified):
        return Response(status_code=412, headers=headers)
    if _is_unchanged(conditions, etag, modified):
        return Response(status_code=304, headers=headers)

    headers |= {
        "content-type": file.media_type,
        "content-disposition": content_disposition(file.name, inline=inline and file.playable),
        "repr-digest": f"sha-256=:{base64.b64encode(bytes.fromhex(file.sha256)).decode()}:",
    }
    start, end, status = 0, size, 200
    ranges = conditions.get("range")
    if ranges is not None and request.method == "GET" and _if_range_matches(conditions.get("if-range"), etag, modified):
        span = byte_range(ranges, size)
        if span is not None:
            start, end = span
            if start >= end:
                return Response(status_code=416, headers={"content-range": f"bytes */{size}", "etag": etag})
            status = 206
            headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
    headers["content-length"] = str(end - start)
    path = store.local_path(file.key)
    if path is not None:  # a bucket checks its own bytes
        await verifier.check(path, file.size, file.sha256)
    if request.method == "HEAD":
        _check_size(file, (await run_in_threadpool(store.stat, file.key)).size)
        return Response(status_code=status, headers=headers)
    stream = await run_in_threadpool(_open, store, file, start, end if status == 206 else None)
    return _SpanResponse(stream, end - start, status, headers)


def _open(store: ObjectReader, file: DeliveredFile, start: int, end: int | None) -> BinaryIO:
    stream = store.open(file.key, start, end)
    try:
        _check_size(file, stream.seek(0, os.SEEK_END))  # of a bucket, known from its first answer
        stream.seek(start)
    except BaseException:
        stream.close()
        raise
    return stream


def _check_size(file: DeliveredFile, size: int) -> None:
    if size != file.size:
        raise StoreError(f"has {size} bytes where {file.size} were delivered", file=file.key)


def byte_range(value: str, size: int) -> tuple[int, int] | None:
    """The single byte range of a Range header as [start, end); None if the header is to be ignored.

    A range that begins after the end of the file is an empty span (416).
    """
    match = re.fullmatch(r"bytes=[ \t]*(\d{0,19})-(\d{0,19})[ \t]*", value.strip(), re.ASCII | re.IGNORECASE)
    if match is None or match.group(1) == match.group(2) == "":
        return None
    first, last = match.groups()
    if first == "":
        return max(0, size - int(last)), size
    if last != "" and int(last) < int(first):
        return None
    start = int(first)
    return start, max(start, min(size, int(last) + 1)) if last else max(start, size)


class _SpanResponse(StreamingResponse):
    """Streams `length` bytes of an open file and closes it, also when the client disconnects."""

    def __init__(self, stream: BinaryIO, length: int, status: int, headers: Mapping[str, str]) -> None:
        self._stream, self._length = stream, length
        super().__init__(self._nothing(), status_code=status, headers=headers)

    @staticmethod
    async def _nothing() -> AsyncIterator[bytes]:
        return
        yield b""

    async def stream_response(self, send: Send) -> None:
        try:
            # Read before the headers are sent: an error of the store can still be answered.
            left = self._length
            block = await self._read(left)
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            while True:
                left -= len(block)
                await send({"type": "http.response.body", "body": block, "more_body": left > 0})
                if left <= 0:
                    return
                block = await self._read(left)
        finally:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(self._stream.close)

    async def _read(self, left: int) -> bytes:
        if left == 0:
            return b""
        block = await run_in_threadpool(self._stream.read, min(BLOCK_BYTES, left))
        if not block:
            raise StoreError("an object ended before its size")
        return block


def _fails_precondition(headers: Headers, etag: str, modified: int) -> bool:
    if "if-match" in headers:
        return not _matches(headers["if-match"], etag, weak=False)
    since = _parse_time(headers.get("if-unmodified-since"))
    return since is not None and modified > since


def _is_unchanged(headers: Headers, etag: str, modified: int) -> bool:
    if "if-none-match" in headers:
        return _matches(headers["if-none-match"], etag, weak=True)
    since = _parse_time(headers.get("if-modified-since"))
    return since is not None and modified <= since


def _if_range_matches(value: str | None, etag: str, modified: int) -> bool:
    if value is None or value.strip() == etag:
        return True
    return _parse_time(value) == modified


def _matches(header: str, etag: str, *, weak: bool) -> bool:
    tags = [tag.strip() for tag in header.split(",")]
    if weak:
        tags = [tag.removeprefix("W/") for tag in tags]
    return etag in tags or "*" in tags


def _parse_time(value: str | None) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp() if value else None
    except (TypeError, ValueError, OverflowError):
        return None
