"""Reading an object as it comes, and on after a cut."""

from __future__ import annotations

import io
from typing import Any

from f5_pipeline.errors import RetryableStoreError, StoreError
from f5_pipeline.store.s3.bucket import TRIES, Bucket, mark_of, pause
from f5_pipeline.store.s3.refusals import CHANGED, Refused

_SKIP = 256 << 10
"""So many bytes are read and thrown away, rather than asked for anew, to get ahead."""

BUFFER = 256 << 10


class Changed(StoreError):
    """The object is another one than the one that was begun with."""


class Stream:
    """The bytes of an object from `start` to before `end`, in order; what is cut on its way is asked for again.

    Attributes:
        position: of the next byte in the object.
        size: of the whole object, bytes.
        answer: the service's first answer.
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
        whole = str(self.answer.get("ContentRange", "")).rpartition("/")[2]
        self.size = int(whole) if whole.isdigit() else self.answer["ContentLength"]
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

    def read(self, most: int) -> bytes:
        """The next bytes, `most` of them at most; none at the end."""
        from botocore.exceptions import HTTPClientError, IncompleteReadError

        assert self._end is not None
        most = min(most, self._end - self.position)
        failures = 0
        while most > 0:
            try:
                body = self._body or self._ask()["Body"]
                if block := body.read(most):
                    self.position += len(block)
                    return block
                reason = "ended early"
            except (HTTPClientError, IncompleteReadError, OSError) as error:
                reason = type(error).__name__
            self.close()
            failures += 1
            if failures >= TRIES:
                raise RetryableStoreError(
                    f"the object was cut off at byte {self.position} of {self.size} ({reason}), tried {failures} times",
                    file=f"{self._bucket.url}/{self._key}",
                    hint="Check the network, then run again: what is finished is kept.",
                )
            pause(failures)
        return b""

    def read_all(self) -> bytes:
        """What is left."""
        blocks = []
        while block := self.read(1 << 20):
            blocks.append(block)
        return b"".join(blocks)

    def close(self) -> None:
        """Give the connection up."""
        if self._body is not None:
            self._body.close()
            self._body = None


class ObjectReader(io.RawIOBase):
    """An object, to before `end`, as a seekable file: one request from `start` on, another one after each jump."""

    def __init__(self, bucket: Bucket, key: str, start: int = 0, end: int | None = None) -> None:
        self._bucket = bucket
        self._key = key
        # Nothing cannot be asked for.
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
        block = self._stream_here().read(len(buffer))
        buffer[: len(block)] = block
        self._position += len(block)
        return len(block)

    def _stream_here(self) -> Stream:
        stream = self._stream
        if 0 < self._position - stream.position <= _SKIP:
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
