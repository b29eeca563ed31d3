"""From the bytes of a script to a `Script`: source, voices, passages."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import PurePosixPath

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script.chapters import select
from f5_pipeline.speech.script.decoding import Block, language_tag, mend_mojibake
from f5_pipeline.speech.script.front_matter import Header
from f5_pipeline.speech.script.markup import Markup
from f5_pipeline.speech.script.model import CaptionStyle, OptionError, Script, ScriptOptions
from f5_pipeline.speech.script.sources import SOURCES, read_source
from f5_pipeline.speech.script.voice_tags import MAIN, Cast, passages


def parse(
    data: bytes,
    name: str,
    options: ScriptOptions,
    known_voices: Collection[str] | None,
    gen_file: Callable[[str], bytes] | None,
) -> Script:
    """See `model.parse_script`."""
    path = PurePosixPath(name.replace("\\", "/"))
    suffix = path.suffix.lower()
    if suffix not in SOURCES:
        raise InputError(
            f"'{suffix or path.name}' is no form of script", file=name, hint=f"Use one of {', '.join(SOURCES)}."
        )
    source = read_source(suffix, data, name, gen_file)
    header = source.header
    language = header.language or "en"
    if options.language:
        try:
            language = language_tag(options.language, "language", None)
        except InputError as error:
            raise OptionError(error.message, file="language", hint=error.hint) from None
    cast = _cast(header, name, options, known_voices)
    cast.file = source.file
    notes = [*source.notes, *_mend(source.blocks)]
    spoken = passages(source.blocks, cast, source.markup or Markup(source.file), language, header.pauses, notes)
    if not spoken:
        raise InputError("the script has nothing to speak", file=source.file, hint="Write some text into it.")
    if options.chapters:
        try:
            spoken, left_out = select(spoken, options.chapters)
        except InputError as error:
            raise OptionError(error.message, file="chapters", hint=error.hint) from None
        notes += left_out
    return Script(
        name=path.stem,
        title=header.title or source.title or path.stem,
        author=header.author,
        language=language,
        voices=list(dict.fromkeys(passage.voice for passage in spoken)),
        pauses=header.pauses,
        captions=_captions(header.captions, options),
        formats=options.formats or header.formats,
        master=options.master or header.master,
        chapter_files=header.chapter_files if options.chapter_files is None else options.chapter_files,
        cover=options.cover or header.cover,
        description=header.description,
        model=options.model or header.model,
        preset=options.preset or header.preset,
        commercial=bool(header.commercial if options.commercial is None else options.commercial),
        passages=spoken,
        lexicon=header.lexicon,
        lines=header.lines,
        notes=notes,
    )


def _captions(style: CaptionStyle, options: ScriptOptions) -> CaptionStyle:
    """The header's captions, with what the options say of them."""
    given = {"formats": options.captions or None, "words_per_cue": options.words_per_cue}
    return style.model_copy(update={name: value for name, value in given.items() if value is not None})


def _mend(blocks: list[Block]) -> Iterator[str]:
    """Mend lines that were once read in a wrong encoding; yields a note for each of the first."""
    told = 0
    for block in blocks:
        for index, (number, line) in enumerate(block.lines):
            mended = mend_mojibake(line)
            if mended != line:
                block.lines[index] = (number, mended)
                told += 1
                if told <= 3:
                    yield f"line {number} was read in a wrong encoding once, and is spoken as {mended[:60]!r}"
    if told > 3:
        yield f"{told - 3} more lines were read in a wrong encoding once and are mended"


def _cast(header: Header, file: str, options: ScriptOptions, known: Collection[str] | None) -> Cast:
    """The voices of a script, with every name checked; errors name its line."""
    speed = options.speed or header.speed or 1.0
    cast = Cast(
        file, labels=header.voices, known=known, speed=speed, speeds={} if options.speed else header.voice_speeds
    )
    labels = header.voices if header.voices_checked else {}
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
