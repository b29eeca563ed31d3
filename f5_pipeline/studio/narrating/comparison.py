"""Two models or presets on the same chunks of a narration: what is heard in the takes of each, and whether they differ.

Their takes are ordinary ones: where one of the two is narrated with later, they are there already.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from pydantic import BaseModel, Field

from f5_pipeline.errors import InputError
from f5_pipeline.speech import engines
from f5_pipeline.speech.chunks import Chunk
from f5_pipeline.speech.quality.gate import PRIOR, Measures, fault_probability
from f5_pipeline.speech.script.model import Preset
from f5_pipeline.speech.takes import Take
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.studio.narrating.engines import chosen_engine
from f5_pipeline.studio.narrating.gate import find_take, hearing_of, verdict_of
from f5_pipeline.studio.narrating.planning import lexicon_of, planned_chunks
from f5_pipeline.studio.narrating.scripts import LoadedScript, load_script
from f5_pipeline.studio.narrating.shards import ShardLine, request_of
from f5_pipeline.studio.narrating.synthesis import Progress, synthesize_shard
from f5_pipeline.studio.narrating.votes import Pair, Pairs, keep_pairs, preferences
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.records import PlannedChunk, Shard

if TYPE_CHECKING:
    import numpy as np

ROUNDS = 4000
"""Samples of the bootstrap, and of the randomization test."""

_TWO = "Name two models, or two presets."


class Variant(NamedTuple):
    """A model and a preset; None: the script's, else the installation's."""

    model: str | None = None
    preset: Preset | None = None

    def __str__(self) -> str:
        return ", ".join(filter(None, self)) or "as it is"


class Scores(BaseModel):
    """A take, as it was measured and heard."""

    take: str
    words: int = Field(description="that were to be said; 0: nobody listened")
    errors: int = Field(description="words missing, added, repeated or changed, as heard")
    similarity: float | None
    faulty: bool = Field(description="whether the quality gate would have it made again")
    fault: float = Field(default=0.0, description="probability of a fault by the quality gate, 0 to 1")
    why: list[str] = []


class Compared(BaseModel):
    """A chunk, spoken by both variants."""

    chunk: int
    line: int
    text: str
    first: Scores
    second: Scores


class Figure(BaseModel):
    """A figure of both variants; low and high bound the difference (second less first) with 95 % confidence."""

    name: str
    first: float | None
    second: float | None
    low: float | None = None
    high: float | None = None

    @property
    def differs(self) -> bool:
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


class Comparison(BaseModel):
    """The result: figures, and the chunks, those first in which the two differ most."""

    variants: tuple[str, str]
    figures: list[Figure]
    chunks: list[Compared]
    left_out: int = Field(default=0, description="chunks of the sample that one of them could not speak")
    voted: int = Field(default=0, description="chunks on which somebody has voted, blind")

    @property
    def votes(self) -> Figure | None:
        """What was preferred by those who heard both; None where nobody has voted."""
        return next((figure for figure in self.figures if figure.name == VOTES), None)

    def verdict(self) -> str:
        """A sentence for people; a second one where votes tell the two apart."""
        differing = {figure.name: figure for figure in self.figures if figure.differs}
        says = []
        for name, sign, what in (
            (ERRORS, -1, "is heard with fewer word errors"),
            (FAULTY, -1, "has fewer faulty takes"),
            (VOTES, 1, "is preferred by those who heard both"),
        ):
            figure = differing.get(name)
            if figure and figure.first is not None and figure.second is not None and not (says and name == FAULTY):
                says.append(f"{self.variants[int(sign * figure.second > sign * figure.first)]} {what}.")
        return (
            " ".join(says) or f"No difference is shown by {len(self.chunks)} chunks; take more (--sample), or either."
        )


def compare(
    store: Store,
    narration: str,
    variants: tuple[Variant, Variant],
    options: StudioOptions,
    *,
    sample: int = 40,
    on_progress: Callable[[str, Progress], None] = lambda variant, progress: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Comparison:
    """Let two variants speak the same chunks, each once, and compare what is heard.

    Args:
        sample: chunks to compare, drawn at random with a fixed seed; all where there are fewer.

    Raises:
        InputError: the engine is not measured, there is no listener, or the variants are the same.
        EngineError: a model does not work here.
    """
    if variants[0] == variants[1]:
        raise InputError("the two are the same", hint=_TWO)
    options = options.model_copy(update={"listen": "all", "retakes": 0})
    loaded, drawn = load_script(store, narration), None
    spoken: list[Spoken] = []
    for variant in variants:
        asked = {name: value for name, value in variant._asdict().items() if value is not None}
        script = replace(loaded, script=loaded.script.model_copy(update=asked))
        drawn, takes = speak(
            store,
            script,
            options,
            drawn,
            sample,
            on_progress=lambda progress, variant=variant: on_progress(str(variant), progress),
            cancelled=cancelled,
        )
        spoken.append({index: made for index, made in takes.items() if made[1].heard})
    first, second = spoken
    both = sorted(first.keys() & second.keys())
    if both and all(first[index][1].key == second[index][1].key for index in both):
        raise InputError("the two speak alike", hint=_TWO)
    chunks = [compared(first[index], second[index]) for index in both]
    names = (str(variants[0]), str(variants[1]))
    pairs = [_pair(first[index][0].chunk, one) for index, one in zip(both, chunks, strict=True)]
    keep_pairs(store, narration, Pairs(variants=names, pairs=pairs))
    shares = preferences(store, narration, pairs)
    return Comparison(
        variants=names,
        figures=[*figures(chunks), *([_votes(list(shares.values()))] if shares else [])],
        voted=len(shares),
        chunks=sorted(chunks, key=lambda chunk: -abs(chunk.first.errors - chunk.second.errors)),
        left_out=len(drawn or ()) - len(both),
    )


Spoken = dict[int, tuple[PlannedChunk, Take]]
"""Chunks and their takes, by the chunk's index."""


