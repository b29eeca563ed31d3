"""Choice of the part of a recording that becomes the reference, by how well its text fits the sound."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from f5_pipeline.errors import InputError
from f5_pipeline.speech.alignment.renderings import Drafts, NoDraft
from f5_pipeline.speech.references.cut import MAX_RUN_SECONDS, Run, covers, runs_of
from f5_pipeline.speech.references.fit import Fit, Fitting, fitting_run
from f5_pipeline.speech.references.pauses import Activity
from f5_pipeline.speech.references.window import Method
from f5_pipeline.speech.references.words import TIMES_HINT, Progress, time_words
from f5_pipeline.speech.transcripts.reader import Transcript

MAX_WHOLE_SECONDS = 10.0
"""Speech up to this long is kept whole, s. F5 itself cuts references at 12 s, without their text."""


@dataclass(frozen=True)
class Choice:
    """The chosen part, the source of its times, and how well its text fits (None: not measured)."""

    run: Run
    method: Method
    fit: Fit | None = None


def choose(
    recording: Path,
    transcript: Transcript,
    activity: Activity,
    speech: tuple[float, float],
    language: str,
    drafts: Drafts | None,
    file: str,
    on_progress: Progress,
) -> Choice:
    """Choose the part of a recording; see `prepare.prepare_reference`.

    Args:
        speech: first and last sound of the recording, s.
        file: the recording's name, for messages.

    Raises:
        InputError: no part has a text that fits.
    """
    fitting = fitting_of(recording, activity, language, drafts)
    if speech[1] - speech[0] <= MAX_WHOLE_SECONDS and covers(transcript, activity, speech):
        run = Run(*speech, transcript.text)
        return Choice(run, "whole", fitting.fit(run.start, run.end, run.text) if fitting else None)
    given: Method = "words" if all(segment.words for segment in transcript.segments) else "given"
    if transcript.timed and fitting is None:
        return Choice(runs_of(transcript, activity, speech, file)[0], given)
    if drafts is None:
        raise InputError(
            f"the recording has {speech[1] - speech[0]:.1f} s of speech, more than {MAX_WHOLE_SECONDS:.0f} s, and its "
            "transcript has no times to cut it by",
            file=file,
            hint=TIMES_HINT,
        )
    doubted: Choice | None = None
    refusal: InputError | None = None
    if transcript.timed and fitting is not None:
        try:
            doubted, exact = _tried(runs_of(transcript, activity, speech, file), given, fitting)
        except InputError as error:
            refusal, exact = error, False
        if exact and doubted:
            return doubted
    # No times, or none that fit: measure the word times.
    try:
        levels = activity.levels
        timed = time_words(recording, levels.seconds, levels.channel, transcript, language, drafts, on_progress)
        assert fitting is not None, "a language that drafts do not speak has been refused"
        aligned, exact = _tried(runs_of(timed, activity, speech, file), "aligned", fitting)
        if exact:
            return aligned
        refusal = refusal or _misfit(aligned.run, transcript, file)
    except InputError as error:
        refusal = refusal or error
    if doubted is None:
        raise refusal
    # The drafts may be wrong: keep the given times, and let a check of the reference report the doubt.
    return doubted


def _tried(runs: list[Run], method: Method, fitting: Fitting) -> tuple[Choice, bool]:
    """The best run whose text matches the sound exactly, or else the one that fits best; and whether it is exact."""
    run, fit, exact = fitting_run(runs, fitting, MAX_RUN_SECONDS)
    return Choice(run, method if run in runs else "aligned", fit), exact


def fitting_of(recording: Path, activity: Activity, language: str, drafts: Drafts | None) -> Fitting | None:
    """What tells how well texts fit the recording; None without drafts, or where they do not speak its language."""
    if drafts is None:
        return None
    try:
        return Fitting(recording, activity, language, drafts)
    except NoDraft:
        return None


def _misfit(run: Run, transcript: Transcript, file: str) -> InputError:
    shown = run.text if len(run.text) <= 60 else f"{run.text[:57]}…"
    return InputError(
        f"the transcript does not say what is heard in {file}; there should be {shown!r}",
        file=transcript.name or file,
        place=f"{run.start:.1f} s",
        hint=f"Give the transcript of this very recording, word by word. {TIMES_HINT}",
    )
