"""Scripts: kept as written, with their options and their origin."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path, PurePath
from typing import Any

from f5_pipeline.errors import InputError, NotFoundError, StoreError
from f5_pipeline.speech.audio.cover import MAX_COVER_BYTES, checked_cover
from f5_pipeline.speech.captions.formats import chosen_formats
from f5_pipeline.speech.engine import Engine
from f5_pipeline.speech.script.decoding import near
from f5_pipeline.speech.script.model import UNSPOKEN, OptionError, Script, ScriptOptions, parse_script
from f5_pipeline.speech.script.sources import BOOKS
from f5_pipeline.speech.text.lexicon import Entry
from f5_pipeline.store import layout
from f5_pipeline.store.base import ObjectStat, Store
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.store.records import find_record, write_record
from f5_pipeline.studio.languages import check_known, languages_of_models
from f5_pipeline.studio.lexicon import load_lexicon, touched
from f5_pipeline.studio.narrating.choices import find_choices
from f5_pipeline.studio.records import Choices, ScriptRecord, Source, digest_of
from f5_pipeline.studio.voices import no_voice, voice_names
from f5_pipeline.system.reading import MAX_TEXT_BYTES, path_beside, read_file

MAX_BOOK_BYTES = 256 << 20
"""Of an EPUB, DOCX or PDF, with its pictures."""

OTHER_TEXTS = (".odt", ".rtf", ".fb2")
"""Extensions of documents that people may offer as scripts."""

OTHER_BOOKS = (".mobi", ".azw", ".azw3", ".kfx", ".prc", ".lit")
"""Extensions of books that calibre converts, where they are not locked."""


_SPLIT = "Split it into several narrations."


@dataclass(frozen=True)
class LoadedScript:
    """A script that was read and can be narrated.

    Attributes:
        file: its path, or its key in the store; for messages.
        data: the file's bytes.
        text: bytes of the gen_file that it names, if any.
        origin: path of its file; None where it was read from the store.
        lexicon: the entries of the store's lexicon.
        choices: what a person chose for single chunks.
        cover: the picture that it or its options name, as it is kept.
    """

    narration: str
    source: Source
    options: ScriptOptions
    script: Script
    file: str
    data: bytes = field(repr=False)
    text: bytes | None = field(default=None, repr=False)
    origin: str | None = None
    lexicon: Sequence[Entry] = field(default=(), repr=False)
    choices: Choices = field(default_factory=Choices, repr=False)
    cover: bytes | None = field(default=None, repr=False)

    @property
    def version(self) -> str:
        """Changes whenever the spoken text, a choice for a chunk or the cover would change."""
        return _version(self.narration, self.data, self.options, self.text, self.lexicon, self.choices, self.cover)


def read_script(
    store: Store,
    path: Path,
    name: str | None = None,
    options: ScriptOptions | None = None,
    *,
    replace: bool = False,
    origin: str | None = None,
    allow_outside: bool = False,
) -> LoadedScript:
    """Read a script from a file without keeping it.

    Args:
        name: the narration's name; from the file's name where None.
        options: given beside the script; options that are not set keep their present value.
        replace: whether the script may replace one of this name from another origin.
        origin: where the script comes from, if not from this file.
        allow_outside: whether its gen_file may be outside of the script's folder.

    Raises:
        InputError: the script or an option is unusable (names file and line, or the option), or the name belongs to a
            script from another origin.
    """
    if path.suffix.lower() not in layout.SCRIPT_EXTENSIONS:
        hint = conversion_of(path) or f"Use one of {', '.join(layout.SCRIPT_EXTENSIONS)}."
        kind = path.suffix or "a file without an ending"
        raise InputError(f"{kind} is not a kind of script", file=str(path), hint=hint)
    if name is None and not layout.slug(path.stem):
        raise InputError("no name can be made of its file name", file=str(path), hint="Give it one with --name.")
    narration = layout.check_name(name if name is not None else layout.slug(path.stem), "narration")
    limit = MAX_BOOK_BYTES if path.suffix.lower() in BOOKS else MAX_TEXT_BYTES
    data = read_file(path, limit=limit, hint=_SPLIT)
    record = _record(store, narration)
    merged = _merged(record, options)
    if path.stem != narration:
        merged = merged.model_copy(update={"file": path.name})
    texts: list[bytes] = []

    def gen_file(file: str) -> bytes:
        found = path_beside(path, file, allow_outside=allow_outside)
        texts.append(read_file(found, named_by=str(path), hint=_SPLIT))
        return texts[-1]

    script = _parse(store, data, str(path), merged, gen_file, _places(narration, options, origin))

    def picture() -> tuple[bytes, str]:
        if options is not None and options.cover:
            return read_file(Path(options.cover), limit=MAX_COVER_BYTES), options.cover
        if merged.cover:
            return _kept_cover(store, narration)
        found = path_beside(path, str(script.cover), allow_outside=allow_outside)
        return read_file(found, limit=MAX_COVER_BYTES, named_by=str(path)), str(path)

    cover = _checked_cover(script, picture)
    key = layout.script(narration, path.suffix.lower())
    others = [other for other in layout.SCRIPT_EXTENSIONS if not key.endswith(other)]
    exist = in_parallel(store, lambda other: store.exists(layout.script(narration, other)), others)
    for other, exists in zip(others, exist, strict=True):
        if exists:
            raise InputError(
                f"a narration {narration!r} exists already, from another kind of script ({other})",
                file=str(path),
                hint="Give this one another name with --name.",
            )
    origin = origin or str(path.resolve())
    if not replace and record.origin not in (None, origin) and _find(store, key) != data:
        raise InputError(
            f"the narration {narration!r} has its script from {record.origin}",
            file=str(path),
            hint="Give this one another name with --name, or --replace the script of that one.",
        )
    source = Source(key=key, sha256=sha256(data).hexdigest(), name=path.name, size=len(data))
    return LoadedScript(
        narration,
        source,
        merged,
        script,
        str(path),
        data,
        texts[-1] if texts else None,
        origin,
        load_lexicon(store),
        find_choices(store, narration),
        cover,
    )


def conversion_of(path: PurePath) -> str | None:
    """How a file that is no script is made one; None where no way is known."""
    if path.suffix.lower() in OTHER_TEXTS:
        return f"Make Markdown of it first, for example: pandoc {path} -t markdown -o {path.with_suffix('.md')}"
    if path.suffix.lower() in OTHER_BOOKS:
        return f"Make an EPUB of it first, by calibre: ebook-convert {path} {path.with_suffix('.epub')}"
    return None


def add_script(
    store: Store,
    path: Path,
    name: str | None = None,
    options: ScriptOptions | None = None,
    *,
    replace: bool = False,
    allow_outside: bool = False,
) -> LoadedScript:
    """Read a script and keep it in the store; one that cannot be narrated is not kept.

    Args and errors: as `read_script`.
    """
    loaded = read_script(store, path, name, options, replace=replace, allow_outside=allow_outside)
    keep_script(store, loaded)
    return loaded


def open_script(
    store: Store,
    script: Path,
    name: str | None = None,
    options: ScriptOptions | None = None,
    *,
    replace: bool = False,
    allow_outside: bool = False,
) -> LoadedScript:
    """Read a script by the path of its file or by the name of a narration in the store; nothing is kept.

    Args and errors: as `read_script`.
    """
    if script.exists() or script.suffix:
        return read_script(store, script, name, options, replace=replace, allow_outside=allow_outside)
    return load_script(store, str(script), options)


def keep_script(store: Store, loaded: LoadedScript) -> None:
    """Keep a script that was read, and its options, as far as they changed."""
    # The script last: once it exists, it must be complete.
    if loaded.text is not None:
        store.replace_bytes(layout.script_text(loaded.narration), loaded.text)
    if loaded.cover is not None:
        store.replace_bytes(layout.script_cover(loaded.narration), loaded.cover)
    keep_options(store, loaded)
    store.replace_bytes(loaded.source.key, loaded.data)


def _record(store: Store, narration: str) -> ScriptRecord:
    return find_record(store, layout.script_options(narration), ScriptRecord) or ScriptRecord()


def read_options(store: Store, narration: str) -> ScriptOptions:
    """The options that are kept beside a script; the defaults where none are."""
    return _merged(_record(store, narration), None)


def _merged(record: ScriptRecord, options: ScriptOptions | None) -> ScriptOptions:
    """The kept options, updated by those that are set in `options`."""
    given = options.model_dump(exclude_unset=True) if options else {}
    return ScriptOptions(**{**record.model_dump(exclude={"origin"}, exclude_unset=True), **given})


def keep_options(store: Store, loaded: LoadedScript) -> None:
    """Keep the options of a script and its origin, if they changed."""
    present = _record(store, loaded.narration)
    record = ScriptRecord(**loaded.options.model_dump(), origin=loaded.origin or present.origin)
    if record != present:
        write_record(store, layout.script_options(loaded.narration), record)


def _version(
    narration: str,
    data: bytes,
    options: ScriptOptions,
    text: bytes | None,
    lexicon: Sequence[Entry],
    choices: Choices,
    cover: bytes | None,
) -> str:
    spoken = options.model_dump(exclude=set(UNSPOKEN), exclude_defaults=True)
    said = touched(lexicon, narration, data, text)
    of_text = sha256(text).hexdigest() if text is not None else None
    parts: list[Any] = [sha256(data).hexdigest(), spoken, of_text]
    parts += [value for value in (said, choices.version) if value]
    return digest_of([*parts, {"cover": sha256(cover).hexdigest()}] if cover is not None else parts)


def script_version(store: Store, narration: str) -> str:
    """The version of a narration's script in the store, even where the script cannot be parsed.

    Raises:
        InputError: the narration has no script.
    """
    data = store.get_bytes(find_script(store, narration))
    text = _text_beside(store, narration, data)
    try:
        options, choices = read_options(store, narration), find_choices(store, narration)
        cover = _find(store, layout.script_cover(narration)) if _names_cover(data, options) else None
        return _version(narration, data, options, text, load_lexicon(store), choices, cover)
    except (InputError, StoreError):  # damaged options or a damaged lexicon: reported when it is narrated
        raw = _find(store, layout.script_options(narration)) or b""
        return digest_of([sha256(data).hexdigest(), sha256(raw).hexdigest()])


def _find(store: Store, key: str) -> bytes | None:
    try:
        return store.get_bytes(key)
    except NotFoundError:
        return None


def script_stats(store: Store) -> Iterator[tuple[str, ObjectStat]]:
    """Narration and facts of every script, in order of key, by one listing."""
    for stat in store.list(layout.SCRIPTS):
        fields = layout.script.match(stat.key)
        if fields and layout.NAME.fullmatch(fields["narration"]):
            yield fields["narration"], stat


def list_scripts(store: Store) -> Iterator[tuple[str, str]]:
    """Narration and key of every script, in order of key."""
    return ((narration, stat.key) for narration, stat in script_stats(store))


def find_script(store: Store, narration: str) -> str:
    """The key of a narration's script. Raises InputError where there is none."""
    layout.check_name(narration, "narration")
    for extension in layout.SCRIPT_EXTENSIONS:
        if store.exists(layout.script(narration, extension)):
            return layout.script(narration, extension)
    close = get_close_matches(narration, [name for name, _ in list_scripts(store)], n=3)
    raise InputError(
        f"there is no script for the narration {narration!r}",
        file=f"{store.url} (F5_STORE)",
        hint=f"Did you mean {' or '.join(close)}?" if close else "Add one: f5-pipeline scripts add FILE.",
    )