def speak(
    store: Store,
    loaded: LoadedScript,
    options: StudioOptions,
    drawn: set[int] | None,
    sample: int,
    *,
    on_progress: Callable[[Progress], None],
    cancelled: Callable[[], bool],
) -> tuple[set[int], Spoken]:
    """Let a script's engine speak chunks of it, each once; return the indexes that are drawn, and what was spoken.

    Args:
        drawn: None: `sample` chunks at random.

    Raises:
        InputError: takes of the engine are not measured. EngineError: it does not work here.
    """
    with chosen_engine(store, loaded, options) as (engine, choice):
        if engines.spec_of(choice.engine).times_itself:
            hint = "It needs an engine that clones voices: set F5_ENGINE=f5."
            raise InputError(f"takes of the engine {choice.engine} are not measured", hint=hint)
        planned = list(planned_chunks(loaded.script, engine, lexicon_of(loaded, engine), loaded.choices.chunks))
    if drawn is None:
        drawn = set(random.Random(loaded.narration).sample(range(len(planned)), min(sample, len(planned))))
    chosen = [planned[index] for index in sorted(drawn)]
    lines = [
        ShardLine(request=request_of(one.chunk, one.key, 0), narration=loaded.narration, line=one.chunk.line)
        for one in {one.key: one for one in chosen}.values()
    ]
    key = layout.run_value("compare", loaded.narration, f"{choice.model}-{choice.preset}.jsonl")
    store.replace_bytes(key, "".join(f"{line.model_dump_json()}\n" for line in lines).encode())
    shard = Shard(
        index=0,
        requests_key=key,
        requests=len(lines),
        expected_seconds=sum(one.chunk.expected_seconds for one in chosen),
        engine=choice.engine,
        model=choice.model,
        sampler=choice.sampler,
        voices=sorted({one.chunk.voice for one in chosen}),
    )
    try:
        synthesize_shard(store, shard, options, on_progress=on_progress, cancelled=cancelled)
    finally:
        store.delete(key)
    made = ((one, find_take(store, one.key)) for one in chosen)
    return drawn, {one.chunk.index: (one, take) for one, take in made if take is not None}


def compared(first: tuple[PlannedChunk, Take], second: tuple[PlannedChunk, Take]) -> Compared:
    chunk = first[0].chunk
    return Compared(
        chunk=chunk.index,
        line=chunk.line,
        text=chunk.written[:120],
        first=scores_of(first[1]),
        second=scores_of(second[1]),
    )


