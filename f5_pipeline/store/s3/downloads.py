"""From the bucket to a file: parts side by side, kept when they are cut off, proven before they are shown."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from pathlib import Path

from f5_pipeline.errors import DamagedError
from f5_pipeline.store.base import ObjectStat, Progress
from f5_pipeline.store.disk import Journal, journal, on_disk, sync_folder
from f5_pipeline.store.s3.bucket import Bucket
from f5_pipeline.store.s3.parts import Part, Stopped, cut, in_threads
from f5_pipeline.store.s3.stream import Changed, Stream
from f5_pipeline.system.hashing import file_sha256

_BLOCK = 256 << 10


def download(
    bucket: Bucket, key: str, path: Path, sha256: str | None, part_bytes: int, on_progress: Progress | None
) -> None:
    """Bring an object to `path`. See `Store.download`."""
    with on_disk(path), journal(path.with_name(f".{path.name}.parts")) as held:
        for again in (True, True, False):
            if _bring(bucket, key, path, sha256, part_bytes, on_progress, held, again):
                return


def _bring(
    bucket: Bucket,
    key: str,
    path: Path,
    sha256: str | None,
    part_bytes: int,
    on_progress: Progress | None,
    held: Journal,
    again: bool,
) -> bool:
    """Whether the object is there; False where it is worth beginning anew."""
    stat = bucket.stat(key)
    expected = sha256 or stat.sha256
    draft = path.with_name(f".{path.name}.part")
    if held.waited and expected and path.is_file() and file_sha256(path) == expected:
        held.end()  # by another process, while we waited for it
        return True
    header = {"object": f"{bucket.url}/{key}", "mark": stat.mark, "size": stat.size, "part": part_bytes}
    resumed = held.header == header and draft.is_file() and draft.stat().st_size == stat.size
    if not resumed:
        _allocate(draft, stat.size)
        held.begin(header)
    try:
        _fill(bucket, stat, draft, part_bytes, on_progress, held)
    except Changed:
        held.end()
        draft.unlink()
        if again:
            return False
        raise
    if expected and file_sha256(draft) != expected:
        draft.unlink()
        held.end()
        if resumed and again:  # the parts of an earlier call may not have reached the disk when power failed
            return False
        raise DamagedError(
            "its content is not what it was", file=f"{bucket.url}/{key}", hint="Delete it, then run again."
        )
    draft.replace(path)
    sync_folder(path.parent)
    held.end()
    return True


def _allocate(draft: Path, size: int) -> None:
    """A file of `size` bytes whose place on the disk is taken."""
    try:
        with draft.open("wb") as file:
            if size:
                try:
                    os.posix_fallocate(file.fileno(), 0, size)
                except OSError as error:
                    if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                        raise
                    file.truncate(size)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def _fill(
    bucket: Bucket, stat: ObjectStat, draft: Path, part_bytes: int, on_progress: Progress | None, held: Journal
) -> None:
    parts = cut(stat.size, part_bytes)
    finished = {line["part"] for line in held.lines}
    moved = {part.number: part.end - part.start for part in parts if part.number in finished}

    def tell() -> None:
        if on_progress:
            on_progress(sum(list(moved.values())), stat.size)

    with draft.open("r+b") as file:

        def get(part: Part, stop: threading.Event) -> None:
            stream = Stream(bucket, stat.key, part.start, part.end, stat.mark)
            try:
                while block := stream.read(_BLOCK):
                    if stop.is_set():
                        raise Stopped
                    os.pwrite(file.fileno(), block, stream.position - len(block))
                    moved[part.number] = stream.position - part.start
            finally:
                stream.close()

        left = [part for part in parts if part.number not in finished]
        for part, _ in in_threads(get, left, bucket.transfers, tell):
            held.add({"part": part.number})
        os.fsync(file.fileno())
    tell()
