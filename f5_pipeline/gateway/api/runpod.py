"""/run, /runsync, /status and /cancel, as clients of the serverless worker that this service replaces call them.

`input` is a text to narrate, or names an `endpoint`: upload, list_voices, status, result, download. Narrations are
those of /v1: their `job_id` is their id.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import threading
import time
from collections import OrderedDict
from pathlib import PurePosixPath
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.concurrency import run_in_threadpool

from f5_pipeline.errors import InputError, NotFoundError
from f5_pipeline.gateway.api.access import Narrator, Teller, check_scope
from f5_pipeline.gateway.api.models import (
    Encoded,
    Narration,
    Options,
    RunAnswer,
    RunRequest,
    TimingFormat,
    Url,
    VoiceSubmission,
)
from f5_pipeline.gateway.api.narrations import At
from f5_pipeline.gateway.api.service import ConflictError, Service, decoded
from f5_pipeline.gateway.api.voices import add_submitted
from f5_pipeline.gateway.app import AUDIT
from f5_pipeline.speech.audio.encoding import FORMATS
from f5_pipeline.store import layout
from f5_pipeline.studio.keys import ApiKey
from f5_pipeline.studio.links.making import read_manifest
from f5_pipeline.studio.voices import find_voice, list_voices

router = APIRouter(tags=["runpod"])

MAX_WAIT_MILLISECONDS = 90_000
MAX_INLINE_BYTES = 10 << 20
MAX_ANSWERS, ANSWER_SECONDS = 1000, 3600.0
"""Answers of `/run` that are no narrations: kept in memory for a while."""

_STATUS = {"queued": "QUEUED", "running": "PROCESSING", "done": "COMPLETED", "failed": "ERROR", "canceled": "ERROR"}
_ENVELOPE = {
    "queued": "IN_QUEUE",
    "running": "IN_PROGRESS",
    "done": "COMPLETED",
    "failed": "FAILED",
    "canceled": "CANCELLED",
}
_AUDIO = "wav" if "wav" in FORMATS else "flac"

_answers: OrderedDict[str, tuple[float, str, RunAnswer]] = OrderedDict()
_lock = threading.Lock()


class Input(BaseModel):
    """What `input` may hold; what else clients of the worker send is ignored."""

    model_config = ConfigDict(extra="ignore")

    endpoint: str | None = Field(None, max_length=40)
    text: str | None = Field(None, min_length=1, max_length=1 << 20)
    speed: float = Field(1.0, gt=0.3, lt=3.0)
    local_voice: str | None = Field(None, max_length=2000)
    language: str | None = Field(None, max_length=64)
    seed: int | None = Field(None, ge=0, lt=1 << 31)
    return_word_timings: bool = True
    timing_format: TimingFormat = "json"
    voice_name: str | None = Field(None, max_length=200)
    voice_file: Encoded | None = None
    voice_file_url: Url | None = None
    text_file: Encoded | None = None
    text_file_url: Url | None = None
    transcript: str | None = Field(None, max_length=1 << 20)
    reference_text: str | None = Field(None, max_length=1 << 20)
    job_id: str | None = Field(None, max_length=64)
    file_path: str | None = Field(None, max_length=4000)


@router.post("/run", summary="Begin")
def run(given: RunRequest, caller: Teller, service: At, request: Request) -> RunAnswer:
    """Answers at once; `/status/{id}` tells the rest."""
    return _run(given, caller, service, request)


@router.post("/runsync", summary="Begin, and wait")
async def run_and_wait(
    given: RunRequest,
    caller: Teller,
    service: At,
    request: Request,
    wait: Annotated[int, Query(ge=0, le=MAX_WAIT_MILLISECONDS, description="ms, at most")] = 30_000,
) -> RunAnswer:
    """Waits for the end of a narration, as long as `wait` says; `/status/{id}` tells the rest."""
    end = time.monotonic() + wait / 1000
    answer = await run_in_threadpool(_run, given, caller, service, request)
    while answer.status in ("IN_QUEUE", "IN_PROGRESS") and (left := end - time.monotonic()) > 0:
        await asyncio.sleep(min(1.0, left))
        answer = await run_in_threadpool(_state, answer.id, caller, service)
    return answer


@router.get("/status/{job}", summary="How far it is, and its output")
def status(job: str, caller: Teller, service: At) -> RunAnswer:
    with _lock:
        known = _answers.get(job)
    if known is not None and known[1] == caller.key and time.monotonic() - known[0] < ANSWER_SECONDS:
        return known[2]
    return _state(job, caller, service)


@router.post("/cancel/{job}", summary="Cancel")
def cancel(job: str, caller: Narrator, service: At) -> RunAnswer:
    return _envelope(service.change(caller, job, cancel=True))


def _run(given: RunRequest, caller: ApiKey, service: Service, request: Request) -> RunAnswer:
    answer = handle(given.input, caller, service)
    if answer.status == "IN_QUEUE":
        request.scope[AUDIT]["narration"] = answer.id
    return answer


def handle(given: dict[str, Any], caller: ApiKey, service: Service) -> RunAnswer:
    """Do what an `input` asks for, or put it into the in-box; what is wrong with it is in the answer.

    Raises:
        HTTPException: the caller may not.
    """
    try:
        values = Input.model_validate(given)
        action = _ACTIONS.get(values.endpoint or "")
        if action is None and values.endpoint not in (None, "", "tts", "narrate"):
            raise InputError(f"there is no endpoint {values.endpoint!r}")
        if action is not None:
            return _remembered(caller, action(values, caller, service), None)
        return _envelope(_narrate(values, caller, service))
    except ValidationError as error:
        first = error.errors()[0]
        return _remembered(caller, None, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
    except (InputError, NotFoundError) as error:
        return _remembered(caller, None, str(error))


def finished(given: dict[str, Any], caller: ApiKey, service: Service) -> dict[str, Any]:
    """What a serverless worker answers: the output, or `error`. The service's desk narrates before it returns."""
    answer = handle(given, caller, service)
    if not answer.id.startswith("sync-"):
        answer = _state(answer.id, caller, service)
    failed = answer.status != "COMPLETED"
    return {"error": answer.error or f"it is {answer.status}"} if failed else answer.output or {}


