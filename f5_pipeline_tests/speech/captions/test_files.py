"""Files of captions and word times, read back by other readers."""

import csv
import io
import json
import re
import subprocess
import zipfile
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import imageio_ffmpeg
import pandas
import pysubs2
import pytest
import ttconv.imsc.reader
import ttconv.srt.writer
import webvtt

from f5_pipeline.speech.captions.ass import usual_look, write_ass
from f5_pipeline.speech.captions.cues import Cue, Span, iter_cues
from f5_pipeline.speech.captions.epub import Book, write_epub
from f5_pipeline.speech.captions.srt import write_srt
from f5_pipeline.speech.captions.ttml import write_ttml
from f5_pipeline.speech.captions.vtt import write_vtt
from f5_pipeline.speech.captions.word_files import (
    CSV_COLUMNS,
    write_words_csv,
    write_words_json,
    write_words_parquet,
)
from f5_pipeline.speech.timeline import TimedWord
from f5_pipeline_tests.support.timed_words import BREAKING, CHINESE, NASTY, STYLE, bare, random_words, timed


@pytest.fixture(params=range(4))
def cues(request) -> list[Cue]:
    return list(iter_cues(random_words(request.param + 100, 600), STYLE))


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def test_srt_reads_back(cues: list[Cue]):
    out = io.StringIO()
    assert write_srt(cues, out) == len(cues)
    events = pysubs2.SSAFile.from_string(
        out.getvalue(), format_="srt", keep_unknown_html_tags=True, keep_html_tags=True
    )
    assert [(event.start, event.end) for event in events] == [
        (milliseconds(cue.start), milliseconds(cue.end)) for cue in cues
    ]
    for event, cue in zip(events, cues, strict=True):
        assert bare(event.text.replace("\\N", "")) == bare("".join(cue.lines))


def test_srt_of_markup_is_shown_as_written():
    words = ["<b>bold</b>", "{\\an8}", "{y:i}", "-->", "a<b", "</i>", "<", "{"]
    out = io.StringIO()
    write_srt(iter_cues(timed(words), STYLE), out)
    # pysubs2 drops the HTML that it recognises
    (event,) = pysubs2.SSAFile.from_string(out.getvalue(), format_="srt")
    assert bare(event.text.replace("\\N", "")) == "".join(words)
    assert "{\\" not in event.text
    assert out.getvalue().count("-->") == 1


def test_vtt_reads_back(cues: list[Cue]):
    out = io.StringIO()
    assert write_vtt(cues, out) == len(cues)
    content = out.getvalue()
    assert content.startswith("WEBVTT\n\n") and "\r" not in content and "\ufeff" not in content[:8]
    assert content.count("-->") == len(cues)
    captions = webvtt.from_string(content).captions
    assert [(caption.start, caption.end) for caption in captions] == [
        (clock(cue.start), clock(cue.end)) for cue in cues
    ]
    assert [caption.identifier for caption in captions] == [str(cue.index) for cue in cues]
    for caption, cue in zip(captions, cues, strict=True):
        assert unescape(caption.raw_text) == "\n".join(cue.lines)


def test_vtt_names_the_voice():
    out = io.StringIO()
    write_vtt(iter_cues(timed(["a", "<b>", "&"], voice="Zoë > <Ann>"), STYLE), out, voices=True)
    body = out.getvalue().splitlines()[4]
    assert body == "<v Zoë &gt; &lt;Ann&gt;>a &lt;b&gt; &amp;</v>"
    out = io.StringIO()
    write_vtt(iter_cues(timed(["a"], voice="Zoë"), STYLE), out, voices=True)
    (caption,) = webvtt.from_string(out.getvalue()).captions
    assert (caption.voice, caption.text) == ("Zoë", "a")


def test_vtt_stamps_each_word_but_the_first(cues: list[Cue]):
    out = io.StringIO()
    assert write_vtt(cues, out, words=True) == len(cues)
    for caption, cue in zip(webvtt.from_string(out.getvalue()).captions, cues, strict=True):
        assert unescape(re.sub(r"<[\d:.]+>", "", caption.raw_text)) == "\n".join(cue.lines)
        stamps = [clock(cue.start), *re.findall(r"<([\d:.]+)>", caption.raw_text), clock(cue.end)]
        assert all(a < b for a, b in pairwise(stamps))
        starts = {clock(span.start) for line in cue.spans for span in line}
        assert {stamp for stamp in starts if stamps[0] < stamp < stamps[-1]} == set(stamps[1:-1])


