"""What requests and answers hold."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from f5_pipeline.speech.captions.one_word import ONE_WORD
from f5_pipeline.speech.script.model import AudioFormat, Preset
from f5_pipeline.speech.text.lexicon import Entry
from f5_pipeline.studio.voices import CommercialUse

TimingFormat = Literal["srt", "vtt", "ass", "compact", "json"]
assert set(TimingFormat.__args__) == set(ONE_WORD)

State = Literal["queued", "running", "done", "failed", "canceled"]

MAX_TEXT_CHARACTERS = 16 << 20
_EXAMPLE = {"text": "# The lamp\n\nThe keeper lit the lamp at dusk.", "voice": "ada", "formats": ["mp3"]}
_OPTION = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?$")]
Encoded = Annotated[str, StringConstraints(max_length=48 << 20)]
Url = Annotated[str, StringConstraints(max_length=2000)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Options(Strict):
    """How a text is narrated; what is left out is as the script's header says, or as this installation does it."""

    title: str | None = Field(default=None, max_length=300)
    voice: Name | None = Field(default=None, description="of all text that names none itself")
    engine: _OPTION = Field(default="auto", description="auto, f5 (the cloned voices), draft (to proof-listen)")
    model: _OPTION | None = Field(default=None, description="of the f5 engine, see /v1/models")
    preset: Preset | None = Field(default=None, description="of the f5 engine's sampler")
    seed: int | None = Field(
        default=None, ge=0, lt=1 << 31, description="another one is another reading by the f5 engine"
    )
    speed: float | None = Field(default=None, gt=0.3, lt=3.0, description="1.0 is the voice's own pace")
    language: _OPTION | None = Field(default=None, description="BCP 47 tag")
    chapters: _OPTION | None = Field(default=None, description="numbers of chapters, as 1-3,5")
    commercial: bool | None = Field(default=None, description="refuse models and voices that do not allow it")
    priority: int = Field(
        default=0, ge=-9, le=9, description="the higher comes first; 1 and more does not wait for a batch"
    )
    formats: list[AudioFormat] | None = Field(default=None, min_length=1, max_length=10, description="of the audio")
    timing_formats: list[TimingFormat] = Field(
        default=[], max_length=5, description="files with one word a cue, beside captions and word times"
    )
    webhook: Url | None = Field(default=None, description="https address that is told of the end")


class Submission(Options):
    """A text, or a file by its content or its URL, and how it is narrated."""

    text: str | None = Field(
        default=None, min_length=1, max_length=MAX_TEXT_CHARACTERS, description="plain or Markdown"
    )
    file: Encoded | None = Field(
        None, min_length=1, description="a script's content in base64; `file_name` says its kind"
    )
    url: Url | None = Field(default=None, description="of a script's file")
    file_name: str | None = Field(default=None, max_length=200, examples=["book.epub"])

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    @model_validator(mode="after")
    def _one_source(self) -> Submission:
        if sum(source is not None for source in (self.text, self.file, self.url)) != 1:
            raise ValueError("give one of text, file and url")
        if self.file is not None and not self.file_name:
            raise ValueError("give file_name with file: its ending says what kind of script it is")
        return self


class Progress(BaseModel):
    """Takes are the pieces that are spoken one by one."""

    takes: int | None = Field(default=None, description="of the narration; None: not planned yet")
    made: int | None = Field(default=None, description="of these, made")


class WebhookAnswer(BaseModel):
    """How far it is to tell the webhook of a narration's newest end."""

    state: Literal["waiting", "sending", "delivered", "failed"] = Field(
        default="waiting",
        description="waiting: for the end; sending: until it answers with 2xx; failed: given up",
    )
    attempts: int = 0
    answer: str | None = Field(default=None, description="status of the last answer, or why there was none")


class Narration(BaseModel):
    """A narration and how far it is."""

    id: str
    title: str | None = None
    state: State
    progress: Progress = Progress()
    error: str | None = None
    engine: str | None = None
    seconds: float | None = Field(default=None, description="length of the audio")
    created: str | None = None
    owner: str | None = Field(default=None, description="id of the key that submitted it")
    webhook: WebhookAnswer | None = None

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"id": "the-lamp-0123456789abcdef", "state": "running", "progress": {"takes": 14, "made": 6}}]
        }
    )


class NarrationPage(BaseModel):
    """Narrations, the newest first; `after` asks for the next page."""

    narrations: list[Narration]
    after: str | None = None


