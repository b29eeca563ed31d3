"""Where a narration can be had."""

import dagster as dg

from f5_pipeline.assets.told import failures
from f5_pipeline.partitions import NARRATIONS
from f5_pipeline.resources import LinksResource, StoreResource
from f5_pipeline.studio.links import make_links, read_manifest
from f5_pipeline.studio.records import Links, Timings
from f5_pipeline.studio.rights import check_delivery


@dg.asset(partitions_def=NARRATIONS, group_name="narration", kinds={"python"}, code_version="1")
def download_links(store: StoreResource, links: LinksResource, timing_files: Timings) -> dg.Output[Links]:
    """A signed, expiring link for each file of a narration, and one for a page that plays it with its captions.

    The links are served by the download service (`f5-pipeline serve` or `up`); nobody gets a file without one.
    Materialize again for fresh links. A narration that is marked commercial gets none unless its model and its voices
    allow it.
    """
    with failures():
        opened = store.open()
        manifest = read_manifest(opened, timing_files.narration, timing_files.revision)
        check_delivery(opened, manifest.audio.plan)
        made = make_links(manifest, links.signer(), base_url=links.base_url)
    return dg.Output(
        made,
        data_version=dg.DataVersion(made.revision),
        metadata={
            "listen": dg.MetadataValue.url(made.page),
            **{name: dg.MetadataValue.url(url) for name, url in made.files.items()},
            "expires": made.expires,
            "revision": made.revision,
        },
    )
