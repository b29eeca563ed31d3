"""The tables of formats: whoever adds a line finds the file everywhere, and nothing else is to be changed."""

from __future__ import annotations

from typing import get_args

import pytest
from starlette.testclient import TestClient

from f5_pipeline.gateway.delivery import media_type_of
from f5_pipeline.orchestration.assets.timing_files import make
from f5_pipeline.speech.audio import encoding
from f5_pipeline.speech.captions.formats import CAPTIONS, FORMATS, CaptionFormat, TimedNarration, as_text
from f5_pipeline.speech.script.model import AudioFormat
from f5_pipeline.studio.formats import describe_file, format_of
from f5_pipeline.studio.links.making import read_manifest
from f5_pipeline_tests.support.deliveries import give, service


def write_lrc(narration: TimedNarration, out) -> None:
    """Lyrics, a line a cue, as music players show them."""
    out.write(f"[ti:{narration.meta['title']}]\n")
    for cue in narration.cues():
        out.write(f"[{int(cue.start) // 60:02}:{cue.start % 60:05.2f}]{' '.join(cue.lines)}\n")


LRC = CaptionFormat(".lrc", "application/x-lrc; charset=utf-8", CAPTIONS, "lyrics", as_text(write_lrc))


def test_a_caption_format_is_one_line_of_the_table(studio, monkeypatch):
    before = dict(FORMATS)
    with monkeypatch.context() as patch:
        patch.setitem(FORMATS, LRC.suffix, LRC)
        plan = studio.plan("# One\n\nThe first sentence is here. A second one follows.\n", "story.md")
        _, audio, timings = studio.produce(plan)

        (file,) = (file for file in read_manifest(studio.store, "story", audio.revision).files if "lrc" in file.name)
        assert file.name == "story.lrc" and file in timings.files
        text = studio.store.get_bytes(file.key).decode()
        assert text.startswith(f"[ti:{plan.title}]\n[00:00.50]One\n[") and "A second one follows." in text

        links = give(studio.store, audio.revision)
        client: TestClient = service(studio.store)
        answer = client.get(links.files[file.name])
        assert answer.text == text and answer.headers["content-type"] == LRC.media_type
        page = client.get(links.page).text
        assert "story.lrc" in page and "lyrics" in page

        metadata = make(studio.store, plan, audio).metadata
        assert "story\\.lrc: Captions, lyrics" in metadata["files"].value
    assert before == FORMATS and format_of("story.lrc") is None


def test_every_audio_format_that_a_script_may_name_is_in_the_table():
    assert tuple(encoding.FORMATS) == get_args(AudioFormat)


def test_formats_are_told_apart():
    tables = (*encoding.FORMATS.values(), *FORMATS.values())
    assert len({known.suffix for known in tables}) == len({known.description for known in tables}) == len(tables)
    assert all(format_of(f"Any Name{known.suffix.upper()}") is known for known in tables)


@pytest.mark.parametrize(
    ("name", "description"),
    [
        ("a.flac", "Audio, lossless FLAC"),
        ("a.mp3", "Audio, MP3"),
        ("a.words.csv", "Word times, CSV"),
        ("a.words.json", "Word times, JSON"),
        ("a.srt", "Captions, SubRip"),
        ("a.vtt", "Captions, WebVTT"),
        ("a.bin", "File"),
        ("a", "File"),
        ("", "File"),
    ],
)
def test_what_a_page_calls_a_file(name, description):
    assert describe_file(name) == description
    assert (media_type_of(name) == "application/octet-stream") == (description == "File")
