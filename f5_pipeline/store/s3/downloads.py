"""Downloads from the bucket to a file: in parallel parts, resumable, and verified before the file appears."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from contextlib import closing
from pathlib import Path

from f5_pipeline.errors import DamagedError
from f5_pipeline.store.base import ObjectStat, Progress
from f5_pipeline.store.disk import Journal, journal, on_disk, sync_folder
from f5_pipeline.store.s3.bucket import Bucket
from f5_pipeline.store.s3.parts import Part, Stopped, cut, in_threads
from f5_pipeline.store.s3.stream import Changed, Stream
from f5_pipeline.system.hashing import file_sha256

_BLOCK_BYTES = 256 << 10


def download(
    bucket: Bucket, key: str, path: Path, sha256: str | None, part_bytes: int, on_progress: Progress | None
) -> None:
    """Download an object to `path`. See `Store.download`."""
    with on_disk(path), journal(path.with_name(f".{path.name}.parts")) as log:
        for may_restart in (True, True, False):
            if _download(bucket, key, path, sha256, part_bytes, on_progress, log, may_restart):
                return


def _download(
    bucket: Bucket,
    key: str,
    path: Path,
    sha256: str | None,
    part_bytes: int,
    on_progress: Progress | None,
    log: Journal,
    may_restart: bool,
) -> bool:
    """Try to download an object; False where the download should be started again."""
    stat = bucket.stat(key)
    expected = sha256 or stat.sha256
    draft = path.with_name(f".{path.name}.part")
    if log.waited and expected and path.is_file() and file_sha256(path) == expected:
        log.end()  # another process has downloaded it while we waited
        return True
    header = {"object": f"{bucket.url}/{key}", "mark": stat.mark, "size": stat.size, "part": part_bytes}
    resumed = log.header == header and draft.is_file() and draft.stat().st_size == stat.size
    if not resumed:
        _allocate(draft, stat.size)
        log.begin(header)
    try:
        _fill(bucket, stat, draft, part_bytes, on_progress, log)
    except Changed:
        log.end()
        draft.unlink()
        if may_restart:
            return False
        raise
    if expected and file_sha256(draft) != expected:
        draft.unlink()
        log.end()
        if resumed and may_restart:  # the parts of an earlier call may not have reached the disk when power failed
            return False
        raise DamagedError(
            "its content is not what it was", file=f"{bucket.url}/{key}", hint="Delete it, then run again."
        )
    draft.replace(path)
    sync_folder(path.parent)
    log.end()
    return True


def _allocate(draft: Path, size: int) -> None:
    """Make a file of `size` bytes and reserve its space on the disk."""
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
    bucket: Bucket, stat: ObjectStat, draft: Path, part_bytes: int, on_progress: Progress | None, log: Journal
) -> None:
    parts = cut(stat.size, part_bytes)
    finished = {line["part"] for line in log.lines}
    moved = {part.number: part.end - part.start for part in parts if part.number in finished}

    def report() -> None:
        if on_progress:
            on_progress(sum(list(moved.values())), stat.size)

    with draft.open("r+b") as file:

        def get(part: Part, stop: threading.Event) -> None:
            stream = Stream(bucket, stat.key, part.start, part.end, stat.mark)
            try:
                while block := stream.read(_BLOCK_BYTES):
                    if stop.is_set():
                        raise Stopped
                    os.pwrite(file.fileno(), block, stream.position - len(block))
                    moved[part.number] = stream.position - part.start
            finally:
                stream.close()

        remaining = [part for part in parts if part.number not in finished]
        with closing(in_threads(get, remaining, bucket.transfers, report)) as done:
            for part, _ in done:
                log.add({"part": part.number})
        os.fsync(file.fileno())
    report()
