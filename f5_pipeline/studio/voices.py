"""Voices: added by a person, prepared into references."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from f5_pipeline.errors import DamagedError, InputError
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.script.decoding import language_tag
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.store.records import find_record, put_content, write_record
from f5_pipeline.studio.languages import check_known
from f5_pipeline.studio.records import Consent, ReferenceClip, ReferenceSetting, Source, Voice
from f5_pipeline.system.clock import iso_time
from f5_pipeline.system.hashing import file_sha256
from f5_pipeline.system.reading import read_file
from f5_pipeline.system.scratch import workspace

if TYPE_CHECKING:
    import numpy as np

    from f5_pipeline.speech.references.prepare import Reference
    from f5_pipeline.speech.references.record import ReferenceHearing
    from f5_pipeline.studio.recognition import Listener

Progress = Callable[[str, int, int], None]
"""Called with the progress of slow work: unit (for example "s of audio aligned"), done, total."""

Hear = Callable[["Reference", Path], "ReferenceHearing | None"]
"""Listens to a reference and its recording; None where nothing listens."""

MAX_EVIDENCE_BYTES = 64 << 20

CommercialUse = Literal["yes", "no", "unknown"]

TRANSCRIPT_EXTENSIONS = (".txt", ".srt", ".vtt", ".csv", ".tsv", ".json", ".ass", ".ssa", ".ttml", ".sbv", ".lrc")
TRANSCRIPT_EXTENSIONS += (".textgrid",)


def _unreported(unit: str, done: int, total: int) -> None:
    pass


def add_voice(
    store: Store,
    name: str,
    recording: Path,
    transcript: Path | None = None,
    language: str | None = None,
    *,
    licence: str | None = None,
    commercial_use: CommercialUse | None = None,
    listener: Listener | None = None,
    hear: Hear | None = None,
    force: bool = False,
    on_progress: Progress = _unreported,
) -> Voice:
    """Keep a recording and its transcript under a voice's name.

    The reference is prepared first, so that only usable voices are kept. Adding the same files again changes nothing;
    adding others replaces them.

    Args:
        recording: any format that libsndfile reads.
        transcript: TXT, SRT, VTT, CSV or Whisper JSON; if None, a file beside the recording with the same stem.
        language: BCP 47 tag; if None, the voice's present one; for a new voice "en", or the one that is heard where
            the transcript is written here.
        licence: of the recording; if None, the voice's present one.
        commercial_use: whether its owner allows it; if None, the voice's present value.
        listener: writes the transcript where there is none.
        hear: listens to the reference (see `recognition.hear_reference`); not where the transcript was written here.
        force: keep a voice whose reference fails a check for good.
        on_progress: called during the transcription, and the alignment of a long recording.

    Raises:
        InputError: the name, recording, transcript or language is unusable, or the reference fails a check of the
            severity "error".
    """
    layout.check_name(name, "voice")
    if not recording.is_file():
        raise InputError("there is no such recording", file=str(recording), hint="Give the path of an audio file.")
    transcript = transcript or _transcript_beside(recording)
    if transcript is not None and not transcript.is_file():
        raise InputError("there is no such transcript", file=str(transcript), hint="Give the path of a text.")
    present = find_voice(store, name)
    language = language_tag(language, "--language", None) if language else (present.language if present else None)
    if language:
        check_known(store, language, f"--language {language}")
    with workspace() as folder:
        author = None
        if transcript is None and listener is not None:
            transcript = folder / f"{recording.stem}.json"
            language, author = _write_transcript(store, transcript, present, recording, language, listener, on_progress)
        text = read_file(transcript) if transcript else None
        reference = prepare(
            recording,
            text,
            language or "en",
            name=name,
            transcript_name=transcript.name if transcript else "",
            on_progress=on_progress,
        )
        if not force:
            _refuse(reference, name, recording, author, hear(reference, recording) if hear and not author else None)
        recorded = _source(recording, lambda digest, ext: layout.voice_recording(name, digest, ext))
        transcribed = transcript and _source(transcript, lambda digest, ext: layout.voice_transcript(name, digest, ext))
        is_same = present is not None and _inputs(present) == (recorded, transcribed or None, language or "en")
        voice = Voice(
            name=name,
            language=language or "en",
            recording=recorded,
            transcript=transcribed or None,
            transcribed_by=author,
            added=iso_time(),
            consent=present.consent if present and present.recording.sha256 == recorded.sha256 else None,
            licence=licence or (present.licence if present else None),
            commercial_use=commercial_use or (present.commercial_use if present else "unknown"),
            tunings=present.tunings if present and is_same else [],
        )
        for source, path in ((recorded, recording), (transcribed, transcript)):
            if source and path:
                put_content(store, source.key, path, source.sha256)
    if present and present.model_copy(update={"added": voice.added}) == voice:
        return present
    write_record(store, layout.voice(name), voice)
    return voice


def _inputs(voice: Voice) -> tuple[Source, Source | None, str]:
    """What a voice's tunings were measured with."""
    return voice.recording, voice.transcript, voice.language


