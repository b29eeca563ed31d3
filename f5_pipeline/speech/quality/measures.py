"""Measures of a take, by which `gate` decides whether it is made again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from f5_pipeline.speech.audio import features
from f5_pipeline.speech.audio import recordings as audio
from f5_pipeline.speech.engine import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np

    from f5_pipeline.speech.alignment.forced import Alignment, AlignmentError
    from f5_pipeline.speech.alignment.renderings import Template

MAX_WINDOW = 4
"""Largest number of words in a row whose excess or lack of sound is summed up."""

DOUBTED = 3
"""Number of words in a row over which doubt is averaged."""

_HOP = features.HOP
_FLOOR = 0.1  # s
_LEAK = 1.0  # s of the reference's end that are searched for
_LEAK_PARTS = tuple(n / 10 for n in range(2, 11))  # s
_LEAK_DEPTH = 48.0  # dB below each band's loudest frame: lower bound
_LEAK_SURE = 0.4  # s: shorter parts may fit by chance and count less
_QUIET = -50.0  # dB below the draft's loudest frame: its pauses


class Measures(BaseModel):
    """Measures of a take, kept in its record. None: unknown, as the take could not be aligned with its text."""

    words: int = Field(description="words of the text, as the draft has them")
    seconds: float = Field(description="length of the take, s")
    failure: str | None = Field(default=None, description="why the take could not be aligned with its text")
    cost: float | None = Field(default=None, description="mean distance between take and draft along the alignment")
    margin: float | None = Field(
        default=None, description="how much better the text fits than other sounds, share of the cost"
    )
    doubt: float | None = Field(
        default=None, description=f"1 less the mean confidence of the {DOUBTED} words in a row that are least certain"
    )
    stretch: float | None = Field(
        default=None, description="RMS over the words of ln(length by the draft's), the take's median taken off"
    )
    extra: float | None = Field(
        default=None, description=f"most sound, s, that up to {MAX_WINDOW} words in a row have beyond the draft's"
    )
    missing: float | None = Field(
        default=None, description=f"most sound, s, that up to {MAX_WINDOW} words in a row lack against the draft's"
    )
    pace: float | None = Field(
        default=None, description="natural logarithm of the sound's seconds, pauses left out, by the expected ones"
    )
    pause: float = Field(description="longest silence inside the speech beyond the draft's at that place, s")
    head: float = Field(description="silence before the speech, s")
    tail: float = Field(description="silence after the speech, s")
    clipped: float = Field(description="share of samples in flat tops")
    level: float = Field(description="RMS of the speech, dBFS")
    step: float = Field(description="largest change of level inside that the draft has not, dB")
    floor: float = Field(description="level below which the take is for 0.1 s in all, against the speech, dB")
    flatness: float = Field(description="spectral flatness of the loud frames, 100 Hz to 8 kHz, dB: 0 is white noise")
    leak: float | None = Field(
        default=None, description="how much better the reference's end fits the take's start than the rest of it, ln"
    )


@dataclass(frozen=True)
class ReferenceTail:
    """The end of a reference's speech, to detect it at the start of a take. `features`: (n, features.BANDS)."""

    features: np.ndarray

    @classmethod
    def of(cls, samples: np.ndarray) -> ReferenceTail:
        """Args: samples: the reference, float32, shape (n,), SAMPLE_RATE Hz."""
        bounds = audio.loud_bounds(audio.frame_levels(samples)) or (0, 0)
        size = round(_HOP * SAMPLE_RATE)
        first = max(bounds[0], bounds[1] - round(_LEAK / _HOP))
        return cls(features.log_mel(samples[first * size : bounds[1] * size]))


