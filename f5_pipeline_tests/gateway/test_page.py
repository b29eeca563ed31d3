from __future__ import annotations

from html.parser import HTMLParser

import pytest
from starlette.testclient import TestClient

from f5_pipeline.gateway.page import PageChapter, PageFacts, clock, human_duration, human_size
from f5_pipeline_tests.support.gateway_studio import Studio


class Tags(HTMLParser):
    """Every start tag with its attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def page(studio: Studio) -> Tags:
    answer = TestClient(studio.app()).get(f"/n/{studio.token()}/")
    assert answer.status_code == 200 and answer.headers["content-type"] == "text/html; charset=utf-8"
    return Tags(answer.text)


def test_the_page_says_what_it_plays(playable):
    tags = page(playable)
    for words in ("Notes on the Analytical Engine", "Ada Lovelace", "Ada, Charles", "8 s", "4 May 2026", "Draft voice"):
        assert words in tags.text.replace("\n", "")
    assert [s["type"] for s in tags.all("source")] == ["audio/mpeg", "audio/flac"]
    assert [a["data-start"] for a in tags.all("a") if "data-start" in a] == ["0.000", "4.600"]
    groups = [section["aria-label"] for section in tags.all("section") if "aria-label" in section]
    assert groups == ["Player", "Audio", "Captions", "Word times"]
    assert [a["download"] for a in tags.all("a") if "download" in a] == [*playable.files, None]


def test_all_it_points_to_is_there_and_ours(playable):
    client = TestClient(playable.app())
    base = f"/n/{playable.token()}/"
    tags = Tags(client.get(base).text)
    targets = [target for _, attrs in tags.tags for key in ("src", "href") if (target := attrs.get(key))]
    assert len(targets) >= 12
    for target in targets:
        assert target.startswith("../../")
        assert client.get(base + target).status_code == 200, target


def test_nothing_runs_inline(playable):
    tags = page(playable)
    assert all(attrs.get("src") for attrs in tags.all("script")) and not tags.all("style")
    assert not [a for _, attrs in tags.tags for a in attrs if a.startswith("on") or a == "style"]


@pytest.mark.parametrize(
    "evil", ["<script>alert(1)</script>\"'><img src=x onerror=alert(2)>", "{{ 7 * 7 }}", "</title>"]
)
def test_what_the_author_wrote_stays_text(studio, evil):
    studio.facts = PageFacts(
        title=evil,
        author=evil,
        voices=[evil],
        seconds=1,
        engine="draft",
        language='"><b>',
        chapters=[PageChapter(evil, 0), PageChapter(evil, 1)],
    )
    studio.add(evil.replace("/", "") + ".mp3", b"x")
    tags = page(studio)
    assert tags.text.count(evil) >= 6
    assert len(tags.all("script")) == 1 and not tags.all("img") and not tags.all("b")


def test_a_final_voice_is_told_as_synthetic_and_not_as_draft(playable):
    playable.facts = PageFacts(title="T", voices=["a"], seconds=5000, engine="f5")
    text = page(playable).text
    assert "Synthetic voice" in text and "Draft" not in text and "1 h 23 min" in text and "Chapters" not in text


def test_without_audio_or_captions_there_is_still_a_page(studio):
    studio.add("engine.xyz", b"what no format has")
    for name in ("engine.flac", "engine.mp3", "engine.vtt"):
        del studio.files[name]
    tags = page(studio)
    assert not tags.all("audio") and "no audio" in tags.text and "Other files" in tags.text
    studio.files.clear()
    assert "Downloads" not in page(studio).text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (192, "3 min 12 s"),
        (3599.7, "1 h 00 min"),
        (7500, "2 h 05 min"),
    ],
)
def test_human_duration(seconds, text):
    assert human_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (48_200, "48 kB"), (999_600, "1.0 MB"), (3_440_000, "3.4 MB"),
     (9_960_000, "10 MB"), (2_500_000_000, "2.5 GB"), (5e15, "5000 TB")],
)  # fmt: skip
def test_human_size(size, text):
    assert human_size(size) == text


def test_clock():
    assert [clock(s) for s in (0, 59.99, 61, 3600, 36_061)] == ["0:00", "0:59", "1:01", "1:00:00", "10:01:01"]
