"""Figures of an installation, for whoever watches it: the queue, and what batches have made."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class BatchTotals:
    """Sums over batches. The fields, from the second on, are named as the metadata of `batch_report`."""

    batches: int = 0
    narrations_done: float = 0
    narrations_failed: float = 0
    narrations_postponed: float = 0
    minutes_finished: float = 0
    """Of audio, pauses included."""
    gpu_seconds: float = 0
    """For which synthesis held GPUs."""
    draft_seconds: float = 0
    gpu_speech_seconds: float = 0
    """Of speech that was made on GPUs, retakes included."""
    draft_speech_seconds: float = 0
    takes_made: float = 0
    retakes: float = 0
    takes_delivered: float = 0
    takes_doubtful: float = 0
    engine_batches: float = 0
    engine_batch_frames: float = 0
    engine_batch_room: float = 0
    cost: float = 0


@dataclass
class Figures:
    """What is known at a moment; None: not known here.

    Attributes:
        running: narrations in runs that are queued or at work, or with workers.
        waiting: narrations that wait for a run.
        oldest_seconds: how long the oldest of both has waited, since its script was seen; 0: there is none.
        failed: narrations whose script has failed, with no attempts left.
        gpu_slots: places of the pool `gpu`.
        gpu_slots_busy: of them, those that steps hold.
        batches: sums over all batches of the instance.
        last_batch: POSIX time of the newest report of a batch, s.
    """

    running: int
    waiting: int | None = None
    oldest_seconds: float | None = None
    failed: int | None = None
    gpu_slots: int | None = None
    gpu_slots_busy: int | None = None
    batches: BatchTotals | None = None
    last_batch: float | None = None
