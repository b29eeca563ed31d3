"""Where a narration can be had."""

from typing import Any

import dagster as dg

from f5_pipeline.orchestration.ledger import Ledger
from f5_pipeline.orchestration.partitions import NARRATIONS
from f5_pipeline.orchestration.reporting.calls import calls_of_run
from f5_pipeline.orchestration.reporting.metadata import failures
from f5_pipeline.orchestration.resources import LinksResource, StoreResource
from f5_pipeline.orchestration.tags import STEP_RETRIES
from f5_pipeline.studio.links.making import make_links, read_manifest
from f5_pipeline.studio.links.rights import check_delivery
from f5_pipeline.studio.records import Links, Timings

CODE_VERSION = "2"


@dg.asset(
    partitions_def=NARRATIONS,
    group_name="narration",
    kinds={"python"},
    code_version=CODE_VERSION,
    retry_policy=STEP_RETRIES,
)
def download_links(
    context: dg.AssetExecutionContext, store: StoreResource, links: LinksResource, timing_files: Timings
) -> dg.Output[Links]:
    """A signed, expiring link for each file of a narration, and its permanent address: a page that plays the newest
    revision with its captions.

    The links are served by the download service (`f5-pipeline serve` or `up`); nobody gets a file without one.
    Materialize again for fresh links; the address stays the same and lives on. `f5-pipeline links revoke` ends them at
    once. A narration that is marked commercial gets none unless its model and its voices allow it.
    """
    with failures():
        opened = store.open()
        manifest = read_manifest(opened, timing_files.narration, timing_files.revision)
        check_delivery(opened, manifest.audio.plan)
        made = make_links(opened, manifest, links.signer(), base_url=links.base_url)
    Ledger(context.instance).finish(made.narration, manifest.audio.plan.version, context.run_id)
    calls = calls_of_run(context.instance, context.run_id, opened.calls.untaken)
    return dg.Output(made, data_version=dg.DataVersion(made.revision), metadata={**links_metadata(made), **calls})


def links_metadata(made: Links) -> dict[str, Any]:
    """What the UI shows of a narration's links."""
    return {
        "listen": dg.MetadataValue.url(made.page),
        **{name: dg.MetadataValue.url(url) for name, url in made.files.items()},
        "expires": made.expires,
        "grant": made.grant,
        "revision": made.revision,
    }
