"""Records that the store keeps as JSON; they point to the large objects beside them."""

from __future__ import annotations

import hashlib
import json
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from f5_pipeline.speech.audio.assembly import AssemblySettings
from f5_pipeline.speech.audio.inspection import FileMeasures
from f5_pipeline.speech.chunks import Chunk
from f5_pipeline.speech.references.window import Window
from f5_pipeline.speech.script.model import AudioFormat, CaptionStyle, MasterName, Pauses, ScriptOptions
from f5_pipeline.speech.takes import Take
from f5_pipeline.speech.text.lexicon import UsedEntry
from f5_pipeline.speech.timeline import SlotFit

FORMAT = 1
"""Version of the records. It is part of every digest: a change of meaning changes the revision."""


def digest_of(value: Any) -> str:
    """sha256 over the canonical JSON of `value`, hex."""
    text = json.dumps([FORMAT, value], sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class Source(BaseModel):
    """A file that a person gave, as it is kept."""

    key: str
    sha256: str
    name: str = Field(description="original file name")
    size: int = Field(description="bytes")


class ScriptRecord(ScriptOptions):
    """The options of a script, and where it came from."""

    origin: str | None = Field(default=None, description="path of its file; None: put into the store by hand")


class Consent(BaseModel):
    """What the speaker of a recording has agreed to. It is for this recording alone."""

    speaker: str = Field(min_length=1, max_length=200, description="who agreed, for people")
    given: str = Field(description="when it was recorded here, ISO 8601")
    until: date | None = Field(default=None, description="the last day; None: until it is withdrawn")
    narrations: list[str] = Field(default=[], description="names, or patterns such as book-*; empty: all")
    languages: list[str] = Field(default=[], description="BCP 47 tags, en is for en-gb too; empty: all")
    evidence: Source | None = Field(default=None, description="a file that shows it, such as a signed letter")
    recording: str = Field(description="sha256 of the recording")
    withdrawn: str | None = Field(default=None, description="when it was withdrawn, ISO 8601")
    note: str = ""


class ReferenceSetting(BaseModel):
    """How a voice's reference differs from the one that the preparation makes by itself."""

    window: Window | None = Field(default=None, description="the part to take; None: the one that is chosen")
    speed: float = Field(default=1.0, gt=0.3, lt=3.0, description="of the voice's pace, by the recording's")

    def __str__(self) -> str:
        part = f"{self.window.start:.1f} to {self.window.end:.1f} s" if self.window else "the part chosen by itself"
        return f"{part}, {self.speed:g} of its pace"


class Tuning(ReferenceSetting):
    """A setting that was measured to be better than the one before."""

    made: str = Field(description="when, ISO 8601")
    by: str = Field(description="engine, model and preset that it was measured with")
    why: str = Field(description="a sentence: what was better")


class Voice(BaseModel):
    """A voice as it was added."""

    name: str
    language: str
    recording: Source
    transcript: Source | None = None
    transcribed_by: str | None = Field(
        default=None, description="the Whisper model that wrote the transcript; None: a person gave it"
    )
    licence: str | None = Field(default=None, description="of the recording, as its owner states it")
    commercial_use: Literal["yes", "no", "unknown"] = "unknown"
    consent: Consent | None = Field(default=None, description="of the speaker; None: not recorded")
    added: str
    tunings: list[Tuning] = Field(default=[], description="the last is in force, those before it can be gone back to")

    @property
    def setting(self) -> ReferenceSetting | None:
        """The setting in force; None: the voice is not tuned."""
        return ReferenceSetting(**dict(self.tunings[-1])) if self.tunings else None


class ReferenceClip(BaseModel):
    """The part of a voice's recording that F5 is conditioned on, and the text spoken in it."""

    voice: str
    language: str
    audio: str = Field(description="key of the FLAC file, mono 24 kHz")
    text: str
    start: float = Field(description="in the recording, s")
    end: float
    seconds: float
    measures: dict[str, Any]
    sha256: str = Field(description="of samples and text; part of take keys")
    recording: str = Field(description="sha256 of the recording")
    transcript: str | None = Field(default=None, description="sha256 of the transcript")
    transcribed_by: str | None = Field(default=None, description="see `Voice`")
    heard: dict[str, Any] | None = Field(default=None, description="`ReferenceHearing`; None: nobody listened to it")
    setting: ReferenceSetting | None = Field(default=None, description="see `Voice`")

    @property
    def version(self) -> str:
        """Changes with all that it decides of a voice's sound."""
        speed = self.setting.speed if self.setting else 1.0
        return self.sha256 if speed == 1.0 else digest_of([self.sha256, speed])


class EngineWeights(BaseModel):
    """Weights that an engine speaks with."""

    engine: str
    name: str
    version: str
    sha256: str
    size: int = Field(description="bytes")
    languages: int | None = None
    licence: str
    commercial_use: str = Field(description="yes, no or disputed")
    source: str
    model: str | None = Field(default=None, description="name of an F5 model")
    tags: list[str] = Field(default=[], description="BCP 47 languages of an F5 model")
    repo: str | None = Field(default=None, description="Hugging Face id")
    revision: str | None = Field(default=None, description="commit of the repository")
    files: dict[str, str] = Field(default={}, description="sha256 by role: checkpoint, vocabulary, …")
    note: str = ""
    place: str | None = Field(
        default=None, description="farthest place that its bytes came from: cache, store or hub; None: not here"
    )
    seconds: float | None = Field(default=None, description="time to obtain it, s")
    received: int = Field(default=0, description="bytes transferred for it")


class Weights(BaseModel):
    """The engines of this installation: "draft", and "f5:<model>" for every locked F5 model."""

    engines: dict[str, EngineWeights]
    digest: str
    problems: dict[str, str] = Field(default={}, description="by key: why a requested model is not here")


MAX_SEED = 2**31 - 1

TakeKey = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Chosen(BaseModel):
    """What is chosen for a chunk."""

    pick: TakeKey | None = Field(default=None, description="key of the take to use, whatever the quality gate says")
    locked: bool = Field(default=False, description="the pick stays where model, preset or reference change")
    speed: float | None = Field(default=None, gt=0, description="in place of the script's")


class ChunkChoice(Chosen):
    """What is chosen for a chunk, which attempts were asked for, and what was chosen before."""

    text: str = Field(default="", description="as the author wrote it; for people")
    attempts: dict[Annotated[int, Field(ge=0, le=MAX_SEED)], TakeKey] = Field(
        default={}, description="attempts asked for beyond those of the quality gate, and the keys of their takes"
    )
    history: list[Chosen] = []

    @property
    def takes(self) -> list[str]:
        """Keys of the takes that it names."""
        return [*self.attempts.values(), *filter(None, (state.pick for state in (self, *self.history)))]


class Choices(BaseModel):
    """The choices of a narration, by `narrating.choices.identity` of the chunk."""

    chunks: dict[str, ChunkChoice] = {}

    @property
    def version(self) -> str | None:
        """Changes with every choice; None where nothing was ever chosen."""
        return digest_of(self.model_dump(mode="json")) if self.chunks else None


class PlannedChunk(BaseModel):
    """A line of a plan: a chunk and the key of its take."""

    key: str
    chunk: Chunk


class Delivery(BaseModel):
    """What a narration is delivered as, beside its formats; it does not change its takes."""

    master: MasterName | None = Field(default=None, description="preset that the files must meet")
    chapter_files: bool = Field(default=False, description="one file for each chapter, where a format allows")
    description: str | None = Field(default=None, description="of the book, for its tags")
    cover: str | None = Field(default=None, description="sha256 of the cover")


class Plan(BaseModel):
    """All chunks of a narration with their keys; the chunks themselves are lines under `chunks_key`."""

    narration: str
    title: str
    author: str | None
    language: str
    engine: str
    engine_asked: str
    engine_note: str = Field(description="why this engine, for people")
    model: str | None = Field(default=None, description="of the F5 engine")
    preset: str | None = Field(default=None, description="of the F5 engine's sampler")
    sampler: dict[str, Any] | None = Field(default=None, description="every setting of the F5 engine's sampler")
    commercial: bool = False
    voices: list[str]
    sounds: dict[str, dict[str, Any]] = Field(description="by voice: all that decides its sound, as in take keys")
    references: dict[str, str] = Field(description="by voice: sha256 of the reference")
    weights: EngineWeights
    script: Source
    options: dict[str, Any]
    pauses: Pauses
    captions: CaptionStyle
    formats: list[AudioFormat]
    delivery: Delivery = Delivery()
    cover_key: str | None = Field(default=None, description="of the cover, a JPEG")
    headings: int = Field(default=0, description="chunks that are headings; 0 in plans that are older than this field")
    chunks_key: str
    chunks: int
    words: int
    characters: int
    expected_seconds: float = Field(description="of speech and pauses, s")
    takes: int = Field(description="distinct takes that it needs")
    digest: str = Field(description="of everything that decides the narration")
    version: str = Field(default="", description="of the script, its options and entries of the lexicon for its words")
    lexicon: list[UsedEntry] = Field(default=[], description="entries of the lexicon that it uses")
    choices: dict[str, ChunkChoice] = Field(default={}, description="what a person chose for single chunks")
    notes: list[str] = Field(default=[], description="text that is not spoken, and why")
    warnings: list[str] = Field(default=[], description="why it may be garbled: voices that were kept by force")
    slots: SlotFit | None = Field(
        default=None, description="how its subtitles are expected to fit their slots; None: it has none"
    )


class TakeProblem(BaseModel):
    """A chunk that could not be spoken."""

    narration: str
    line: int
    text: str
    reason: str


class Shard(BaseModel):
    """A part of a run's missing takes, for one engine; `requests_key` holds one request a line."""

    index: int
    requests_key: str
    requests: int
    expected_seconds: float
    engine: str
    model: str | None = None
    sampler: dict[str, Any] | None = None
    voices: list[str]


class ShardReport(BaseModel):
    """Result of a shard."""

    index: int
    engine: str
    made: dict[str, int] = Field(description="takes made, by narration")
    found: int = Field(default=0, description="takes that another run made in the meantime")
    retakes: int = Field(default=0, description="takes made again because the gate doubted the one before")
    problems: list[TakeProblem] = []
    audio_seconds: float = 0.0
    wall_seconds: float = 0.0
    batches: float = Field(default=0.0, description="of the engine")
    batch_frames: float = Field(default=0.0, description="mel frames in them, references included")
    batch_room: float = Field(default=0.0, description="frames, had each been as full as the fullest of the shard")
    notes: list[str] = Field(default=[], description="how the engine chose its way of computing")

    def after(self, before: ShardReport) -> ShardReport:
        """This report plus that of an earlier attempt at the same shard."""
        made = {name: self.made.get(name, 0) + before.made.get(name, 0) for name in {*self.made, *before.made}}
        return self.model_copy(
            update={
                "made": made,
                "found": max(0, self.found - sum(before.made.values())),
                "retakes": self.retakes + before.retakes,
                "audio_seconds": self.audio_seconds + before.audio_seconds,
                "wall_seconds": self.wall_seconds + before.wall_seconds,
                "batches": self.batches + before.batches,
                "batch_frames": self.batch_frames + before.batch_frames,
                "batch_room": self.batch_room + before.batch_room,
            }
        )


class ChosenTake(BaseModel):
    """A line of a narration's takes: the chunk's key in the plan and the take that is used for it."""

    key: str
    take: Take
    attempts: int = Field(default=1, description="takes of the chunk")
    doubts: list[str] = Field(default=[], description="why the quality gate doubts this take")


class Doubt(BaseModel):
    """A chunk whose best take is still outside its voice's band."""

    chunk: int
    line: int
    voice: str
    text: str
    attempts: int
    score: float
    reasons: list[str]
    take: str = Field(description="key")


class Takes(BaseModel):
    """The takes of a narration; `takes_key` holds one record a line, in the order of the plan."""

    narration: str
    plan: str = Field(description="digest of the plan")
    takes_key: str
    chunks: int
    total: int
    synthesized: int
    reused: int
    speech_seconds: float
    audio_seconds_made: float
    wall_seconds: float
    retaken: int = Field(default=0, description="chunks of which a later attempt passes the quality gate")
    picked: int = Field(default=0, description="chunks of which a person picked the take")
    measured: int = Field(default=0, description="takes that the quality gate measured")
    heard: int = Field(default=0, description="takes that a listener listened to")
    heard_words: int = Field(default=0, description="words that were to be said in them")
    word_errors: int = Field(default=0, description="of these, words missing, added, repeated or changed, as heard")
    similarity: float | None = Field(default=None, description="mean, of their speakers with the references, -1 to 1")
    doubtful: int = Field(default=0, description="chunks whose best take is still outside its voice's band")
    doubts: list[Doubt] = Field(default=[], description="the first of them")
    computed: list[dict[str, Any]] = Field(default=[], description="software and devices they were computed on")
    digest: str


class File(BaseModel):
    """A delivered file."""

    name: str
    key: str
    size: int
    sha256: str
    chapter: int | None = Field(default=None, description="number of the only chapter in it, from 1")


class Chapter(BaseModel):
    title: str
    start: float = Field(description="s")


class Audio(BaseModel):
    """A revision's audio."""

    narration: str
    revision: str
    plan: Plan
    takes: str = Field(description="digest of the takes")
    takes_key: str = Field(default="", description="the takes, one a line, with their seeds")
    computed: list[dict[str, Any]] = Field(default=[], description="software and devices they were computed on")
    assembly: AssemblySettings
    seconds: float
    words: int
    loudness_lufs: float | None
    true_peak_dbtp: float | None
    gain_db: float
    limited_by_peak: bool
    chapters: list[Chapter]
    slots: SlotFit | None = Field(default=None, description="how its subtitles fit their slots; None: it has none")
    timeline_key: str
    files: list[File]
    measures: list[FileMeasures] = Field(default=[], description="of the finished files, where a master is asked")


class Timings(BaseModel):
    """A revision's timing files."""

    narration: str
    revision: str
    words: int
    cues: int
    files: list[File]
    manifest_key: str


class Manifest(BaseModel):
    """All inputs of a revision, by hash, and all files that it delivers."""

    narration: str
    revision: str
    created: str
    pipeline: str = Field(description="version of f5_pipeline")
    audio: Audio
    timings: list[File]

    @property
    def files(self) -> list[File]:
        return [*self.audio.files, *self.timings]


class Links(BaseModel):
    """The addresses of a revision, and when they expire."""

    narration: str
    revision: str
    page: str = Field(description="the narration's permanent address")
    files: dict[str, str]
    expires: str
    grant: str = Field(default="", description="id of the grant of the files' links")


class Grant(BaseModel):
    """Permission to download what a narration delivers. Each link names one and opens nothing without its record.

    It is written when it is issued and when it is revoked. Extensions are kept elsewhere (`Address`), so that no writer
    can undo a revocation.
    """

    grant: str
    narration: str
    covers: str = Field(description="a revision, or 'newest': the one in the narration's address")
    made: str
    expires: str | None = Field(description="None: with the narration's address")
    revoked: str | None = None
    note: str = Field(default="", description="why it was revoked, for people")


class Address(BaseModel):
    """A narration's permanent address: its grant, the revision it shows, and when it expires."""

    narration: str
    grant: str
    revision: str
    expires: str


class TakesCount(BaseModel):
    total: int
    synthesized: int
    reused: int
    retaken: int = Field(default=0, description="chunks of which a later attempt passes the quality gate")
    doubtful: int = Field(default=0, description="chunks whose best take the quality gate doubts")


class NarrateResult(BaseModel):
    """The output of `f5-pipeline narrate --json` for one narration."""

    narration: str
    revision: str
    engine: str
    files: dict[str, str] = Field(description="by name: path, or key where the store is not a folder")
    links: dict[str, str]
    takes: TakesCount
    slots: SlotFit | None = Field(default=None, description="how its subtitles fit their slots; None: it has none")
    audio_seconds: float
    wall_seconds: float