def _pair(chunk: Chunk, one: Compared) -> Pair:
    takes = (one.first.take, one.second.take)
    return Pair(chunk=chunk.index, line=chunk.line, language=chunk.language, text=chunk.written, takes=takes)


def _votes(shares: Sequence[tuple[float, float]]) -> Figure:
    """Which was preferred, percent of votes; each chunk counts once. `shares`: of the first and the second."""
    import numpy as np

    return _figure(VOTES, 100 * np.stack([np.array(shares), np.full((len(shares), 2), 0.01)], axis=-1))


def scores_of(take: Take) -> Scores:
    """How a take that was measured was heard, if it was."""
    hearing, verdict = hearing_of(take), verdict_of(take, PRIOR)
    return Scores(
        take=take.key,
        words=hearing.differences.words if hearing else 0,
        errors=hearing.differences.errors if hearing else 0,
        similarity=hearing.similarity if hearing else None,
        faulty=not verdict.passed,
        fault=round(fault_probability(Measures.model_validate(take.measures), hearing=hearing), 4),
        why=verdict.reasons,
    )


ERRORS, FAULTY, SIMILARITY, FAULT = "word errors, %", "faulty takes, %", "similarity", "chance of a fault, %"
VOTES = "preferred, %"
"""Names of figures."""

_PARTS: dict[str, Callable[[Scores], tuple[float, float]]] = {
    ERRORS: lambda scores: (100 * scores.errors, scores.words),
    FAULTY: lambda scores: (100 * scores.faulty, 1),
    SIMILARITY: lambda scores: (scores.similarity or 0.0, scores.similarity is not None),
    FAULT: lambda scores: (100 * scores.fault, 1),
}
"""By figure: of a take, what is summed up, and what the sum is divided by."""


def figures(chunks: Sequence[Compared]) -> Iterator[Figure]:
    """Word error rate and share of faulty takes, percent, mean similarity, and mean probability of a fault, percent."""
    for name in _PARTS:
        yield _figure(name, _parts(chunks, name))


def chance(chunks: Sequence[Compared], name: str, sign: int) -> float:
    """How likely the second comes out ahead by as much as it does where it is no better: the share of all ways to say
    which of a pair is the second (Fisher's randomization test, of ROUNDS ways). Other than the bounds of a figure it
    holds for few chunks too.

    Args:
        sign: 1 where more of the figure is better, -1 where less is.
    """
    import numpy as np

    parts = _parts(chunks, name)
    swapped = np.random.default_rng(0).integers(0, 2, (ROUNDS, len(parts), 1, 1), dtype=bool)
    drawn = sign * _differences(np.where(swapped, parts[:, ::-1], parts).sum(1))
    (found,) = sign * _differences(parts.sum(0)[None])
    return float((1 + (drawn >= found - 1e-12).sum()) / (1 + len(drawn)))


def _parts(chunks: Sequence[Compared], name: str) -> np.ndarray:
    """Shape (chunks, first and second, sum and divisor)."""
    import numpy as np

    pairs = [(_PARTS[name](chunk.first), _PARTS[name](chunk.second)) for chunk in chunks]
    return np.array(pairs, dtype=float).reshape(-1, 2, 2)


def _differences(sums: np.ndarray) -> np.ndarray:
    """The second's quotient less the first's. `sums`: shape (n, first and second, sum and divisor)."""
    import numpy as np

    with np.errstate(invalid="ignore", divide="ignore"):
        quotients = sums[..., 0] / sums[..., 1]
    return quotients[:, 1] - quotients[:, 0]


def _figure(name: str, parts: np.ndarray) -> Figure:
    """The figure of both variants. Bounds of the difference are percentiles over resampled chunks, which stay pairs
    (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993). `parts`: see `_parts`."""
    import numpy as np

    first, second = (round(total / divisor, 3) if divisor else None for total, divisor in parts.sum(0).tolist())
    low = high = None
    if first is not None and second is not None:
        drawn = np.random.default_rng(0).integers(0, len(parts), (ROUNDS, len(parts)))
        differences = _differences(parts[drawn].sum(1))
        differences = np.sort(differences[np.isfinite(differences)])
        cut = math.floor(0.025 * len(differences))
        low, high = round(float(differences[cut]), 3), round(float(differences[-1 - cut]), 3)
    return Figure(name=name, first=first, second=second, low=low, high=high)