def test_ass_reads_back_with_its_karaoke(cues: list[Cue]):
    out = io.StringIO()
    assert write_ass(cues, out, "A title\nof two lines") == len(cues)
    subtitles = pysubs2.SSAFile.from_string(out.getvalue(), format_="ass")
    assert subtitles.info["Title"] == "A title of two lines"
    last = 0
    for event, cue in zip(subtitles, cues, strict=True):
        assert abs(event.start - cue.start * 1000) <= 15 and event.start >= last
        last = event.end
        lengths = [int(length) for length in re.findall(r"\{\\k(\d+)\}", event.text)]
        assert 10 * sum(lengths) == event.duration
        at = event.start
        for length, span in zip(lengths, (span for line in cue.spans for span in line), strict=True):
            assert abs(at - span.start * 1000) <= 16 or span.start < cue.start or at == event.end
            at += 10 * length
        assert shown(re.sub(r"\{\\k\d+\}", "", event.text).replace("\\N", "\n")) == "\n".join(cue.lines)


def test_ass_lays_out_lines_as_a_whole_where_they_run_from_the_right(cues: list[Cue]):
    for language, encoding in (("ar-EG", -1), ("en", 1)):
        out = io.StringIO()
        write_ass(cues, out, look=usual_look(language))
        assert pysubs2.SSAFile.from_string(out.getvalue(), format_="ass").styles["Default"].encoding == encoding


def test_ttml_reads_back_and_keeps_the_rules_of_imsc(cues: list[Cue]):
    out = io.StringIO()
    voices = ["Ada", "Böb <&>", ""]
    assert write_ttml(cues, out, language="ar", title="<&>", voices=voices) == len(cues)
    root = ElementTree.fromstring(out.getvalue())
    tt, ttp, tts, ttm, xml = (
        f"{{http://www.w3.org/ns/ttml{part}}}" for part in ("", "#parameter", "#styling", "#metadata", "")
    )
    xml = "{http://www.w3.org/XML/1998/namespace}"
    assert root.tag == f"{tt}tt" and root.get(f"{xml}lang") == "ar"
    assert root.get(f"{ttp}contentProfiles") == "http://www.w3.org/ns/ttml/profile/imsc1.1/text"
    assert {element.tag for element in root.iter()} <= {
        *(tt + name for name in ("tt", "head", "metadata", "styling", "style", "layout", "region")),
        *(tt + name for name in ("body", "div", "p", "span", "br")),
        *(ttm + name for name in ("title", "agent", "name")),
    }
    names = [element.get(f"{xml}id") for element in root.iter() if element.get(f"{xml}id")]
    assert len(set(names)) == len(names)
    used = {
        element.get(key) for element in root.iter() for key in ("style", "region", f"{ttm}agent") if element.get(key)
    }
    assert used <= set(names)
    (region,) = root.iter(f"{tt}region")
    assert all(re.fullmatch(r"\d+% \d+%", region.get(tts + key, "")) for key in ("origin", "extent"))
    agents = {agent.get(f"{xml}id"): agent[0].text or "" for agent in root.iter(f"{ttm}agent")}
    for paragraph, cue in zip(root.iter(f"{tt}p"), cues, strict=True):
        assert (paragraph.get("begin"), paragraph.get("end")) == (clock(cue.start), clock(cue.end))
        assert agents[paragraph.get(f"{ttm}agent")] == (cue.voice or "\ufffd")
        (span,) = paragraph
        assert span.text is not None
        assert [span.text, *(line.tail for line in span)] == list(cue.lines)


@pytest.mark.parametrize("write", [write_srt, write_vtt, write_ass, write_ttml])
def test_all_readers_show_what_was_written(write, tmp_path: Path):
    """Quotes, markup, arrows, braces, backslashes and newlines, by FFmpeg, and TTML by ttconv."""
    words = [
        '"a"',
        "it's",
        "AT&T",
        "&amp;",
        "<b>x</b>",
        "-->",
        "{\\an8}",
        "{y:i}",
        "{}",
        "\\N",
        "C:\\",
        "a\nb",
        "« c »",
    ]
    cues = list(iter_cues(timed(words * 3, rate=0.4), STYLE))
    path = tmp_path / f"x.{write.__name__.removeprefix('write_')}"
    with path.open("w", encoding="utf-8", newline="\n") as out:
        write(cues, out)
    if write is write_ttml:
        document = ttconv.imsc.reader.to_model(ElementTree.parse(path))
        assert document is not None
        text = ttconv.srt.writer.from_model(document)
    else:
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", str(path), "-f", "srt", "-"]
        text = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8").stdout
    blocks = [block.split("\n", 2) for block in text.strip().split("\n\n")]
    read = [shown(re.sub(r"</?font[^>]*>", "", block[2])) for block in blocks]
    assert read == ["\n".join(cue.lines) for cue in cues]
    near = 10 if write is write_ass else 1
    for (_, times, _), cue in zip(blocks, cues, strict=True):
        start, _, end = times.partition(" --> ")
        for stamp, seconds in ((start, cue.start), (end, cue.end)):
            hours, minutes, rest = stamp.replace(",", ".").split(":")
            assert abs(int(hours) * 3600 + int(minutes) * 60 + float(rest) - seconds) * 1000 <= near


