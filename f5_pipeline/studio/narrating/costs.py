"""What synthesis costs: how long each model took on each card, measured as takes are made, and what it will take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel

from f5_pipeline.speech import engines
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.records import find_record, write_record
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.records import Shard, ShardReport, digest_of
from f5_pipeline.system.gpus import usable_gpus

MAX_SAMPLES = 20
"""Measurements that are kept of a model on a card, the newest."""

ASSUMED_X_REAL_TIME = 10.0
"""Speed of a model that has not been measured here; below that of any GPU F5 is used on."""


class Speed(BaseModel):
    """Measured speed of an engine with one model and sampler on one card."""

    card: str
    samples: list[tuple[float, float]] = []
    """(s of speech kept, s for which the device was held), by shard, the newest last."""

    def seconds(self, speech: float) -> float:
        """Expected s on the device for `speech` s: loading and pace by least squares, where the samples tell both."""
        total, held = (sum(column) for column in zip(*self.samples, strict=True))
        mean, mean_held = total / len(self.samples), held / len(self.samples)
        spread = sum((made - mean) ** 2 for made, _ in self.samples)
        if spread > 0:
            slope = sum((made - mean) * (wall - mean_held) for made, wall in self.samples) / spread
            loading = mean_held - slope * mean
            if slope > 0 and loading >= 0:
                return loading + slope * speech
        return speech * held / total


class Estimate(NamedTuple):
    """Expected cost of synthesis.

    Attributes:
        gpu_seconds: for which a GPU is held, s; 0 where none is needed.
        basis: where that comes from, for people.
    """

    gpu_seconds: float
    basis: str

    def cost(self, hour: float) -> float:
        """In the currency of `hour`, the cost of an hour of a GPU."""
        return self.gpu_seconds / 3600 * hour


def card_of(options: StudioOptions) -> str:
    """The model of the GPU that steps compute on here, or "CPU"."""
    gpus = [] if options.device in ("cpu", "mps") else usable_gpus(options.gpus)
    return gpus[0].name or "GPU" if gpus else "CPU"


def record_speed(
    store: Store, report: ShardReport, model: str | None, sampler: dict[str, Any] | None, options: StudioOptions
) -> None:
    """Keep what a shard has measured. Where two end at once, one of them may be lost: it is a statistic."""
    made = sum(report.made.values())
    if not engines.spec_of(report.engine).needs_gpu or not made or report.audio_seconds <= 0:
        return
    card = card_of(options)
    key = layout.speed(_configuration(report.engine, model, sampler), layout.slug(card))
    speed = find_record(store, key, Speed) or Speed(card=card)
    # Takes that were made again took their time, and are not asked for.
    speech = report.audio_seconds * made / (made + report.retakes)
    sample = (round(speech, 2), round(report.wall_seconds, 2))
    write_record(store, key, Speed(card=card, samples=[*speed.samples, sample][-MAX_SAMPLES:]))


def estimate(
    store: Store,
    engine: str,
    model: str | None,
    sampler: dict[str, Any] | None,
    speech_seconds: float,
    options: StudioOptions,
) -> Estimate:
    """What it takes to make `speech_seconds` of speech: by the card here, or else by another that was measured."""
    if not engines.spec_of(engine).needs_gpu:
        return Estimate(0.0, f"{engine} needs no GPU")
    if speech_seconds <= 0:
        return Estimate(0.0, "nothing is made")
    speeds = _speeds(store, _configuration(engine, model, sampler))
    if not speeds:
        return Estimate(speech_seconds / ASSUMED_X_REAL_TIME, f"assumed {ASSUMED_X_REAL_TIME:.0f} x real time")
    here = card_of(options)
    speed = next((speed for speed in speeds if speed.card == here), speeds[0])
    return Estimate(speed.seconds(speech_seconds), f"as measured on {speed.card}")


def shard_estimate(store: Store, shard: Shard, options: StudioOptions) -> Estimate:
    """What a shard will take."""
    return estimate(store, shard.engine, shard.model, shard.sampler, shard.expected_seconds, options)


def _speeds(store: Store, configuration: str) -> Sequence[Speed]:
    folder = layout.speed(configuration, "").rpartition("/")[0]
    newest = sorted(store.list(f"{folder}/"), key=lambda stat: -stat.modified)
    return [speed for stat in newest if (speed := find_record(store, stat.key, Speed)) and speed.samples]


def _configuration(engine: str, model: str | None, sampler: dict[str, Any] | None) -> str:
    return digest_of([engine, model, sampler])
