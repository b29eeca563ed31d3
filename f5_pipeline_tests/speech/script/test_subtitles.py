"""Subtitles as scripts: who speaks which, when, and what of them is not spoken."""

from __future__ import annotations

import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.speech.chunks import iter_chunks
from f5_pipeline.speech.script.model import Script
from f5_pipeline_tests.support.books import parsed


def srt(*cues: tuple[float, float, str]) -> str:
    def clock(seconds: float) -> str:
        return f"00:00:{seconds:06.3f}".replace(".", ",")

    return "\n".join(f"{n}\n{clock(start)} --> {clock(end)}\n{text}\n" for n, (start, end, text) in enumerate(cues, 1))


def said(script: Script) -> list[tuple[str, float | None, float | None, str]]:
    return [(passage.voice, passage.at, passage.seconds, passage.text) for passage in script.passages]


def test_names_before_lines_choose_voices_and_a_sentence_keeps_its_own() -> None:
    text = srt(
        (1, 3, "BEN: Good evening, and welcome"),
        (3, 4, "to the harbour."),
        (5, 6, "Nobody answers."),
        (7, 9, "Ben: Who?\nCLARA: Me."),
        (10, 11, "At 10:30 it was over."),
    )
    script = parsed(text, "film.srt")
    assert said(script) == [
        ("ben", 1, 2, "Good evening, and welcome"),
        ("ben", 3, 1, "to the harbour."),
        ("ada", 5, 1, "Nobody answers."),
        ("ben", 7, 1.143, "Who?"),
        ("ada", 8.143, 0.857, "Me."),
        ("ada", 10, 1, "At 10:30 it was over."),
    ]
    assert [passage.line for passage in script.passages] == [2, 6, 10, 14, 14, 19]
    (note,) = script.notes
    assert note.endswith("speaks: CLARA")


def test_voices_of_webvtt() -> None:
    text = "WEBVTT\n\nNOTE x\n\n00:01.000 --> 00:03.000 align:start\n<v.loud Ben>One.<v Ada>Two <i>it</i> &amp; on."
    assert said(parsed(text, "film.vtt")) == [("ben", 1, 0.5, "One."), ("ada", 1.5, 1.5, "Two it & on.")]


def test_sounds_and_songs_are_noted_and_brackets_in_a_sentence_are_text() -> None:
    text = srt(
        (1, 2, "[thunder]"),
        (2, 3, "(sighs) The Union (EU) [coughs] is late."),
        (4, 5, "♪ Sleep, my\nlittle one ♪"),
        (6, 7, "[ben] is no tag here."),
    )
    script = parsed(text, "film.srt")
    assert [passage.text for passage in script.passages] == ["The Union (EU) is late.", "is no tag here."]
    assert script.notes == [
        "sounds and songs are not spoken: [thunder], (sighs), [coughs], ♪ Sleep, my little one ♪, [ben] "
        "(lines 2, 6, 10, 15)"
    ]


def test_overlaps_and_rolling_captions_are_read_as_in_transcripts() -> None:
    script = parsed(srt((1, 3.2, "One."), (3, 4, "Two."), (3, 4, "Two.")), "film.srt")
    assert said(script) == [("ada", 1, 2, "One."), ("ada", 3, 1, "Two.")]
    with pytest.raises(InputError, match=r"film\.srt:6: the cue starts at 1\.500 s, before the one at 2 ends"):
        parsed(srt((1, 3.2, "One."), (1.5, 4, "Two.")), "film.srt")
    rolling = "WEBVTT\n\n" + "\n\n".join(
        f"00:0{n}.000 --> 00:0{n + 1}.000\n{before}\n{new}<00:00:0{n}.500><c> on</c>"
        for n, (before, new) in enumerate([(" ", "we go"), ("we go on", "and then"), ("and then on", "until")], 1)
    )
    assert [p.text for p in parsed(rolling, "film.vtt").passages] == ["we go on", "and then on", "until on"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Hello.", "'Hello.' belongs to no cue"),
        ("1\n00:00:03,000 --> 00:00:02,000\nHi.", "film.srt:2: the cue ends at 2.000 s, before it starts"),
        (srt((1, 2, "[bell]")), "no cue holds text"),
        ("", "no cue is in the file"),
    ],
)
def test_what_is_no_file_of_subtitles_is_refused_with_its_line(text: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem.replace("[", r"\[")):
        parsed(text, "film.srt")


def test_a_cue_is_one_chunk_and_one_that_is_too_long_for_it_shares_its_slot() -> None:
    chunks = list(iter_chunks(parsed(srt((1, 4, "Yes. I know. He told me so himself.")), "film.srt")))
    assert [(chunk.at, chunk.seconds, chunk.touches) for chunk in chunks] == [(1, 3, False)]
    long = "The keeper climbed the stairs with a lantern, and he counted the steps as he had done for years. " * 5
    chunks = list(iter_chunks(parsed(srt((1, 31, long)), "film.srt")))
    assert len(chunks) > 1 and sum(chunk.seconds or 0 for chunk in chunks) == pytest.approx(30, abs=0.01)
    starts = [chunk.at for chunk in chunks]
    assert starts[0] == 1 and starts == sorted(starts, key=lambda start: start or 0)
