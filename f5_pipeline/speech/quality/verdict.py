"""The probability that a take is faulty, from its measures and what a listener hears: logistic models, joined by a
noisy or (Pearl, "Probabilistic Reasoning in Intelligent Systems", 1988, 4.3.2).

Their coefficients, all of the sign that a fault has, are fitted together on speech whose truth is known, of
synthesizers and of people (`python -m benchmarks.listening --fit`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, Field

from f5_pipeline.speech.listening.listener import Hearing

FAULTY = 0.2
"""Share of takes that are taken to be faulty before anything is measured or heard."""

OTHER = "whisper"
"""Family of recognisers that name none."""

MAX_DEVIATION = 8.0
"""Deviations count up to so many spreads."""

SAME_SPEAKER = 0.75
"""Similarity from which a take sounds like its reference."""

_SURE_GAIN = 4.0
_NEVER_TWICE = -7.0  # gain of a word said once, said twice
_OFTEN_LIKELY = -2.0  # `Hearing.weakest` and `unheard` of what is said as written are often above these
_OFTEN_HEARD = 4.0
_SIMILARITY_SPREAD = 0.1


class Logistic(BaseModel):
    """A logistic model; weights by feature."""

    intercept: float
    weights: dict[str, float]

    def parts(self, features: Mapping[str, float]) -> dict[str, float]:
        """What each feature adds to the logarithm of the odds."""
        return {name: self.weights.get(name, 0.0) * value for name, value in features.items()}

    def log_odds(self, features: Mapping[str, float]) -> float:
        return self.intercept + sum(self.parts(features).values())


class NoisyOr(BaseModel):
    """A take is faulty where one of its causes says so, each by a logistic model: the sound by its measures, the words
    by what is heard. What is a little unusual in the sound then says nothing of the words."""

    causes: dict[str, Logistic]

    def log_odds(self, features: Mapping[str, float]) -> float:
        """Logarithm of the odds of a fault, of which FAULTY of all takes have one."""
        none = sum(self._evidence(features).values())  # -log of the probability that no cause says so
        return none + math.log(max(-math.expm1(-none), 1e-300)) + math.log(FAULTY / (1 - FAULTY))

    def shares(self, features: Mapping[str, float]) -> dict[str, float]:
        """How much each cause adds to the verdict, of 1."""
        evidence = self._evidence(features)
        return {name: value / sum(evidence.values()) for name, value in evidence.items()}

    def _evidence(self, features: Mapping[str, float]) -> dict[str, float]:
        return {name: _softplus(cause.log_odds(features)) for name, cause in self.causes.items()}


class Models(BaseModel):
    """The models, and what they were fitted on: as many faulty takes as good ones."""

    measures: NoisyOr = Field(description="of measures alone")
    heard: dict[str, NoisyOr] = Field(description="of measures and what is heard, by the recogniser's family")
    fitted: dict[str, str] = {}

    def of(self, hearing: Hearing | None) -> NoisyOr:
        """The model that judges with what was heard, or without."""
        if hearing is None:
            return self.measures
        return next((model for family, model in self.heard.items() if hearing.by.startswith(family)), self.heard[OTHER])


@lru_cache(1)
def models() -> Models:
    return Models.model_validate(json.loads(Path(__file__).with_name("verdict.json").read_text(encoding="utf-8")))


def features(deviations: Mapping[str, float], hearing: Hearing | None = None) -> dict[str, float]:
    """Features of a take, each 0 where nothing is wrong and rising with what is.

    Args:
        deviations: of the measures, in spreads, see `gate.deviations`.
    """
    values = {name: min(value, MAX_DEVIATION) for name, value in deviations.items()}
    if hearing is None:
        return values
    heard = hearing.differences
    counts = {kind: sum(len(run.split()) for run in getattr(heard, kind)) for kind in ("missing", "added", "repeated")}
    counts["changed"] = len(heard.changed)
    values |= {
        f"heard_{kind}": math.log1p(max(gain, 0.0)) * math.log2(1 + counts[kind])
        for kind, gain in hearing.gains.items()
    }
    # How much is heard otherwise, as far as it is surely heard.
    trust = max(hearing.gain, 0.0) / (max(hearing.gain, 0.0) + _SURE_GAIN)
    values |= {
        "heard_rate": trust * min(heard.error_rate, 1.0),
        "heard_errors": trust * math.log1p(heard.errors),
        "heard_far": trust * math.log1p(heard.distance),
        "heard_twice": math.log1p(max((hearing.doubled or _NEVER_TWICE) - _NEVER_TWICE, 0.0)),
        "uncertain": min(-hearing.certainty, 2.0),
    }
    if hearing.weakest is not None and hearing.unheard is not None:
        values["heard_unlikely"] = max(_OFTEN_LIKELY - hearing.weakest, 0.0)
        values["heard_otherwise"] = max(_OFTEN_HEARD - hearing.unheard, 0.0)
    if hearing.similarity is not None:
        values["stranger"] = max(0.0, SAME_SPEAKER - hearing.similarity) / _SIMILARITY_SPREAD
    return values


def _softplus(value: float) -> float:
    return max(value, 0.0) + math.log1p(math.exp(-abs(value)))


def probability(log_odds: float) -> float:
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, log_odds))))
