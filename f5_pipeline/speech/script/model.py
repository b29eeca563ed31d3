"""Scripts, read into passages.

There are these kinds, by the file's suffix (table: `script.sources`):

- `.txt`: paragraphs, separated by blank lines.
- `.md`: Markdown with an optional YAML header; headings are chapters.
- `.toml`: the configuration file of F5-TTS's own command line, whose `gen_text` or `gen_file` holds the text.
- `.ssml`: SSML, of which a subset is read.
- `.docx`, and `.epub`, `.html`, `.pdf`, in which brackets are text and lines are numbered by paragraph or page.
- `.srt`, `.vtt`: subtitles, each spoken in its own time; names before them are voices, and nothing else is markup.

In all others `[voice]` switches the voice until the next tag, as in F5-TTS, and `[main]` returns to the script's own
voice. A tag is at the beginning of a line or after a blank. Other words in brackets are text, except at the beginning
of a line, where they count as an unknown voice; `\\[` is always a bracket. `[voice speed=0.9]` sets the speed too,
until the next tag. `[pause 2s]` is a pause; docs/markup.md has all markup.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script.chapters import written_choice
from f5_pipeline.speech.text.lexicon import Entry

UNSPOKEN = frozenset({"priority", "file"})
"""Options that do not change the sound."""

AudioFormat = Literal["flac", "mp3", "wav", "opus", "m4b"]
MasterName = Literal["podcast", "ebu", "acx", "retail"]
Preset = Literal["final", "fast", "rapid"]
DEFAULT_FORMATS: tuple[AudioFormat, ...] = ("flac", "mp3")


def written_formats(value: object) -> object:
    """Names of formats from text: "flac, mp3"."""
    return [name.strip().lower() for name in value.split(",")] if isinstance(value, str) else value


Formats = Annotated[list[AudioFormat], BeforeValidator(written_formats), Field(min_length=1)]
ChapterChoice = Annotated[str | None, BeforeValidator(written_choice)]


class Pauses(BaseModel):
    """Silence between chunks, s, by the unit that ends there."""

    model_config = ConfigDict(extra="forbid")

    sentence: float = Field(default=0.35, ge=0, le=10)
    paragraph: float = Field(default=0.7, ge=0, le=20)
    chapter: float = Field(default=1.5, ge=0, le=60)

    def after(self, pause: str) -> float:
        """The silence after a chunk, by its `pause`, s."""
        return 0.0 if pause == "none" else getattr(self, pause)


MAX_CHARS = 42
"""Characters of a caption line in most languages."""


def caption_names(text: str) -> list[str]:
    """The names in "srt, ass"."""
    return text.replace(",", " ").lower().split()


CaptionNames = Annotated[
    list[str], BeforeValidator(lambda value: caption_names(value) if isinstance(value, str) else value)
]


class CaptionStyle(BaseModel):
    """Bounds of a caption cue, of which the defaults are the usual broadcast norms, and the files that are written."""

    model_config = ConfigDict(extra="forbid")

    max_lines: int = Field(default=2, ge=1, le=4)
    max_chars: int = Field(
        default=MAX_CHARS,
        ge=10,
        le=100,
        description=f"columns a line; {MAX_CHARS} stands for the norm of the language, which is less in some",
    )
    max_seconds: float = Field(default=7.0, gt=0.5, le=30)
    min_seconds: float = Field(default=5 / 6, ge=0, le=5)
    words_per_cue: int | None = Field(default=None, ge=0, le=20, description="None: the setting's; 0: by the norms")
    speakers: bool = Field(default=False, description="names of voices are shown where they change")
    formats: CaptionNames = Field(default=[], description="names in `captions.formats`; empty: the setting's")

    @model_serializer(mode="wrap")
    def _without_usual(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without later fields that are not used: digests of plans without them stay as they were."""
        later = ("words_per_cue", "speakers", "formats")
        return {name: value for name, value in serialize(self).items() if value or name not in later}