def _remembered(caller: ApiKey, output: dict[str, Any] | None, error: str | None) -> RunAnswer:
    answer = RunAnswer(
        id=f"sync-{secrets.token_hex(8)}", status="FAILED" if error else "COMPLETED", output=output, error=error
    )
    with _lock:
        _answers[answer.id] = time.monotonic(), caller.key, answer
        while len(_answers) > MAX_ANSWERS:
            _answers.popitem(last=False)
    return answer


def _envelope(narration: Narration, output: dict[str, Any] | None = None) -> RunAnswer:
    output = {"job_id": narration.id, "status": _STATUS[narration.state], **(output or {})}
    error = narration.error if narration.state == "failed" else None
    return RunAnswer(id=narration.id, status=_ENVELOPE[narration.state], output=output, error=error)  # type: ignore[arg-type]


def _state(job: str, caller: ApiKey, service: Service) -> RunAnswer:
    request = service.request_of(caller, job)
    narration = service.describe(request, job)
    return _envelope(narration, _result_of(job, caller, service) if narration.state == "done" else None)


def _narrate(values: Input, caller: ApiKey, service: Service) -> Narration:
    check_scope(caller, "narrate")
    if not values.text or not values.text.strip():
        raise InputError("there is no text", file="input.text", hint="Give the text to narrate.")
    given: dict[str, Any] = {"speed": values.speed, "language": values.language, "seed": values.seed}
    if values.local_voice:
        given["voice"] = _voice_of(values, caller, service)
    formats = {"formats": [_AUDIO], "timing_formats": [values.timing_format] if values.return_word_timings else []}
    options = Options.model_validate({name: value for name, value in given.items() if value is not None} | formats)
    return service.submit(caller, values.text.encode(), ".md", options)[0]


def _voice_of(values: Input, caller: ApiKey, service: Service) -> str:
    """The voice that `local_voice` names, by its name, its file's name, or a URL of its recording."""
    place = values.local_voice or ""
    is_url = place.lower().startswith(("http://", "https://"))
    file = PurePosixPath(unquote(urlsplit(place).path)).name if is_url else place
    name = _voice_name(file)
    if is_url and find_voice(service.store, name) is None:
        check_scope(caller, "voices")
        add_submitted(service, caller, _submission(values, name, recording_url=place))
    return name


