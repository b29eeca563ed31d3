"""Forty subtitles dubbed by the draft: each begins in its slot, and what does not fit is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.dubbing import FILM, dub, errors
from f5_pipeline.speech.captions.cues import iter_cues
from f5_pipeline.speech.chunks import Chunk
from f5_pipeline.speech.engine import MAX_FIT, MIN_FIT, Request
from f5_pipeline.speech.script.model import CaptionStyle
from f5_pipeline.speech.timeline import TimedWord


def words(timeline: Path) -> list[TimedWord]:
    return [TimedWord.model_validate_json(line) for line in timeline.read_bytes().splitlines()]


def test_forty_cues_begin_within_50_ms_of_their_slots_and_fill_them(tmp_path: Path) -> None:
    chunks, film = dub(FILM, tmp_path)
    starts = np.abs([1000 * start for _, start, _ in errors(chunks, film.files["flac"])])
    assert len(starts) == 37  # three are sounds and a song
    assert np.percentile(starts, 95) <= 30 and starts.max() <= 50
    assert film.slots and (film.slots.cues, film.slots.unfit) == (37, 2)
    assert [misfit.line for misfit in film.slots.misfits] == [83, 141]
    assert "cue 18 (line 83, 00:00:44.980) takes 1." in film.slots.report(1)[0]
    assert film.slots.report(1)[1] == "1 more cues do not fit"
    assert film.seconds == pytest.approx(94.98)  # the end of the last cue

    cues = list(iter_cues(words(film.timeline), CaptionStyle(), audio_seconds=film.seconds))
    assert [(cue.start, " ".join(cue.lines)) for cue in cues] == [(chunk.at, chunk.written) for chunk in chunks]
    slots = {chunk.line: (chunk.at or 0.0) + (chunk.seconds or 0.0) for chunk in chunks}
    late = {misfit.line for misfit in film.slots.misfits}
    assert all(
        cue.end == pytest.approx(slots[chunk.line]) or chunk.line in late
        for cue, chunk in zip(cues, chunks, strict=True)
    )


def test_what_takes_too_long_delays_the_next_and_both_are_told(tmp_path: Path) -> None:
    film = tmp_path / "film.srt"
    film.write_text(
        "1\n00:00:00,000 --> 00:00:01,000\nThe keeper climbed all the stairs of the old lighthouse.\n\n"
        "2\n00:00:01,000 --> 00:00:03,000\nThen he rested.\n"
    )
    _, dubbed = dub(film, tmp_path)
    assert dubbed.slots
    long, late = dubbed.slots.misfits
    assert long.late == 0 and long.over > 0.5 and late.late == pytest.approx(long.over + 0.06, abs=0.11)
    assert "starts" in str(late) and "s late" in str(late)
    first, second = [cue.start for cue in iter_cues(words(dubbed.timeline), CaptionStyle())]
    assert first == 0 and second > 1.5  # where it is heard


def test_the_speed_is_changed_within_bounds() -> None:
    def fitted(room: float | None) -> float:
        return Request("", "", "en", "ada", room_seconds=room).fitted(2.0)

    assert [fitted(room) for room in (None, 2.1, 1.7)] == [2.0, 2.1, 1.7]
    assert (fitted(0.5), fitted(9.0)) == (2.0 / MAX_FIT, 2.0 / MIN_FIT)


def test_chunks_without_a_slot_are_kept_as_ever() -> None:
    chunk = Chunk(
        index=0, passage=0, paragraph=0, line=1, voice="ada", language="en", spoken="Hi.", words=[],
        expected_seconds=1, pause="none",
    )  # fmt: skip
    assert not {"at", "seconds", "lead", "silence"} & chunk.model_dump().keys()
