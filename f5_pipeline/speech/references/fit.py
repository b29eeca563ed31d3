"""Check by forced alignment that a part of a recording says exactly its text.

Missing words are squeezed to nothing and extra words stretch their neighbours: both lower the aligner's confidence. At
the ends, where a cut at a wrong pause adds or removes words, the text is also compared with variants that have some
words more or less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from f5_pipeline.speech.alignment.forced import AlignmentError, align
from f5_pipeline.speech.alignment.renderings import Drafts, NoDraft
from f5_pipeline.speech.audio import recordings as audio
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.engines.draft.times import spoken_units
from f5_pipeline.speech.references.checks import CONFIDENCE_WARN, WEAKEST_WARN
from f5_pipeline.speech.references.cut import Run
from f5_pipeline.speech.references.pauses import PAUSE, Activity
from f5_pipeline.speech.text.endings import FINAL
from f5_pipeline.speech.transcripts.reader import join_texts

MIN_CONFIDENCE, MIN_WORD_CONFIDENCE = 0.5, 0.3
"""Confidence from which a text counts as spoken: on average, and of its weakest word.

Of 108 sentences by 3 draft voices in 6 languages, with noise 45, 25 and 12 dB below the speech, the right text has 0.80
to 1.00 and its weakest word 0.54 to 1.00, another text 0.01 to 0.54 (95 in 100 below 0.29) and 0.00 to 0.14. F5-TTS's
own English and Chinese example, a person each, have 0.78 and 0.73, weakest 0.73 and 0.63; with another text 0.14 and
0.27."""

# Least gain of the score where a word more or less is right: the median is 0.02, 9 in 10 gain more than this. Where it
# is wrong the score falls in 98 of 100.
_MIN_GAIN = 0.005
_MAX_EXTRA_WORDS = 3  # more or less, tried at each end
_MAX_TRIES = 24  # runs tried before a transcript is given up
_MIN_WHOLE_SECONDS = 4.0  # least of a run that ends with a sentence to be taken for a better one that does not
_MAX_CUE_ERROR = 1.5  # s by which a cue's times may be wrong


@dataclass(frozen=True)
class Fit:
    """How well a text fits a sound.

    Attributes:
        confidence: mean confidence of the words, reduced by the share of the sound outside all words; 0 to 1.
        weakest: confidence of the word that fits worst.
        score: to compare texts of one sound: the aligner's margin, reduced likewise, less a penalty for uneven
            stretching of the words.
    """

    confidence: float
    weakest: float
    score: float

    @property
    def good(self) -> bool:
        """Whether the whole text counts as spoken."""
        return self.confidence >= MIN_CONFIDENCE and self.weakest >= MIN_WORD_CONFIDENCE

    @property
    def passable(self) -> bool:
        """Whether no check of a reference doubts the text."""
        return self.confidence >= CONFIDENCE_WARN and self.weakest >= WEAKEST_WARN


class Fitting:
    """Measures how well texts fit parts of one recording.

    Args:
        activity: of the recording.
        language: BCP 47 tag.
    """

    def __init__(self, recording: Path, activity: Activity, language: str, drafts: Drafts) -> None:
        drafts.check_language(language)
        self._recording, self._activity, self._language, self._drafts = recording, activity, language, drafts

    def fit(self, start: float, end: float, text: str) -> Fit:
        """How well a text fits the part from `start` to `end`, s; the worst Fit where it cannot be aligned."""
        import numpy as np

        samples = audio.read_mono(self._recording, SAMPLE_RATE, start, end, self._activity.levels.channel)
        try:
            alignment = align(samples, self._drafts.template(text, self._language))
        except (AlignmentError, NoDraft):
            return Fit(0.0, 0.0, -1.0)
        edges = [0.0, *(edge for token in alignment.tokens for edge in (token.start, token.end)), end - start]
        outside = zip(edges[::2], edges[1::2], strict=True)
        unexplained = sum(self._activity.loud_seconds(start + first, start + last) for first, last in outside)
        explained = max(0.0, 1 - unexplained / max(self._activity.loud_seconds(start, end), audio.HOP))
        uneven = float(np.sqrt(np.mean(np.square(alignment.stretch))))
        return Fit(
            float(np.mean(alignment.confidence)) * explained,
            min(alignment.confidence),
            alignment.margin * explained - 0.1 * uneven,
        )

    def exact(self, run: Run, fit: Fit) -> bool:
        """Whether no variant of a run's text with some words more or less at its ends fits its sound better."""
        return all(self.fit(run.start, run.end, other).score <= fit.score + _MIN_GAIN for other in _variants(run))

    def adjusted(self, run: Run, fit: Fit) -> tuple[Run, Fit]:
        """A run of cues, its ends moved to the nearby pauses that fit its text best.

        Cues are timed by hand or by reading speed: a pause within a sentence may be nearer to their times than the
        one at its end.
        """
        best, best_fit = run, fit
        for edge in ("start", "end"):
            for pause in self._activity.pauses_between(
                getattr(run, edge) - _MAX_CUE_ERROR, getattr(run, edge) + _MAX_CUE_ERROR
            ):
                moved = replace(best, **{edge: pause.end if edge == "start" else pause.start})
                if pause.end - pause.start < PAUSE - 1e-9 or moved in (best, run) or moved.end - moved.start < 1.0:
                    continue
                other = self.fit(moved.start, moved.end, moved.text)
                if other.score > best_fit.score + _MIN_GAIN:
                    best, best_fit = moved, other
        return best, best_fit


