"""Plain text: paragraphs, parted by blank lines."""

from __future__ import annotations

from collections.abc import Callable

from f5_pipeline.speech.script.decoding import Block, decode
from f5_pipeline.speech.script.front_matter import Header
from f5_pipeline.speech.script.sources import ScriptText


def read(data: bytes, file: str, gen_file: Callable[[str], bytes] | None) -> ScriptText:
    """See `sources.read_source`."""
    return ScriptText(Header(), paragraphs(decode(data, file)), file)


def paragraphs(text: str, lines_before: int = 0) -> list[Block]:
    """Paragraphs of a text.

    Args:
        lines_before: number of lines that stand before the text in its file.
    """
    blocks: list[Block] = []
    lines: list[tuple[int, str]] = []
    for number, line in enumerate(text.split("\n"), lines_before + 1):
        if line.strip():
            lines.append((number, line.strip()))
        elif lines:
            blocks.append(Block("paragraph", lines))
            lines = []
    if lines:
        blocks.append(Block("paragraph", lines))
    return blocks
