"""From the bytes of a script to a `Script`: header, blocks, voices, passages."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import PurePosixPath

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script import front_matter
from f5_pipeline.speech.script.decoding import Block, decode, language_tag
from f5_pipeline.speech.script.front_matter import Header
from f5_pipeline.speech.script.model import OptionError, Script, ScriptOptions
from f5_pipeline.speech.script.sources import f5_toml
from f5_pipeline.speech.script.sources import markdown as markdown_text
from f5_pipeline.speech.script.voice_tags import MAIN, Cast, passages
from f5_pipeline.speech.text.normalise import lone_symbols

EXTENSIONS = (".txt", ".md", ".toml")


def parse(
    data: bytes,
    name: str,
    options: ScriptOptions,
    known_voices: Collection[str] | None,
    gen_file: Callable[[str], bytes] | None,
) -> Script:
    """See `script.parse_script`."""
    path = PurePosixPath(name.replace("\\", "/"))
    extension = path.suffix.lower()
    header = Header()
    notes: list[str] = []
    title: str | None = None
    text_file = name
    if extension == ".txt":
        blocks = _paragraphs(decode(data, name))
    elif extension in (".md", ".markdown"):
        head, body = front_matter.split(decode(data, name), name)
        header = front_matter.parse_header(head, name)
        blocks, title = markdown_text.blocks(body, name, notes)
    elif extension == ".toml":
        header, text, text_file, offset = f5_toml.read(data, name, gen_file)
        blocks = _paragraphs(text, offset)
    else:
        raise InputError(
            f"'{extension or path.name}' is no form of script", file=name, hint="Name it .txt, .md or .toml."
        )
    language = header.language or "en"
    if options.language:
        try:
            language = language_tag(options.language, "language", None)
        except InputError as error:
            raise OptionError(error.message, file="language", hint=error.hint) from None
    cast = _cast(header, name, options, known_voices)
    cast.file = text_file
    found = list(passages(blocks, cast, lone_symbols(language), notes))
    if not found:
        raise InputError("the script has nothing to speak", file=text_file, hint="Write some text into it.")
    return Script(
        name=path.stem,
        title=header.title or title or path.stem,
        author=header.author,
        language=language,
        voices=list(dict.fromkeys(passage.voice for passage in found)),
        pauses=header.pauses,
        captions=header.captions,
        formats=header.formats,
        model=options.model or header.model,
        preset=options.preset or header.preset,
        commercial=bool(header.commercial if options.commercial is None else options.commercial),
        passages=found,
        lines=header.lines,
        notes=notes,
    )


def _cast(header: Header, file: str, options: ScriptOptions, known: Collection[str] | None) -> Cast:
    """Who speaks, every name checked on the line where it stands."""
    speed = options.speed or header.speed or 1.0
    cast = Cast(
        file, labels=header.voices, known=known, speed=speed, speeds={} if options.speed else header.voice_speeds
    )
    # A configuration of F5-TTS may bring voices that its text does not use: those are checked where they speak.
    labels = {} if file.lower().endswith(".toml") else header.voices
    for label, voice in labels.items():
        cast.check(voice, header.lines.get(f"voices.{label}"))
    if options.voice is not None:
        cast.default = header.voices.get(options.voice, options.voice)
        try:
            cast.check(cast.default, None)
        except InputError as error:
            raise OptionError(error.message, file="voice", hint=error.hint) from None
    elif header.voice is not None:
        cast.default = header.voices.get(header.voice, header.voice)
        cast.check(cast.default, header.lines.get("voice"))
    elif MAIN in header.voices:
        cast.default = header.voices[MAIN]
    elif labels and len(set(labels.values())) == 1:
        cast.default = next(iter(labels.values()))
    elif known is not None and MAIN in known:
        cast.default = MAIN
    if cast.default is not None and options.voice is not None:
        cast.labels = {label: voice for label, voice in cast.labels.items() if label != MAIN}
    return cast


def _paragraphs(text: str, offset: int = 0) -> list[Block]:
    """Paragraphs of a plain text, parted by blank lines; `offset` is the number of lines before the text."""
    blocks: list[Block] = []
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), offset + 1):
        if line.strip():
            lines.append((number, line.strip()))
        elif lines:
            blocks.append(Block("paragraph", lines))
            lines = []
    if lines:
        blocks.append(Block("paragraph", lines))
    return blocks