def fitting_run(runs: Sequence[Run], fitting: Fitting, longest: float) -> tuple[Run, Fit, bool]:
    """The first of the runs, best first, whose text matches its sound exactly.

    One that does not end with a sentence is taken only where no other does and is at least passable: the match of a
    part proves that the transcript belongs to the recording.

    Args:
        runs: at least one.
        longest: maximum duration of a run, s.

    Returns:
        The run (with adjusted ends if they were those of cues), how its text fits, and True; or, where none matches,
        the unchanged run that fits best, its fit, and False.
    """
    tried: list[Run] = []
    doubtful: list[tuple[float, Run, Fit]] = []
    part: tuple[Run, Fit, bool] | None = None  # the first that matches and is not whole
    passable: tuple[Run, Fit, bool] | None = None  # the first that is whole, and passable only
    for run in runs:
        if len(tried) == _MAX_TRIES or (part and passable):
            break
        if part and not (run.whole and run.end - run.start >= _MIN_WHOLE_SECONDS):
            continue
        if any(_alike(run, other) for other in tried):
            continue
        fit = fitting.fit(run.start, run.end, run.text)
        adjusted, better = fitting.adjusted(run, fit) if run.cues else (run, fit)
        is_wanted = better.good or (run.whole and better.passable and not passable)
        if is_wanted and adjusted.end - adjusted.start <= longest and fitting.exact(adjusted, better):
            if better.good and run.whole:
                return adjusted, better, True
            if better.good:
                part = adjusted, better, True
            else:
                passable = adjusted, better, True
        tried.append(run)
        doubtful.append((fit.confidence + fit.weakest, run, fit))
    if part:
        return passable or part
    _, run, fit = max(doubtful, key=lambda candidate: candidate[0])
    return run, fit, False


def _alike(run: Run, other: Run) -> bool:
    """Whether two runs are nearly the same, with both ends within a second, so that they share their faults."""
    return abs(run.start - other.start) + abs(run.end - other.end) < 1.0


def _variants(run: Run) -> list[str]:
    """Variants of a run's text with up to three words more or less at one of its ends."""
    inside, before, after = spoken_units(run.text), spoken_units(run.before), spoken_units(run.after)
    # The final mark would make a pause.
    open_end = run.text.rstrip("".join(FINAL))
    texts: list[str] = []
    for count in range(1, _MAX_EXTRA_WORDS + 1):
        if count <= len(before):
            texts.append(join_texts((run.before[before[-count][0] :], run.text)))
        if count <= len(after):
            texts.append(join_texts((open_end, run.after[: after[count - 1][1]])))
        if len(inside) > 2 * count:
            texts += [run.text[inside[count][0] :], run.text[: inside[-count - 1][1]]]
    return texts