class ResultFile(BaseModel):
    name: str
    url: str = Field(description="signed; it ends at `expires`")
    media_type: str
    description: str


class Result(BaseModel):
    """What a narration delivers."""

    id: str
    revision: str
    seconds: float
    words: int
    page: str = Field(description="permanent address: plays the newest revision")
    files: list[ResultFile]
    timing_files: dict[TimingFormat, str] = Field(description="addresses of the timing formats that were asked for")
    expires: str


class PlanAnswer(BaseModel):
    """What a narration would take; nothing is kept."""

    title: str
    voices: list[str]
    engine: str
    words: int
    minutes: float
    takes_to_make: int
    speech_seconds_to_make: float
    gpu_seconds: float
    basis: str = Field(description="where gpu_seconds comes from")
    cost: float | None = Field(description="in the currency of F5_GPU_HOUR_COST; None where that is 0")
    notes: list[str]


class VoiceSubmission(Strict):
    """A recording and its transcript, each by its content in base64 or by its URL."""

    name: Name
    recording: Encoded | None = Field(default=None, min_length=1, description="in base64")
    recording_url: Url | None = None
    recording_name: str | None = Field(default=None, max_length=200, examples=["ada.flac"])
    transcript: str | None = Field(
        default=None, max_length=1 << 20, description="the text; without one, Whisper listens"
    )
    transcript_url: Url | None = None
    transcript_name: str | None = Field(default=None, max_length=200, examples=["ada.srt"])
    language: _OPTION | None = None
    licence: str | None = Field(default=None, max_length=200)
    commercial_use: CommercialUse | None = None
    force: bool = Field(default=False, description="keep it although its reference fails a check for good")

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "ada", "recording_url": "https://example.org/ada.flac", "transcript": "The lamp …"}]
        }
    )


class VoiceAnswer(BaseModel):
    """A voice and the part of its recording that is cloned."""

    name: str
    language: str
    licence: str | None
    commercial_use: CommercialUse
    transcribed_by: str | None = Field(description="the Whisper model; None: a person")
    added: str
    ready: bool = Field(description="whether its reference is prepared")
    reference_seconds: float | None
    reference_text: str | None
    unchecked: list[str] = Field(description="checks that it fails for good")


class VoiceList(BaseModel):
    voices: list[VoiceAnswer]


class LexiconAnswer(BaseModel):
    entries: list[Entry]
    added: int = 0
    changed: int = 0


class Model(BaseModel):
    """An engine, or a model of the f5 engine. `id` and `object` are as in OpenAI's list."""

    id: str
    object: Literal["model"] = "model"
    engine: str
    licence: str
    commercial_use: str
    languages: list[str] = []
    here: bool = Field(description="whether it works, or its weights are locked, on this machine")


class ModelList(BaseModel):
    object: Literal["list"] = "list"
    data: list[Model]


class Removed(BaseModel):
    id: str
    removed: bool = True
    receipt: str = Field(default="", description="of what was removed: `f5-pipeline receipts`")


class Health(BaseModel):
    state: Literal["ok"] = "ok"
    version: str


class SpeechRequest(BaseModel):
    """As OpenAI's clients send it; fields that this service does not have are ignored."""

    input: str = Field(min_length=1, max_length=20_000)
    model: _OPTION = Field(
        default="draft", description="draft, tts-1 (the installation's engine), or a name of /v1/models"
    )
    voice: str = Field(min_length=1, max_length=64)
    response_format: Literal["mp3", "wav", "flac", "opus", "pcm"] = "mp3"
    speed: float = Field(default=1.0, ge=0.31, lt=3.0)
    language: _OPTION | None = None

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"model": "draft", "voice": "ada", "input": "Good day."}]}
    )


class RunRequest(BaseModel):
    """As RunPod's clients send it."""

    input: dict[str, Any]

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"input": {"text": "Good day.", "local_voice": "ada", "timing_format": "srt"}}]}
    )


class RunAnswer(BaseModel):
    """`output` is there once `status` is COMPLETED, `error` where it is FAILED."""

    id: str
    status: Literal["IN_QUEUE", "IN_PROGRESS", "COMPLETED", "FAILED", "CANCELLED"]
    output: dict[str, Any] | None = None
    error: str | None = None


class ErrorBody(BaseModel):
    message: str
    hint: str | None = None
    type: str
    code: str
    param: str | None = None


class ErrorAnswer(BaseModel):
    """Every error, in the form that OpenAI's clients read too."""

    error: ErrorBody
