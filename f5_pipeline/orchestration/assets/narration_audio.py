"""From takes to the finished audio."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from f5_pipeline.orchestration.configured import content_credentials
from f5_pipeline.orchestration.lineage import asset
from f5_pipeline.orchestration.reporting.doubts import describe_quality, doubts_metadata
from f5_pipeline.orchestration.reporting.failures import failures
from f5_pipeline.orchestration.reporting.materializing import Product
from f5_pipeline.orchestration.reporting.metadata import format_duration, picture, sentences, slots_metadata, table
from f5_pipeline.orchestration.reporting.progress import ProgressReporter
from f5_pipeline.orchestration.resources import StoreResource
from f5_pipeline.settings import get_settings
from f5_pipeline.speech.audio.inspection import Line
from f5_pipeline.store.base import Store
from f5_pipeline.studio.formats import describe_file
from f5_pipeline.studio.measures import percent
from f5_pipeline.studio.narrating.production import make_audio
from f5_pipeline.studio.narrating.waveforms import read_waveform
from f5_pipeline.studio.records import Audio, Plan, Takes

CHECKS = {
    "mastered": "loudness and true peak are what was asked for",
    "quality": "every take is within its voice's band, perhaps after retakes",
}


@asset(checks=CHECKS)
def narration_audio(context: dg.AssetExecutionContext, store: StoreResource, narration_plan: Plan, takes: Takes):
    """The finished narration: a FLAC master and an MP3, or the files that the script asks for.

    Takes follow one another with pauses by sentence, paragraph and chapter; the parts of a split sentence are joined
    by a short equal-power crossfade. One linear gain brings the whole to its loudness, never above the peak; a master
    (podcast, ebu, acx, retail) has a limiter too, and its finished files are measured against it. Delivered
    files are named by their revision, a hash of takes and settings, and never change.
    """
    narration = context.partition_key
    with failures():
        if takes.plan != narration_plan.digest:
            raise dg.Failure(
                f"the takes of {narration!r} belong to an older plan. Materialize takes for this partition first.",
                allow_retries=False,
            )
        opened = store.open()
        settings, progress = get_settings(), ProgressReporter(context, "narration_audio", narration)
        audio = make_audio(
            opened,
            narration_plan,
            takes,
            loudness=settings.loudness,
            peak=settings.peak,
            credentials=content_credentials(settings),
            on_progress=progress,
        )
        result = product(opened, audio, takes)
    yield from result.outputs()


def product(store: Store, audio: Audio, takes: Takes) -> Product[Audio]:
    """A revision's audio, with its metadata and checks."""
    return Product(audio, audio.revision, _metadata(store, audio), list(_checks(audio, takes)))


def _metadata(store: Store, audio: Audio) -> dict[str, Any]:
    from f5_pipeline.speech.audio.cover import thumbnail_of
    from f5_pipeline.speech.audio.waveform import thumbnail_png, waveform_png

    peaks, pictures = read_waveform(store, audio), {}
    if peaks is not None:
        pictures["waveform"] = picture(thumbnail_png(peaks), "waveform")
        pictures["waveform_in_detail"] = picture(waveform_png(peaks), "waveform")
    chapters = {}
    if audio.chapters:
        ends = [*(chapter.start for chapter in audio.chapters[1:]), audio.seconds]
        if peaks is not None and len(ends) > 1:  # from the very beginning: its times are those of the narration
            first = peaks.part(0, ends[0], 900)
            pictures["waveform_of_first_chapter"] = picture(thumbnail_png(first), "waveform of the first chapter")
        rows = [
            {
                "start": format_duration(chapter.start),
                "length": format_duration(end - chapter.start),
                "title": chapter.title,
            }
            for chapter, end in zip(audio.chapters, ends, strict=True)
        ]
        chapters["chapters"] = table(rows)
    if audio.plan.cover_key:
        pictures["cover"] = picture(thumbnail_of(store.get_bytes(audio.plan.cover_key)), "cover")
    return {
        **pictures,
        "title": audio.plan.title,
        "engine": f"{audio.plan.engine}: {audio.plan.engine_note}",
        "length": format_duration(audio.seconds),
        "seconds": audio.seconds,
        "words": audio.words,
        "loudness_lufs": _number(audio.loudness_lufs),
        "true_peak_dbtp": _number(audio.true_peak_dbtp),
        "gain_db": round(audio.gain_db, 2),
        **chapters,
        **sentences("warnings", audio.plan.warnings),
        **slots_metadata(audio.slots, "misfits"),
        "files": table(
            [
                {
                    "name": file.name,
                    "kind": describe_file(file.name),
                    "MB": round(file.size / 1e6, 2),
                    "sha256": file.sha256[:16],
                }
                for file in audio.files
            ]
        ),
        "revision": audio.revision,
    }


