"""The loudness of a narration for its page's waveform."""

from __future__ import annotations

import logging

from f5_pipeline.errors import NotFoundError
from f5_pipeline.gateway.delivery import ObjectReader
from f5_pipeline.speech.audio.waveform import FINE_COLUMNS, Peaks

log = logging.getLogger("f5_pipeline.gateway")

MAX_BYTES = 3 * 2 * FINE_COLUMNS
"""Size of the largest envelope."""


def read_levels(store: ObjectReader, key: str) -> bytes:
    """The RMS of a kept envelope, one byte a column, 255 for the loudest; empty where none is kept."""
    import numpy as np

    try:
        with store.open(key) as stream:
            rms = Peaks.load(stream.read(MAX_BYTES), 0).rms
    except NotFoundError:
        return b""
    except ValueError as error:
        log.error("%s is no waveform: %s", key, error)
        return b""
    return np.rint(rms * (255 / max(float(rms.max()), 1e-9))).astype(np.uint8).tobytes()
