"""TTML by the text profile of IMSC 1.1 (W3C, "TTML Profiles for Internet Media Subtitles and Captions 1.1")."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TextIO
from xml.sax.saxutils import escape, quoteattr

from f5_pipeline.speech.captions.cues import Cue, clock
from f5_pipeline.speech.captions.text import one_line

_HEAD = """\
<?xml version="1.0" encoding="UTF-8"?>
<tt xmlns="http://www.w3.org/ns/ttml" xmlns:ttp="http://www.w3.org/ns/ttml#parameter" \
xmlns:tts="http://www.w3.org/ns/ttml#styling" xmlns:ttm="http://www.w3.org/ns/ttml#metadata" \
ttp:contentProfiles="http://www.w3.org/ns/ttml/profile/imsc1.1/text" ttp:timeBase="media" ttp:cellResolution="32 15" \
xml:lang={language}>
<head>
<metadata>
<ttm:title>{title}</ttm:title>
{agents}</metadata>
<styling>
<style xml:id="cue" tts:fontFamily="proportionalSansSerif" tts:fontSize="100%" tts:lineHeight="125%" \
tts:textAlign="center" tts:color="white" tts:direction="{direction}"/>
<style xml:id="text" tts:backgroundColor="black"/>
</styling>
<layout>
<region xml:id="bottom" tts:origin="10% 10%" tts:extent="80% 80%" tts:displayAlign="after"/>
</layout>
</head>
<body style="cue" region="bottom">
<div>
"""


def write_ttml(
    cues: Iterable[Cue], out: TextIO, *, language: str = "en", title: str = "", voices: Sequence[str] = ()
) -> int:
    """Write TTML; returns the number of cues. `out` is UTF-8 without a byte order mark, newline="\\n".

    Args:
        voices: where there are several, each is an agent, and each cue names its own.
    """
    agents = {voice: f"voice{number}" for number, voice in enumerate(voices, 1)} if len(voices) > 1 else {}
    described = (
        f'<ttm:agent type="person" xml:id="{key}"><ttm:name type="full">{_escape(voice)}</ttm:name></ttm:agent>\n'
        for voice, key in agents.items()
    )
    head = _HEAD.format(
        language=quoteattr(language), title=_escape(title), agents="".join(described), direction=_direction(language)
    )
    out.write(head)
    count = 0
    for count, cue in enumerate(cues, 1):  # noqa: B007
        agent = f' ttm:agent="{agents[cue.voice]}"' if cue.voice in agents else ""
        times = f'begin="{clock(cue.start, ".")}" end="{clock(cue.end, ".")}"'
        text = "<br/>".join(map(_escape, cue.lines))
        span = f'<span style="text" xml:space="preserve">{text}</span>'
        out.write(f'<p xml:id="cue{cue.index}" {times}{agent}>{span}</p>\n')
    out.write("</div>\n</body>\n</tt>\n")
    return count


def _escape(text: str) -> str:
    # Two characters that are printable to nobody are not allowed in XML.
    return escape(one_line(text).replace("\ufffe", "\ufffd").replace("\uffff", "\ufffd"))


def _direction(language: str) -> str:
    from babel import Locale, UnknownLocaleError

    try:
        rtl = Locale.parse(language.replace("-", "_")).text_direction == "rtl"
    except (UnknownLocaleError, ValueError):
        rtl = False
    return "rtl" if rtl else "ltr"
