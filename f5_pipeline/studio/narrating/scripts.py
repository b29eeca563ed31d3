"""Scripts: kept as they were written, beside what was said about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path

from f5_pipeline.errors import InputError, NotFoundError, StoreError
from f5_pipeline.speech.script.model import Script, ScriptOptions, parse_script
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.records import find_record, write_record
from f5_pipeline.studio.records import Source, digest_of
from f5_pipeline.studio.voices import voice_names

MAX_SCRIPT_BYTES = 64 << 20
"""A script is read whole; this is some eleven million words."""


@dataclass(frozen=True)
class LoadedScript:
    """A script with all that was said about it.

    Attributes:
        file: what the user calls it: a path, or its key in the store.
        data: the file's bytes.
        text: those of the gen_file that it names, if it does.
    """

    narration: str
    source: Source
    options: ScriptOptions
    script: Script
    file: str
    data: bytes = field(repr=False)
    text: bytes | None = field(default=None, repr=False)

    @property
    def version(self) -> str:
        """Another one as soon as something else is to be said."""
        return _version(self.data, self.options, self.text)


def read_script(
    store: Store, path: Path, name: str | None = None, options: ScriptOptions | None = None
) -> LoadedScript:
    """Read a script from a file without keeping it.

    Args:
        name: the narration's name; from the file's name where None.
        options: what is said beside the script; what was said before stands where nothing is said.

    Raises:
        InputError: the script cannot be used; names file and line.
    """
    if path.suffix.lower() not in layout.SCRIPT_EXTENSIONS:
        raise InputError(
            f"{path.suffix or 'a file without an ending'} is not a kind of script",
            file=str(path),
            hint=f"Use one of {', '.join(layout.SCRIPT_EXTENSIONS)}.",
        )
    narration = layout.check_name(name if name is not None else layout.slug(path.stem), "narration")
    data = _read(path, str(path))
    kept = merged_options(store, narration, options)
    if path.stem != narration:
        kept = kept.model_copy(update={"file": path.name})
    texts: list[bytes] = []

    def gen_file(file: str) -> bytes:
        texts.append(_read(path.parent / file, str(path)))
        return texts[-1]

    script = _parse(store, data, str(path), kept, gen_file)
    key = layout.script(narration, path.suffix.lower())
    source = Source(key=key, sha256=sha256(data).hexdigest(), name=path.name, size=len(data))
    return LoadedScript(narration, source, kept, script, str(path), data, texts[-1] if texts else None)


def add_script(store: Store, path: Path, name: str | None = None, options: ScriptOptions | None = None) -> LoadedScript:
    """Keep a script in the store after reading it, so that none is kept that could not be narrated.

    Args and errors: as `read_script`.
    """
    loaded = read_script(store, path, name, options)
    keep_script(store, loaded)
    return loaded


def open_script(
    store: Store, script: Path, name: str | None = None, options: ScriptOptions | None = None
) -> LoadedScript:
    """Read a script that a person names: a file, or a narration in the store; nothing is kept.

    Args and errors: as `read_script`.
    """
    if script.exists() or script.suffix:
        return read_script(store, script, name, options)
    return load_script(store, str(script), options)


def keep_script(store: Store, loaded: LoadedScript) -> None:
    """Keep a script that was read, and what was said beside it, as far as it is news.

    Raises:
        InputError: the narration exists already, from another kind of script.
    """
    for other in layout.SCRIPT_EXTENSIONS:
        key = layout.script(loaded.narration, other)
        if key != loaded.source.key and store.exists(key):
            raise InputError(
                f"a narration {loaded.narration!r} exists already, from another kind of script ({other})",
                file=loaded.file,
                hint="Give this one another name with --name.",
            )
    # The script last: it is complete as soon as it is there.
    if loaded.text is not None:
        store.replace_bytes(layout.script_text(loaded.narration), loaded.text)
    keep_options(store, loaded)
    store.replace_bytes(loaded.source.key, loaded.data)


def _read(path: Path, named_by: str) -> bytes:
    try:
        if path.stat().st_size > MAX_SCRIPT_BYTES:
            raise InputError(
                f"{path.name} has {path.stat().st_size >> 20} MiB, more than {MAX_SCRIPT_BYTES >> 20}",
                file=named_by,
                hint="Split it into several narrations.",
            )
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path.name} cannot be read ({error.strerror})", file=named_by, hint="Give a file that you can read."
        ) from None


def read_options(store: Store, narration: str) -> ScriptOptions:
    """What was said beside a script; nothing where nothing was."""
    return find_record(store, layout.script_options(narration), ScriptOptions) or ScriptOptions()


def merged_options(store: Store, narration: str, said: ScriptOptions | None) -> ScriptOptions:
    """What was said before, with what is said now in its place."""
    kept = read_options(store, narration)
    return kept.model_copy(update=said.model_dump(exclude_unset=True)) if said is not None else kept


def keep_options(store: Store, loaded: LoadedScript) -> None:
    """Keep what was said beside a script, if it is news."""
    if loaded.options != read_options(store, loaded.narration):
        write_record(store, layout.script_options(loaded.narration), loaded.options)


def _version(data: bytes, options: ScriptOptions, text: bytes | None) -> str:
    said = options.model_dump(exclude={"priority", "file"}, exclude_defaults=True)
    return digest_of([sha256(data).hexdigest(), said, sha256(text).hexdigest() if text is not None else None])


def script_version(store: Store, narration: str) -> str:
    """The version of a narration's script as it is in the store; the script need not be one that can be read.

    Raises:
        InputError: there is none.
    """
    data = store.get_bytes(find_script(store, narration))
    text = _text_beside(store, narration, data)
    try:
        return _version(data, read_options(store, narration), text)
    except StoreError:  # damaged options: narrating tells
        raw = _find(store, layout.script_options(narration)) or b""
        return digest_of([sha256(data).hexdigest(), sha256(raw).hexdigest()])


def _find(store: Store, key: str) -> bytes | None:
    try:
        return store.get_bytes(key)
    except NotFoundError:
        return None


def list_scripts(store: Store) -> Iterator[tuple[str, str]]:
    """Narration and key of every script, in order of key."""
    for stat in store.list(layout.SCRIPTS):
        fields = layout.script.match(stat.key)
        if fields and layout.NAME.fullmatch(fields["narration"]):
            yield fields["narration"], stat.key


def find_script(store: Store, narration: str) -> str:
    """The key of a narration's script. Raises InputError where there is none."""
    layout.check_name(narration, "narration")
    for extension in layout.SCRIPT_EXTENSIONS:
        if store.exists(layout.script(narration, extension)):
            return layout.script(narration, extension)
    near = get_close_matches(narration, [name for name, _ in list_scripts(store)], n=3)
    raise InputError(
        f"there is no script for the narration {narration!r}",
        hint=f"Did you mean {' or '.join(near)}?" if near else "Add one: f5-pipeline scripts add FILE.",
    )