def load_script(store: Store, narration: str, options: ScriptOptions | None = None) -> LoadedScript:
    """Read and parse a narration's script in the store. Errors: as `read_script`."""
    key = find_script(store, narration)
    data = store.get_bytes(key)
    merged = _merged(_record(store, narration), options)
    texts: list[bytes] = []

    def gen_file(_: str) -> bytes:
        texts.append(store.get_bytes(layout.script_text(narration)))
        return texts[-1]

    script = _parse(store, data, key, merged, gen_file, _places(narration, options))
    name = merged.file or key.rpartition("/")[2]
    if script.title == narration:
        script = script.model_copy(update={"title": Path(name).stem})
    source = Source(key=key, sha256=sha256(data).hexdigest(), name=name, size=len(data))
    text = texts[-1] if texts else _text_beside(store, narration, data)
    return LoadedScript(
        narration,
        source,
        merged,
        script,
        key,
        data,
        text,
        lexicon=load_lexicon(store),
        choices=find_choices(store, narration),
        cover=_checked_cover(script, lambda: _kept_cover(store, narration)),
    )


_COVER_LINE = re.compile(rb"^cover[ \t]*:[ \t]*[\"']?([^\"'\s#])", re.MULTILINE)


def _names_cover(data: bytes, options: ScriptOptions) -> bool:
    """Whether a script may name a file as its cover, told without parsing it."""
    return options.cover not in ("none", "drawn") and bool(options.cover or _COVER_LINE.search(data, 0, 1 << 16))


