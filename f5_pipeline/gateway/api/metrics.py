"""/metrics: figures for Prometheus, read when they are asked for.

The store is not asked, and what the ledger and the reports of batches say is kept for a while (`FIGURES_SECONDS`, and
longer where it takes long), however often it is asked for. No label names a narration, a voice or a key.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from f5_pipeline import __version__
from f5_pipeline.gateway.api.access import needs
from f5_pipeline.gateway.api.narrations import At
from f5_pipeline.gateway.api.service import Service
from f5_pipeline.gateway.traffic import traffic_of
from f5_pipeline.studio.figures import BatchTotals, Figures
from f5_pipeline.studio.keys import ApiKey

log = logging.getLogger("f5_pipeline.gateway")

FIGURES_SECONDS, MAX_FIGURES_SECONDS, MAX_SHARE = 10.0, 60.0, 0.03
"""How long figures are kept, at least and at most; between, the share of the time that reading them may take."""

MAX_WAIT_SECONDS = 5.0
"""How long a scrape waits for another one that reads: while a database hangs, scrapes must not take all threads."""

PREFIX = "f5_pipeline_"

_QUEUE = (
    ("running_narrations", "Narrations in runs that are queued or at work, or with workers.", "running"),
    ("queue_narrations", "Narrations that wait for a run.", "waiting"),
    ("queue_oldest_seconds", "Age of the oldest script that waits or is in a run.", "oldest_seconds"),
    ("failed_narrations", "Narrations that have failed and have no attempts left.", "failed"),
    ("gpu_slots", "Places of the pool of GPUs.", "gpu_slots"),
    ("gpu_slots_busy", "Places of the pool of GPUs that steps hold.", "gpu_slots_busy"),
    ("last_batch_timestamp_seconds", "When the newest batch was reported.", "last_batch"),
)
"""Gauges: name, help, field of `Figures`."""

_BATCHES: tuple[tuple[str, str, str, dict[str, str]], ...] = (
    ("batches", "Batches that were reported.", "", {"": "batches"}),
    (
        "narrations",
        "Narrations that batches have ended with.",
        "result",
        {"done": "narrations_done", "failed": "narrations_failed", "postponed": "narrations_postponed"},
    ),
    (
        "speech_seconds",
        "Speech that was made, retakes included.",
        "device",
        {"gpu": "gpu_speech_seconds", "cpu": "draft_speech_seconds"},
    ),
    (
        "synthesis_seconds",
        "Time for which synthesis held GPUs, or took without one.",
        "device",
        {"gpu": "gpu_seconds", "cpu": "draft_seconds"},
    ),
    ("takes", "Takes that were made, retakes not counted.", "", {"": "takes_made"}),
    ("retakes", "Takes that were made again because the quality gate doubted the one before.", "", {"": "retakes"}),
    ("delivered_takes", "Takes of the narrations that were delivered.", "", {"": "takes_delivered"}),
    ("doubtful_takes", "Delivered takes that the quality gate still doubts.", "", {"": "takes_doubtful"}),
    ("engine_batches", "Batches of the engine.", "", {"": "engine_batches"}),
    ("engine_batch_frames", "Mel frames in batches of the engine.", "", {"": "engine_batch_frames"}),
    ("engine_batch_room_frames", "Frames, had all been as full as the fullest.", "", {"": "engine_batch_room"}),
    ("cost", "Cost of the GPUs, in the currency of F5_GPU_HOUR_COST.", "", {"": "cost"}),
)
"""Counters: name, help, label, and by value of the label the field of `BatchTotals`."""


class StudioCollector(Collector):
    """The figures of an installation as metrics."""

    def __init__(self, service: Service) -> None:
        self._service, self._lock = service, threading.Lock()
        self._kept: tuple[float, Figures | None] = (0.0, None)
        """Until when, by the monotonic clock, and what."""

    def collect(self) -> Iterator[Metric]:
        figures = self._figures()
        yield _gauge("ledger_up", "Whether the queue can be read.", figures is not None)
        if figures is not None:
            for name, text, field in _QUEUE:
                if (value := getattr(figures, field)) is not None:
                    yield _gauge(name, text, value)
            if figures.batches is not None:
                yield from _batch_metrics(figures.batches)
        calls = CounterMetricFamily(f"{PREFIX}store_calls", "Calls of this process to the bucket.", labels=["class"])
        for name, count in self._service.store.calls.by_class.items():
            calls.add_metric([name], count)
        yield calls
        yield from self._disks()
        build = GaugeMetricFamily(f"{PREFIX}build_info", "The version, as a label.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build

    def _figures(self) -> Figures | None:
        if not self._lock.acquire(timeout=MAX_WAIT_SECONDS):
            return None
        try:
            if (started := time.monotonic()) >= self._kept[0]:
                try:
                    figures = self._service.desk.figures()
                except Exception as error:  # of any database: the other metrics are told all the same
                    log.error("the queue cannot be read: %s: %s", type(error).__name__, error)
                    figures = None
                now = time.monotonic()
                keep = min(MAX_FIGURES_SECONDS, max(FIGURES_SECONDS, (now - started) / MAX_SHARE))
                self._kept = now + keep, figures
            return self._kept[1]
        finally:
            self._lock.release()

    def _disks(self) -> Iterator[Metric]:
        free = GaugeMetricFamily(f"{PREFIX}disk_free_bytes", "Free on the disk of a folder.", labels=["folder"])
        size = GaugeMetricFamily(f"{PREFIX}disk_size_bytes", "Size of the disk of a folder.", labels=["folder"])
        for name, folder in self._service.folders.items():
            if folder.exists():
                usage = shutil.disk_usage(folder)
                free.add_metric([name], usage.free)
                size.add_metric([name], usage.total)
        yield from (free, size)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, text, value=value)


def _batch_metrics(totals: BatchTotals) -> Iterator[Metric]:
    yield CounterMetricFamily(
        f"{PREFIX}finished_seconds",
        "Audio of narrations that are done, with pauses.",
        value=60 * totals.minutes_finished,
    )
    for name, text, label, by_value in _BATCHES:
        family = CounterMetricFamily(PREFIX + name, text, labels=[label] if label else [])
        for value, field in by_value.items():
            family.add_metric([value] if label else [], getattr(totals, field))
        yield family


class _All(Collector):
    """Several collectors as one."""

    def __init__(self, *collectors: Collector) -> None:
        self._collectors = collectors

    def collect(self) -> Iterable[Metric]:
        return (metric for collector in self._collectors for metric in collector.collect())


router = APIRouter()


@router.get("/metrics", include_in_schema=False)
def metrics(request: Request, caller: Annotated[ApiKey, Depends(needs("read"))], service: At) -> Response:
    """The figures in Prometheus' text format, or in OpenMetrics where that is asked for."""
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    content = encode(_All(request.app.state.collector, traffic_of(request.scope).registry))
    return Response(content, headers={"content-type": media_type})
