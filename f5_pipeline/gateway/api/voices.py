"""/v1/voices."""

from __future__ import annotations

import shutil
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, File, Form, UploadFile

from f5_pipeline.errors import InputError, NotFoundError
from f5_pipeline.gateway.api.access import Reader, VoiceKeeper, is_admin
from f5_pipeline.gateway.api.fetching import fetch
from f5_pipeline.gateway.api.models import Name, Removed, VoiceAnswer, VoiceList, VoiceSubmission
from f5_pipeline.gateway.api.narrations import At
from f5_pipeline.gateway.api.service import ConflictError, Service, decoded
from f5_pipeline.store import layout
from f5_pipeline.store.records import write_record
from f5_pipeline.studio.keys import ApiKey
from f5_pipeline.studio.recognition import hear_reference, listener
from f5_pipeline.studio.records import Voice
from f5_pipeline.studio.removal import begin_removal, narrations_of
from f5_pipeline.studio.voices import (
    CommercialUse,
    add_voice,
    errors_of,
    find_voice,
    is_current,
    list_voices,
    make_reference,
    needs_reference,
    prepared_reference,
)
from f5_pipeline.system.scratch import workspace

router = APIRouter(prefix="/v1/voices", tags=["voices"])

MAX_TRANSCRIPT_BYTES = 8 << 20


def describe(service: Service, voice: Voice) -> VoiceAnswer:
    clip = prepared_reference(service.store, voice.name)
    return VoiceAnswer(
        **voice.model_dump(include={"name", "language", "licence", "commercial_use", "transcribed_by", "added"}),
        ready=clip is not None and is_current(clip, voice),
        reference_seconds=clip.seconds if clip else None,
        reference_text=clip.text.strip() if clip else None,
        unchecked=list(errors_of(clip)) if clip else [],
    )


def keep_voice(
    service: Service, caller: ApiKey, given: VoiceSubmission, recording: Path, transcript: Path | None
) -> Voice:
    """Add a voice as `f5-pipeline voices add` does, and prepare its reference.

    Raises:
        InputError: it makes no voice. ConflictError: it would replace a voice that the caller has not added.
    """
    store = service.store
    hear = partial(hear_reference, store, service.options)
    if find_voice(store, given.name) is not None:
        _check_owner(service, caller, given.name)
    voice = add_voice(
        store,
        given.name,
        recording,
        transcript,
        given.language,
        licence=given.licence,
        commercial_use=given.commercial_use,
        listener=listener(store, service.options),
        hear=hear,
        force=given.force,
    )
    store.replace_bytes(layout.api_voice(caller.key, voice.name), b"{}")
    if needs_reference(store, voice.name):
        write_record(store, layout.reference(voice.name), make_reference(store, voice.name, hear=hear)[0])
    return voice


def add_submitted(service: Service, caller: ApiKey, given: VoiceSubmission) -> Voice:
    """Add a voice whose recording is content in base64 or a URL."""
    with workspace() as folder:
        recording = _placed(folder, given.recording, given.recording_url, given.recording_name, "recording")
        if recording is None:
            raise InputError("there is no recording", hint="Give recording or recording_url.")
        transcript = None
        if given.transcript is not None:
            transcript = folder / f"transcript{PurePosixPath(given.transcript_name or 'a.txt').suffix}"
            transcript.write_text(given.transcript, encoding="utf-8")
        elif given.transcript_url is not None:
            transcript = _placed(folder, None, given.transcript_url, given.transcript_name, "transcript")
        return keep_voice(service, caller, given, recording, transcript)


def _placed(folder: Path, content: str | None, url: str | None, name: str | None, stem: str) -> Path | None:
    """A file of what was given, under a name of ours with the ending that was given."""
    if content is not None:
        data = decoded(content, stem)
    elif url is not None:
        fetched = fetch(url, limit=MAX_TRANSCRIPT_BYTES if stem == "transcript" else 256 << 20)
        data, name = fetched.data, name or fetched.name
    else:
        return None
    path = folder / f"{stem}{_suffix(name, '.txt' if stem == 'transcript' else '.wav')}"
    path.write_bytes(data)
    return path


