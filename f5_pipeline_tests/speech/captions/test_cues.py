import io
import random
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise

import pytest

from f5_pipeline.speech.captions.cues import GAP_SECONDS, MAX_WINDOW_WORDS, iter_cues
from f5_pipeline.speech.captions.srt import write_srt
from f5_pipeline.speech.captions.text import width
from f5_pipeline.speech.captions.vtt import write_vtt
from f5_pipeline.speech.captions.word_files import write_words_json
from f5_pipeline.speech.script.model import CaptionStyle
from f5_pipeline.speech.timeline import TimedWord
from f5_pipeline_tests.support.timed_words import CHINESE, PROSE, STYLE, bare, random_words, text_of, timed


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
            yield TimedWord(text="word", start=at, end=at + 0.3, chunk=0, paragraph=index // 100, voice="Ada")

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

    peak(200)
    assert peak(2000) < peak(500) + 200_000


def test_nothing_gives_nothing():
    assert list(iter_cues([], STYLE)) == []
    out = io.StringIO()
    assert write_vtt([], out) == 0
    assert out.getvalue() == "WEBVTT\n\n"
