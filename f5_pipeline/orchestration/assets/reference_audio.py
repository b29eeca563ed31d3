"""From a voice's recording to the reference that F5 is conditioned on."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import dagster as dg

from f5_pipeline.orchestration.configured import studio_options
from f5_pipeline.orchestration.lineage import asset
from f5_pipeline.orchestration.reporting.failures import failures
from f5_pipeline.orchestration.reporting.materializing import Product
from f5_pipeline.orchestration.reporting.metadata import markdown_text, picture, sentences
from f5_pipeline.orchestration.reporting.progress import ProgressReporter
from f5_pipeline.orchestration.resources import StoreResource
from f5_pipeline.settings import get_settings
from f5_pipeline.studio.recognition import hear_reference
from f5_pipeline.studio.records import ReferenceClip
from f5_pipeline.studio.voices import errors_of, hearing_of, make_reference

if TYPE_CHECKING:
    from f5_pipeline.speech.references.prepare import Reference

CHECKS = {
    "duration": "long enough to know the voice, short enough that F5 does not clip it",
    "clipping": "no samples at full scale",
    "level": "loud enough to be heard above the noise, not pressed against full scale",
    "noise_floor": "the quiet parts are quiet",
    "silence_share": "mostly speech",
    "transcript_fit": "the words of the text are heard in order: finds the text of another recording",
    "transcript_words": "no word of the text is missing in the audio, none is added",
    "transcript_length": "the text has as many syllables as are heard: finds a wrong transcript",
    "speaking_rate": "the text fits the time it takes",
    "transcript_heard": "a listener hears the words of the text, where one is here (F5_LISTEN)",
    "one_speaker": "both halves of the recording sound like one person",
}


@asset(checks=CHECKS)
def reference_audio(context: dg.AssetExecutionContext, store: StoreResource):
    """The part of a voice's recording and transcript that F5 is conditioned on. A partition is a voice.

    The recording becomes mono 24 kHz, its edges are trimmed. A recording of more than 10 s is cut to at most 8 s
    together with its transcript: a contiguous run of segments or words that ends at a pause, never inside a word. A
    transcript without times is first aligned with the recording; one with times is checked by alignment. Text and
    sound must match, or F5 garbles.
    """
    name = context.partition_key
    with failures():
        opened = store.open()
        hear = partial(hear_reference, opened, studio_options(get_settings()))
        report = ProgressReporter(context, "reference_audio", name)
        clip, reference = make_reference(opened, name, hear=hear, on_progress=report)
        result = product(clip, reference)
    yield from result.outputs()


def product(clip: ReferenceClip, reference: "Reference") -> Product[ReferenceClip]:
    """A prepared reference, with its metadata and checks."""
    return Product(clip, clip.version, _metadata(clip, reference), list(_checks(clip, reference)))


def _metadata(clip: ReferenceClip, reference: "Reference") -> dict[str, Any]:
    from f5_pipeline.speech.audio.waveform import thumbnail_png, waveform_png

    return {
        "waveform": picture(thumbnail_png(reference.samples), "waveform"),
        "waveform_in_detail": picture(waveform_png(reference.samples), "waveform"),
        **sentences("unchecked", list(errors_of(clip).values())),
        "transcript": dg.MetadataValue.md(markdown_text(clip.text)),
        "transcript_by": f"{clip.transcribed_by} (a machine)" if clip.transcribed_by else "a person",
        "language": clip.language,
        "seconds": clip.seconds,
        "cut_from": f"{clip.start:.2f} s to {clip.end:.2f} s of the recording",
        **{
            key: round(value, 3) if isinstance(value, float) else value
            for key, value in clip.measures.items()
            if value is not None
        },
        "audio": clip.audio,
        **({"tuned": f"{clip.setting.speed:g} of the recording's pace"} if clip.setting else {}),
        "sha256": clip.sha256,
    }


def _checks(clip: ReferenceClip, reference: "Reference") -> Iterator[dg.AssetCheckResult]:
    from f5_pipeline.speech.references.checks import check_heard, check_reference

    checks = check_reference(reference.measures, clip.text, clip.language) + check_heard(hearing_of(clip))
    for check in checks:
        yield dg.AssetCheckResult(
            check_name=check.name,
            asset_key="reference_audio",
            passed=check.passed,
            severity=dg.AssetCheckSeverity.ERROR if check.severity == "error" else dg.AssetCheckSeverity.WARN,
            description=check.description,
            metadata={"value": check.value, "bounds": _describe_bounds(*check.bounds)},
        )


def _describe_bounds(low: float | None, high: float | None) -> str:
    """For example "0.5 to 8" or "at most 0.001"."""
    if low is None:
        return "any" if high is None else f"at most {high:g}"
    return f"at least {low:g}" if high is None else f"{low:g} to {high:g}"