def _suffix(name: str | None, usual: str) -> str:
    suffix = PurePosixPath(name or "").suffix.lower()
    return suffix if suffix[1:].isalnum() and len(suffix) < 12 and suffix.isascii() else usual


def _check_owner(service: Service, caller: ApiKey, voice: str) -> None:
    if not is_admin(caller) and not service.store.exists(layout.api_voice(caller.key, voice)):
        raise ConflictError(
            f"there is a voice {voice!r} that this key has not added", hint="Choose another name, or ask an admin."
        )


@router.get("", summary="List voices")
def list_all(caller: Reader, service: At) -> VoiceList:
    """All voices of the store: they are shared."""
    return VoiceList(voices=[describe(service, voice) for voice in list_voices(service.store)])


@router.get("/{voice}", summary="Show a voice")
def show(voice: Name, caller: Reader, service: At) -> VoiceAnswer:
    return describe(service, _find(service, voice))


@router.post("", status_code=201, summary="Add a voice")
def add(given: VoiceSubmission, caller: VoiceKeeper, service: At) -> VoiceAnswer:
    """From base64 or URLs. One that exists is replaced, if this key added it."""
    return describe(service, add_submitted(service, caller, given))


@router.post("/upload", status_code=201, summary="Add a voice by a form")
def upload(
    caller: VoiceKeeper,
    service: At,
    name: Annotated[Name, Form()],
    recording: Annotated[UploadFile, File()],
    transcript: Annotated[UploadFile | None, File()] = None,
    language: Annotated[str | None, Form(max_length=64)] = None,
    licence: Annotated[str | None, Form(max_length=200)] = None,
    commercial_use: Annotated[CommercialUse | None, Form()] = None,
    force: Annotated[bool, Form()] = False,
) -> VoiceAnswer:
    given = VoiceSubmission(
        name=name, language=language or None, licence=licence, commercial_use=commercial_use, force=force
    )
    with workspace() as folder:
        paths = []
        for stem, upload in (("recording", recording), ("transcript", transcript)):
            if upload is not None:
                paths.append(folder / f"{stem}{_suffix(upload.filename, '.wav' if stem == 'recording' else '.txt')}")
                with paths[-1].open("wb") as out:
                    shutil.copyfileobj(upload.file, out)
        return describe(service, keep_voice(service, caller, given, paths[0], paths[1] if paths[1:] else None))


@router.delete("/{voice}", summary="Delete a voice")
def delete(
    voice: Name, caller: VoiceKeeper, service: At, later: BackgroundTasks, with_narrations: bool = False
) -> Removed:
    """One that this key has added; an admin, any. A voice that speaks in narrations is refused (409), unless
    `with_narrations` lets their files and links go too: the caller's own, an admin's any; their scripts stay. Its takes
    go after the answer."""
    _find(service, voice)
    _check_owner(service, caller, voice)
    fallen = narrations_of(service.store, "voice", voice)
    if fallen and not with_narrations:
        raise ConflictError(f"it speaks in {len(fallen)} narrations", hint="Give with_narrations=true to remove both.")
    for narration in fallen if not is_admin(caller) else ():
        try:
            service.request_of(caller, narration)
        except NotFoundError:
            raise ConflictError("it speaks in narrations of others", hint="Ask an admin.") from None
    for narration in fallen:
        with suppress(InputError):  # it has no script: nobody makes it
            service.desk.cancel(narration)
    receipt = begin_removal(service.store, "voice", voice)
    later.add_task(service.finish_removal, "voice", voice)
    return Removed(id=voice, receipt=receipt.receipt)


def _find(service: Service, name: str) -> Voice:
    voice = find_voice(service.store, name)
    if voice is None:
        raise NotFoundError(f"there is no voice {name!r}", hint="See /v1/voices.")
    return voice
