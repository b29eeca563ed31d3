"""The reference: the part of a voice's recording, with exactly the words spoken in it, that F5-TTS is conditioned on.

F5 takes a voice's pace from the reference's duration and text: a transcript that says more or less than the audio makes
all its speech garbled or rushed (SWivid/F5-TTS issues 1139, 1207, 311). Recording and transcript are therefore always
cut at the same pause, or the recording is refused.
"""

from __future__ import annotations

from pathlib import Path

from f5_pipeline.errors import InputError
from f5_pipeline.speech.alignment.renderings import Drafts
from f5_pipeline.speech.audio import recordings as audio
from f5_pipeline.speech.references.build import build_reference
from f5_pipeline.speech.references.checks import CheckOutcome, check_reference
from f5_pipeline.speech.references.choice import MAX_WHOLE_SECONDS, choose
from f5_pipeline.speech.references.cut import MAX_CUT_SECONDS, check_times
from f5_pipeline.speech.references.pauses import Activity
from f5_pipeline.speech.references.record import LEAD, TAIL, Reference, ReferenceMeasures, ReferenceRecord
from f5_pipeline.speech.references.words import Progress
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


def prepare_reference(
    recording: Path,
    transcript: Transcript | None,
    *,
    language: str,
    name: str,
    drafts: Drafts | None = None,
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
        on_progress: see `words.Progress`.

    Raises:
        InputError: the recording cannot be read, is silent or too short; there is no transcript; it does not belong to
            the recording; it has no times and cannot be aligned; or no run of it can be cut out at pauses.
    """
    recording = Path(recording)
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
    choice = choose(recording, transcript, activity, speech, language, drafts, file, on_progress)
    return build_reference(recording, info, activity, choice, language, name)
