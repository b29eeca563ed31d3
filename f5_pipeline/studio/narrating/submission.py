"""Scripts that come as text or bytes and not as a file: from the Launchpad of Dagster's UI, and by HTTP."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script.model import ScriptOptions
from f5_pipeline.store.base import Store
from f5_pipeline.studio.narrating.scripts import LoadedScript, read_script


def read_submission(
    store: Store,
    data: bytes,
    name: str,
    options: ScriptOptions,
    *,
    suffix: str = ".md",
    header: Mapping[str, Any],
    origin: str,
    file: str = "text",
    place_of: str = "`{}`",
) -> LoadedScript:
    """Read a script as `read_script` does, without keeping it.

    Args:
        suffix: of its kind: ".md", ".epub", …
        header: front matter of Markdown, unless the text has one of its own.
        origin: where it comes from, for people.
        file: what errors call the text.
        place_of: what errors call an option, in place of the command line's `--option`.

    Raises:
        InputError: as `read_script`.
    """
    front = b""
    if suffix == ".md" and header and not data.lstrip().startswith(b"---"):
        import yaml

        front = f"---\n{yaml.safe_dump(dict(header), allow_unicode=True)}---\n".encode()
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}{suffix}"
        path.write_bytes(front + data)
        try:
            return read_script(store, path, name, options, replace=True, origin=origin)
        except InputError as error:
            place = error.place
            if error.file == str(path) and isinstance(place, int):
                place = max(1, place - front.count(b"\n"))
            where = file if error.file == str(path) else error.file
            message, hint = (
                re.sub(r"--([a-z-]+)", lambda match: place_of.format(match[1]), text.replace(str(path), file))
                for text in (error.message, error.hint or "")
            )
            raise InputError(message, file=where, place=place, hint=hint or None) from None
