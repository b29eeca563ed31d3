"""Errors of model weights."""

from __future__ import annotations

from f5_pipeline.errors import PipelineError


class WeightsError(PipelineError):
    """Weights are not available or not usable."""


class RetryableWeightsError(WeightsError):
    """The hub, the network or the disk failed this time."""

    retryable = True
