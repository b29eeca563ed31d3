"""The quality gate: which takes are made again.

A take is judged by its measures against the band of its voice, the usual range of the voice's takes. The band starts as
a prior from speech that is known to be good, and moves to the voice's own median and spread. Some limits hold for all
voices. The gate judges whether the text was spoken completely and cleanly, not whether it was spoken well.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

from f5_pipeline.speech.listening.listener import Hearing
from f5_pipeline.speech.quality import verdict
from f5_pipeline.speech.quality.measures import Measures, ReferenceTail, measure

if TYPE_CHECKING:
    import numpy as np

__all__ = ["PRIOR", "Band", "Measures", "ReferenceTail", "Usual", "Verdict", "band_of", "judge", "measure"]

MAX_DEVIATION = 3.5
"""Deviation of one measure from the band's middle, in spreads, above which it fails a take alone."""

MAX_SCORE = 5.0
"""Root of the sum of squares of all deviations, in spreads, above which they fail a take together."""

# Limits for all voices.
MAX_SILENCE_SECONDS = 1.5  # s
MAX_CLIPPED_SHARE = 0.01  # share of samples
MAX_FLOOR_DB = -8.0  # dB; good takes stay below -13
MAX_FLATNESS_DB = -10.0  # dB; good takes stay below -20
MIN_MARGIN = 0.05  # good takes have 0.09 and more, another text -0.1 to 0.13
IN_DOUBT = 0.05
"""Probability of a fault, by the measures alone, from which a take is listened to."""

MIN_SIMILARITY = 0.55
"""With the voice's reference; people have 0.71 and more with themselves, 0.39 to 0.72 with others."""

_FEW_WORDS = 2  # up to so many words, margin and pace vary too much
_TELLING = 0.2
"""Share in a verdict from which something is told as its reason."""

_HARD = 100.0  # added to the score for each broken limit
_PRIOR_TAKES = 10.0  # weight of the prior's spread, in takes

Side = Literal["high", "low", "both"]


@dataclass(frozen=True)
class Kind:
    """How a measure is judged.

    Attributes:
        side: on which values are bad.
        middle, within, between: of good takes: median over voices, spread in a voice, spread of the voices' medians.
        short: words below which the spread grows: by sqrt(1 + (short / words) ** 2).
        offset: added before taking the logarithm, for measures that cannot be negative; None: no logarithm.
        sentence: the fault, for people; {} is the value.
        factor: whether value and bound, which are logarithms, are shown as factors.
    """

    side: Side
    middle: float
    within: float
    between: float
    short: float
    offset: float | None
    sentence: str
    factor: bool = False

    def of(self, value: float) -> float:
        return value if self.offset is None else math.log(max(value, 0.0) + self.offset)

    def back(self, value: float) -> float:
        return value if self.offset is None else max(math.exp(value) - self.offset, 0.0)


# Between the values of draft voices and of people (`python -m benchmarks.quality --fit`), nearer to people.
KINDS: dict[str, Kind] = {
    "cost": Kind("high", 0.62, 0.02, 0.04, 14, None, "The sound is {:.2f} from that of the text"),
    "margin": Kind("low", 0.21, 0.028, 0.04, 5, None, "The sound fits the text hardly better than any other: {:.2f}"),
    "doubt": Kind("high", 0.25, 0.1, 0.15, 3, None, "Words are hard to find in the sound: doubt {:.2f}"),
    "stretch": Kind("high", -1.5, 0.18, 0.35, 3, 0.02, "The words' lengths are off by {:.2f}"),
    "extra": Kind("high", -1.0, 0.25, 0.4, 1, 0.1, "There is {:.2f} s of sound too much in one place"),
    "missing": Kind("high", -1.75, 0.3, 0.35, 1, 0.05, "There is {:.2f} s of sound too little in one place"),
    "pace": Kind("both", 0.0, 0.04, 0.06, 10, None, "The speech lasts {:.2f} times as long as expected", True),
    "pause": Kind("high", -1.9, 0.4, 0.35, 1, 0.1, "There is a silence {:.2f} s longer than the text has"),
    "level": Kind("both", -21, 1.3, 4, 2, None, "The level is {:.1f} dBFS"),
    "step": Kind("high", 1.2, 0.3, 0.5, 3, 1.0, "The level changes inside by {:.1f} dB"),
    "floor": Kind("high", -48, 4, 12, 1, None, "The noise lies at {:.0f} dB from the speech"),
    "flatness": Kind("high", -27.5, 1.2, 5.5, 3, None, "The sound is noisy: flatness {:.1f} dB"),
    "leak": Kind("high", 0.08, 0.12, 0.05, 1, None, "It begins like the end of the reference: {:.2f}"),
}
"""How each measure is judged, by its name in `Measures`."""

