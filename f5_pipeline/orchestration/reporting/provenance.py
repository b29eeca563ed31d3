"""Provenance tags, from which Dagster knows what is stale, for materializations that a step logs itself.

Dagster sets these tags on the outputs of a step, but with one data version for all partitions of a run. In a run with
many partitions each needs its own, or the UI would show stale ones as fresh.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import dagster as dg

from f5_pipeline.orchestration.internals import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    extract_data_version_from_entry,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)


def materialization_tags(
    instance: dg.DagsterInstance,
    *,
    data_version: str,
    code_version: str,
    inputs: Mapping[str, str | None],
    observed: Collection[str] = (),
) -> dict[str, str]:
    """Tags for an AssetMaterialization.

    Args:
        inputs: the partition that was used, by upstream asset; None where it has none or all were used.
        observed: the upstream assets that people bring: they have observations, not materializations.
    """
    tags = {**data_version_tags(data_version), CODE_VERSION_TAG: code_version}
    for asset, partition in inputs.items():
        key = dg.AssetKey(asset)
        newest = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition] if partition is not None else None)
        fetch = instance.fetch_observations if asset in observed else instance.fetch_materializations
        for record in fetch(newest, limit=1).records:
            version = extract_data_version_from_entry(record.event_log_entry)
            tags[get_input_data_version_tag(key)] = version.value if version else "INITIAL"
            tags[get_input_event_pointer_tag(key)] = str(record.storage_id)
    return tags


def data_version_tags(data_version: str) -> dict[str, str]:
    """Tags that give a materialization or observation its data version."""
    return {DATA_VERSION_TAG: data_version, DATA_VERSION_IS_USER_PROVIDED_TAG: "true"}
