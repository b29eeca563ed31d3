"""What the engines of this installation speak with."""

from __future__ import annotations

from f5_pipeline.errors import EngineError
from f5_pipeline.speech import engines
from f5_pipeline.studio.records import EngineWeights, Weights, digest_of


def gather_weights() -> Weights:
    """Look at every engine that can speak here; hash what it speaks with.

    Raises:
        EngineError: none can.
    """
    found: dict[str, EngineWeights] = {}
    if engines.missing("draft") is None:
        from f5_pipeline.speech.draft import espeak_facts

        facts = espeak_facts()
        found["draft"] = EngineWeights(
            engine="draft",
            name="espeak-ng",
            version=facts["version"],
            sha256=facts["sha256"],
            size=facts["size"],
            languages=facts["languages"],
            licence=facts["licence"],
            commercial_use="yes",
            source="package espeakng-loader",
        )
    if not found:
        raise EngineError("no engine is installed", mend="Install the package again: pip install f5-pipeline.")
    return Weights(engines=found, digest=digest_of({name: one.sha256 for name, one in found.items()}))
