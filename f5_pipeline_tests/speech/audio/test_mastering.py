"""Masters: the level asked for is reached, the peak is kept, and files are judged by what they sound like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from f5_pipeline.speech.audio.encoding import FORMATS, Output, encode
from f5_pipeline.speech.audio.inspection import judge, measure
from f5_pipeline.speech.audio.loudness import LoudnessMeter, choose_gain
from f5_pipeline.speech.audio.mastering import PRESETS, Master, MasterPreset, master_to
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline_tests.support.ffmpeg import levels_of, loudness_of
from f5_pipeline_tests.support.sounds import speechlike


@pytest.fixture(scope="module")
def peaky(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, LoudnessMeter]:
    """Quiet speech with a loud burst now and then, which holds a linear gain 6 dB below the loudness asked for."""
    audio = speechlike(40, seed=2, level=0.1)
    for start in range(SAMPLE_RATE, len(audio), 4 * SAMPLE_RATE):
        audio[start : start + 2400] *= 1 + 5 * np.hanning(2400).astype(np.float32)
    audio = np.concatenate([np.zeros(18_000, np.float32), audio, np.zeros(36_000, np.float32)])
    path = tmp_path_factory.mktemp("master") / "a.f32"
    audio.astype("<f4").tofile(path)
    meter = LoudnessMeter(detailed=True)
    meter.add(audio)
    return path, meter


@pytest.mark.parametrize("name", ["podcast", "ebu", "acx"])
def test_the_finished_files_meet_the_preset(peaky, name, tmp_path: Path):
    path, meter = peaky
    preset = PRESETS[name]
    if name != "acx":
        assert choose_gain(meter.integrated, meter.true_peak, preset.target, preset.peak)[1], "a gain alone would not"
    master = master_to(path, meter, preset)
    formats = ("flac", "mp3", "m4b")
    mp3 = preset.mp3 or (SAMPLE_RATE, 80)
    outputs = [Output(kind, tmp_path / f"a{FORMATS[kind].suffix}", 0, master.samples, mp3=mp3) for kind in formats]
    encode(master, outputs)
    for output in outputs:
        found = measure(output.path, output.path.name)
        lines = judge(found, preset, is_delivery=output.format == "mp3")
        assert all(line.passed for line in lines if line.what != "tail"), lines
        loudness, true_peak = loudness_of(output.path)
        rms, peak = levels_of(output.path)
        assert found.loudness == pytest.approx(loudness, abs=0.15) and found.peak == pytest.approx(true_peak, abs=0.2)
        assert found.rms == pytest.approx(rms, abs=0.1)
        assert max(true_peak, peak) <= preset.peak + 0.05
        assert preset.low - 0.1 <= (rms if preset.measure == "rms" else loudness) <= preset.high + 0.1


def test_any_span_of_a_master_is_the_same(peaky):
    path, meter = peaky
    master = master_to(path, meter, PRESETS["acx"])
    whole = master.read(0, master.samples)
    for start, stop in ((0, 70_000), (23_000, 25_000), (333_333, 500_001), (master.samples - 5, master.samples)):
        assert np.allclose(master.read(start, stop), whole[start:stop], atol=1e-6)
    assert (
        np.abs(np.diff(whole)).max() < np.abs(np.diff(Master(path, master.gain).read(0, master.samples))).max() * 1.01
    )


def test_pauses_have_room_tone_for_bookshops_and_silence_elsewhere(peaky):
    path, meter = peaky
    tone = master_to(path, meter, PRESETS["acx"]).read(0, 12_000)
    assert 20 * np.log10(np.sqrt(np.mean(tone**2))) == pytest.approx(-72, abs=0.7)
    assert not master_to(path, meter, PRESETS["podcast"]).read(0, 12_000).any()


def test_what_is_not_met_is_named(tmp_path: Path):
    (0.02 * speechlike(3, seed=1)).astype("<f4").tofile(tmp_path / "a.f32")
    master = Master(tmp_path / "a.f32", 1.0)
    encode(master, [Output("mp3", tmp_path / "a.mp3", 0, master.samples)])
    lines = {line.what: line for line in judge(measure(tmp_path / "a.mp3", "a.mp3"), PRESETS["acx"], is_delivery=True)}
    failed = {what for what, line in lines.items() if not line.passed}
    assert failed >= {"RMS", "head", "tail", "sampling rate", "bit rate"} and lines["peak"].passed
    short = MasterPreset("loudness", -19, -20, -18, -1, max_seconds=1)
    assert not judge(measure(tmp_path / "a.mp3", "a.mp3"), short, is_delivery=True)[-1].passed


def test_silence_is_kept(tmp_path: Path):
    np.zeros(48_000, "<f4").tofile(tmp_path / "a.f32")
    meter = LoudnessMeter(detailed=True)
    meter.add(np.zeros(48_000, np.float32))
    assert not master_to(tmp_path / "a.f32", meter, PRESETS["podcast"]).read(0, 48_000).any()
