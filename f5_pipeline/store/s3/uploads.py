"""Uploads of a file to the bucket: in parallel parts, resumable."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import os
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

from f5_pipeline.errors import NotFoundError, StoreError
from f5_pipeline.store.base import ObjectStat, Progress
from f5_pipeline.store.disk import Journal, journal
from f5_pipeline.store.s3.bucket import SHA256, Bucket, mark_of
from f5_pipeline.store.s3.parts import Part, Stopped, cut, in_threads
from f5_pipeline.store.s3.refusals import Refused

MAX_PARTS = 10_000
_BLOCK_BYTES = 1 << 20
_GONE = ("NoSuchUpload", "404", "InvalidPart", "InvalidPartOrder")


class Slice(io.RawIOBase):
    """A part of a file, read on demand in flat memory. Threads may share the descriptor."""

    def __init__(self, descriptor: int, part: Part) -> None:
        self._descriptor = descriptor
        self._part = part
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        size = self._part.end - self._part.start
        self._position = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: size}[whence] + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        start = self._part.start + self._position
        block = os.pread(self._descriptor, min(len(buffer), max(0, self._part.end - start)), start)
        buffer[: len(block)] = block
        self._position += len(block)
        return len(block)


def upload(
    bucket: Bucket, key: str, path: Path, sha256: str, part_bytes: int, state: Path, on_progress: Progress | None
) -> ObjectStat:
    """Write the file at `path` in parts. See `Store.put_file`.

    Args:
        sha256: of the file, hex.
        state: folder for the journals of uploads.
    """
    with path.open("rb") as file:
        before = os.fstat(file.fileno())
        size = before.st_size
        while size > part_bytes * MAX_PARTS:
            part_bytes *= 2
        identity = [bucket.access.endpoint, bucket.name, bucket.prefix + key, size, sha256, part_bytes]
        name = hashlib.sha256(repr(identity).encode()).hexdigest()[:32]
        state.mkdir(parents=True, exist_ok=True)
        with journal(state / f"{name}.jsonl") as log:
            stat = _find_object(bucket, key, size, sha256) if log.waited else None
            while stat is None:
                resumed = log.header is not None
                if not resumed:
                    answer = bucket.ask("create_multipart_upload", key, Metadata={SHA256: sha256})
                    log.begin({"upload": answer["UploadId"], "key": key})
                try:
                    _send(bucket, key, file.fileno(), cut(size, part_bytes), on_progress, log)
                    after = os.fstat(file.fileno())
                    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
                        abort(bucket, key, log)
                        raise StoreError(
                            "the file was changed while it was uploaded", file=str(path), hint="Run again."
                        )
                    bucket.ask(
                        "complete_multipart_upload",
                        key,
                        expect=_GONE,
                        UploadId=_upload_id(log),
                        MultipartUpload={"Parts": _finished_parts(log)},
                    )
                except Refused as refused:
                    # It may have been completed by a request whose response was lost, or aborted by the service.
                    stat = _find_object(bucket, key, size, sha256)
                    if stat is None and not resumed:
                        raise StoreError(
                            f"the service has lost the upload ({refused.code})",
                            file=f"{bucket.url}/{key}",
                            hint="Run again.",
                        ) from None
                    if stat is None:
                        abort(bucket, key, log)
                    continue
                stat = _find_object(bucket, key, size, sha256)
                if stat is None:
                    log.end()
                    raise StoreError(
                        "the store has not kept what was written", file=f"{bucket.url}/{key}", hint="Run again."
                    )
            log.end()
    if on_progress:
        on_progress(size, size)
    return stat


def abort(bucket: Bucket, key: str, log: Journal) -> None:
    """Abort an upload, at the service and in the journal."""
    with contextlib.suppress(Refused):
        bucket.ask("abort_multipart_upload", key, expect=_GONE, UploadId=_upload_id(log))
    log.end()


def _send(
    bucket: Bucket, key: str, descriptor: int, parts: list[Part], on_progress: Progress | None, log: Journal
) -> None:
    size = parts[-1].end
    finished = {line["part"] for line in log.lines}
    done = sum(part.end - part.start for part in parts if part.number in finished)

    def put(part: Part, stop: threading.Event) -> dict[str, Any]:
        if stop.is_set():
            raise Stopped
        hasher = hashlib.md5(usedforsecurity=False)
        for start in range(part.start, part.end, _BLOCK_BYTES):
            hasher.update(os.pread(descriptor, min(_BLOCK_BYTES, part.end - start), start))
        answer = bucket.ask(
            "upload_part",
            key,
            expect=_GONE,
            UploadId=_upload_id(log),
            PartNumber=part.number,
            Body=Slice(descriptor, part),
            ContentLength=part.end - part.start,
            ContentMD5=base64.b64encode(hasher.digest()).decode(),
        )
        return {"part": part.number, "etag": mark_of(answer), "md5": hasher.hexdigest()}

    def report() -> None:
        if on_progress:
            on_progress(done, size)

    remaining = [part for part in parts if part.number not in finished]
    with closing(in_threads(put, remaining, bucket.transfers, report)) as finished_now:
        for part, line in finished_now:
            log.add(line)
            done += part.end - part.start


def _upload_id(log: Journal) -> str:
    assert log.header is not None
    return log.header["upload"]


def _finished_parts(log: Journal) -> list[dict[str, Any]]:
    return [
        {"PartNumber": line["part"], "ETag": f'"{line["etag"]}"'}
        for line in sorted(log.lines, key=lambda line: line["part"])
    ]


def _find_object(bucket: Bucket, key: str, size: int, sha256: str) -> ObjectStat | None:
    """The uploaded object; None where it does not exist or has other content."""
    try:
        stat = bucket.stat(key)
    except NotFoundError:
        return None
    return stat if (stat.size, stat.sha256) == (size, sha256) else None