_FROM_REFERENCE = ("cost", "margin", "doubt", "stretch", "extra", "missing")


class Usual(BaseModel):
    """Usual range of a measure in a voice, on the scale of its `Kind`."""

    middle: float
    spread: float = Field(description="of takes of a voice around its middle, standard deviation of the bulk")
    doubt: float = Field(description="standard deviation of the middle itself, its uncertainty")


class Band(BaseModel):
    """Usual ranges of all measures in a voice."""

    usual: dict[str, Usual]
    takes: int = Field(description="number of takes it was learnt from; 0: the prior")

    def of(self, name: str) -> Usual:
        """The usual range of a measure; the prior's where the band is older than the measure."""
        return self.usual.get(name) or PRIOR.usual[name]


class Verdict(BaseModel):
    """Whether a take passes.

    `score` is the root of the sum of squares of the deviations to the bad side, in spreads, plus a penalty for each
    broken limit. Lower is better; comparable between the takes of one chunk under one band.
    """

    passed: bool
    score: float
    reasons: list[str] = []


def _prior() -> Band:
    return Band(
        usual={name: Usual(middle=kind.middle, spread=kind.within, doubt=kind.between) for name, kind in KINDS.items()},
        takes=0,
    )


PRIOR = _prior()
"""The band of a voice without any measured take."""


def band_of(takes: Iterable[Measures], prior: Band = PRIOR, *, reference: Measures | None = None) -> Band:
    """The band of a voice from its takes, whatever their texts; a fifth of them may be faulty.

    Median and MAD, each shrunk to the prior: the median has the weight n / (n + k), where k is the variance within a
    voice divided by that between voices (empirical Bayes); the prior's spread counts as ten takes. Takes of few words
    count less, as they scatter more.

    Args:
        takes: first attempts only, as retakes would count difficult texts twice; those not aligned are ignored.
        reference: the reference's own recording, measured against its own text; counts as one more take.
    """
    import numpy as np

    aligned = [take for take in takes if take.failure is None]
    usual: dict[str, Usual] = {}
    for name, kind in KINDS.items():
        before = prior.of(name)
        own = aligned if reference is None or name not in _FROM_REFERENCE else [reference, *aligned]
        measured = [(getattr(take, name), take.words) for take in own]
        judged = [(kind.of(value), _scatter(kind, words)) for value, words in measured if value is not None]
        if not judged:
            usual[name] = before
            continue
        values, scatter = (np.array(column) for column in zip(*judged, strict=True))
        weights = scatter**-2
        count = 0.64 * float(weights.sum())  # 0.64: the efficiency of a median
        k = (before.spread / max(before.doubt, 1e-6)) ** 2
        middle = (count * _median(values, weights) + k * before.middle) / (count + k)
        deviation = 1.4826 * _median(np.abs(values - _median(values, weights)) / scatter, weights)
        spread = (_PRIOR_TAKES * before.spread**2 + count * deviation**2) / (_PRIOR_TAKES + count)
        usual[name] = Usual(
            middle=round(middle, 5),
            spread=round(max(math.sqrt(spread), 0.5 * kind.within), 5),
            doubt=round(before.doubt * math.sqrt(k / (count + k)), 5),
        )
    return Band(usual=usual, takes=len(aligned))


def _median(values: np.ndarray, weights: np.ndarray) -> float:
    """Weighted median: where half of the weight is on either side."""
    import numpy as np

    order = np.argsort(values)
    total = np.cumsum(weights[order])
    return float(np.interp(total[-1] / 2, total - weights[order] / 2, values[order]))


def _scatter(kind: Kind, words: int) -> float:
    """Factor of the spread for a take of so many words."""
    return math.hypot(1.0, kind.short / max(words, 1))


def judge(measures: Measures, band: Band = PRIOR, hearing: Hearing | None = None) -> Verdict:
    """Judge a take against the band of its voice, and by what is heard in it.

    Heard, it fails where a fault is more likely than not, by measures and hearing together (see `verdict`), or where a
    limit for all voices is broken; its score is then MAX_SCORE plus the logarithm of the odds.

    Of good takes 0 of 240 fail in draft voices and 2 of 24 in recordings of people (see benchmarks/README.md). A take
    that is not aligned always fails.
    """
    reasons = _limit_faults(measures)
    score = _HARD * len(reasons)
    if hearing is not None and not measures.failure:
        return _judge_heard(measures, band, hearing, reasons)
    worst_first = sorted(deviations(measures, band).items(), key=lambda item: -item[1])
    total = math.hypot(*(z for _, z in worst_first))
    beyond = [name for name, z in worst_first if z > MAX_DEVIATION]
    if not beyond and total > MAX_SCORE:
        sentences = " ".join(_sentence(name, measures, band) for name, _ in worst_first[:3])
        reasons.append(f"Nothing is out of bounds alone, but too much is near them: {sentences}")
    reasons += [_sentence(name, measures, band) for name in beyond]
    return Verdict(passed=not reasons, score=round(score + total, 3), reasons=reasons)


