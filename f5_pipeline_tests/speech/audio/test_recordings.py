"""Recordings as people have them, whole and broken, and what is measured and drawn of them."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from f5_pipeline.errors import InputError
from f5_pipeline.speech.audio.recordings import (
    FLOOR_DBFS,
    clipping_share,
    levels_of,
    noise_floor_dbfs,
    probe,
    read_mono,
    rms_dbfs,
    silence_share,
    speech_bounds,
)
from f5_pipeline.speech.audio.waveform import peaks_of, waveform_png

RATE = 24_000


def tone(seconds: float, rate: int = RATE, level: float = 0.3, frequency: float = 440.0) -> np.ndarray:
    return (level * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.float32)


def write(path: Path, samples: np.ndarray, rate: int = RATE, **options) -> Path:
    soundfile.write(path, samples, rate, **options)
    return path


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "aiff"])
def test_formats_are_probed_and_read_at_the_rate_asked_for(tmp_path, suffix):
    path = write(tmp_path / f"a.{suffix}", np.stack([tone(2, 44100)] * 2, axis=1), 44100)
    info = probe(path)
    assert (info.sample_rate, info.channels) == (44100, 2)
    assert info.seconds == pytest.approx(2, abs=0.06)
    samples = read_mono(path)
    assert samples.dtype == np.float32 and samples.ndim == 1
    assert len(samples) == pytest.approx(info.seconds * RATE, abs=2)
    spectrum = np.abs(np.fft.rfft(samples[RATE // 2 : RATE * 3 // 2]))
    assert spectrum.argmax() == 440
    assert rms_dbfs(samples) == pytest.approx(rms_dbfs(tone(2)), abs=0.3)


def test_a_part_is_read_by_its_times(tmp_path):
    ramp = np.linspace(0, 0.5, 10 * RATE, dtype=np.float32)
    path = write(tmp_path / "a.wav", ramp, subtype="FLOAT")
    part = read_mono(path, start=2.5, end=4.0)
    assert (part == ramp[60_000:96_000]).all()
    assert len(read_mono(path, start=9, end=99)) == RATE
    assert len(read_mono(path, start=99)) == 0


def test_resampling_in_blocks_has_no_seams(tmp_path):
    import soxr

    samples = tone(8, 44100, frequency=997.0)
    path = write(tmp_path / "a.wav", samples, 44100, subtype="FLOAT")
    assert np.abs(read_mono(path) - soxr.resample(samples, 44100, RATE)).max() < 1e-4


def test_channels_in_opposite_phase_do_not_cancel(tmp_path):
    one = tone(1)
    path = write(tmp_path / "a.wav", np.stack([one, -0.9 * one], axis=1), subtype="FLOAT")
    assert rms_dbfs(read_mono(path)) == pytest.approx(rms_dbfs(one), abs=0.1)
    assert levels_of(path).channel == 0
    single = write(tmp_path / "b.wav", np.stack([one, 0 * one], axis=1), subtype="FLOAT")
    assert levels_of(single).channel is None


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.m4a", "aac"), ("a.mp4", "aac"), ("a.webm", "libopus"), ("a.wma", "wmav2"), ("a.aac", "aac"),
     ("a.ac3", "ac3"), ("a.caf", "alac")],
)  # fmt: skip
def test_recordings_of_phones_and_videos_are_read(tmp_path, name, codec):
    av = pytest.importorskip("av")
    path, rate = tmp_path / name, 48000
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout="mono", bit_rate=128_000)
        frame = av.AudioFrame.from_ndarray((tone(2, rate)[None] * 32767).astype(np.int16), format="s16", layout="mono")
        frame.sample_rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    info = probe(path)
    assert info.sample_rate == rate and info.seconds == pytest.approx(2, abs=0.1)
    assert rms_dbfs(read_mono(path)) == pytest.approx(rms_dbfs(tone(2)), abs=0.5)


def broken(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    cases: dict[str, tuple[Path, str]] = {"missing": (tmp_path / "no.wav", "cannot be opened")}

    def add(name: str, data: bytes, message: str) -> None:
        path = tmp_path / name
        path.write_bytes(data)
        cases[name] = path, message

    add("empty.wav", b"", "empty file")
    add("noise.wav", os.urandom(4000), "not audio")
    add("noise.mp3", b"some text " * 400, "not audio")
    add("text.flac", b"Hello", "not audio")
    add("movie.m4a", b"\0\0\0\x20ftypM4A " + bytes(4000), "not audio that can be read")
    add("plain.raw", bytes(4000), "not audio")
    rng = np.random.default_rng(0)
    long = tone(6, 48000) + rng.normal(0, 0.01, 6 * 48000).astype(np.float32)
    for suffix in ("wav", "aiff", "flac", "ogg", "mp3"):
        whole = write(tmp_path / f"whole.{suffix}", long, 48000).read_bytes()
        add(f"cut.{suffix}", whole[: len(whole) // 2], "cut off")
    flac = bytearray((tmp_path / "whole.flac").read_bytes())
    flac[len(flac) // 2 : len(flac) // 2 + 3000] = os.urandom(3000)
    add("damaged.flac", bytes(flac), "damaged")
    cases["no frames"] = write(tmp_path / "none.wav", np.zeros(0)), "holds no audio"
    cases["low rate"] = write(tmp_path / "low.wav", tone(2, 4000), 4000), "sample rate"
    cases["not finite"] = (
        write(tmp_path / "nan.wav", np.array([0, 0.1, np.nan, np.inf] * 500), subtype="FLOAT"),
        "not numbers",
    )
    with soundfile.SoundFile(tmp_path / "hours.flac", "w", 8000, 1) as file:
        for _ in range(180):
            file.write(np.zeros(60 * 8000, np.int16))
    cases["three hours"] = tmp_path / "hours.flac", "3.0 h"
    return cases


def test_broken_recordings_are_refused_with_the_mend(tmp_path):
    for name, (path, message) in broken(tmp_path).items():
        for read in (read_mono, levels_of):
            with pytest.raises(InputError) as caught:
                read(path)
                pytest.fail(f"{name} was read")
            assert message in caught.value.message, name
            assert caught.value.file == path.name
            assert caught.value.hint and caught.value.hint.endswith("."), name


def test_headers_of_streams_are_accepted(tmp_path):
    whole = bytearray(write(tmp_path / "a.wav", tone(2)).read_bytes())
    for size in (b"\xff\xff\xff\xff", b"\0\0\0\0"):
        position = whole.index(b"data") + 4
        whole[position : position + 4] = size
        whole[4:8] = b"\xff\xff\xff\xff"
        (tmp_path / "piped.wav").write_bytes(whole)
        if size != b"\0\0\0\0":
            assert probe(tmp_path / "piped.wav").seconds == pytest.approx(2, abs=0.01)


# --- measuring --------------------------------------------------------------------------------------------------------


def test_levels_of_known_signals():
    assert rms_dbfs(tone(1, level=1.0)) == pytest.approx(-3.01, abs=0.01)
    assert rms_dbfs(silence(1)) == FLOOR_DBFS == noise_floor_dbfs(silence(1)) == rms_dbfs(np.zeros(0, np.float32))
    noise = np.random.default_rng(0).normal(0, 0.001, 5 * RATE).astype(np.float32)
    noise[RATE : 3 * RATE] += tone(2)
    assert noise_floor_dbfs(noise) == pytest.approx(-60, abs=1)
    # A constant offset is no sound.
    assert noise_floor_dbfs(noise + np.float32(0.1)) == pytest.approx(-60, abs=1)


def test_clipping_counts_flat_tops_and_no_peaks():
    assert clipping_share(tone(1, level=1.0, frequency=3000)) == 0
    assert clipping_share(np.clip(tone(1, level=2.0), -1, 1)) > 0.5
    channels = np.stack([tone(1), np.clip(tone(1, level=2.0), -1, 1)], axis=1)
    assert clipping_share(channels) > 0.5
    assert clipping_share(np.array([1, -1, 1, -1, 1, -1], np.float32)) == 0
    assert clipping_share(np.ones(2, np.float32)) == 0
    assert clipping_share(np.array([0, 1, 1, 1, 0, -1, -1, -1, 0, 0], np.float32)) == pytest.approx(0.6)


@pytest.mark.parametrize("noise", [0.0, 0.0005, 0.005])
def test_bounds_of_speech_ignore_noise_and_clicks(noise):
    samples = np.concatenate([silence(1), tone(0.5), silence(0.4), tone(0.8), silence(1.3)])
    samples[RATE // 4] = 0.9
    samples[-RATE // 4] = -0.9
    samples += np.random.default_rng(0).normal(0, noise, len(samples)).astype(np.float32)
    bounds = speech_bounds(samples)
    assert bounds == (pytest.approx(1.0, abs=0.03), pytest.approx(2.7, abs=0.03))
    assert silence_share(samples) == pytest.approx(2.7 / 4, abs=0.05)


def test_silence_has_no_bounds():
    assert speech_bounds(silence(1)) is None
    assert speech_bounds(np.zeros(0, np.float32)) is None
    assert speech_bounds(tone(1, level=1e-4)) is None


def test_levels_by_blocks_equal_levels_at_once(tmp_path):
    from f5_pipeline.speech.audio.recordings import frame_levels

    samples = (tone(7.013) * np.random.default_rng(0).random(round(7.013 * RATE))).astype(np.float32)
    path = write(tmp_path / "a.wav", samples, subtype="FLOAT")
    levels = levels_of(path)
    assert np.allclose(levels.dbfs, frame_levels(samples), atol=1e-3)
    assert levels.seconds == pytest.approx(7.013, abs=1e-3)


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_peaks_are_those_of_the_columns(tmp_path):
    samples = np.random.default_rng(0).uniform(-1, 1, 300_007).astype(np.float32)
    path = write(tmp_path / "a.wav", np.stack([samples, samples / 2], axis=1), subtype="FLOAT")
    for source in (path, samples):
        peaks = peaks_of(source, 700)
        columns = [samples[-(-c * 300_007 // 700) : -(-(c + 1) * 300_007 // 700)] for c in range(700)]
        assert np.allclose(peaks.low, [column.min() for column in columns])
        assert np.allclose(peaks.high, [column.max() for column in columns])
    assert np.allclose(peaks.rms, [np.sqrt(np.mean(column**2)) for column in columns], atol=1e-5)


def test_a_waveform_shows_where_sound_is_and_is_small(tmp_path):
    from PIL import Image

    samples = np.concatenate([silence(1), np.random.default_rng(0).uniform(-0.9, 0.9, RATE).astype(np.float32)])
    data = waveform_png(write(tmp_path / "a.flac", samples), width=900, height=160)
    assert data.startswith(b"\x89PNG") and len(data) < 40_000
    picture = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
    assert picture.shape == (160, 900, 4)
    drawn = picture[:140, :, 3] > 100
    assert drawn[:60, :440].sum() == 0
    assert drawn[30:110, 460:].all()
    assert (picture[142:, :, 3] > 100).any(), "the axis has labels"


@pytest.mark.parametrize("samples", [np.zeros(1, np.float32), np.ones(50), np.full(7, np.nan), tone(0.01)])
def test_waveforms_of_odd_signals(samples):
    assert waveform_png(samples).startswith(b"\x89PNG")


def test_waveforms_that_cannot_be_drawn(tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"bad")
    for source in (tmp_path / "bad.wav", tmp_path / "none.wav", np.zeros(0)):
        with pytest.raises(InputError):
            waveform_png(source)
    with pytest.raises(InputError):
        waveform_png(tone(1), width=10)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_a_long_file_is_measured_and_drawn_in_flat_memory(tmp_path):
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        for _ in range(60):
            file.write(tone(60))
    # 60 minutes are 345 MB as float32.
    program = (
        "import sys\n"
        "from f5_pipeline.speech.audio.recordings import levels_of\n"
        "from f5_pipeline.speech.audio.waveform import waveform_png\n"
        "waveform_png(sys.argv[1]); levels_of(sys.argv[1])\n"
        # Not getrusage: its peak is inherited from the process that forked.
        "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert float(done.stdout) / 1024 < 200


def test_importing_costs_no_heavy_library():
    program = (
        "import sys\n"
        "import f5_pipeline.speech.audio.recordings, f5_pipeline.speech.audio.waveform\n"
        "import f5_pipeline.speech.references.prepare\n"
        "print(sorted({'numpy', 'scipy', 'soundfile', 'soxr', 'PIL'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
