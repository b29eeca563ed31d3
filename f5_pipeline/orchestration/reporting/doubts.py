"""The results of the quality gate for people."""

import dagster as dg

from f5_pipeline.orchestration.reporting.metadata import table
from f5_pipeline.studio.records import Takes


def describe_quality(takes: Takes) -> str:
    """A sentence on the quality of a narration's takes."""
    if not takes.measured:
        return "not measured: the quality gate is for cloned voices, not for drafts"
    heard = f"; {takes.word_errors} of {takes.heard_words} words heard otherwise" if takes.heard_words else ""
    retaken = f"{takes.retaken} made again with success" if takes.retaken else "none made again"
    if not takes.doubtful:
        return f"{takes.measured} takes measured, all within the band of their voice; {retaken}{heard}"
    first = takes.doubts[0]
    return (
        f"{takes.doubtful} of {takes.chunks} chunks are doubtful after {first.attempts} attempts: listen to chunk "
        f"{first.chunk} on line {first.line}. {' '.join(first.reasons)} In all: {retaken}{heard}."
    )


def doubts_metadata(takes: Takes) -> dict[str, dg.MetadataValue]:
    """Metadata: a table of the chunks whose best take is outside its voice's band; empty where there are none."""
    rows = [
        {
            "line": doubt.line,
            "text": doubt.text[:60],
            "why": " ".join(doubt.reasons),
            "attempts": doubt.attempts,
            "take": doubt.take[:8],
        }
        for doubt in takes.doubts
    ]
    return {"doubts": table(rows)} if rows else {}