def _checked_cover(script: Script, picture: Callable[[], tuple[bytes, str]]) -> bytes | None:
    """The picture that a script names, fit to be kept; `picture` gives its bytes and the file that errors name."""
    if script.cover in (None, "none", "drawn"):
        return None
    data, file = picture()
    return checked_cover(data, file, script.lines.get("cover"))


def _kept_cover(store: Store, narration: str) -> tuple[bytes, str]:
    key = layout.script_cover(narration)
    data = _find(store, key)
    if data is None:
        hint = f"Add the script again with --cover FILE, or put the picture there as {key}."
        raise InputError("the cover that the script names is not in the store", file=key, hint=hint)
    return data, key


def _text_beside(store: Store, narration: str, data: bytes) -> bytes | None:
    """The text of a possible gen_file, whether or not the script uses it: its version must not depend on parsing."""
    return _find(store, layout.script_text(narration)) if b"gen_file" in data else None


_Places = Callable[[str], tuple[str, str | None]]
"""Where an option was given: file, and place in it."""


def _places(narration: str, given: ScriptOptions | None, origin: str | None = None) -> _Places:
    def place_of(option: str) -> tuple[str, str | None]:
        if given is None or option not in given.model_fields_set:
            return layout.script_options(narration), option
        value = getattr(given, option)
        shown = ",".join(value) if isinstance(value, list) else value
        return ("configuration", option) if origin else (f"--{option} {shown}", None)

    return place_of