def measure(
    samples: np.ndarray,
    template: Template,
    alignment: Alignment | AlignmentError,
    *,
    expected_seconds: float | None = None,
    reference: ReferenceTail | None = None,
) -> Measures:
    """Measure a take against the draft of its text.

    Args:
        samples: the take, float32, shape (n,), mono, SAMPLE_RATE Hz.
        template: the draft of its text.
        alignment: of the take with the template, or the error of aligning them.
        expected_seconds: of the speech, pauses included; None: unknown.
        reference: the end of the voice's reference; None: leaks are not measured.
    """
    import numpy as np

    samples = np.nan_to_num(np.asarray(samples, np.float32), posinf=1.0, neginf=-1.0)
    levels = audio.frame_levels(samples)
    threshold = audio.speech_threshold(levels)
    bounds = audio.loud_bounds(levels)
    seconds = len(samples) / SAMPLE_RATE
    aligned = None if isinstance(alignment, Exception) else alignment
    measured = {
        "words": len(template.tokens),
        "seconds": seconds,
        "failure": None if aligned is not None else getattr(alignment, "message", str(alignment)),
        "clipped": audio.clipping_share(samples),
    }
    if bounds is None:
        silent = audio.FLOOR_DBFS
        return _rounded(
            {**measured, "pause": 0.0, "head": seconds, "tail": seconds, "level": silent, "step": 0.0, "floor": 0.0}
            | {"flatness": 0.0, "failure": measured["failure"] or "there is only silence"}
        )
    inside = levels[bounds[0] : bounds[1]]
    sound = np.zeros(len(levels), bool)
    sound[bounds[0] : bounds[1]] = inside >= threshold
    power = 10 ** (levels / 10)
    level = 10 * math.log10(float(power[sound].mean()))
    measured |= {
        "head": bounds[0] * _HOP,
        "tail": max(0.0, seconds - bounds[1] * _HOP),
        "level": level,
        "floor": float(np.sort(levels)[: round(_FLOOR / _HOP)].max()) - level,
        "flatness": _flatness(samples, levels, bounds),
    }
    draft = _Draft.of(template)
    if expected_seconds and template.seconds > 0:
        articulated = draft.sound.sum() * _HOP * expected_seconds / template.seconds
        measured["pace"] = math.log(max(sound.sum() * _HOP, 1e-3) / max(articulated, 1e-3))
    if aligned is None or not aligned.tokens:
        measured |= {"pause": _longest(~sound[bounds[0] : bounds[1]]) * _HOP, "step": 0.0}
    else:
        measured |= _along(aligned, template, draft, levels, sound, bounds)
    if reference is not None:
        measured["leak"] = _leak(reference.features, _frames(samples, bounds, aligned))
    return _rounded(measured)


def _frames(samples: np.ndarray, bounds: tuple[int, int], alignment: Alignment | None) -> np.ndarray:
    """Log-mel of the frames within bounds: the alignment's where it found the same bounds."""
    size = round(_HOP * SAMPLE_RATE)
    if alignment is not None and alignment.frames is not None:
        start, end = (round(edge * SAMPLE_RATE) for edge in alignment.speech)
        if start == bounds[0] * size and end == min(bounds[1] * size, len(samples)):
            return alignment.frames
    return features.log_mel(samples[bounds[0] * size : bounds[1] * size])


def _rounded(measured: dict) -> Measures:
    return Measures.model_validate({name: round(x, 4) if isinstance(x, float) else x for name, x in measured.items()})


@dataclass(frozen=True)
class _Draft:
    """A template's frames: their level, dB, and whether there is sound in them."""

    level: np.ndarray
    sound: np.ndarray

    @classmethod
    def of(cls, template: Template) -> _Draft:
        import numpy as np

        if not len(template.features):
            return cls(np.zeros(0), np.zeros(0, bool))
        level = 10 * np.log10(np.exp(template.features.astype(np.float64)).sum(1))
        level = np.maximum(level, level.max() - 100)
        return cls(level, level >= level.max() + _QUIET)


def _longest(marked: np.ndarray) -> int:
    """Frames of the longest run."""
    return max((last - first for first, last in audio.loud_runs(marked, True)), default=0)


