"""The weights that speak. Today the draft engine's data; every take key holds their hash."""

import dagster as dg

from f5_pipeline.assets.told import failures, table
from f5_pipeline.speech import engines
from f5_pipeline.studio.records import Weights
from f5_pipeline.studio.weights import gather_weights


@dg.asset(group_name="models", kinds={"python"}, code_version="1")
def model_weights() -> dg.Output[Weights]:
    """What the engines of this installation speak with.

    For each engine the model's name and version, the sha256 of its weights, its size, and its licence, so that a
    narration can name what spoke it. The hash is part of the key of every take: other weights, other takes.

    The `draft` engine (espeak-ng) is always there. It speaks exact words and times within seconds on any processor, to
    proof-listen a script before GPU money is spent.
    """
    with failures():
        weights = gather_weights()
    chosen, note = engines.resolve("auto")
    rows = [
        {
            "engine": one.engine,
            "model": one.name,
            "version": one.version,
            "size_MB": round(one.size / 1e6, 1),
            "languages": one.languages or 0,
            "licence": one.licence,
            "commercial_use": one.commercial_use,
            "sha256": one.sha256[:16],
            "source": one.source,
        }
        for one in weights.engines.values()
    ]
    return dg.Output(
        weights,
        data_version=dg.DataVersion(weights.digest),
        metadata={"engines": table(rows), "auto": f"{chosen}: {note}", "sha256": weights.digest},
    )
