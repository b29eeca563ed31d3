import csv
import io
import json
import random
import re
import tracemalloc
from collections.abc import Iterable, Iterator
from itertools import pairwise

import pysubs2
import pytest
import webvtt

from f5_pipeline.speech.captions.cues import GAP_SECONDS, MAX_WINDOW_WORDS, Cue, Span, iter_cues
from f5_pipeline.speech.captions.srt import write_srt
from f5_pipeline.speech.captions.text import width
from f5_pipeline.speech.captions.vtt import write_vtt
from f5_pipeline.speech.captions.word_files import CSV_COLUMNS, write_words_csv, write_words_json
from f5_pipeline.speech.script.model import CaptionStyle
from f5_pipeline.speech.timeline import TimedWord

STYLE = CaptionStyle()

PROSE = (
    "The harbour lay quiet under the first snow of the year, and nobody on the quay had seen the ferry leave. "
    "Dr. Hale, who kept the light, said that it had gone before dawn. Why? He would not say. "
    "It was the sort of morning on which every sound carries across the water, although there was nothing to hear "
    "except the ice that ground against the piles and, far off, a dog."
)

NASTY = [
    '"quoted"', "it's", "a,b;c", "AT&T", "&amp;", "<b>bold</b>", "<", ">", "-->", "00:00:01,000", "->",
    "{\\an8}", "{y:i}", "{}", "\\N", "😀", "👩‍👩‍👧‍👦", "🇩🇪", "שָׁלוֹם", "עולם,", "مرحبا", "\u200fRTL\u200e", "x" * 80,
    "e\u0301te\u0301", "NOTE", "STYLE", "WEBVTT", "1", "42", "<v Bob>", "&lrm;", "a\u00a0b", "%", "$x$", "=1+1",
    "#", "_", "`", "|", "\ufeffbom", "ﷺ", "naïve",
]  # fmt: skip
CHINESE = list("今天天气很好，我们一起去公园散步吧。你觉得怎么样？")
BREAKING = ["two\nlines", "a\r\n\r\nb", "tab\there", "\x00nul", "u\u2028s", "v\u2029t", "\x85", "\x1b[0m", "\n\n"]


def timed(
    texts: Iterable[str], *, rate: float = 0.3, gap: float = 0.0, space: str = " ", at: float = 0.5, **fields
) -> list[TimedWord]:
    words = []
    for text in texts:
        words.append(
            TimedWord(
                text=text,
                space=space,
                start=at,
                end=at + rate,
                **{"chunk": 0, "paragraph": 0, "voice": "Ada", **fields},
            )
        )
        at += rate + gap
    return words


def random_words(seed: int, count: int) -> list[TimedWord]:
    rng, words, at, paragraph, voice = random.Random(seed), [], 0.0, 0, "Ada"
    prose = PROSE.split()
    while len(words) < count:
        if rng.random() < 0.05:
            paragraph += 1
            voice = rng.choice(["Ada", "Böb <&>", ""])
            at += rng.choice([0, 0.7, 3])
        chinese = rng.random() < 0.1
        for text in rng.choice([prose, NASTY, CHINESE])[: rng.randint(1, 30)] if not chinese else CHINESE:
            at += rng.choice([0, 0, 0, 0.05, 0.3, 1.2])
            end = at + rng.choice([0.0001, 0.02, 0.1, 0.3, 0.8, 9.0 if rng.random() < 0.02 else 0.4])
            words.append(
                TimedWord(
                    text=text,
                    space="" if chinese else " ",
                    start=at,
                    end=end,
                    chunk=0,
                    paragraph=paragraph,
                    voice=voice,
                )
            )
            at = end
    return words


def text_of(words: list[TimedWord]) -> str:
    return "".join("".join(word.text.split()) for word in words)


def bare(text: str) -> str:
    """Text without blanks, and without the hyphens of the one word that is longer than a line."""
    return re.sub("(?<=x)-(?=x)", "", "".join(text.replace("\u200b", "").split()))


# --- cues ---


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    "style", [STYLE, CaptionStyle(max_lines=1, max_chars=20), CaptionStyle(max_lines=4, max_chars=30, max_seconds=3)]
)
def test_cues_hold_every_word_once_within_their_bounds(seed: int, style: CaptionStyle):
    words = random_words(seed, 700)
    cues = list(iter_cues(words, style))
    assert [cue.index for cue in cues] == list(range(1, len(cues) + 1))
    assert bare("".join("".join(cue.lines) for cue in cues)) == bare(text_of(words))
    last, position = 0.0, 0
    for cue in cues:
        assert cue.start < cue.end
        assert last <= cue.start
        last = cue.end
        first, wanted = position, len(bare("".join(cue.lines)))
        while wanted > 0:
            wanted -= len("".join(words[position].text.split()))
            position += 1
        assert wanted == 0, "a cue holds whole words"
        own = words[first:position]
        assert {(word.paragraph, word.voice) for word in own} == {(own[0].paragraph, cue.voice)}
        assert all(b.start - a.end <= 1.0 for a, b in pairwise(own))
        assert abs(cue.start - own[0].start) < 0.1
        following = words[position].start if position < len(words) else own[-1].end
        assert cue.end >= min(own[-1].end, following) - 0.0011
        assert len(cue.lines) <= style.max_lines or [word.text for word in own] == ["x" * 80]
        for line in cue.lines:
            assert width(line) <= style.max_chars
        assert cue.end - cue.start <= style.max_seconds + 0.002 or len(own) == 1
    assert position == len(words)