def _write_transcript(
    store: Store,
    target: Path,
    present: Voice | None,
    recording: Path,
    language: str | None,
    listener: Listener,
    on_progress: Progress,
) -> tuple[str, str]:
    """Write what is heard in a recording to a file; return its language and the model's name.

    What was heard in the same recording before is taken again, unless a person has chosen the model.
    """
    if (
        present
        and present.transcript
        and present.transcribed_by
        and present.language == language
        and not listener.is_chosen
        and present.recording.sha256 == file_sha256(recording)
    ):
        target.write_bytes(store.get_bytes(present.transcript.key))
        return present.language, present.transcribed_by
    heard, model = listener.listen(recording, language, on_progress)
    target.write_bytes(heard.data)
    return heard.language, model


def _refuse(
    reference: Reference, name: str, recording: Path, author: str | None, hearing: ReferenceHearing | None
) -> None:
    """Raise InputError where a reference fails a check of the severity "error"."""
    from f5_pipeline.speech.references.checks import check_heard, check_reference

    checks = check_reference(reference.measures, reference.text, reference.record.language) + check_heard(hearing)
    if failed := [check.description for check in checks if check.severity == "error"]:
        written = f"{author} wrote the transcript: give it yourself with --transcript. " if author else ""
        raise InputError(
            f"it makes no usable reference. {' '.join(failed).removesuffix('.')}",
            file=f"{name}/{recording.name}",
            hint=f"{written}To keep the voice all the same, unchecked: --force.",
        )


def give_consent(
    store: Store,
    name: str,
    *,
    speaker: str,
    until: date | None = None,
    narrations: Sequence[str] = (),
    languages: Sequence[str] = (),
    evidence: Path | None = None,
    note: str = "",
) -> Voice:
    """Record that the speaker of a voice agrees to its use; in place of what was recorded before.

    Args:
        until: the last day.
        narrations: names or patterns such as "book-*"; languages: BCP 47 tags; empty: all.
        evidence: a file of at most MAX_EVIDENCE_BYTES that shows it.

    Raises:
        InputError: there is no such voice, or a value or file is unusable.
    """
    voice = find_voice(store, name)
    if voice is None:
        raise unknown_voice(store, name)
    source = None
    if evidence is not None:
        if not evidence.is_file():
            raise InputError("there is no such file", file=str(evidence), hint="Give the path of a file.")
        if evidence.stat().st_size > MAX_EVIDENCE_BYTES:
            hint = f"Give one of at most {MAX_EVIDENCE_BYTES >> 20} MiB."
            raise InputError("it is too large", file=str(evidence), hint=hint)
        source = _source(evidence, lambda digest, extension: layout.voice_consent(name, digest, extension))
    consent = Consent(
        speaker=speaker,
        given=iso_time(),
        until=until,
        narrations=list(narrations),
        languages=[language_tag(tag, "--language", None) for tag in languages],
        evidence=source,
        recording=voice.recording.sha256,
        note=note,
    )
    if source and evidence:
        put_content(store, source.key, evidence, source.sha256)
    return _keep_consent(store, voice, consent)