def _along(
    alignment: Alignment,
    template: Template,
    draft: _Draft,
    levels: np.ndarray,
    sound: np.ndarray,
    bounds: tuple[int, int],
) -> dict[str, float]:
    """The measures that follow from the word times: cost to missing sound, pause, step (see `Measures`)."""
    import numpy as np

    edges = np.array([[token.start, token.end] for token in alignment.tokens])  # (words, 2), s in the take
    draft_edges = np.array([[token.start, token.end] for token in template.tokens])  # (words, 2), s in the draft
    # Durations without silence, as pauses vary with the phrasing. A word includes the sound up to the next word, the
    # first one also that before it.
    lengths = _sound_of_words(edges, sound)
    draft_lengths = _sound_of_words(draft_edges, draft.sound)
    ratio = np.log(np.maximum(lengths, _HOP) / np.maximum(draft_lengths, _HOP))
    pace = _weighted_median(ratio, draft_lengths)
    excess = lengths - np.exp(pace) * draft_lengths
    weights = np.maximum(draft_edges[:, 1] - draft_edges[:, 0], _HOP)
    stretch = np.clip(alignment.stretch, -1.5, 1.5)
    confidence = np.array(alignment.confidence)
    row = np.ones(min(DOUBTED, len(weights)))
    sureness = np.convolve(confidence * weights, row, "valid") / np.convolve(weights, row, "valid")
    sums = np.concatenate([[0.0], np.cumsum(excess)])
    windows = [sums[n:] - sums[:-n] for n in range(1, min(MAX_WINDOW, len(excess)) + 1)]
    return {
        "cost": float(alignment.cost),
        "margin": float(alignment.margin),
        "doubt": 1 - float(sureness.min()),
        "stretch": float(np.sqrt((weights * stretch**2).sum() / weights.sum())),
        "extra": max(0.0, *(float(window.max()) for window in windows)),
        "missing": max(0.0, *(float(-window.min()) for window in windows)),
        "pause": _pause(edges, draft_edges, draft, sound, bounds),
        "step": _step(edges, draft_edges, draft, levels, sound),
    }


def _sound_of_words(edges: np.ndarray, sound: np.ndarray) -> np.ndarray:
    """Seconds of sound from the start of each word to that of the next, from edges (words, 2)."""
    import numpy as np

    elapsed = np.concatenate([[0.0], np.cumsum(sound) * _HOP])
    starts = np.interp(edges[1:, 0], np.arange(len(elapsed)) * _HOP, elapsed)
    return np.diff(np.concatenate([[0.0], starts, [sound.sum() * _HOP]]))


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    import numpy as np

    order = np.argsort(values)
    total = np.cumsum(np.maximum(weights[order], 1e-6))
    return float(values[order][np.searchsorted(total, total[-1] / 2)])


def _pause(
    edges: np.ndarray, draft_edges: np.ndarray, draft: _Draft, sound: np.ndarray, bounds: tuple[int, int]
) -> float:
    """Longest silence inside the speech less that of the draft around the same place, s."""
    import numpy as np

    times, draft_times = _map(edges, draft_edges)
    silent = ~sound
    silent[: bounds[0]] = silent[bounds[1] :] = False
    longest = 0.0
    for first, last in audio.loud_runs(silent, True):
        begin, end = np.interp([first * _HOP, last * _HOP], times, draft_times)
        around = draft.sound[max(0, round(begin / _HOP) - 15) : round(end / _HOP) + 15]
        longest = max(longest, (last - first) * _HOP - _longest(~around) * _HOP)
    return longest


