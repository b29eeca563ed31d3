"""Reading and writing records in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from hashlib import sha256
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from f5_pipeline.errors import NotFoundError, StoreError
from f5_pipeline.store.base import Store
from f5_pipeline.system.scratch import workspace

Record = TypeVar("Record", bound=BaseModel)


def write_record(store: Store, key: str, record: BaseModel) -> None:
    """Write a record, replacing an older state of it; nothing is written where it is the same."""
    store.replace_bytes(key, record.model_dump_json(indent=1).encode())


def read_record(store: Store, key: str, kind: type[Record]) -> Record:
    """Read a record. Raises NotFoundError, or StoreError where it is not of this kind."""
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
    """Read records of one kind, one a line, without holding them all."""
    with store.open(key) as lines:
        for number, line in enumerate(lines, 1):
            yield parse_record(line, f"{key}:{number}", kind)


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
        if not store.exists(key):
            store.put_file(key, path)
    return key, hasher.hexdigest()
