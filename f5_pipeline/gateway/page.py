"""The page that plays a narration with its text, and the small pages that explain why a link opens nothing.

All links in a page are relative, so that the service works behind any host name and path prefix. The page loads only
one style sheet and one script, both ours. Without the script it is a player, chapters and a list of downloads.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from f5_pipeline.gateway.archive import ARCHIVE
from f5_pipeline.gateway.delivery import DeliveredFile
from f5_pipeline.gateway.reading import SUFFIX as TEXT_SUFFIX
from f5_pipeline.speech.audio.encoding import FORMATS as AUDIO_FORMATS
from f5_pipeline.studio.formats import format_of
from f5_pipeline.studio.links.tokens import Permit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jinja2 import Environment

_HERE = Path(__file__).parent
STATIC = _HERE / "static"


@dataclass(frozen=True)
class PageChapter:
    """A chapter and where it begins in the audio, s."""

    title: str
    start: float


@dataclass(frozen=True)
class PageFacts:
    """What the page shows of a narration.

    Attributes:
        voices: names, in order of appearance.
        seconds: length of the audio.
        engine: name of the engine, "draft" or "f5".
        created: when the revision was made (with time zone).
        language: BCP 47 tag of the script.
        chapters: in order; a single one is not listed.
    """

    title: str
    voices: Sequence[str]
    seconds: float
    engine: str
    author: str | None = None
    created: datetime | None = None
    language: str = "en"
    chapters: Sequence[PageChapter] = ()


def render_page(facts: PageFacts, files: Sequence[DeliveredFile], permit: Permit, token: str, *, newest: bool) -> str:
    """HTML of the page at `/n/<token>/`.

    Args:
        newest: the page shows whichever revision is the newest, so its links name the present one.
    """
    query = [("revision", permit.revision)] if newest else []
    groups: dict[str, list[dict[str, Any]]] = {}
    for file in files:
        file_format = format_of(file.name)
        groups.setdefault(file_format.group if file_format else "Other files", []).append(
            {
                "name": file.name,
                "description": file_format.label if file_format else "File",
                "size": human_size(file.size),
                "type": file.media_type,
                "url": _address(token, file, query),
                "inline": _address(token, file, [*query, ("inline", "1")]),
                "whole": file.chapter is None,
            }
        )
    rows = [row for group in groups.values() for row in group]
    # A browser takes the first source that it can play: the small one loads fast, the lossless one is the fallback.
    lossless = {audio_format.media_type for audio_format in AUDIO_FORMATS.values() if audio_format.lossless}
    sources = [row for row in rows if row["type"].startswith("audio/") and row["whole"]]
    sources.sort(key=lambda row: row["type"] in lossless)
    ends = [*(chapter.start for chapter in facts.chapters[1:]), facts.seconds]
    chapters = [
        {
            "title": chapter.title,
            "start": f"{chapter.start:.3f}",
            "clock": clock(chapter.start),
            "length": human_duration(end - chapter.start, rounded=True),
        }
        for chapter, end in zip(facts.chapters, ends, strict=False)
    ]
    return template("page.html").render(
        facts=facts,
        groups=groups,
        archive=f"../../d/{token}/{ARCHIVE}" + (f"?{urlencode(query)}" if query else ""),
        archive_size=human_size(sum(file.size for file in files)),
        sources=sources,
        readable=any(file.name.endswith(TEXT_SUFFIX) for file in files),
        query=f"?{urlencode(query)}" if query else "",
        chapters=chapters if len(chapters) > 1 else [],
        duration=human_duration(facts.seconds),
        created=_format_day(facts.created) if facts.created else None,
        expires=_format_minute(datetime.fromtimestamp(min(permit.expires, 253_402_300_799), timezone.utc)),
        revision=permit.revision,
        newest=newest,
    )


def _address(token: str, file: DeliveredFile, query: Sequence[tuple[str, str]]) -> str:
    path = f"../../d/{token}/{quote(file.name, safe='')}"
    return f"{path}?{urlencode(query)}" if query else path


def render_notice(status: int, title: str, text: str, root: str) -> str:
    """HTML of a small page with one message; `root` is the relative path to the service's root, "" or "../../"."""
    return template("notice.html").render(status=status, title=title, text=text, root=root)


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    whole = int(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def human_duration(seconds: float, *, rounded: bool = False) -> str:
    """A duration for people: "48 s", "3 min 12 s", "2 h 05 min"; rounded: "3 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3570 and rounded:
        return f"{round(whole / 60)} min"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(whole / 60)
    return f"{minutes // 60} h {minutes % 60:02} min"


def human_size(size: int) -> str:
    """Bytes in decimal units, as browsers and file managers show them: "812 B", "48 kB", "3.4 MB"."""
    if size < 1000:
        return f"{size} B"
    value, units = float(size), iter(("kB", "MB", "GB", "TB"))
    unit = "B"
    while value >= 999.5 and unit != "TB":
        value, unit = value / 1000, next(units)
    return f"{value:.1f} {unit}" if value < 9.95 else f"{value:.0f} {unit}"


def _format_day(time: datetime) -> str:
    return f"{time.day} {time:%B %Y}"


def _format_minute(time: datetime) -> str:
    return f"{_format_day(time)}, {time:%H:%M} UTC"


@functools.cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def template(name: str):
    """One of our templates; it escapes what it is given."""
    return _environment().get_template(name)