def withdraw_consent(store: Store, name: str) -> Voice:
    """Record that a speaker withdraws the consent. Raises InputError where there is no such voice or no consent."""
    voice = find_voice(store, name)
    if voice is None:
        raise unknown_voice(store, name)
    if voice.consent is None:
        hint = f"Record one: f5-pipeline voices consent {name} --speaker NAME."
        raise InputError(f"no consent is recorded for the voice {name!r}", file=layout.voice(name), hint=hint)
    return _keep_consent(store, voice, voice.consent.model_copy(update={"withdrawn": iso_time()}))


def _keep_consent(store: Store, voice: Voice, consent: Consent) -> Voice:
    voice = voice.model_copy(update={"consent": consent})
    write_record(store, layout.voice(voice.name), voice)
    return voice


def errors_of(clip: ReferenceClip) -> dict[str, str]:
    """The checks of the severity "error" that a reference fails, with sentences: only `force` keeps such a voice."""
    from f5_pipeline.speech.references.checks import check_heard, check_reference
    from f5_pipeline.speech.references.record import ReferenceMeasures

    try:
        measures = ReferenceMeasures.model_validate(clip.measures)
    except ValidationError:  # measures of another version
        return {}
    checks = check_reference(measures, clip.text, clip.language) + check_heard(hearing_of(clip))
    return {check.name: check.description for check in checks if check.severity == "error"}


def hearing_of(clip: ReferenceClip) -> ReferenceHearing | None:
    """What was heard in a reference; None where nobody listened, or a listener of another version."""
    from f5_pipeline.speech.references.record import ReferenceHearing

    try:
        return ReferenceHearing.model_validate(clip.heard) if clip.heard else None
    except ValidationError:
        return None


def warnings_of(store: Store, names: Iterable[str]) -> list[str]:
    """A sentence for each voice that was kept by force, and for each in whose reference something else is heard than
    its text, or two people."""
    from f5_pipeline.speech.references.checks import check_heard

    warnings = []
    for name in names:
        if (clip := prepared_reference(store, name)) is None:
            continue
        if failed := errors_of(clip):
            warnings.append(f"the voice {name} is unchecked and may be garbled: {' '.join(failed.values())}")
        doubts = [check for check in check_heard(hearing_of(clip)) if not check.passed and check.severity == "warn"]
        warnings += [f"the voice {name} may be garbled: {check.description}" for check in doubts]
    return warnings


def _transcript_beside(recording: Path) -> Path | None:
    beside = [
        path
        for path in sorted(recording.parent.iterdir())
        if path.stem == recording.stem and path.suffix.lower() in TRANSCRIPT_EXTENSIONS and path.is_file()
    ]
    if len(beside) > 1:
        raise InputError(
            f"several transcripts stand beside the recording: {', '.join(path.name for path in beside)}",
            file=str(recording),
            hint="Name one with --transcript.",
        )
    return beside[0] if beside else None


def _source(path: Path, key) -> Source:
    digest = file_sha256(path)
    return Source(key=key(digest, path.suffix.lower()), sha256=digest, name=path.name, size=path.stat().st_size)


def find_voice(store: Store, name: str) -> Voice | None:
    """The voice of this name, None where there is none. Raises InputError for an invalid name."""
    layout.check_name(name, "voice")
    return find_record(store, layout.voice(name), Voice)


def list_voices(store: Store) -> Iterator[Voice]:
    """Every voice, in order of name."""
    voices = in_parallel(store, lambda name: find_record(store, layout.voice(name), Voice), voice_names(store))
    yield from filter(None, voices)