def shown(text: str) -> str:
    """Text as a player shows it: without joiners and escapes of braces."""
    return text.replace("\u2060", "").replace("\u200b", "").replace("\\{{}", "{")


@pytest.mark.parametrize("write", [write_srt, write_vtt])
def test_words_that_would_break_a_file_do_not(write):
    words = [word for text in BREAKING for word in ["before", text, "after"]]
    cues = list(iter_cues(timed(words, rate=0.4), STYLE))
    out = io.StringIO()
    write(cues, out)
    blocks = out.getvalue().removeprefix("WEBVTT\n\n").removesuffix("\n\n").split("\n\n")
    assert len(blocks) == len(cues)
    for block in blocks:
        lines = block.split("\n")
        assert len(lines) == len(block.splitlines()) <= 4
        assert "\x00" not in block and "\x1b" not in block
        assert "-->" in lines[1]
    text = " ".join(line for cue in cues for line in cue.lines)
    assert text.count("before") == text.count("after") == len(BREAKING)
    assert "two lines" in text and "u s" in text


def test_hours_and_milliseconds_of_the_clock():
    out = io.StringIO()
    span = Span("x", 3661.0005, 36_000.9999)
    write_srt([Cue(index=1, start=span.start, end=span.end, spans=((span,),), voice="Ada")], out)
    assert "01:01:01,000 --> 10:00:01,000" in out.getvalue()


def clock(seconds: float) -> str:
    ms = milliseconds(seconds)
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}.{ms % 1000:03d}"


def unescape(text: str) -> str:
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


# --- words ---


def test_csv_reads_back():
    # No script has a NUL in it, and Python 3.10 writes none to CSV.
    texts = [text for text in (*NASTY, *CHINESE, *BREAKING) if "\0" not in text]
    words = [*timed(texts, heading=True, voice='A "b", c'), *random_words(7, 500)]
    at = 0.0
    for word in words:  # one line of time
        length = word.end - word.start
        word.start, word.end = at, at + length
        at = word.end
    out = io.StringIO(newline="")
    assert write_words_csv(words, out) == len(words)
    rows = list(csv.DictReader(io.StringIO(out.getvalue(), newline="")))
    assert tuple(rows[0]) == CSV_COLUMNS
    assert [row["word"] for row in rows] == [word.text for word in words]
    assert rows[0]["voice"] == 'A "b", c'
    last = 0.0
    for index, (row, word) in enumerate(zip(rows, words, strict=True)):
        assert int(row["index"]) == index
        assert len(row["start"].split(".")[1]) == len(row["end"].split(".")[1]) == 3
        assert last <= float(row["start"]) < float(row["end"])
        assert float(row["start"]) == pytest.approx(word.start, abs=0.02)
        last = float(row["end"])


PARTS = ("words", "sentences", "paragraphs", "chapters", "methods")


def test_json_reads_back_and_gives_the_script_again():
    words = timed(NASTY) + timed(CHINESE, space="", at=100, paragraph=1) + timed(BREAKING, at=200, paragraph=2)
    out = io.StringIO()
    meta = {"narration": 'Größe "x"', "audio": "narration.flac", "engine": None}
    assert write_words_json(words, out, meta) == len(words)
    data = json.loads(out.getvalue())
    assert list(data) == ["narration", "audio", "engine", *PARTS]
    assert data["narration"] == meta["narration"]
    assert "".join(w["word"] + w["space"] for w in data["words"]) == "".join(w.text + w.space for w in words)
    assert all(a["end"] <= b["start"] for a, b in zip(data["words"], data["words"][1:], strict=False))
    assert all(w["start"] < w["end"] for w in data["words"])
    assert data["methods"] == {"engine": len(words)}
    assert data["words"][0] == {
        "word": '"quoted"', "space": " ", "start": 0.5, "end": 0.8, "chunk": 0, "paragraph": 0, "voice": "Ada",
        "heading": False, "method": "engine", "confidence": 1.0,
    }  # fmt: skip


