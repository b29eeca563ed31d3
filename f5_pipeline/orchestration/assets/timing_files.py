"""When each word is heard."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from f5_pipeline.orchestration.partitions import NARRATIONS
from f5_pipeline.orchestration.reporting.metadata import failures, markdown_text, partition_check, seconds
from f5_pipeline.orchestration.resources import StoreResource
from f5_pipeline.orchestration.tags import STEP_RETRIES
from f5_pipeline.speech.captions.formats import CAPTIONS
from f5_pipeline.store.base import Store
from f5_pipeline.studio.formats import describe_file, format_of
from f5_pipeline.studio.narrating.production import make_timings
from f5_pipeline.studio.narrating.timing_check import LAST_RESORT, TimingCheck, check_timings
from f5_pipeline.studio.records import Audio, Plan, Timings

CODE_VERSION = "1"

MAX_UNSURE = 0.02
"""Share of a narration's words whose times may be unsure."""


@dg.asset(
    partitions_def=NARRATIONS,
    group_name="narration",
    kinds={"csv", "json"},
    code_version=CODE_VERSION,
    retry_policy=STEP_RETRIES,
    check_specs=[
        partition_check(
            "every_word_once",
            "timing_files",
            "every word of the script occurs once, in order, with start < end, within the audio",
            NARRATIONS,
        ),
        partition_check(
            "word_times",
            "timing_files",
            "the time of every word was measured, and surely; a word names its method and confidence in the JSON",
            NARRATIONS,
        ),
    ],
)
def timing_files(context: dg.AssetExecutionContext, store: StoreResource, narration_plan: Plan, narration_audio: Audio):
    """Word times (CSV, JSON) and captions (SRT, VTT) of a narration, spelled as the author wrote.

    Times are those of the words in the takes, exact or by forced alignment, carried through pauses and crossfades.
    Where a chunk could not be aligned, its words are spread over its speech, and say so. The revision is closed by its
    manifest, which names everything it was made from by hash.
    """
    with failures():
        opened = store.open()
        timings = make_timings(opened, narration_audio)
        check = check_timings(opened, narration_plan, narration_audio)
        metadata = timings_metadata(opened, timings, narration_audio, check)
    yield dg.Output(timings, data_version=dg.DataVersion(timings.revision), metadata=metadata)
    yield from timings_checks(check)


def timings_metadata(store: Store, timings: Timings, audio: Audio, check: TimingCheck) -> dict[str, Any]:
    """What the UI shows of a revision's timing files."""
    captions = next(file for file in timings.files if (known := format_of(file.name)) and known.group == CAPTIONS)
    with store.open(captions.key) as lines:
        first = lines.read(1200).decode("utf-8", "ignore")
    return {
        "words": timings.words,
        "cues": timings.cues,
        "length": seconds(audio.seconds),
        "first_captions": dg.MetadataValue.md("\n".join(f"    {line}" for line in first.splitlines()[:24])),
        "methods": ", ".join(f"{name}: {count}" for name, count in check.methods.items()),
        "files": dg.MetadataValue.md(
            "\n".join(f"- {markdown_text(file.name)}: {describe_file(file.name)}" for file in timings.files)
        ),
        "revision": timings.revision,
    }


def timings_checks(check: TimingCheck) -> Iterator[dg.AssetCheckResult]:
    """Whether every word has its time, and how sure it is."""
    yield dg.AssetCheckResult(
        check_name="every_word_once",
        asset_key="timing_files",
        passed=check.fault is None,
        severity=dg.AssetCheckSeverity.ERROR,
        description=check.fault or f"{check.words} words, all in order and within the audio",
        metadata={"words": check.words},
    )
    last_resort = check.methods.get(LAST_RESORT, 0)
    yield dg.AssetCheckResult(
        check_name="word_times",
        asset_key="timing_files",
        passed=check.unsure <= check.words * MAX_UNSURE and not last_resort,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{check.words} words, mean confidence {check.confidence:.2f}; {check.unsure} unsure"
        + (f", {last_resort} of them not measured but spread over their chunk" if last_resort else ""),
        metadata={"words": check.words, "unsure": check.unsure, "confidence": round(check.confidence, 3)}
        | {f"words_by_{method}": count for method, count in check.methods.items()},
    )
