"""From a voice's recording to what F5 is conditioned on."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg

from f5_pipeline.orchestration.lineage import asset
from f5_pipeline.orchestration.reporting.failures import failures
from f5_pipeline.orchestration.reporting.materializing import Product
from f5_pipeline.orchestration.reporting.metadata import markdown_text, picture
from f5_pipeline.orchestration.reporting.progress import ProgressReporter
from f5_pipeline.orchestration.resources import StoreResource
from f5_pipeline.studio.records import ReferenceClip
from f5_pipeline.studio.voices import make_reference

if TYPE_CHECKING:
    from f5_pipeline.speech.references.prepare import Reference

CHECKS = {
    "duration": "long enough to know the voice, short enough that F5 does not clip it",
    "clipping": "no samples at full scale",
    "level": "loud enough to be heard above the noise, not pressed against full scale",
    "noise_floor": "the quiet parts are quiet",
    "silence_share": "mostly speech",
    "transcript_fit": "the words of the text are heard one after the other: text of something else is caught here",
    "transcript_words": "no word of the text is missing there, none is added",
    "transcript_length": "as many syllables in the text as are heard: a wrong transcript is caught here",
    "speaking_rate": "the text fits the time it takes",
}


@asset(checks=CHECKS)
def reference_audio(context: dg.AssetExecutionContext, store: StoreResource):
    """The part of a voice's recording and transcript that F5 is conditioned on, a partition a voice.

    The recording becomes mono 24 kHz, its edges are trimmed. A recording of more than 10 s is cut to at most 8 s
    together with its transcript: a contiguous run of segments or words that ends at a pause, never inside a word. A
    transcript without times is aligned with the recording for that; one with times is checked by alignment. So text
    and sound always say the same, which is what keeps F5 from garbling.
    """
    name = context.partition_key
    with failures():
        clip, reference = make_reference(
            store.open(), name, on_progress=ProgressReporter(context, "reference_audio", name)
        )
        made = product(clip, reference)
    yield from made.outputs()


def product(clip: ReferenceClip, reference: "Reference") -> Product[ReferenceClip]:
    """A prepared reference, as the UI shows it, with its checks."""
    return Product(clip, clip.sha256, _metadata(clip, reference), list(_checks(clip, reference)))


def _metadata(clip: ReferenceClip, reference: "Reference") -> dict[str, Any]:
    from f5_pipeline.speech.audio.waveform import thumbnail_png, waveform_png

    return {
        "waveform": picture(thumbnail_png(reference.samples), "waveform"),
        "waveform_in_detail": picture(waveform_png(reference.samples), "waveform"),
        "transcript": dg.MetadataValue.md(markdown_text(clip.text)),
        "language": clip.language,
        "seconds": clip.seconds,
        "cut_from": f"{clip.start:.2f} s to {clip.end:.2f} s of the recording",
        **{
            key: round(value, 3) if isinstance(value, float) else value
            for key, value in clip.measures.items()
            if value is not None
        },
        "audio": clip.audio,
        "sha256": clip.sha256,
    }


def _checks(clip: ReferenceClip, reference: "Reference") -> Iterator[dg.AssetCheckResult]:
    from f5_pipeline.speech.references.prepare import check_reference

    outcomes = {one.name: one for one in check_reference(reference.measures, clip.text, clip.language)}
    for check, one in outcomes.items():
        yield dg.AssetCheckResult(
            check_name=check,
            asset_key="reference_audio",
            passed=one.passed,
            severity=dg.AssetCheckSeverity.ERROR if one.severity == "error" else dg.AssetCheckSeverity.WARN,
            description=one.description,
            metadata={"value": one.value, "bounds": str(one.bounds)},
        )