def _parse(
    store: Store,
    data: bytes,
    name: str,
    options: ScriptOptions,
    gen_file: Callable[[str], bytes],
    place_of: _Places,
) -> Script:
    """Parse a script and check what it asks for."""
    voices = set(voice_names(store))
    if not voices:
        raise no_voice(store, name)
    try:
        script = parse_script(data, name, options, known_voices=voices, gen_file=gen_file)
        check_choices(store, script, options, name)
    except OptionError as error:
        option = error.file or ""
        file, place = place_of(option)
        hint = f"{error.hint} Give another one with --{option}." if file.startswith(layout.SCRIPTS) else error.hint
        raise InputError(error.message, file=file, place=place, hint=hint) from None
    return script


def check_choices(store: Store, script: Script, options: ScriptOptions, name: str) -> None:
    """Check that the language, the model and the caption formats of a script exist.

    Raises:
        OptionError: an option names an unknown one. InputError: the header does; names the line.
    """
    language, model = script.language, script.model
    problems: dict[str, InputError] = {}
    if model is not None and model not in (models := languages_of_models(store)):
        hint = near(model, models) or "See: f5-pipeline weights list."
        problems["model"] = InputError(f"there is no model {model!r}", hint=hint)
    try:
        check_known(store, language)
    except InputError as error:
        problems["language"] = error
    for tag, line in _lines_of_languages(script).items():
        try:
            check_known(store, tag)
        except InputError as error:
            raise InputError(error.message, file=name, place=line, hint=error.hint) from None
    try:
        chosen_formats(script.captions.formats)
    except InputError as error:
        if options.captions is not None:
            raise OptionError(error.message, file="captions", hint=error.hint) from None
        place = script.lines.get("captions.formats")
        raise InputError(error.message, file=name, place=place, hint=error.hint) from None
    for option, error in problems.items():
        if getattr(options, option) is not None:
            raise OptionError(error.message, file=option, hint=error.hint)
        raise InputError(error.message, file=name, place=script.lines.get(option), hint=error.hint)


def check_language(engine: Engine, loaded: LoadedScript) -> None:
    """Check that an engine speaks the languages of a script. Raises InputError that names the option or the line."""
    script, option = loaded.script, loaded.options.language
    try:
        engine.check_language(script.language)
    except InputError as error:
        file = f"--language {option}" if option else loaded.file
        place = None if option else script.lines.get("language")
        raise InputError(error.message, file=file, place=place, hint=error.hint) from None
    for language, line in _lines_of_languages(script).items():
        try:
            engine.check_language(language)
        except InputError as error:
            raise InputError(error.message, file=loaded.file, place=line, hint=error.hint) from None
    # An engine may speak a language and still not be able to read its script here.
    check_text = getattr(engine, "check_text", lambda text, language: None)
    for passage in script.passages:
        try:
            check_text(passage.text, passage.language or script.language)
        except InputError as error:
            raise InputError(error.message, file=loaded.file, place=passage.line, hint=error.hint) from None


def _lines_of_languages(script: Script) -> dict[str, int]:
    """The first line of each language that a part of a script has of its own."""
    return {passage.language: passage.line for passage in reversed(script.passages) if passage.language}
