"""/v1/narrations and /v1/plan."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import PurePosixPath
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, File, Form, Header, Query, Request, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from f5_pipeline.errors import InputError, NotFoundError
from f5_pipeline.gateway.api.access import Narrator, Teller
from f5_pipeline.gateway.api.models import (
    Narration,
    NarrationPage,
    Options,
    PlanAnswer,
    Removed,
    Result,
    Submission,
    TimingFormat,
)
from f5_pipeline.gateway.api.service import Service, terminal
from f5_pipeline.gateway.app import AUDIT
from f5_pipeline.speech.chunks import iter_chunks
from f5_pipeline.studio.keys import ApiKey
from f5_pipeline.studio.narrating.changes import script_changes
from f5_pipeline.studio.narrating.engines import choose_engine, foreign_voices

POLL_SECONDS, BUCKET_POLL_SECONDS, KEEP_ALIVE_SECONDS, MAX_EVENT_SECONDS = 1.0, 10.0, 15.0, 3600.0
"""Of events: how often a narration is looked at in a folder, and in a bucket, where each look is billed; a comment that
keeps proxies from closing; the end, after which a client asks again."""

router = APIRouter(prefix="/v1", tags=["narrations"])


def service_of(request: Request) -> Service:
    return request.app.state.service


At = Annotated[Service, Depends(service_of)]
Idempotency = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)]
Identifier = Annotated[str, "id of a narration"]


@router.post("/narrations", status_code=202, summary="Submit a text or a file")
def submit(
    submission: Submission, caller: Narrator, service: At, request: Request, answer: Response, key: Idempotency = None
) -> Narration:
    """It is put into the in-box. The same `Idempotency-Key` again gives the same narration, with status 200."""
    data, suffix = service.content(submission)
    return _submit(service, caller, data, suffix, _options_of(submission), key, request, answer)


@router.post("/narrations/upload", status_code=202, summary="Submit a file by a form")
async def upload(
    caller: Narrator,
    service: At,
    request: Request,
    answer: Response,
    file: Annotated[UploadFile, File(description="a script: .txt, .md, .epub, …")],
    options: Annotated[str, Form(max_length=20_000, description="JSON, as in a submission without a text")] = "{}",
    key: Idempotency = None,
) -> Narration:
    """As `POST /v1/narrations`."""
    try:
        parsed = Options.model_validate_json(options)
    except ValidationError as error:
        raise RequestValidationError(
            [{**first, "loc": ("options", *first["loc"])} for first in error.errors()]
        ) from None
    suffix, data = PurePosixPath(file.filename or "").suffix.lower(), await file.read()
    return await run_in_threadpool(_submit, service, caller, data, suffix, parsed, key, request, answer)


def _submit(
    service: Service,
    caller: ApiKey,
    data: bytes,
    suffix: str,
    options: Options,
    key: str | None,
    request: Request,
    answer: Response,
) -> Narration:
    narration, new = service.submit(caller, data, suffix, options, key)
    answer.status_code = 202 if new else 200
    answer.headers["location"] = f"/v1/narrations/{narration.id}"
    request.scope[AUDIT]["narration"] = narration.id
    return narration


def _options_of(submission: Submission) -> Options:
    return Options.model_validate(submission.model_dump(exclude_unset=True, include=set(Options.model_fields)))


@router.get("/narrations", summary="List narrations")
def list_narrations(
    caller: Teller,
    service: At,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(max_length=64, description="`after` of the page before")] = None,
) -> NarrationPage:
    """Those of the key, the newest first; with the scope admin all, those of the command line too."""
    page, more = service.list(caller, limit, after)
    return NarrationPage(narrations=page, after=more)


@router.get("/narrations/{narration}", summary="State of a narration")
def show(narration: Identifier, caller: Teller, service: At) -> Narration:
    return service.describe(service.request_of(caller, narration), narration)


@router.get(
    "/narrations/{narration}/events",
    summary="Progress, as it happens",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
def events(narration: Identifier, caller: Teller, service: At, request: Request) -> StreamingResponse:
    """Server-sent events named `narration`, each its state as JSON; the last one is done, failed or canceled."""
    record = service.request_of(caller, narration)
    service.describe(record, narration)

    async def stream() -> AsyncIterator[str]:
        begun = spoken = time.monotonic()
        last = None
        poll = POLL_SECONDS if service.store.local_path("takes") else BUCKET_POLL_SECONDS
        while time.monotonic() - begun < MAX_EVENT_SECONDS:
            present = await run_in_threadpool(_look, service, caller, narration)
            if present is None:
                return
            if present != last:
                last, spoken = present, time.monotonic()
                yield f"event: narration\ndata: {present.model_dump_json()}\n\n"
                if terminal(present):
                    return
            elif time.monotonic() - spoken > KEEP_ALIVE_SECONDS:
                spoken = time.monotonic()
                yield ": still at it\n\n"
            await asyncio.sleep(poll)

    return StreamingResponse(stream(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})


def _look(service: Service, caller: ApiKey, narration: str) -> Narration | None:
    """The state of a narration; None once it is deleted."""
    try:
        return service.describe(service.request_of(caller, narration), narration)
    except (InputError, NotFoundError):
        return None


@router.get("/narrations/{narration}/result", summary="Links to what is delivered")
def result(
    narration: Identifier,
    caller: Teller,
    service: At,
    timing_format: Annotated[list[TimingFormat], Query(max_length=5)] = [],  # noqa: B006 - not changed
) -> Result:
    """Signed links, which end; ask again for new ones. 409 until it is done."""
    return service.result(caller, narration, timing_format)


@router.post("/narrations/{narration}/cancel", summary="Cancel a narration")
def cancel(narration: Identifier, caller: Narrator, service: At) -> Narration:
    """It is not begun any more. A run that works on it alone is interrupted; takes that are made stay."""
    return service.change(caller, narration, cancel=True)


@router.post("/narrations/{narration}/retry", summary="Try a narration again")
def retry(narration: Identifier, caller: Narrator, service: At) -> Narration:
    """One that failed or was canceled; with all its attempts."""
    return service.change(caller, narration, cancel=False)


@router.delete("/narrations/{narration}", summary="Delete a narration")
def delete(narration: Identifier, caller: Narrator, service: At, later: BackgroundTasks) -> Removed:
    """With its script and files; its links end at once. Takes that nothing else uses go after the answer."""
    receipt = service.delete(caller, narration)
    later.add_task(service.finish_removal, "script", narration)
    return Removed(id=narration, receipt=receipt.receipt)


@router.post("/plan", summary="What a narration would cost")
def plan(submission: Submission, caller: Narrator, service: At) -> PlanAnswer:
    """Words, minutes, takes to make, GPU seconds and cost; nothing is kept."""
    data, suffix = service.content(submission)
    loaded = service.load(data, suffix, _options_of(submission), "plan")
    changes = script_changes(service.store, loaded, service.options, service.gpu_hour_cost)
    choice = choose_engine(loaded, service.options)
    words = seconds = 0.0
    for chunk in iter_chunks(loaded.script):
        words += len(chunk.words)
        seconds += chunk.expected_seconds + loaded.script.pauses.after(chunk.pause)
    return PlanAnswer(
        title=loaded.script.title,
        voices=loaded.script.voices,
        engine=choice.engine,
        words=int(words),
        minutes=round(seconds / 60, 2),
        takes_to_make=changes.takes,
        speech_seconds_to_make=changes.speech_seconds,
        gpu_seconds=changes.gpu_seconds,
        basis=changes.basis,
        cost=changes.cost,
        notes=[*loaded.script.notes, *foreign_voices(service.store, loaded, choice)],
    )
