import errno
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from f5_pipeline.errors import PipelineError
from f5_pipeline.speech.audio import encoding
from f5_pipeline.speech.audio.encoding import Output
from f5_pipeline.speech.audio.ffmpeg import find_ffmpeg
from f5_pipeline.speech.audio.mastering import Master
from f5_pipeline.speech.audio.media import open_forward
from f5_pipeline.speech.audio.tags import Tagging
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.script.model import AudioFormat
from f5_pipeline_tests.support.sounds import file_size_limit, speechlike

TEXT = {
    "title": "Der Fuß & 中文 שלום — a title of more than thirty characters",
    "artist": "Zoë",
    "comment": "two\nlines",
    "date": "2024-05-06",
    "license": "CC-BY-4.0",
}


def encode(source: Path, gain: float, files: dict[AudioFormat, Path], tags: dict[str, str]) -> int:
    """Write the whole source in each format; its samples."""
    master = Master(source, gain)
    outputs = [Output(name, path, 0, master.samples, Tagging(tags)) for name, path in files.items()]
    encoding.encode(master, outputs)
    return master.samples


@pytest.fixture(autouse=True, params=["ffmpeg", "libsndfile"])
def mp3_encoder(request, monkeypatch):
    """Every test with an MP3 of either encoder."""
    if request.param == "libsndfile":
        monkeypatch.setattr(encoding, "ffmpeg_has", lambda encoder: False)
    return request.param


@pytest.fixture
def raw(tmp_path: Path) -> tuple[Path, np.ndarray]:
    audio = np.concatenate([speechlike(4.3, seed=8), np.zeros(SAMPLE_RATE, dtype=np.float32)])
    path = tmp_path / "audio.f32"
    audio.astype("<f4").tofile(path)
    return path, audio


def files_in(folder: Path, stem: str = "a") -> dict[AudioFormat, Path]:
    return {"flac": folder / f"{stem}.flac", "mp3": folder / f"{stem}.mp3"}


def test_files_hold_the_audio_and_the_tags(raw, tmp_path: Path):
    source, audio = raw
    files = files_in(tmp_path)
    assert encode(source, 0.5, files, TEXT) == len(audio)

    master, rate = soundfile.read(files["flac"], dtype="float32")
    assert rate == SAMPLE_RATE
    assert soundfile.info(files["flac"]).subtype == "PCM_16"
    assert len(master) == len(audio)
    assert np.abs(master - audio * np.float32(0.5)).max() <= 1.5 / 32768 + 1e-7
    assert not master[-SAMPLE_RATE:].any(), "digital silence stays silent"
    with soundfile.SoundFile(files["flac"]) as file:
        assert file.copy_metadata() == TEXT

    lossy, _ = soundfile.read(files["mp3"], dtype="float32")
    assert len(lossy) == len(audio)
    assert np.corrcoef(lossy, audio)[0, 1] > 0.97, "not shifted against the master"
    size = files["mp3"].stat().st_size
    assert 76_000 < 8 * size / (len(audio) / SAMPLE_RATE) < 90_000


def test_mp3_begins_with_a_whole_id3_tag(raw, tmp_path: Path):
    source, _ = raw
    encode(source, 1.0, {"mp3": tmp_path / "a.mp3"}, TEXT)
    data = (tmp_path / "a.mp3").read_bytes()
    assert data[:6] == b"ID3\x04\0\0"
    length = 10 + sum(byte << shift for byte, shift in zip(data[6:10], (21, 14, 7, 0), strict=True))
    assert data[length] == 0xFF and data[length + 1] & 0xE0 == 0xE0, "audio follows the tag at once"
    frames, at = {}, 10
    while at < length:
        size = sum(byte << shift for byte, shift in zip(data[at + 4 : at + 8], (21, 14, 7, 0), strict=True))
        frames[data[at : at + 4].decode()] = data[at + 10 : at + 10 + size]
        at += 10 + size
    assert at == length
    assert frames["TIT2"] == b"\x03" + TEXT["title"].encode()
    assert frames["TPE1"] == b"\x03" + TEXT["artist"].encode()
    assert frames["COMM"] == b"\x03XXX\0" + TEXT["comment"].encode()
    assert frames["TDRC"] == b"\x03" + TEXT["date"].encode()
    assert frames["TXXX"] == b"\x03LICENSE\0" + TEXT["license"].encode()
    assert data[length + 13 : length + 17] == b"Info"  # and first the frame with delay and padding
    bytes_of_audio = int.from_bytes(data[length + 25 : length + 29], "big")
    assert bytes_of_audio == len(data) - length
    with soundfile.SoundFile(tmp_path / "a.mp3") as file:  # another reader (mpg123) finds them as well
        assert file.title == TEXT["title"]
        assert file.comment == TEXT["comment"]


@pytest.mark.parametrize("samples", [1, 575, 576, 577, 50_001])
@pytest.mark.parametrize("rate, kbps", [(SAMPLE_RATE, 80), (44_100, 192)])
def test_an_mp3_has_no_gap_at_its_ends(tmp_path: Path, samples: int, rate: int, kbps: int):
    speechlike(3, level=0.3)[-samples:].astype("<f4").tofile(tmp_path / "a.f32")
    output = Output("mp3", tmp_path / "a.mp3", 0, samples, mp3=(rate, kbps))
    encoding.encode(Master(tmp_path / "a.f32", 1.0), [output])
    assert len(soundfile.read(output.path)[0]) == output.frames