def test_json_without_words():
    out = io.StringIO()
    assert write_words_json([], out, {"narration": "n"}) == 0
    assert json.loads(out.getvalue()) == {"narration": "n", **{part: [] for part in PARTS}, "methods": {}}
    with pytest.raises(ValueError, match="words"):
        write_words_json([], out, {"words": 1})


def book() -> list[TimedWord]:
    """Two chapters after a preface; a sentence with abbreviations; a voice that changes inside a paragraph."""
    parts = [
        ("A preface.", {}), ("One", {"heading": True}), ("Capt. Hook read No. 5 to J. R. Ray. He left.", {}),
        ("Two", {"heading": True}), ("So it", {}), ("ended. Well.", {"voice": "Ben"}),
    ]  # fmt: skip
    words: list[TimedWord] = []
    for index, (text, fields) in enumerate(parts):
        at = words[-1].end + 0.5 if words else 0.5
        words += timed(text.split(), at=at, paragraph=min(index, 4), chunk=index, method="interpolated", **fields)
    return words


def test_json_names_sentences_paragraphs_and_chapters():
    out = io.StringIO()
    write_words_json(book(), out, {"language": "en"})
    data = json.loads(out.getvalue())
    texts = {part: [item["text"] for item in data[part]] for part in PARTS[1:4]}
    assert texts["sentences"] == [
        "A preface.", "One", "Capt. Hook read No. 5 to J. R. Ray.", "He left.", "Two", "So it", "ended.", "Well.",
    ]  # fmt: skip
    assert texts["paragraphs"][-1] == "So it ended. Well." and len(texts["paragraphs"]) == 5
    assert texts["chapters"] == ["One", "Two"]
    for part in PARTS[1:4]:
        for item in data[part]:
            first, after = item["words"]
            own = data["words"][first:after]
            assert (item["start"], item["end"]) == (own[0]["start"], own[-1]["end"])
            assert part == "chapters" or "".join(w["word"] + w["space"] for w in own).strip() == item["text"]
    assert data["chapters"][0]["words"] == [2, 14] and data["chapters"][1]["words"][1] == len(data["words"])
    assert data["methods"] == {"interpolated": len(data["words"])}


def test_parquet_reads_back(tmp_path: Path):
    words = [*book(), *timed(["x"] * 25_000, at=100, paragraph=9)]
    assert write_words_parquet(words, tmp_path / "words.parquet") == len(words)
    frame = pandas.read_parquet(tmp_path / "words.parquet")
    assert list(frame) == ["word", "start", "end", "speaker", "chapter", "chunk", "method", "confidence"]
    assert list(frame.word) == [word.text for word in words]
    assert list(frame.start) == [round(word.start, 3) for word in words]
    assert list(frame.groupby("chapter").word.count()) == [2, 12, len(words) - 14]
    assert set(frame.speaker) == {"Ada", "Ben"} and set(frame.method) == {"interpolated", "engine"}
    write_words_parquet(words, tmp_path / "again.parquet")
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "words.parquet").read_bytes()


def test_a_book_has_a_chapter_for_each_heading_with_text(tmp_path: Path):
    words = [
        *timed(["Before", "all."], paragraph=0, at=0.5),
        *timed(["Part", "<one>"], paragraph=1, at=2.0, heading=True),
        *timed(["The", "sea"], paragraph=2, at=3.0, heading=True),
        *timed(["It", "rose.", "Why?"], paragraph=3, at=4.0),
    ]
    (tmp_path / "audio").write_bytes(b"sound")
    book = Book(
        identifier="urn:x:1", title="A & B", language="ar", authors=[], narrators=["ada"], description="",
        modified="2026-01-01T00:00:00Z", seconds=6.0, audio=tmp_path / "audio", audio_suffix=".m4a", cover=b"picture",
    )  # fmt: skip
    assert write_epub(words, book, tmp_path / "book.epub") == 2
    with zipfile.ZipFile(tmp_path / "book.epub") as archive:
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    assert "A &amp; B" in files["EPUB/chapter00001.xhtml"] and 'dir="rtl"' in files["EPUB/chapter00001.xhtml"]
    body = files["EPUB/chapter00002.xhtml"]
    assert '<h1><span id="s1">Part &lt;one&gt;</span></h1>' in body and '<h2><span id="s2">The sea</span></h2>' in body
    assert '<p><span id="s3">It rose.</span> <span id="s4">Why?</span></p>' in body
    assert 'clipBegin="0.000s" clipEnd="2.000s"' in files["EPUB/chapter00001.smil"]
    assert files["EPUB/chapter00002.smil"].endswith('clipEnd="6.000s"/></par>\n</body>\n</smil>\n')
    assert '<meta property="media:duration" refines="#o2">4.000s</meta>' in files["EPUB/package.opf"]
