"""The weights of the engines: the draft engine's data and the F5 models. Take keys contain their hash."""

from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from f5_pipeline.orchestration.configured import studio_options
from f5_pipeline.orchestration.lineage import asset
from f5_pipeline.orchestration.reporting.failures import failures
from f5_pipeline.orchestration.reporting.materializing import Product
from f5_pipeline.orchestration.reporting.metadata import table
from f5_pipeline.orchestration.reporting.progress import ProgressReporter
from f5_pipeline.orchestration.resources import StoreResource
from f5_pipeline.settings import get_settings
from f5_pipeline.speech import engines
from f5_pipeline.studio.records import Weights
from f5_pipeline.studio.weights import gather_weights

if TYPE_CHECKING:
    from f5_pipeline.weights.library import Progress

MB = 1_000_000


class WeightsConfig(dg.Config):
    """Configuration of a run of `model_weights`."""

    models: list[str] = Field(default=[], description="names of models to lock and pull besides that of the settings")


@asset
def model_weights(context: dg.AssetExecutionContext, config: WeightsConfig, store: StoreResource):
    """The weights of the engines of this installation.

    Every F5 model that was ever pulled or added is locked in the store: the commit of its repository and the sha256 of
    each file. Every worker speaks with exactly these bytes, from the cache of the machine, else the store, else the
    hub. The hash is part of the key of every take: other weights, other takes. The model of the settings is pulled
    where F5 speaks by default; the run's configuration (`models`) names further ones.

    The `draft` engine (espeak-ng) is always there. It speaks exact words and times within seconds on any processor, to
    proof-listen a script before GPU money is spent.
    """
    report = ProgressReporter(context, "model_weights", None)

    def show(progress: "Progress") -> None:
        if progress.total > MB:
            report(f"MB of {progress.model} {progress.what}", progress.done // MB, progress.total // MB)

    with failures():
        weights = gather_weights(store.open(), studio_options(get_settings()), config.models, show)
    for key, problem in weights.problems.items():
        context.log.warning(f"{key} is not here: {problem}")
    yield from product(weights).outputs()


def product(weights: Weights) -> Product[Weights]:
    """The engines of this installation, with their metadata."""
    return Product(weights, weights.digest, _metadata(weights))


def _metadata(weights: Weights) -> dict[str, Any]:
    spec, note = engines.resolve(engines.AUTO, studio_options(get_settings()))
    rows = [
        {
            "engine": model.engine,
            "model": model.name,
            "version": model.version,
            "size_MB": round(model.size / 1e6, 1),
            "languages": model.languages or 0,
            "licence": model.licence,
            "commercial_use": model.commercial_use,
            "sha256": model.sha256[:16],
            "source": model.source,
            "came_from": model.place or "",
            "seconds": model.seconds or 0.0,
        }
        for model in weights.engines.values()
    ]
    files = [
        {"model": model.name, "file": role, "sha256": sha256}
        for model in weights.engines.values()
        for role, sha256 in model.files.items()
    ]
    return {
        "engines": table(rows),
        "auto": f"{spec.name}: {note}",
        "sha256": weights.digest,
        **({"files": table(files)} if files else {}),
        **({"problems": "\n".join(weights.problems.values())} if weights.problems else {}),
    }
