"""Reading and writing records in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import SpooledTemporaryFile, gettempdir
from typing import IO, TypeVar

from pydantic import BaseModel, ValidationError

from f5_pipeline.errors import DamagedError, NotFoundError, StoreError
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.disk import on_disk
from f5_pipeline.system.hashing import file_sha256, stream_sha256
from f5_pipeline.system.scratch import workspace

MAX_IN_MEMORY_BYTES = 8 << 20
"""Size up to which an object of a bucket is kept in memory during verification."""

Record = TypeVar("Record", bound=BaseModel)


def write_record(store: Store, key: str, record: BaseModel) -> None:
    """Write a record, replacing an older one; nothing is written where they are equal."""
    store.replace_bytes(key, record.model_dump_json(indent=1).encode())


def read_record(store: Store, key: str, kind: type[Record]) -> Record:
    """Read a record. Raises NotFoundError, or StoreError where it is of another kind."""
    return parse_record(store.get_bytes(key), key, kind)


def find_record(store: Store, key: str, kind: type[Record]) -> Record | None:
    """Read a record, None where there is none."""
    try:
        return read_record(store, key, kind)
    except NotFoundError:
        return None


def parse_record(data: bytes | str, key: str, kind: type[Record]) -> Record:
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise StoreError(
            f"not a {kind.__name__} record of this version ({first['msg']})",
            file=key,
            place=place or None,
            hint="Delete it, then run the step again that writes it.",
        ) from None


def read_lines(store: Store, key: str, kind: type[Record]) -> Iterator[Record]:
    """Read records of one kind, one a line, in flat memory.

    Raises:
        DamagedError: the content does not match the hash in the key; raised before the first record.
        StoreError: a line is not a record of this kind.
    """
    with _open_verified(store, key) as lines:
        for number, line in enumerate(lines, 1):
            yield parse_record(line, f"{key}:{number}", kind)


@contextmanager
def _open_verified(store: Store, key: str) -> Iterator[IO[bytes]]:
    """An open object, verified first against the hash in its key, if any.

    An object of a bucket is downloaded once, to memory or a temporary file.
    """
    digits = layout.content_digits(key)
    with store.open(key) as source, SpooledTemporaryFile(MAX_IN_MEMORY_BYTES) as copy:
        if digits is None:
            yield source
            return
        content = source if store.local_path(key) else copy
        with on_disk(Path(gettempdir())):
            digest = stream_sha256(source, None if content is source else copy)
        if not digest.startswith(digits):
            narration = (layout.plan_chunks.match(key) or layout.narration_takes.match(key) or {}).get("narration")
            hint = f"Plan it again: f5-pipeline narrate {narration}." if narration else None
            raise DamagedError("its content is not what it was", file=key, hint=hint)
        content.seek(0)
        yield content


def put_lines(store: Store, name: Callable[[str], str], records: Iterable[BaseModel]) -> tuple[str, str]:
    """Write records one a line under the key `name(sha256 of the content)`; return that key and the sha256."""
    with workspace() as folder:
        path, hasher = folder / "lines", sha256()
        with path.open("wb") as out:
            for record in records:
                line = record.model_dump_json().encode() + b"\n"
                hasher.update(line)
                out.write(line)
        key = name(hasher.hexdigest())
        put_content(store, key, path, hasher.hexdigest())
    return key, hasher.hexdigest()


def put_content(store: Store, key: str, path: Path, sha256: str | None = None) -> None:
    """Write a file under a key with the hash of its content, unless the object exists and is intact.

    Args:
        sha256: of the file, hex, if known.
    """
    sha256 = sha256 or file_sha256(path)
    if not has_content(store, key, path.stat().st_size, sha256):
        store.put_file(key, path, sha256=sha256)


def has_content(store: Store, key: str, size: int, sha256: str) -> bool:
    """Whether an object exists and has this content. A bucket keeps the sha256; a local object is read.

    Args:
        size: bytes. sha256: hex.
    """
    try:
        stat = store.stat(key)
        if stat.size != size or stat.sha256 is not None:
            return stat.size == size and stat.sha256 == sha256
        with store.open(key) as source:
            return stream_sha256(source) == sha256
    except NotFoundError:
        return False