def voice_names(store: Store) -> Iterator[str]:
    """Names of voices, in order, from one listing of the store; may include one that is being added."""
    yield from filter(layout.NAME.fullmatch, store.folders(layout.VOICES))


_prepared: dict[tuple[object, ...], Reference] = {}
"""The last reference that was prepared: to add a voice is to check it, and to make it right afterwards."""


def forget_prepared() -> None:
    """Forget the last reference that was prepared."""
    _prepared.clear()


def prepare(
    recording: Path,
    transcript: bytes | None,
    language: str,
    *,
    name: str,
    transcript_name: str,
    setting: ReferenceSetting | None = None,
    on_progress: Progress = _unreported,
) -> Reference:
    """Cut a recording and its transcript to the reference that F5 is conditioned on.

    Args:
        name: of the voice, for errors.
        transcript_name: its extension gives its format.
        setting: None: the part of the recording is chosen.

    Raises:
        InputError: the recording or the transcript is unusable, or they do not belong together.
    """
    from f5_pipeline.speech.alignment.renderings import Drafts
    from f5_pipeline.speech.references.prepare import prepare_reference
    from f5_pipeline.speech.transcripts.reader import read_transcript

    window = setting.window if setting else None
    key = file_sha256(recording), transcript, language, name, transcript_name, window
    if key in _prepared:
        return _prepared[key]
    text = read_transcript(transcript, transcript_name) if transcript is not None else None
    with closing(Drafts()) as drafts:
        reference = prepare_reference(
            recording, text, language=language, name=name, drafts=drafts, window=window, on_progress=on_progress
        )
    _prepared.clear()
    _prepared[key] = reference
    return reference


def make_reference(
    store: Store, name: str, *, hear: Hear | None = None, on_progress: Progress = _unreported
) -> tuple[ReferenceClip, Reference]:
    """Prepare the reference of a voice and keep its audio; return its record and the reference.

    Args:
        hear: see `add_voice`.

    Raises:
        InputError: there is no such voice, or its recording and transcript do not belong together.
        DamagedError: the recording or the transcript is not what was added.
    """
    voice = find_voice(store, name)
    if voice is None:
        raise unknown_voice(store, name)
    with opened_recording(store, voice) as (recording, transcript):
        text_name = voice.transcript.name if voice.transcript else ""
        reference = prepare(
            recording,
            transcript,
            voice.language,
            name=name,
            transcript_name=text_name,
            setting=voice.setting,
            on_progress=on_progress,
        )
        hearing = hear(reference, recording) if hear and not voice.transcribed_by else None
    clip = clip_of(voice, reference, hearing)
    with workspace() as folder:
        path = folder / "reference.flac"
        path.write_bytes(flac_of(reference))
        put_content(store, clip.audio, path)
    return clip, reference


@contextmanager
def opened_recording(store: Store, voice: Voice) -> Iterator[tuple[Path, bytes | None]]:
    """A voice's recording as a file, and its transcript. Raises DamagedError: one is not what was added."""
    transcript = store.get_bytes(voice.transcript.key) if voice.transcript else None
    if voice.transcript and sha256(transcript or b"").hexdigest() != voice.transcript.sha256:
        raise _damaged(voice, voice.transcript)
    with store.fetch(voice.recording.key) as recording:
        if file_sha256(recording) != voice.recording.sha256:
            raise _damaged(voice, voice.recording)
        yield recording, transcript