def _voice_name(file: str) -> str:
    """`ada` of "ada", "ada.wav", "voices/ada.wav"."""
    name = layout.slug(PurePosixPath(file).stem)
    if not name:
        raise InputError(f"{file[:80]!r} names no voice", hint="Use letters and digits.")
    return name


def _submission(values: Input, name: str, **recording: Any) -> VoiceSubmission:
    text = values.transcript or values.reference_text
    if values.text_file is not None and text is None:
        text = decoded(values.text_file, "text_file").decode("utf-8", "replace")
    texts = {"transcript": text, "transcript_url": values.text_file_url if text is None else None}
    return VoiceSubmission(name=name, language=values.language, **texts, **recording)


def _upload(values: Input, caller: ApiKey, service: Service) -> dict[str, Any]:
    check_scope(caller, "voices")
    if not values.voice_name:
        raise InputError("voice_name is required for upload")
    if values.voice_file is None and values.voice_file_url is None:
        raise InputError("voice_file or voice_file_url is required for upload")
    name = _voice_name(values.voice_name)
    kind = PurePosixPath(values.voice_name).suffix
    file_name = f"recording{kind}" if kind or values.voice_file is not None else None
    recording = {"recording": values.voice_file, "recording_url": values.voice_file_url, "recording_name": file_name}
    voice = add_submitted(service, caller, _submission(values, name, **recording))
    return {"status": f"Voice '{voice.name}' and reference text uploaded successfully.", "voice_name": voice.name}


def _list(values: Input, caller: ApiKey, service: Service) -> dict[str, Any]:
    voices = [
        {"name": voice.name, "size": voice.recording.size, "last_modified": voice.added}
        for voice in list_voices(service.store)
    ]
    return {"voices": voices, "count": len(voices), "status": "success"}


def _job(values: Input) -> str:
    if not values.job_id:
        raise InputError("job_id is required")
    return values.job_id


def _job_status(values: Input, caller: ApiKey, service: Service) -> dict[str, Any]:
    job = _job(values)
    narration = service.describe(service.request_of(caller, job), job)
    return {"job_id": job, "status": _STATUS[narration.state]} | ({"error": narration.error} if narration.error else {})


def _job_result(values: Input, caller: ApiKey, service: Service) -> dict[str, Any]:
    job = _job(values)
    narration = service.describe(service.request_of(caller, job), job)
    if narration.state != "done":
        raise ConflictError(f"Job is not complete. Status: {_STATUS[narration.state]}")
    return {"job_id": job, "status": "COMPLETED", **_result_of(job, caller, service)}


def _result_of(job: str, caller: ApiKey, service: Service) -> dict[str, Any]:
    result = service.result(caller, job)
    audio = [file for file in result.files if file.media_type.startswith("audio/")]
    return {"audio_url": audio[0].url, "duration": result.seconds} | (
        {"timing_files": result.timing_files, "timing_format": next(iter(result.timing_files))}
        if result.timing_files
        else {}
    )


def _download(values: Input, caller: ApiKey, service: Service) -> dict[str, Any]:
    """A delivered file by its name, its link or "output/<job_id>.wav": its link, and its content where it is small."""
    if not values.file_path:
        raise InputError("file_path is required for download")
    path = PurePosixPath(unquote(urlsplit(values.file_path).path))
    job = values.job_id or path.name.split(".")[0]
    result = service.result(caller, job)
    file = next((file for file in result.files if file.name == path.name), None)
    if file is None and path.suffix == ".wav":
        file = next((file for file in result.files if file.media_type.startswith("audio/")), None)
    if file is None:
        raise NotFoundError("there is no such file", file=path.name[:80])
    kept = next(entry for entry in read_manifest(service.store, job, result.revision).files if entry.name == file.name)
    answer = {"filename": file.name, "content_type": file.media_type, "file_size": kept.size, "download_url": file.url}
    if kept.size <= MAX_INLINE_BYTES:
        answer["file_data"] = base64.b64encode(service.store.get_bytes(kept.key)).decode()
    return answer


_ACTIONS = {
    "upload": _upload,
    "list_voices": _list,
    "status": _job_status,
    "result": _job_result,
    "download": _download,
}