def test_lines_end_where_the_sense_does():
    cues = [cue.lines for cue in iter_cues(timed(PROSE.split(), rate=0.28), STYLE)]
    small = {"the", "a", "of", "and", "on", "to", "in", "that", "which"}
    ends = [line.split()[-1].lower() for lines in cues for line in lines]
    assert not small & set(ends), cues
    assert not any(line.endswith("Dr.") for lines in cues for line in lines)
    assert sum(lines[-1].endswith((".", ",", "?")) for lines in cues) >= len(cues) * 0.6, cues
    two = [lines for lines in cues if len(lines) == 2]
    assert two and all(abs(len(a) - len(b)) <= 24 for a, b in two), cues


@pytest.mark.parametrize(
    ("lines", "language"),
    [
        ("We walked along the river/and came to the bridge.", "en"),
        ("Wir gingen am Fluss entlang/und kamen zur Brücke.", "de-AT"),
        ("Nous avons longé la rivière/et trouvé le pont.", "fr"),
        ("Short enough for one line.", "en"),
    ],
)
def test_balanced_lines(lines: str, language: str):
    (cue,) = iter_cues(timed(lines.replace("/", " ").split(), rate=0.35), STYLE, language=language)
    assert "/".join(cue.lines) == lines


def test_the_lower_line_is_the_longer_one():
    (cue,) = iter_cues(timed(["aaaaaaaaa", "bbbbbbbbb", "ccccccccc", "ddddddddd", "eeeeeeeee"]), STYLE)
    assert cue.lines == ("aaaaaaaaa bbbbbbbbb", "ccccccccc ddddddddd eeeeeeeee")


def test_a_cue_lasts_into_silence_until_it_can_be_read():
    fast = timed(["incomprehensibly", "quickly", "spoken"], rate=0.2, at=1.0)
    later = timed(["Later."], at=10.0, paragraph=1)
    first, last = iter_cues([*fast, *later], STYLE)
    assert first.end - first.start == pytest.approx(31 / 17, abs=0.002)
    assert last.end == pytest.approx(10.3)
    (_, last) = iter_cues([*fast, *later], STYLE, audio_seconds=11.0)
    assert last.end == pytest.approx(10 + STYLE.min_seconds, abs=0.002)
    (_, last) = iter_cues([*fast, *later], STYLE, audio_seconds=10.5)
    assert last.end == pytest.approx(10.5)


def test_gaps_are_two_frames_or_none_or_long():
    words: list[TimedWord] = []
    at = 0.0
    rng = random.Random(1)
    for paragraph in range(300):
        words += timed(PROSE.split()[: rng.randint(1, 12)], at=at, rate=0.3, paragraph=paragraph)
        at = words[-1].end + rng.choice([0, 0.03, 0.079, 0.081, 0.2, 0.4, 0.6, 2.0])
    cues = list(iter_cues(words, STYLE))
    gaps = [round(b.start - a.end, 3) for a, b in pairwise(cues)]
    assert {gap for gap in gaps if gap < 0.499} <= {0.0, GAP_SECONDS}
    assert 0.0 in gaps and GAP_SECONDS in gaps and max(gaps) > 0.5


def test_chinese_is_joined_without_blanks_and_counts_double():
    cues = list(iter_cues(timed(CHINESE * 3, space=""), STYLE, language="zh"))
    lines = [line for cue in cues for line in cue.lines]
    assert "".join(lines) == "".join(CHINESE * 3)
    assert max(map(len, lines)) <= 21
    assert cues[0].lines[-1][-1] in "，。？"


def test_combining_marks_take_no_room():
    assert width("שָׁלוֹם") == 4
    assert width("e\u0301") == 1
    assert width("中文") == 4
    assert width("abc") == 3


def test_a_paragraph_without_end_streams():
    taken = 0

    def words() -> Iterator[TimedWord]:
        nonlocal taken
        for index in range(5000):
            taken += 1
            yield TimedWord(text=f"w{index}", start=index / 4, end=index / 4 + 0.25, chunk=0, paragraph=0, voice="Ada")

    seen = 0
    for cue in iter_cues(words(), STYLE):
        seen += len(" ".join(cue.lines).split())
        assert taken <= seen + MAX_WINDOW_WORDS + 50
    assert seen == 5000


def test_captions_need_no_memory_for_length():
    def words(count: int) -> Iterator[TimedWord]:
        for index in range(count):
            at = index / 3
            yield TimedWord(text="word", start=at, end=at + 0.3, chunk=0, paragraph=index // 2000, voice="Ada")

    class Nowhere(io.StringIO):
        def write(self, text: str) -> int:
            return len(text)

    def peak(count: int) -> int:
        tracemalloc.start()
        write_srt(iter_cues(words(count), STYLE), Nowhere())
        write_words_json(words(count), Nowhere(), {})
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(500)
    assert peak(6000) < peak(1500) + 200_000


def test_nothing_gives_nothing():
    assert list(iter_cues([], STYLE)) == []
    out = io.StringIO()
    assert write_vtt([], out) == 0
    assert out.getvalue() == "WEBVTT\n\n"


# --- files read back by other readers ---


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
        assert bare(event.text.replace("\\N", "")) == bare("".join(cue.lines).replace("\\N", ""))


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


def test_json_reads_back_and_gives_the_script_again():
    words = timed(NASTY) + timed(CHINESE, space="", at=100, paragraph=1) + timed(BREAKING, at=200, paragraph=2)
    out = io.StringIO()
    meta = {"narration": 'Größe "x"', "audio": "narration.flac", "engine": None}
    assert write_words_json(words, out, meta) == len(words)
    data = json.loads(out.getvalue())
    assert list(data) == ["narration", "audio", "engine", "words", "methods"]
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
    assert json.loads(out.getvalue()) == {"narration": "n", "words": [], "methods": {}}
    with pytest.raises(ValueError, match="words"):
        write_words_json([], out, {"words": 1})