def load_script(store: Store, narration: str, options: ScriptOptions | None = None) -> LoadedScript:
    """Read and parse a narration's script. Raises InputError that names file and line."""
    key = find_script(store, narration)
    data = store.get_bytes(key)
    options = merged_options(store, narration, options)
    texts: list[bytes] = []

    def gen_file(_: str) -> bytes:
        texts.append(store.get_bytes(layout.script_text(narration)))
        return texts[-1]

    script = _parse(store, data, key, options, gen_file)
    name = options.file or key.rpartition("/")[2]
    if script.title == narration:
        script = script.model_copy(update={"title": Path(name).stem})
    source = Source(key=key, sha256=sha256(data).hexdigest(), name=name, size=len(data))
    text = texts[-1] if texts else _text_beside(store, narration, data)
    return LoadedScript(narration, source, options, script, key, data, text)


def _text_beside(store: Store, narration: str, data: bytes) -> bytes | None:
    """The text that a script may name as gen_file, whether or not it does: the same to all who ask for its version."""
    return _find(store, layout.script_text(narration)) if b"gen_file" in data else None


def _parse(store: Store, data: bytes, name: str, options: ScriptOptions, gen_file: Callable[[str], bytes]) -> Script:
    return parse_script(data, name, options, known_voices=set(voice_names(store)), gen_file=gen_file)
