"""What people bring, voices and scripts, told to Dagster: a partition each, and an observation of each new state."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from f5_pipeline.orchestration.partitions import NARRATIONS, VOICES
from f5_pipeline.orchestration.reporting.provenance import data_version_tags

if TYPE_CHECKING:
    from f5_pipeline.studio.records import Voice


def report_voice(instance: dg.DagsterInstance, voice: Voice) -> None:
    """Let Dagster know of a voice and of its present recording."""
    from f5_pipeline.studio.records import digest_of

    register(instance, VOICES, voice.name)
    transcript = voice.transcript.sha256 if voice.transcript else None
    report_source(
        instance,
        "voice_recording",
        voice.name,
        digest_of([voice.recording.sha256, transcript, voice.language]),
        {
            "recording": voice.recording.name,
            "transcript": voice.transcript.name if voice.transcript else "none",
            "language": voice.language,
            "bytes": voice.recording.size,
        },
    )


def report_script(instance: dg.DagsterInstance, narration: str, version: str, metadata: dict[str, Any]) -> None:
    """Let Dagster know of a narration and of the present version of its script."""
    register(instance, NARRATIONS, narration)
    report_source(instance, "script", narration, version, metadata)


def register(instance: dg.DagsterInstance, definition: dg.DynamicPartitionsDefinition, key: str) -> None:
    """Add a partition if it is new."""
    register_all(instance, definition, [key])


def register_all(
    instance: dg.DagsterInstance, definition: dg.DynamicPartitionsDefinition, keys: Collection[str]
) -> None:
    """Add the partitions that are new."""
    name = str(definition.name)

    def new() -> list[str]:
        if len(keys) == 1:
            return [key for key in keys if not instance.has_dynamic_partition(name, key)]
        known = set(instance.get_dynamic_partitions(name)) if keys else set()
        return [key for key in keys if key not in known]

    if not (missing := new()):
        return
    try:
        instance.add_dynamic_partitions(name, missing)
    except Exception:
        # Another process was first: Dagster's storages tell it by a database error each of its own.
        if new():
            raise


def report_source(
    instance: dg.DagsterInstance, asset: str, partition: str, version: str, metadata: Mapping[str, Any]
) -> bool:
    """Tell Dagster of the present state of something that people bring; return whether it is a new one."""
    tags = data_version_tags(version)
    # An observation: what Dagster compares of an asset that is not made here.
    found = instance.fetch_observations(
        dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[partition]), limit=1
    )
    for record in found.records:
        known = record.event_log_entry.asset_observation
        if known is not None and known.tags.items() >= tags.items():
            return False
    report_state(instance, asset, partition, version, metadata)
    return True


def report_state(
    instance: dg.DagsterInstance, asset: str, partition: str, version: str, metadata: Mapping[str, Any]
) -> None:
    """Tell Dagster something of what people bring, at a version of it."""
    instance.report_runless_asset_event(
        dg.AssetObservation(asset, partition=partition, metadata=metadata, tags=data_version_tags(version))
    )