def _judge_heard(measures: Measures, band: Band, hearing: Hearing, limits: list[str]) -> Verdict:
    model = verdict.models().of(hearing)
    features = verdict.features(deviations(measures, band), hearing)
    odds = model.log_odds(features)
    if hearing.similarity is not None and hearing.similarity < MIN_SIMILARITY:
        limits.append(f"It sounds like another speaker: likeness {hearing.similarity:.2f}.")
    reasons = list(limits)
    if odds > 0:
        shares = model.shares(features)
        telling = [cause for name, cause in model.causes.items() if shares[name] > _TELLING]
        parts = {name: part for cause in telling for name, part in cause.parts(features).items() if part > 0}
        if shares["words"] > _TELLING:
            reasons += hearing.sentences()
        worst_first = sorted(parts, key=lambda name: -parts[name])
        for name in worst_first[:3]:
            if name == "uncertain":
                reasons.append(f"It is hard to understand; what is heard is {hearing.text!r}.")
            elif name in KINDS and parts[name] > _TELLING * parts[worst_first[0]]:
                reasons.append(_sentence(name, measures, band))
    score = _HARD * len(limits) + max(0.0, MAX_SCORE + odds)
    return Verdict(passed=not limits and odds <= 0, score=round(score, 3), reasons=reasons)


def fault_probability(measures: Measures, band: Band = PRIOR, hearing: Hearing | None = None) -> float:
    """The probability that a take is faulty, by its measures and, where it was listened to, by what is heard; 1 where
    a limit for all voices is broken."""
    if _limit_faults(measures):
        return 1.0
    return verdict.probability(
        verdict.models().of(hearing).log_odds(verdict.features(deviations(measures, band), hearing))
    )


def in_doubt(measures: Measures, band: Band = PRIOR) -> bool:
    """Whether a take is worth listening to, by its measures: it fails, or is not clearly free of faults."""
    if measures.failure or not judge(measures, band).passed:
        return True
    return fault_probability(measures, band) > IN_DOUBT


def deviations(measures: Measures, band: Band) -> dict[str, float]:
    """By measure: spreads beyond the middle of the band on the bad side; 0 on the good side."""
    spreads = {}
    for name, kind in KINDS.items():
        value = getattr(measures, name)
        if value is None:
            continue
        usual = band.of(name)
        z = (kind.of(value) - usual.middle) / _width(kind, usual, measures.words)
        spreads[name] = max(0.0, {"high": z, "low": -z, "both": abs(z)}[kind.side])
    return spreads


def _width(kind: Kind, usual: Usual, words: int) -> float:
    return math.hypot(usual.spread * _scatter(kind, words), usual.doubt)


def _limit_faults(measures: Measures) -> list[str]:
    """Faults by the limits for all voices."""
    if measures.failure:
        return [f"The take cannot be aligned with its text: {measures.failure}."]
    faults = []
    if measures.clipped > MAX_CLIPPED_SHARE:
        faults.append(f"{100 * measures.clipped:.1f} % of the samples are clipped.")
    for value, where in ((measures.pause, "inside"), (measures.head, "before"), (measures.tail, "after")):
        if value > MAX_SILENCE_SECONDS:
            faults.append(f"There are {value:.1f} s of silence {where} the speech.")
    if measures.floor > MAX_FLOOR_DB or measures.flatness > MAX_FLATNESS_DB:
        faults.append(f"It is noise: {measures.floor:.0f} dB from the speech, flatness {measures.flatness:.0f} dB.")
    if measures.margin is not None and measures.margin < MIN_MARGIN and measures.words > _FEW_WORDS:
        faults.append(f"It is not this text: the sound fits it {100 * measures.margin:.0f} % better than any other.")
    if measures.pace is not None and abs(measures.pace) > math.log(4 if measures.words <= _FEW_WORDS else 2):
        faults.append(f"The speech lasts {math.exp(measures.pace):.2f} times as long as expected.")
    return faults


def _sentence(name: str, measures: Measures, band: Band) -> str:
    """For example: "The level is -31.2 dBFS (this voice: from -26.0)."."""
    kind, usual = KINDS[name], band.of(name)
    value = getattr(measures, name)
    above = kind.of(value) > usual.middle
    width = MAX_DEVIATION * _width(kind, usual, measures.words)
    bound = kind.back(usual.middle + width if above else usual.middle - width)
    if kind.factor:
        value, bound = math.exp(value), math.exp(bound)
    form = kind.sentence[kind.sentence.index("{") : kind.sentence.index("}") + 1]
    return f"{kind.sentence.format(value)} (this voice: {'up to' if above else 'from'} {form.format(bound)})."