def flac_of(reference: Reference) -> bytes:
    """A reference's audio as it is kept."""
    from io import BytesIO

    from f5_pipeline.speech.libsndfile import soundfile

    file = BytesIO()
    soundfile.write(file, reference.pcm16(), SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()


def clip_of(voice: Voice, reference: Reference, hearing: ReferenceHearing | None = None) -> ReferenceClip:
    """The record of a reference of a voice, with the voice's setting."""
    return ReferenceClip(
        voice=voice.name,
        language=voice.language,
        audio=layout.reference_audio(voice.name, reference.sha256),
        text=reference.text,
        start=reference.start,
        end=reference.end,
        seconds=reference.seconds,
        measures=reference.measures.model_dump(),
        sha256=reference.sha256,
        recording=voice.recording.sha256,
        transcript=voice.transcript.sha256 if voice.transcript else None,
        transcribed_by=voice.transcribed_by,
        heard=hearing.model_dump(exclude_none=True) if hearing else None,
        setting=voice.setting,
    )


def _damaged(voice: Voice, source: Source) -> DamagedError:
    return DamagedError(
        "its content is not what it was",
        file=source.key,
        hint=f"Add the voice again, with {source.name}: f5-pipeline voices add {voice.name} RECORDING.",
    )


def read_reference(store: Store, clip: ReferenceClip) -> np.ndarray:
    """The audio of a reference: float32, shape (n,), SAMPLE_RATE Hz.

    Raises:
        DamagedError: it is not what was prepared.
    """
    from io import BytesIO

    from f5_pipeline.speech.libsndfile import soundfile
    from f5_pipeline.speech.references.record import reference_hash

    with suppress(soundfile.SoundFileError):
        samples, _ = soundfile.read(BytesIO(store.get_bytes(clip.audio)), dtype="float32")
        if reference_hash(samples, clip.text) == clip.sha256:
            return samples
    hint = f"Prepare it again: f5-pipeline voices prepare {clip.voice}."
    raise DamagedError("its content is not what it was", file=clip.audio, hint=hint)


def find_reference(store: Store, name: str) -> ReferenceClip:
    """The prepared reference of a voice.

    Raises:
        InputError: there is no such voice, or it has no reference of its present recording.
    """
    voice = find_voice(store, name)
    if voice is None:
        raise unknown_voice(store, name)
    clip = prepared_reference(store, name)
    if clip is None or not is_current(clip, voice):
        raise InputError(
            f"voice {name!r} has no reference" + (" of its present recording" if clip else ""),
            hint=f"Materialize reference_audio for the partition {name!r}, or run: f5-pipeline voices prepare {name}.",
        )
    return clip


def prepared_reference(store: Store, name: str) -> ReferenceClip | None:
    """The reference of a voice, current or not; None where it was never prepared."""
    return find_record(store, layout.reference(name), ReferenceClip)


def is_current(clip: ReferenceClip, voice: Voice) -> bool:
    """Whether the reference was made from the voice's present recording, transcript, language and setting."""
    transcript = voice.transcript.sha256 if voice.transcript else None
    made_of = (clip.recording, clip.transcript, clip.language, clip.setting)
    return made_of == (voice.recording.sha256, transcript, voice.language, voice.setting)


def needs_reference(store: Store, name: str) -> bool:
    """Whether a voice exists and its reference must be prepared."""
    voice = find_voice(store, name)
    clip = prepared_reference(store, name)
    return voice is not None and (clip is None or not is_current(clip, voice))


def no_voice(store: Store, file: str | None = None) -> InputError:
    """The error for a store without any voice."""
    return InputError(
        f"there is no voice in {store.url} (F5_STORE)",
        file=file,
        hint="Add one: f5-pipeline voices add NAME RECORDING. Or set F5_STORE to the store that has it.",
    )


def unknown_voice(store: Store, name: str) -> InputError:
    """The error for a voice that was never added, with the nearest names."""
    from difflib import get_close_matches

    names = [voice.name for voice in list_voices(store)]
    close = get_close_matches(name, names, n=3)
    if not names:
        return no_voice(store)
    suggestion = f"Did you mean {' or '.join(close)}? " if close else f"Known voices: {', '.join(names)}. "
    return InputError(
        f"there is no voice {name!r} in {store.url} (F5_STORE)",
        hint=f"{suggestion}Add one: f5-pipeline voices add {name} RECORDING.",
    )