def _judged(audio: Audio) -> list[tuple[str, Line]]:
    """File and demand, for all demands of its master on its files; those that are not met first."""
    from f5_pipeline.speech.audio.inspection import judge
    from f5_pipeline.speech.audio.mastering import PRESETS

    preset = PRESETS[audio.plan.delivery.master] if audio.plan.delivery.master else None
    if preset is None:
        return []
    chapters = {file.name for file in audio.files if file.chapter is not None}
    lines = [
        (measures.name, line)
        for measures in audio.measures
        for line in judge(measures, preset, is_delivery=not chapters or measures.name in chapters)
    ]
    return sorted(lines, key=lambda line: line[1].passed)


def _checks(audio: Audio, takes: Takes) -> Iterator[dg.AssetCheckResult]:
    target, loudness, peak = audio.assembly, audio.loudness_lufs, audio.true_peak_dbtp
    judged = _judged(audio)
    failed = [line for _, line in judged if not line.passed]
    if judged:
        mastered = not failed
        description = f"{len(judged) - len(failed)} of {len(judged)} demands of the master {audio.plan.delivery.master}"
        description += " are met" + (f"; not: {', '.join(sorted({line.what for line in failed}))}" if failed else "")
    elif loudness is None or peak is None:
        mastered, description = False, "it is too short or too quiet to be measured"
    else:
        mastered = abs(loudness - target.loudness) <= 0.5 and peak <= target.peak + 0.1
        description = f"reached {loudness:.1f} LUFS of {target.loudness:g} asked for"
        if audio.limited_by_peak:
            description += (
                f": the peak limit of {target.peak:g} dBTP holds it back; a master (F5_MASTER=podcast) limits"
            )
    yield dg.AssetCheckResult(
        check_name="mastered",
        asset_key="narration_audio",
        passed=mastered,
        severity=dg.AssetCheckSeverity.WARN,
        description=description,
        metadata={
            "loudness_lufs": _number(audio.loudness_lufs),
            "true_peak_dbtp": _number(audio.true_peak_dbtp),
            "limited_by_peak": audio.limited_by_peak,
        }
        | ({"demands": table([_row(name, line) for name, line in judged])} if judged else {}),
    )
    yield dg.AssetCheckResult(
        check_name="quality",
        asset_key="narration_audio",
        passed=takes.doubtful == 0,
        severity=dg.AssetCheckSeverity.WARN,
        description=describe_quality(takes),
        metadata={
            "measured": takes.measured,
            "retaken": takes.retaken,
            "doubtful": takes.doubtful,
            **({"word_error_rate": percent(takes.word_errors, takes.heard_words)} if takes.heard_words else {}),
            **({"similarity": takes.similarity} if takes.similarity is not None else {}),
        }
        | doubts_metadata(takes),
    )


def _row(name: str, line: Line) -> dict[str, Any]:
    passed = "pass" if line.passed else "fail"
    return {"file": name, "what": line.what, "measured": line.measured, "asked": line.asked, "result": passed}


def _number(value: float | None) -> float | str:
    return "silent" if value is None else round(value, 2)
