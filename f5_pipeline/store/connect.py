"""From the store's address to the store."""

from __future__ import annotations

from pathlib import Path

from f5_pipeline.errors import InputError
from f5_pipeline.store.base import Store
from f5_pipeline.store.local import LocalStore


def connect(url: str) -> Store:
    """The store at `url`: `file:<folder>`.

    Raises:
        InputError: no store has such an address.
    """
    scheme, _, rest = url.partition(":")
    folder = rest.removeprefix("//")
    if scheme == "file" and folder:
        return LocalStore(Path(folder).expanduser())
    raise InputError(f"{url!r} is not the address of a store", file="F5_STORE", mend="Use file:<folder>.")
