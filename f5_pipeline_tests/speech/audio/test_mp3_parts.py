"""A long MP3 in parts: its decoded samples are those of one encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from f5_pipeline.speech.audio import mp3_parts
from f5_pipeline.speech.audio.encoding import Output, encode
from f5_pipeline.speech.audio.mastering import Master
from f5_pipeline.speech.audio.tags import Tagging
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline_tests.support.sounds import speechlike


@pytest.fixture
def master(tmp_path: Path) -> Master:
    loud = speechlike(95, seed=4, level=0.3)
    loud[20 * SAMPLE_RATE : 22 * SAMPLE_RATE] = 0
    loud[-123:] = 0.2
    loud[: len(loud) - 7].astype("<f4").tofile(tmp_path / "a.f32")
    return Master(tmp_path / "a.f32", 1.0)


def write(master: Master, path: Path, workers: int = 2) -> np.ndarray:
    encode(master, [Output("mp3", path, 0, master.samples, Tagging({"title": "T"}))], workers=workers)
    return soundfile.read(path, dtype="float32")[0]


def test_parts_sound_as_one_and_do_not_depend_on_the_cores(master, tmp_path: Path, monkeypatch):
    one = write(master, tmp_path / "one.mp3")
    monkeypatch.setattr(mp3_parts, "PART_FRAMES", 1000)
    joins = []
    monkeypatch.setattr(
        mp3_parts, "_meeting", lambda *of, real=mp3_parts._meeting: joins.append(real(*of)) or joins[-1]
    )
    parts = write(master, tmp_path / "parts.mp3")
    assert len(joins) == 2 and None not in joins
    assert len(parts) == master.samples and np.array_equal(one, parts)
    write(master, tmp_path / "alone.mp3", workers=1)
    assert (tmp_path / "alone.mp3").read_bytes() == (tmp_path / "parts.mp3").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.f32", "alone.mp3", "one.mp3", "parts.mp3"]


def test_the_info_frame_is_that_of_the_whole(master, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(mp3_parts, "PART_FRAMES", 1000)
    write(master, tmp_path / "a.mp3")
    data = (tmp_path / "a.mp3").read_bytes()
    info, size = data.index(b"Info"), 240
    frame = data[info - 13 : info - 13 + size]
    audio = data[info - 13 + size :]
    assert int.from_bytes(frame[21:25], "big") == len(audio) // size
    assert int.from_bytes(frame[25:29], "big") == len(audio) + size
    assert int.from_bytes(frame[165:167], "big") == mp3_parts._crc16(audio, 0)
    assert int.from_bytes(frame[167:169], "big") == mp3_parts._crc16(frame[:167], 0)
    assert mp3_parts._crc16(b"123456789", 0) == 0xBB3D  # the check value of CRC-16/ARC


def test_parts_that_never_agree_are_encoded_as_one(master, tmp_path: Path, monkeypatch):
    one = write(master, tmp_path / "one.mp3")
    monkeypatch.setattr(mp3_parts, "PART_FRAMES", 1000)
    monkeypatch.setattr(mp3_parts, "_meeting", lambda old, new: None)
    assert np.array_equal(write(master, tmp_path / "a.mp3"), one)
