"""Forced alignment: word times of a take, by warping it onto a draft of the same text.

The draft's word times are exact; dynamic time warping of log-mel frames transfers them to the take. This works in every
language of the draft engine and needs no model.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from f5_pipeline.errors import InputError
from f5_pipeline.speech.alignment.warping import warped
from f5_pipeline.speech.audio import features
from f5_pipeline.speech.audio import recordings as audio
from f5_pipeline.speech.engine import SAMPLE_RATE, Token
from f5_pipeline.speech.engines.draft.times import spoken_units
from f5_pipeline.speech.text.duration import expected_seconds

if TYPE_CHECKING:
    import numpy as np

    from f5_pipeline.speech.alignment.renderings import Template

MIN_RELATED_MARGIN = 0.08
"""Margin below which the sound may be of another text. Clean draft voices have about 0.3 with their own and 0.03
with another, the two human recordings at hand 0.2 and 0.07; noise takes some of it, to 0.18 at 10 dB and 0.1 at 0 dB.
"""

_BLOCK = 10 * SAMPLE_RATE  # samples that are measured at a time


class AlignmentError(InputError):
    """A text cannot be aligned with a sound."""


@dataclass(frozen=True)
class Alignment:
    """Word times of a take.

    Attributes:
        tokens: in order, without overlap, s in the take.
        confidence: 0 to 1, one a token: the chance that its edges are within 50 ms.
        cost: mean distance of the frames from the draft's: 0 for the same sound, about 1 for unrelated frames; 0 where
            nothing was compared.
        stretch: natural logarithm of each token's duration relative to the draft's, less the median.
        speech: start of the first and end of the last sound, s.
        method: "dtw", or "proportional".
        margin: how much better the draft fits than the reversed draft, as a share of the cost (see
            MIN_RELATED_MARGIN); 0 where nothing was compared.
        frames: float32, shape (n, features.BANDS): `features.log_mel` of the take's `speech`; None where nothing was
            compared.
    """

    tokens: list[Token]
    confidence: list[float]
    cost: float
    stretch: list[float]
    speech: tuple[float, float]
    method: str = "dtw"
    margin: float = 0.0
    frames: np.ndarray | None = field(default=None, repr=False, compare=False)


def align(samples: np.ndarray, template: Template) -> Alignment:
    """Time the words of a take.

    Args:
        samples: float32, shape (n,), mono, SAMPLE_RATE Hz.
        template: the draft of its text, see `renderings.Drafts.template`.

    Raises:
        AlignmentError: the take is silent or has NaN or infinite samples, or the draft has no words.
    """
    if not template.tokens:
        raise AlignmentError("the draft has no word with a time")
    speech = speech_of(samples)
    take = features.log_mel(samples[round(speech[0] * SAMPLE_RATE) : round(speech[1] * SAMPLE_RATE)])
    warp = warped(take, template.features, template.tokens, features.HOP)
    tokens: list[Token] = []
    previous = speech[0]
    for token, (start, end) in zip(template.tokens, warp.edges, strict=True):
        start = min(max(start + speech[0], previous), speech[1])
        end = previous = min(max(end + speech[0], start), speech[1])
        tokens.append(replace(token, start=start, end=end))
    stretch = _stretch(tokens, template.tokens)
    length = len(template.features) * features.HOP
    turned = [Token(0, 0, max(length - token.end, 0.0), length - token.start) for token in reversed(template.tokens)]
    unrelated = warped(take, template.features[::-1], turned, features.HOP).cost
    margin, *own = (1 - cost / max(unrelated, 1e-6) for cost in (warp.cost, *warp.costs))
    confidence = _confidence(own, margin, stretch)
    return Alignment(tokens, confidence, warp.cost, stretch, speech, margin=margin, frames=take)


def proportional(text: str, samples: np.ndarray, language: str) -> Alignment:
    """Last resort: spread the words of `text` over the sound by their expected durations.

    Confidence is low: the median error of starts is a tenth of a second, a second in bad cases.

    Raises:
        AlignmentError: the sound is silent, or there is no word in the text.
    """
    units = spoken_units(text)
    if not units:
        raise AlignmentError("there is no word in the text")
    speech = speech_of(samples)
    weights = [max(expected_seconds(text[start:end], language), 0.01) for start, end in units]
    scale = (speech[1] - speech[0]) / sum(weights)
    tokens, done = [], speech[0]
    for (start, end), weight in zip(units, weights, strict=True):
        following = min(done + weight * scale, speech[1])
        tokens.append(Token(start, end, done, following))
        done = following
    return Alignment(tokens, [0.1] * len(tokens), 0.0, [0.0] * len(tokens), speech, "proportional")


def speech_of(samples: np.ndarray) -> tuple[float, float]:
    """Start of the first and end of the last sound, s.

    Raises:
        AlignmentError: there is no sound, or samples are NaN or infinite.
    """
    import numpy as np

    blocks = [samples[at : at + _BLOCK] for at in range(0, len(samples), _BLOCK)]
    if not all(np.isfinite(block).all() for block in blocks):
        raise AlignmentError("the sound holds samples that are not numbers (NaN or infinity)")
    levels = [audio.frame_levels(block) for block in blocks]
    bounds = audio.loud_bounds(np.concatenate(levels)) if levels else None
    if bounds is None or bounds[0] * features.HOP >= len(samples) / SAMPLE_RATE:
        raise AlignmentError("the sound is silent")
    return bounds[0] * features.HOP, min(bounds[1] * features.HOP, len(samples) / SAMPLE_RATE)


def _stretch(tokens: Sequence[Token], drafted: Sequence[Token]) -> list[float]:
    import numpy as np

    # 20 ms more on both sides keep the shortest words from weighing too much.
    pairs = zip(tokens, drafted, strict=True)
    ratios = [math.log((own.end - own.start + 0.02) / (other.end - other.start + 0.02)) for own, other in pairs]
    rate = float(np.median(ratios))
    return [ratio - rate for ratio in ratios]


# Logistic regression over 18,000 words of draft voices against exact times, in eight languages: with noise from 20 to 0
# dB, reverberation, other formants, words stretched by 10 to 50 %, added pauses; and with texts that lack words, have
# other words, or are another text altogether (whose words count as wrong). Evaluated by `benchmarks/alignment.py`.
_INTERCEPT, _OWN, _WHOLE, _STRETCHED, _BESIDE = -1.72, 4.44, 21.99, -4.74, -2.72


def _confidence(own: Sequence[float], whole: float, stretch: Sequence[float]) -> list[float]:
    """Chance that both edges of a word are within 50 ms.

    Args:
        own: margin of each word.
        whole: margin of the take.
        stretch: as in `Alignment`; that of the neighbours counts too, as a superfluous word takes their time.
    """
    amount = [0.0, *(min(abs(ratio), 2.0) for ratio in stretch), 0.0]
    chances = []
    for number, margin in enumerate(own):
        beside = max(amount[number], amount[number + 2])
        score = _INTERCEPT + _OWN * margin + _WHOLE * whole + _STRETCHED * amount[number + 1] + _BESIDE * beside
        chances.append(1 / (1 + math.exp(-score)))
    return chances
