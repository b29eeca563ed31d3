"""Word times for a transcript without times, by forced alignment with the recording."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from f5_pipeline.errors import InputError
from f5_pipeline.speech.alignment.forced import AlignmentError
from f5_pipeline.speech.alignment.long import align_long
from f5_pipeline.speech.alignment.renderings import Drafts, NoDraft
from f5_pipeline.speech.audio import recordings as audio
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.transcripts.reader import TimedText, Transcript, TranscriptSegment

if TYPE_CHECKING:
    import numpy as np

_BLOCK = 60.0  # s decoded at a time
TIMES_HINT = "Give its transcript with times (SRT, VTT, CSV or Whisper JSON), or cut the recording to 10 s of speech."

Progress = Callable[[str, int, int], None]
"""Called with the progress of long work: unit (for example "s of audio aligned"), done, total."""


def time_words(
    recording: Path,
    seconds: float,
    channel: int | None,
    transcript: Transcript,
    language: str,
    drafts: Drafts,
    on_progress: Progress = lambda unit, done, total: None,
) -> Transcript:
    """The transcript with the times of its words, in one segment.

    Args:
        seconds: duration of the recording.
        channel: to use; None: the mean of all.
        language: BCP 47 tag.

    Raises:
        InputError: the transcript does not belong to the recording, or its language cannot be aligned.

    Memory: the samples lie in a temporary file, 96 kB a second.
    """
    text = transcript.text
    try:
        drafts.check_language(language)
        on_progress("s of audio aligned", 0, round(seconds))
        with _samples(recording, seconds, channel) as samples:
            tokens = align_long(samples, text, language, drafts)
        on_progress("s of audio aligned", round(seconds), round(seconds))
    except NoDraft as error:
        raise InputError(
            f"its words cannot be timed in this language: {error.message}",
            file=transcript.name or recording.name,
            hint=f"{error.hint or ''} {TIMES_HINT}".strip(),
        ) from error
    except AlignmentError as error:
        raise InputError(
            f"the transcript cannot be aligned with the recording: {error.message}",
            file=transcript.name or recording.name,
            place=error.place,
            hint=f"Check that it says what is heard there. {TIMES_HINT}",
        ) from error
    words: list[TimedText] = []
    begins = [0, *(token.start_char for token in tokens[1:]), len(text)]
    for token, begin, end in zip(tokens, begins, begins[1:], strict=False):
        piece = text[begin:end]
        written = piece.strip()
        words.append(TimedText(text=written, start=token.start, end=token.end, space=piece[len(piece.rstrip()) :]))
    segment = TranscriptSegment(text=text, start=words[0].start, end=words[-1].end, words=words)
    return transcript.model_copy(update={"segments": [segment]})


@contextmanager
def _samples(recording: Path, seconds: float, channel: int | None) -> Iterator[np.ndarray]:
    """A recording as float32 mono at SAMPLE_RATE, mapped from a temporary file."""
    import numpy as np

    with tempfile.TemporaryFile() as file:
        at = 0.0
        while at < seconds:
            block = audio.read_mono(recording, SAMPLE_RATE, at, min(at + _BLOCK, seconds), channel)
            # Blocks are resampled separately; without exact lengths, deviations of a sample would add up.
            length = round(min(_BLOCK, seconds - at) * SAMPLE_RATE)
            block = np.pad(block[:length], (0, max(0, length - len(block))))
            file.write(block.astype(np.float32).tobytes())
            at += _BLOCK
        file.flush()
        yield np.memmap(file, np.float32, "r")
