"""Voices, scripts and the lexicon, which people bring, reported to Dagster: a partition of each voice and script, and
an observation of each version."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from f5_pipeline.orchestration.partitions import NARRATIONS, VOICES
from f5_pipeline.orchestration.reporting.metadata import table
from f5_pipeline.orchestration.reporting.provenance import data_version_tags
from f5_pipeline.speech.text.lexicon import Entry, scope_of

if TYPE_CHECKING:
    from f5_pipeline.studio.records import Voice


def report_voice(instance: dg.DagsterInstance, voice: Voice) -> None:
    """Report a voice and its present recording to Dagster."""
    from f5_pipeline.studio.records import digest_of

    register(instance, VOICES, voice.name)
    transcript = voice.transcript.sha256 if voice.transcript else None
    tuned = [voice.setting.model_dump()] if voice.setting else []
    report_source(
        instance,
        "voice_recording",
        voice.name,
        digest_of([voice.recording.sha256, transcript, voice.language, *tuned]),
        {
            "recording": voice.recording.name,
            "transcript": voice.transcript.name if voice.transcript else "none",
            "transcript_by": f"{voice.transcribed_by} (a machine)" if voice.transcribed_by else "a person",
            "language": voice.language,
            "bytes": voice.recording.size,
        },
    )


def report_script(instance: dg.DagsterInstance, narration: str, version: str, metadata: dict[str, Any]) -> None:
    """Report a narration and the present version of its script to Dagster."""
    register(instance, NARRATIONS, narration)
    report_source(instance, "script", narration, version, metadata)


def report_lexicon(instance: dg.DagsterInstance, entries: Sequence[Entry]) -> None:
    """Report the store's lexicon to Dagster, where it is new or has changed; nothing where there has never been one."""
    from f5_pipeline.studio.lexicon import lexicon_digest

    if not entries and not instance.fetch_observations(dg.AssetKey("lexicon"), limit=1).records:
        return
    rows = [
        {"written": entry.written, "said": entry.said, "ipa": entry.ipa, "for": scope_of(entry)} for entry in entries
    ]
    metadata = {"entries": len(entries), **({"lexicon": table(rows)} if rows else {})}
    report_source(instance, "lexicon", None, lexicon_digest(entries), metadata)


def register(instance: dg.DagsterInstance, definition: dg.DynamicPartitionsDefinition, key: str) -> None:
    """Add a partition if it is new."""
    register_all(instance, definition, [key])


def register_all(
    instance: dg.DagsterInstance, definition: dg.DynamicPartitionsDefinition, keys: Collection[str]
) -> None:
    """Add the partitions that are new."""
    name = str(definition.name)

    def missing() -> list[str]:
        if len(keys) == 1:
            return [key for key in keys if not instance.has_dynamic_partition(name, key)]
        known = set(instance.get_dynamic_partitions(name)) if keys else set()
        return [key for key in keys if key not in known]

    if not (new := missing()):
        return
    try:
        instance.add_dynamic_partitions(name, new)
    except Exception:
        # Another process may have added them first: each of Dagster's storages raises its own database error then.
        if missing():
            raise


def report_source(
    instance: dg.DagsterInstance, asset: str, partition: str | None, version: str, metadata: Mapping[str, Any]
) -> bool:
    """Report the present version of a source to Dagster; return whether it is new."""
    tags = data_version_tags(version)
    # Dagster compares observations of an asset that is not made here.
    newest = instance.fetch_observations(
        dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[partition] if partition else None),
        limit=1,
    )
    for record in newest.records:
        observation = record.event_log_entry.asset_observation
        if observation is not None and observation.tags.items() >= tags.items():
            return False
    report_state(instance, asset, partition, version, metadata)
    return True


def report_state(
    instance: dg.DagsterInstance, asset: str, partition: str | None, version: str, metadata: Mapping[str, Any]
) -> None:
    """Report the state of a source, at a version of it, to Dagster."""
    instance.report_runless_asset_event(
        dg.AssetObservation(asset, partition=partition, metadata=metadata, tags=data_version_tags(version))
    )
