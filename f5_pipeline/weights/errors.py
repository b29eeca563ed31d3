"""What can be wrong with model weights."""

from __future__ import annotations

from f5_pipeline.errors import PipelineError


class WeightsError(PipelineError):
    """Weights that cannot be had or used as they are."""


class PassingWeightsError(WeightsError):
    """The hub, the network or the disk did not serve this time."""

    retryable = True
