"""From a finished revision to signed links."""

from dataclasses import replace

import dagster as dg

from f5_pipeline.orchestration.ledger import Ledger
from f5_pipeline.orchestration.lineage import asset
from f5_pipeline.orchestration.reporting.calls import run_calls_metadata
from f5_pipeline.orchestration.reporting.failures import failures
from f5_pipeline.orchestration.reporting.materializing import Product
from f5_pipeline.orchestration.reporting.metadata import MAX_ROWS, format_duration, markdown_text
from f5_pipeline.orchestration.resources import LinksResource, StoreResource
from f5_pipeline.store.base import Store
from f5_pipeline.studio.links.making import make_links, read_manifest
from f5_pipeline.studio.links.rights import check_delivery
from f5_pipeline.studio.records import Chapter, Links, Manifest, Timings


@asset
def download_links(
    context: dg.AssetExecutionContext, store: StoreResource, links: LinksResource, timing_files: Timings
):
    """A signed, expiring link for each file of a narration, and its permanent address: a page that plays the newest
    revision with its text.

    The download service (`f5-pipeline serve` or `up`) serves the links; nobody gets a file without one. Materialize
    again for fresh links; the permanent address stays the same. `f5-pipeline links revoke` ends them at once. A
    narration that is marked commercial gets none unless its model and its voices allow it.
    """
    with failures():
        opened = store.open()
        manifest, result = make(opened, timing_files, links)
    Ledger(context.instance).finish(manifest.narration, manifest.audio.plan.version, context.run_id)
    calls = run_calls_metadata(context.instance, context.run_id, opened.calls.untaken)
    yield from replace(result, metadata={**result.metadata, **calls}).outputs()


def make(store: Store, timings: Timings, links: LinksResource) -> tuple[Manifest, Product[Links]]:
    """The manifest of a revision, and links to its files with their metadata. Raises InputError where its model or
    voices do not allow its use."""
    manifest = read_manifest(store, timings.narration, timings.revision)
    check_delivery(store, manifest.audio.plan)
    record = make_links(store, manifest, links.signer(), base_url=links.checked_base_url())
    metadata = {
        "listen": dg.MetadataValue.url(record.page),
        **_chapters(record.page, manifest.audio.chapters),
        **{name: dg.MetadataValue.url(url) for name, url in record.files.items()},
        "expires": record.expires,
        "grant": record.grant,
        "revision": record.revision,
    }
    return manifest, Product(record, record.revision, metadata)


def _chapters(page: str, chapters: list[Chapter]) -> dict[str, dg.MarkdownMetadataValue]:
    """The first chapters, each with a link to its place on the listening page."""
    if not chapters:
        return {}
    rows = [
        f"| {format_duration(chapter.start)} | [{markdown_text(chapter.title)}]({page}#t={chapter.start:.1f}) |"
        for chapter in chapters[:MAX_ROWS]
    ]
    return {"chapters": dg.MetadataValue.md("\n".join(["| start | chapter |", "|---|---|", *rows]))}