class ScriptOptions(BaseModel):
    """Options of a narration beside its script; each overrides the script's header."""

    model_config = ConfigDict(extra="forbid")

    voice: str | None = Field(default=None, description="voice of all text that names none itself")
    file: str | None = Field(default=None, description="the script's file as it was given, where its name is another")
    language: str | None = Field(default=None, description="BCP 47 language tag, for example en or pt-br")
    engine: str = Field(default="auto", description="auto, f5, draft, or another engine's name")
    speed: float | None = Field(default=None, gt=0.3, lt=3.0, description="1.0 is the voice's own pace")
    model: str | None = Field(default=None, min_length=1, max_length=64, description="model of the F5 engine")
    preset: Preset | None = Field(default=None, description="sampler of the F5 engine: final, fast or rapid")
    seed: int | None = Field(default=None, ge=0, lt=1 << 31, description="of the F5 engine: another is another reading")
    chapters: ChapterChoice | None = Field(default=None, description="numbers of chapters, as 1-3,5; None: all")
    captions: CaptionNames | None = Field(default=None, description="files of captions and word times, as srt,ass")
    words_per_cue: int | None = Field(default=None, ge=0, le=20, description="words of a caption; 0: by the norms")
    commercial: bool | None = Field(default=None, description="used commercially: models and voices must allow it")
    formats: Formats | None = Field(default=None, description="audio files: flac, mp3, wav, opus, m4b")
    master: MasterName | None = Field(default=None, description="what the files must meet: podcast, ebu, acx, retail")
    chapter_files: bool | None = Field(default=None, description="one file for each chapter")
    cover: str | None = Field(default=None, min_length=1, max_length=500, description="a file, 'drawn' or 'none'")
    priority: int = Field(
        default=0, ge=-9, le=9, description="which of many comes first: the higher; 1 and more at once"
    )


class OptionError(InputError):
    """An option beside a script is unusable; `file` is its name, for example "language"."""


class Said(BaseModel):
    """Words of a passage that markup says how to speak; see `speech.text.say.Say`."""

    start: int = Field(description="of the words in Passage.text, in characters")
    end: int
    spoken: str
    ipa: str = ""


class Passage(BaseModel):
    """A run of text by one voice: one paragraph or one heading (or a part of one, where the voice changes inside)."""

    text: str
    voice: str
    line: int = Field(description="line of the script file on which it begins, from 1")
    kind: Literal["paragraph", "heading"] = "paragraph"
    speed: float = 1.0
    continues: bool = Field(
        default=False, description="the next passage belongs to the same paragraph (voice changed inside it)"
    )
    language: str | None = Field(default=None, description="BCP 47 language tag; None: the script's")
    says: list[Said] = []
    silence: float | None = Field(default=None, description="after it, in place of the usual pause, s")
    lead: float | None = Field(default=None, description="silence before it, of the first passage alone, s")
    at: float | None = Field(default=None, description="of a subtitle: when it is to begin in the narration, s")
    seconds: float | None = Field(default=None, description="of a subtitle: how long its slot is, s")


class Script(BaseModel):
    """A parsed script."""

    name: str
    title: str
    author: str | None = None
    language: str = "en"
    voices: list[str] = Field(description="every voice that speaks, in order of first appearance")
    pauses: Pauses = Pauses()
    captions: CaptionStyle = CaptionStyle()
    formats: list[AudioFormat] | None = Field(default=None, description="None: the installation's")
    master: MasterName | None = Field(default=None, description="None: the installation's")
    chapter_files: bool | None = Field(default=None, description="None: as the master asks")
    cover: str | None = Field(default=None, description="a file's name, 'drawn' or 'none'; None: the book's own")
    description: str | None = None
    model: str | None = Field(default=None, description="model of the F5 engine; None: the installation's")
    preset: Preset | None = Field(default=None, description="sampler of the F5 engine; None: the installation's")
    commercial: bool = Field(default=False, description="used commercially: models and voices must allow it")
    passages: list[Passage]
    lexicon: list[Entry] = Field(default=[], description="how words are said in this script")
    lines: dict[str, int] = Field(default={}, description="line of each key of the header, from 1")
    notes: list[str] = Field(default=[], description="for people: text that is not spoken, and why")


def parse_script(
    data: bytes,
    name: str,
    options: ScriptOptions = ScriptOptions(),  # noqa: B008 - not changed
    *,
    known_voices: Collection[str] | None = None,
    gen_file: Callable[[str], bytes] | None = None,
) -> Script:
    """Read a script.

    Args:
        data: the file's bytes, UTF-8.
        name: its name with extension; errors name it, and its stem is the script's name.
        options: each overrides the script's header.
        known_voices: existing voices; None: any tag at the beginning of a line names a voice.
        gen_file: reads the file that an F5-TTS configuration names as `gen_file`.

    Raises:
        InputError: with the file, the line and a hint. OptionError: an option is unusable.
    """
    from f5_pipeline.speech.script.parser import parse

    return parse(data, name, options, known_voices, gen_file)


def toml_voices(data: bytes, name: str) -> list[tuple[str, str, str]]:
    """Name, `ref_audio` and `ref_text` of each voice in an F5-TTS configuration, "main" first.

    Raises:
        InputError: the file is not such a configuration.
    """
    from f5_pipeline.speech.script.sources.f5_toml import voices

    return voices(data, name)