@pytest.mark.parametrize("mp3_encoder", ["ffmpeg"], indirect=True)
@pytest.mark.parametrize(
    "rest, told",
    [("echo 'Unknown hue' >&2; exit 1", "ffmpeg: Unknown hue"), ('"$real" "$@"; truncate -s -9 "${!#:5}"', "whole")],
)
def test_what_ffmpeg_could_not_do_is_told(raw, tmp_path: Path, monkeypatch, rest: str, told: str):
    program = tmp_path / "bin" / "ffmpeg"
    program.parent.mkdir()
    lists = 'if [ "$3" = -encoders ]; then exec "$real" "$@"; fi'
    program.write_text(f"#!/bin/bash\nreal='{find_ffmpeg()}'\n{lists}\n{rest}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    with pytest.raises(PipelineError, match=told):
        encode(raw[0], 1.0, files_in(tmp_path), TEXT)
    assert not any(path.exists() for path in files_in(tmp_path).values())


def test_an_mp3_is_read_in_blocks_without_a_complaint(tmp_path: Path, capfd):
    speechlike(30, level=0.3).astype("<f4").tofile(tmp_path / "a.f32")
    encode(tmp_path / "a.f32", 1.0, {"mp3": tmp_path / "a.mp3"}, {})
    with open_forward(tmp_path / "a.mp3") as file:
        blocks = []
        while len(block := file.read(50_000, dtype="float32")):
            blocks.append(block)
    assert capfd.readouterr().err == ""
    assert np.allclose(np.concatenate(blocks), soundfile.read(tmp_path / "a.mp3")[0], atol=1e-6)


def test_an_unknown_tag_is_refused():
    with pytest.raises(ValueError, match="mood"):
        Tagging({"mood": "grey"})


def test_odd_tags_do_not_break_a_file(raw, tmp_path: Path):
    source, audio = raw
    files = files_in(tmp_path)
    encode(source, 1.0, files, {"title": "a\0b\ud800", "artist": "  ", "comment": "x" * 300_000})
    for path in files.values():
        with soundfile.SoundFile(path) as file:
            assert file.frames == len(audio)
            assert file.title == "ab?"
            assert "artist" not in file.copy_metadata()


def test_the_same_audio_gives_the_same_files(raw, tmp_path: Path):
    source, _ = raw
    first, second = files_in(tmp_path), files_in(tmp_path, "b")
    encode(source, 0.7, first, TEXT)
    encode(source, 0.7, second, TEXT)
    for name in first:
        assert first[name].read_bytes() == second[name].read_bytes()


def test_dither_frees_quiet_sound_of_distortion(tmp_path: Path):
    # Half a step of amplitude would be rounded to a square wave or to nothing.
    time = np.arange(20 * SAMPLE_RATE) / SAMPLE_RATE
    tone = (0.45 / 32768 * np.sin(2 * np.pi * 1000 * time)).astype("<f4")
    tone.tofile(tmp_path / "a.f32")
    encode(tmp_path / "a.f32", 1.0, {"flac": tmp_path / "a.flac"}, {})
    heard, _ = soundfile.read(tmp_path / "a.flac")
    spectrum = np.abs(np.fft.rfft(heard)) / len(heard) * 2 * 32768
    assert spectrum[20_000] == pytest.approx(0.45, rel=0.1)
    assert spectrum[60_000] < 0.02, "no third harmonic"


def test_peaks_above_full_scale_are_clipped_not_wrapped(tmp_path: Path):
    np.array([2.0, -2.0, 0.5] * 1000, dtype="<f4").tofile(tmp_path / "a.f32")
    encode(tmp_path / "a.f32", 1.0, {"flac": tmp_path / "a.flac"}, {})
    heard, _ = soundfile.read(tmp_path / "a.flac", dtype="int16")
    assert list(heard[:2]) == [32767, -32768]


@pytest.mark.parametrize("name", ["flac", "mp3"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_full_disk_is_an_error_and_leaves_nothing(raw, tmp_path: Path, name, share: float):
    source, _ = raw
    encode(source, 1.0, {name: tmp_path / "whole"}, TEXT)
    limit = int((tmp_path / "whole").stat().st_size * share)
    other = "mp3" if name == "flac" else "flac"
    with file_size_limit(limit), pytest.raises(PipelineError) as caught:
        encode(source, 1.0, {name: tmp_path / "cut", other: tmp_path / "other"}, TEXT)
    assert "no space is left" in str(caught.value)
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.EFBIG
    assert not (tmp_path / "cut").exists()
    assert not (tmp_path / "other").exists()


def test_a_folder_that_is_not_there(raw, tmp_path: Path):
    source, _ = raw
    with pytest.raises(PipelineError, match="cannot be written") as caught:
        encode(source, 1.0, {"mp3": tmp_path / "a.mp3", "flac": tmp_path / "none" / "a.flac"}, {})
    assert "none/a.flac" in str(caught.value)
    assert not (tmp_path / "a.mp3").exists()


def test_a_source_cut_inside_a_sample_is_refused(raw, tmp_path: Path):
    source, _ = raw
    source.write_bytes(source.read_bytes()[:-1])
    with pytest.raises(PipelineError, match="cut off"):
        encode(source, 1.0, {"flac": tmp_path / "a.flac"}, {})
    assert not (tmp_path / "a.flac").exists()
