"""The reference: the part of a voice's recording, with exactly the words spoken in it, that F5-TTS is conditioned on.

F5 takes a voice's pace from the reference's duration and text: a transcript that says more or less than the audio makes
all its speech garbled or rushed (SWivid/F5-TTS issues 1139, 1207, 311). Recording and transcript are therefore always
cut at the same pause, or the recording is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from f5_pipeline.errors import InputError
from f5_pipeline.speech.alignment.renderings import Drafts
from f5_pipeline.speech.audio import recordings as audio
from f5_pipeline.speech.references.build import build_reference
from f5_pipeline.speech.references.checks import CheckOutcome, check_reference
from f5_pipeline.speech.references.choice import MAX_WHOLE_SECONDS, Choice, choose, fitting_of
from f5_pipeline.speech.references.cut import MAX_CUT_SECONDS, Run, check_times, runs_of
from f5_pipeline.speech.references.pauses import Activity
from f5_pipeline.speech.references.record import LEAD, TAIL, Reference, ReferenceMeasures, ReferenceRecord
from f5_pipeline.speech.references.window import Method, Window
from f5_pipeline.speech.references.words import Progress, time_words
from f5_pipeline.speech.text.endings import count_syllables, count_words, end_text
from f5_pipeline.speech.transcripts.reader import Transcript

__all__ = [
    "LEAD",
    "MAX_CUT_SECONDS",
    "MAX_WHOLE_SECONDS",
    "TAIL",
    "CheckOutcome",
    "Reference",
    "ReferenceMeasures",
    "ReferenceRecord",
    "check_reference",
    "count_syllables",
    "count_words",
    "end_text",
    "prepare_reference",
]

MIN_SPEECH_SECONDS = 1.0
"""Minimum of a recording to make a reference."""

MAX_SHARED = 0.5
"""Share of two parts of a recording, by what both cover, up to which each is tried."""

_MAX_TRIES = 24  # parts whose fit is tried


def prepare_reference(
    recording: Path,
    transcript: Transcript | None,
    *,
    language: str,
    name: str,
    drafts: Drafts | None = None,
    window: Window | None = None,
    on_progress: Progress = lambda unit, done, total: None,
) -> Reference:
    """Make the reference of a voice.

    Up to 10 s of speech are kept whole. From a longer recording, the contiguous run of the transcript's words (or cues,
    where it has no words) that is nearest to 8 s is cut from pause to pause, preferably in sentences. A transcript
    without times, or with cues that are too long, is aligned with the recording first. With drafts, only a run whose
    words match the sound is used. Where the drafts cannot tell (an unclear recording, a language that they do not
    speak), only a transcript with times is trusted.

    Args:
        recording: any file that libsndfile reads, up to two hours.
        transcript: of the recording.
        language: BCP 47 tag.
        name: name of the voice, for messages and the record.
        drafts: to align texts with; None: transcripts are trusted, and long recordings need times.
        window: the part to take; None: it is chosen.
        on_progress: see `words.Progress`.

    Raises:
        InputError: the recording cannot be read, is silent or too short; there is no transcript; it does not belong to
            the recording; it has no times and cannot be aligned; or no run of it can be cut out at pauses.
    """
    source, transcript = _source(Path(recording), transcript, name)
    if window is not None:
        fitting = fitting_of(source.path, source.activity, language, drafts)
        fit = fitting.fit(window.start, window.end, window.text) if fitting else None
        choice = Choice(Run(window.start, window.end, window.text), window.method, fit)
    else:
        choice = choose(
            source.path, transcript, source.activity, source.speech, language, drafts, source.file, on_progress
        )
    return build_reference(source.path, source.info, source.activity, choice, language, name)


def other_references(
    recording: Path,
    transcript: Transcript | None,
    present: Sequence[Reference],
    *,
    count: int,
    language: str,
    name: str,
    drafts: Drafts,
    on_progress: Progress = lambda unit, done, total: None,
) -> list[tuple[Window, Reference]]:
    """References from other parts of a voice's recording than the present ones: those that end with a sentence first,
    then as `cut.runs_of` has them.

    Each part's text matches its sound, where that can be told, and no two have more than MAX_SHARED in common.

    Args:
        count: of them at most. Other arguments and errors: as `prepare_reference`.
    """
    source, transcript = _source(Path(recording), transcript, name)
    fitting = fitting_of(source.path, source.activity, language, drafts)
    method: Method = "words" if all(segment.words for segment in transcript.segments) else "given"
    if not transcript.timed or present[0].measures.method == "aligned":
        if fitting is None:
            return []
        levels, method = source.activity.levels, "aligned"
        transcript = time_words(source.path, levels.seconds, levels.channel, transcript, language, drafts, on_progress)
    try:
        runs = runs_of(transcript, source.activity, source.speech, source.file)
    except InputError:
        return []
    found: list[tuple[Window, Reference]] = []
    tried = 0
    for run in sorted(runs, key=lambda run: not run.whole):
        if len(found) == count or tried == _MAX_TRIES:
            break
        if any(_shared(run, other) > MAX_SHARED for other in (*present, *(made for _, made in found))):
            continue
        tried += 1
        fit = fitting.fit(run.start, run.end, run.text) if fitting else None
        if fitting and fit:
            run, fit = fitting.adjusted(run, fit) if run.cues else (run, fit)
            if not fit.passable or not fitting.exact(run, fit):
                continue
        choice = Choice(run, method, fit)
        made = build_reference(source.path, source.info, source.activity, choice, language, name)
        checks = check_reference(made.measures, made.text, language)
        if not any(check.severity == "error" for check in checks):
            found.append((Window(start=run.start, end=run.end, text=run.text, method=method), made))
    return found


def _shared(run: Run, other: Reference) -> float:
    """What two parts have in common, of what both cover."""
    both = min(run.end, other.end) - max(run.start, other.start)
    return max(0.0, both) / (max(run.end, other.end) - min(run.start, other.start))


class _Source(NamedTuple):
    """A recording that a reference can be made of; `speech`: its first and last sound, s; `file`: for messages."""

    path: Path
    info: audio.AudioInfo
    activity: Activity
    speech: tuple[float, float]
    file: str


def _source(recording: Path, transcript: Transcript | None, name: str) -> tuple[_Source, Transcript]:
    info = audio.probe(recording)
    file = f"{name}/{recording.name}"
    if transcript is None:
        raise InputError(
            "the recording has no transcript; what is said in it is not guessed",
            file=file,
            hint="Put a transcript (TXT, SRT, VTT, CSV or Whisper JSON) beside it, or let Whisper write one: "
            "pip install 'f5-pipeline[asr]'.",
        )
    levels = audio.levels_of(recording)
    activity = Activity(levels)
    bounds = audio.loud_bounds(levels.dbfs)
    if bounds is None:
        raise InputError("the recording is silent", file=file, hint="Record it again, closer to the microphone.")
    speech = (bounds[0] * levels.hop, min(bounds[1] * levels.hop, info.seconds))
    if activity.loud_seconds(*speech) < MIN_SPEECH_SECONDS:
        raise InputError(
            f"only {activity.loud_seconds(*speech):.2f} s of speech are in the recording",
            file=file,
            hint="Record 6 to 10 s of clear speech.",
        )
    if transcript.timed:
        check_times(transcript, info.seconds, file)
    return _Source(recording, info, activity, speech, file), transcript
