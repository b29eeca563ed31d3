"""How the bytes of a delivered file are answered: types, names, ranges, validators.

One response serves every store: it reads through `open` and seeks. Starlette's own FileResponse reads local paths only,
has no 304 and sends its headers before it opens the file, so that a file which is gone would be a cut connection.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from typing import BinaryIO, Protocol
from urllib.parse import quote

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from f5_pipeline.errors import StoreError

CHUNK = 256 * 1024
"""Bytes read and sent at a time."""

_MEDIA_TYPES = {
    "flac": "audio/flac",
    "mp3": "audio/mpeg",
    "wav": "audio/wav",
    "ogg": "audio/ogg",
    "opus": "audio/ogg",
    "m4a": "audio/mp4",
    "m4b": "audio/mp4",
    "vtt": "text/vtt; charset=utf-8",
    "srt": "application/x-subrip; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "txt": "text/plain; charset=utf-8",
    "png": "image/png",
    "zip": "application/zip",
}

# What a browser may show in place. Everything else is always a download: no file can bring a page under our origin.
_INLINE = re.compile(r"(audio/[\w.+-]+|text/vtt)(;|$)")


@dataclass(frozen=True)
class DeliveredFile:
    """A file of a delivered revision.

    Attributes:
        name: file name as the listener sees it and as it stands in links.
        key: where its bytes are in the store; never shown.
        size: in bytes.
        sha256: of the content, 64 hex digits.
        media_type: for example "audio/flac"; see `media_type_of`.
    """

    name: str
    key: str
    size: int
    sha256: str
    media_type: str


class ObjectStat(Protocol):
    """What a store says about an object: size in bytes, time of its last change in Unix seconds."""

    @property
    def size(self) -> int: ...
    @property
    def modified(self) -> float: ...


class ObjectReader(Protocol):
    """What the service needs of a store. Both raise NotFoundError for a missing key, StoreError for other trouble."""

    def stat(self, key: str) -> ObjectStat: ...

    def open(self, key: str) -> BinaryIO:
        """A seekable stream. One `seek` and sequential reads are all that is asked of it."""
        ...


def media_type_of(name: str) -> str:
    """Media type by the extension of a file name, with the charset where it is text."""
    return _MEDIA_TYPES.get(name.rpartition(".")[2].lower(), "application/octet-stream")


def content_disposition(name: str, *, inline: bool = False) -> str:
    """Header value that names a file, in the two forms of RFC 6266: plain ASCII, and UTF-8 by RFC 5987."""
    kind = "inline" if inline else "attachment"
    decomposed = unicodedata.normalize("NFKD", name)
    plain = "".join(c for c in decomposed if not unicodedata.combining(c)).encode("ascii", "replace").decode()
    plain = re.sub(r'[\x00-\x1f\x7f"\\/%?*:<>|;]', "_", plain).strip(". ") or "file"
    value = f'{kind}; filename="{plain}"'
    if plain != name:
        # A lone surrogate has no UTF-8: it becomes a question mark instead of an error.
        value += f"; filename*=UTF-8''{quote(name.encode('utf-8', 'replace'), safe='')}"
    return value


async def deliver(request: Request, store: ObjectReader, file: DeliveredFile, *, inline: bool) -> Response:
    """Answer a GET or HEAD for `file`: 200, 206, 304, 412 or 416.

    A single byte range is honoured. Several in one request, and what is not a byte range, get the whole file, as RFC
    9110 (14.2) allows: players and download managers ask for one.

    Raises:
        NotFoundError: the object is gone.
        StoreError: the store fails, or the object has not the size that was delivered.
    """
    stat = await run_in_threadpool(store.stat, file.key)
    if stat.size != file.size:
        raise StoreError(f"has {stat.size} bytes where {file.size} were delivered", file=file.key)
    etag = f'"{file.sha256}"'
    modified = int(stat.modified)
    headers = {
        "etag": etag,
        "last-modified": formatdate(modified, usegmt=True),
        # A private cache may keep it, but must ask each time: an expired link ends playback of kept copies too.
        "cache-control": "private, no-cache",
        "accept-ranges": "bytes",
    }
    asked = request.headers
    if _fails_precondition(asked, etag, modified):
        return Response(status_code=412, headers=headers)
    if _is_unchanged(asked, etag, modified):
        return Response(status_code=304, headers=headers)

    shown = inline and bool(_INLINE.match(file.media_type))
    headers |= {
        "content-type": file.media_type,
        "content-disposition": content_disposition(file.name, inline=shown),
        "repr-digest": f"sha-256=:{base64.b64encode(bytes.fromhex(file.sha256)).decode()}:",
    }
    start, end, status = 0, stat.size, 200
    wanted = asked.get("range")
    if wanted is not None and request.method == "GET" and _if_range_holds(asked.get("if-range"), etag, modified):
        span = byte_range(wanted, stat.size)
        if span is not None:
            start, end = span
            if start >= end:
                return Response(status_code=416, headers={"content-range": f"bytes */{stat.size}", "etag": etag})
            status = 206
            headers["content-range"] = f"bytes {start}-{end - 1}/{stat.size}"
    headers["content-length"] = str(end - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers)
    stream = await run_in_threadpool(store.open, file.key)
    return _SpanResponse(stream, start, end, status, headers)


def byte_range(value: str, size: int) -> tuple[int, int] | None:
    """The one byte range of a Range header as [start, end), or None if the header is to be ignored.

    A range that begins behind the end gives an empty span (416).
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
    """Streams bytes [start, end) of an open file and closes it, also when the client goes away."""

    def __init__(self, stream: BinaryIO, start: int, end: int, status: int, headers: Mapping[str, str]) -> None:
        self._stream, self._start, self._end = stream, start, end
        super().__init__(self._nothing(), status_code=status, headers=headers)

    @staticmethod
    async def _nothing() -> AsyncIterator[bytes]:
        return
        yield b""

    async def stream_response(self, send: Send) -> None:
        try:
            if self._start:
                await run_in_threadpool(self._stream.seek, self._start)
            # The first read goes before the headers: trouble with the store can still be answered.
            left = self._end - self._start
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
        block = await run_in_threadpool(self._stream.read, min(CHUNK, left))
        if not block:
            raise StoreError("an object ended before its size")
        return block


def _fails_precondition(asked: Headers, etag: str, modified: int) -> bool:
    if "if-match" in asked:
        return not _names(asked["if-match"], etag, weak=False)
    since = _time(asked.get("if-unmodified-since"))
    return since is not None and modified > since


def _is_unchanged(asked: Headers, etag: str, modified: int) -> bool:
    if "if-none-match" in asked:
        return _names(asked["if-none-match"], etag, weak=True)
    since = _time(asked.get("if-modified-since"))
    return since is not None and modified <= since


def _if_range_holds(value: str | None, etag: str, modified: int) -> bool:
    if value is None or value.strip() == etag:
        return True
    return _time(value) == modified


def _names(header: str, etag: str, *, weak: bool) -> bool:
    tags = [tag.strip() for tag in header.split(",")]
    if weak:
        tags = [tag.removeprefix("W/") for tag in tags]
    return etag in tags or "*" in tags


def _time(value: str | None) -> float | None:
    try:
        return parsedate_to_datetime(value).timestamp() if value else None
    except (TypeError, ValueError, OverflowError):
        return None
