"""Reading an object as a stream, resumed after an interruption."""

from __future__ import annotations

import io
from typing import Any

from f5_pipeline.errors import RetryableStoreError, StoreError
from f5_pipeline.store.s3.bucket import MAX_TRIES, Bucket, mark_of, pause
from f5_pipeline.store.s3.refusals import CHANGED, Refused

_MAX_SKIP_BYTES = 256 << 10
"""A jump forward up to this size reads on instead of sending a new request."""

BUFFER_BYTES = 256 << 10


class Changed(StoreError):
    """The object was replaced while it was read."""


class Stream:
    """The bytes [start, end) of an object, in order; resumed where the connection breaks.

    Attributes:
        position: of the next byte in the object.
        size: of the whole object, bytes.
        answer: the service's first response.
    """

    def __init__(
        self, bucket: Bucket, key: str, start: int = 0, end: int | None = None, mark: str | None = None
    ) -> None:
        self._bucket = bucket
        self._key = key
        self.position = start
        self._mark = mark
        self._body: Any = None
        self._end = end
        self.answer = self._ask()
        total = str(self.answer.get("ContentRange", "")).rpartition("/")[2]
        self.size = int(total) if total.isdigit() else self.answer["ContentLength"]
        self._end = self.size if end is None else min(end, self.size)
        self._mark = mark or mark_of(self.answer)

    def _ask(self) -> Any:
        try:
            answer = self._bucket.get(self._key, self.position, self._end, self._mark, expect=CHANGED)
        except Refused:
            raise Changed(
                "the object was changed while it was read", file=f"{self._bucket.url}/{self._key}", hint="Run again."
            ) from None
        self._body = answer["Body"]
        return answer

    def read(self, limit: int) -> bytes:
        """The next bytes, at most `limit`; empty at the end."""
        from botocore.exceptions import HTTPClientError, IncompleteReadError

        assert self._end is not None
        limit = min(limit, self._end - self.position)
        failures = 0
        while limit > 0:
            try:
                body = self._body or self._ask()["Body"]
                if block := body.read(limit):
                    self.position += len(block)
                    return block
                reason = "ended early"
            except (HTTPClientError, IncompleteReadError, OSError) as error:
                reason = type(error).__name__
            self.close()
            failures += 1
            if failures >= MAX_TRIES:
                raise RetryableStoreError(
                    f"the object was cut off at byte {self.position} of {self.size} ({reason}), tried {failures} times",
                    file=f"{self._bucket.url}/{self._key}",
                    hint="Check the network, then run again: what is finished is kept.",
                )
            pause(failures)
        return b""

    def read_all(self) -> bytes:
        """The remaining bytes."""
        blocks = []
        while block := self.read(1 << 20):
            blocks.append(block)
        return b"".join(blocks)

    def close(self) -> None:
        """Close the connection."""
        if self._body is not None:
            self._body.close()
            self._body = None


class ObjectReader(io.RawIOBase):
    """An object, up to `end`, as a seekable file: one request from `start` on, another after each jump."""

    def __init__(self, bucket: Bucket, key: str, start: int = 0, end: int | None = None) -> None:
        self._bucket = bucket
        self._key = key
        # An empty range cannot be requested.
        self._stream = Stream(bucket, key, start, end if end is None or end > start else None)
        self._end = end
        self._size = self._stream.size
        self._mark = mark_of(self._stream.answer)
        self._position = start

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"negative seek position {base + offset}")
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        if self._position >= (self._size if self._end is None else min(self._end, self._size)):
            return 0
        block = self._stream_at_position().read(len(buffer))
        buffer[: len(block)] = block
        self._position += len(block)
        return len(block)

    def _stream_at_position(self) -> Stream:
        stream = self._stream
        if 0 < self._position - stream.position <= _MAX_SKIP_BYTES:
            while stream.position < self._position and stream.read(self._position - stream.position):
                pass
        if stream.position != self._position:
            stream.close()
            stream = self._stream = Stream(self._bucket, self._key, self._position, self._end, self._mark)
        return stream

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()