def _map(edges: np.ndarray, draft_edges: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corresponding times of the take and of the draft, rising."""
    import numpy as np

    times = np.maximum.accumulate(edges.reshape(-1))
    return times + 1e-9 * np.arange(len(times)), np.maximum.accumulate(draft_edges.reshape(-1))


def _step(edges: np.ndarray, draft_edges: np.ndarray, draft: _Draft, levels: np.ndarray, sound: np.ndarray) -> float:
    """Largest difference of mean level, take less draft, between what is before and after a word's start, dB.

    Each side has at least a quarter of the sound, and 0.4 s.
    """
    import numpy as np

    times, draft_times = _map(edges, draft_edges)
    frames = np.flatnonzero(sound)
    mapped = np.interp((frames + 0.5) * _HOP, times, draft_times)
    index = np.clip((mapped / _HOP).astype(int), 0, len(draft.level) - 1)
    both = draft.sound[index]
    if both.sum() < 80:
        return 0.0
    gain = np.clip(levels[frames][both] - draft.level[index][both], -200, 200)
    count = len(gain)
    side = max(40, count // 4)
    if count < 2 * side:
        return 0.0
    total = np.cumsum(gain - np.median(gain))
    split = np.arange(side, count - side + 1)
    before = total[split - 1] / split
    after = (total[-1] - total[split - 1]) / (count - split)
    return float(np.abs(after - before).max())


def _flatness(samples: np.ndarray, levels: np.ndarray, bounds: tuple[int, int]) -> float:
    """Median spectral flatness of the louder half of the speech's frames, dB."""
    import numpy as np
    from scipy.fft import rfft

    inside = np.arange(bounds[0], bounds[1])
    loud = inside[levels[bounds[0] : bounds[1]] >= np.median(levels[bounds[0] : bounds[1]])]
    size, length = round(_HOP * SAMPLE_RATE), 1024
    padded = np.pad(samples, (length // 2, length))
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)[loud * size + size // 2]
    power = np.abs(np.asarray(rfft(frames * np.hanning(length).astype(np.float32), axis=1))) ** 2
    band = power[:, round(100 * length / SAMPLE_RATE) : round(8000 * length / SAMPLE_RATE)] + 1e-12
    return float(np.median(10 * np.log10(band).mean(1) - 10 * np.log10(band.mean(1))))


def _leak(tail: np.ndarray, spoken: np.ndarray) -> float:
    """How much better the end of the reference fits the start of the take than other positions, ln of distances.

    Each length of the end is compared at the start, and at the best-fitting tenth of the later positions.
    """
    import numpy as np

    if len(tail) < round(_LEAK_PARTS[0] / _HOP):
        return 0.0
    both = np.concatenate([tail, spoken])
    # Soft frames are room noise, which is never the same.
    both = np.maximum(both, both.max(0) - _LEAK_DEPTH * math.log(10) / 10)
    both = (both - both.mean(0)) / (both.std(0) + 1e-3)
    tail, spoken = both[: len(tail)], both[len(tail) :]
    lengths = [round(part / _HOP) for part in _LEAK_PARTS]
    lengths = [length for length in lengths if length <= len(tail) and 2 * length <= len(spoken)]
    best = 0.0
    for length, distances in zip(lengths, _distances(tail, spoken, lengths), strict=True):
        head, others = distances[: max(4, length // 6)], distances[length:]
        if len(others):
            fit = math.log(max(float(np.percentile(others, 10)), 1e-6) / max(float(head.min()), 1e-6))
            best = max(best, fit * math.sqrt(min(length * _HOP / _LEAK_SURE, 1.0)))
    return best


def _distances(tail: np.ndarray, spoken: np.ndarray, lengths: Sequence[int]) -> Iterator[np.ndarray]:
    """For each length, rising: mean distance of so many last frames of the tail at each position where they fit."""
    import numpy as np

    from f5_pipeline.speech.audio import kernels

    apart = kernels.distances(tail, spoken)
    total = np.zeros(len(spoken))  # by the frame of the speech beside the tail's last one
    done = 0
    for length in lengths:
        for back in range(done, length):
            total[back:] += apart[-1 - back, : len(spoken) - back]
        done = length
        yield total[length - 1 :] / length
