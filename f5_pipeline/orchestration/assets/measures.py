"""What was measured and heard of the takes of a month."""

import dagster as dg

from f5_pipeline.orchestration.lineage import asset
from f5_pipeline.orchestration.reporting.failures import failures
from f5_pipeline.orchestration.reporting.metadata import table
from f5_pipeline.orchestration.resources import StoreResource
from f5_pipeline.studio.measures import misheard_words, summary, write_month


@asset
def measures(context: dg.AssetExecutionContext, store: StoreResource) -> dg.MaterializeResult:
    """A table of every measured chunk of the narrations that were made in a month: what the gate measured, what was
    heard, how often it was made. `measures/<month>.parquet` in the store, for pandas; needs the extra `tables`.

    The plots of its metadata show the rates over time. Drafts are not measured.
    """
    month = context.partition_key
    with failures():
        rows = write_month(store.open(), month)
    whole = next(iter(summary(rows)), {})
    worst = {
        f"worst_{column}s": table(found)
        for column in ("voice", "narration", "model")
        if (found := summary(rows, column))
    }
    words = [{"word": word, "chunks": count} for word, count in misheard_words(rows)]
    return dg.MaterializeResult(
        metadata={
            "chunks": len(rows),
            "narrations": int(rows["narration"].nunique()),
            **{name: value for name, value in whole.items() if value is not None},
            **worst,
            **({"misheard_words": table(words)} if words else {}),
            "file": f"measures/{month}.parquet",
        }
    )
