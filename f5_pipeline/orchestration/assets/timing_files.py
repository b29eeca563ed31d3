"""From audio to word times and captions."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from f5_pipeline.orchestration.lineage import asset
from f5_pipeline.orchestration.reporting.failures import failures
from f5_pipeline.orchestration.reporting.materializing import Product
from f5_pipeline.orchestration.reporting.metadata import format_duration, markdown_text
from f5_pipeline.orchestration.resources import StoreResource
from f5_pipeline.speech.captions.formats import CAPTIONS
from f5_pipeline.store.base import Store
from f5_pipeline.studio.formats import describe_file, format_of
from f5_pipeline.studio.narrating.production import make_timings
from f5_pipeline.studio.narrating.timing_check import LAST_RESORT, TimingCheck, check_timings
from f5_pipeline.studio.records import Audio, Plan, Timings

CHECKS = {
    "every_word_once": "every word of the script occurs once, in order, with start < end, within the audio",
    "word_times": "the time of every word was measured with confidence; the JSON names each word's method",
}

MAX_UNSURE = 0.02
"""Share of a narration's words whose times may be unsure."""


@asset(checks=CHECKS)
def timing_files(context: dg.AssetExecutionContext, store: StoreResource, narration_plan: Plan, narration_audio: Audio):
    """Word times (CSV, JSON) and captions (SRT, VTT, or what its script asks for), spelled as the author wrote.

    Times are those of the words in the takes, exact or by forced alignment, carried through pauses and crossfades.
    The words of a chunk that could not be aligned are spread over its speech, and marked so. The manifest completes the
    revision: it names everything it was made from by hash.
    """
    with failures():
        result = make(store.open(), narration_plan, narration_audio)
    yield from result.outputs()


def make(store: Store, plan: Plan, audio: Audio) -> Product[Timings]:
    """A revision's timing files, with their metadata and checks."""
    timings = make_timings(store, audio)
    check = check_timings(store, plan, audio)
    return Product(timings, timings.revision, _metadata(store, timings, audio, check), list(_checks(check)))


def _metadata(store: Store, timings: Timings, audio: Audio, check: TimingCheck) -> dict[str, Any]:
    captions = next(file for file in timings.files if (known := format_of(file.name)) and known.group == CAPTIONS)
    with store.open(captions.key) as lines:
        first = lines.read(1200).decode("utf-8", "ignore")
    return {
        "words": timings.words,
        "cues": timings.cues,
        "length": format_duration(audio.seconds),
        "first_captions": dg.MetadataValue.md("\n".join(f"    {line}" for line in first.splitlines()[:24])),
        "methods": ", ".join(f"{name}: {count}" for name, count in check.methods.items()),
        "files": dg.MetadataValue.md(
            "\n".join(f"- {markdown_text(file.name)}: {describe_file(file.name)}" for file in timings.files)
        ),
        "revision": timings.revision,
    }


def _checks(check: TimingCheck) -> Iterator[dg.AssetCheckResult]:
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
