import errno
import resource
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyloudnorm
import pytest
import soundfile
from scipy.signal import butter, resample_poly, sosfilt

from f5_pipeline.errors import PipelineError
from f5_pipeline.speech.audio.encoding import encode
from f5_pipeline.speech.audio.loudness import LoudnessMeter, choose_gain, decibels, k_weighting
from f5_pipeline.speech.audio.tags import TAGS, id3v2
from f5_pipeline.speech.engine import SAMPLE_RATE

TEXT = {
    "title": "Der Fuß & 中文 שלום — a title of more than thirty characters",
    "artist": "Zoë",
    "comment": "two\nlines",
    "date": "2024-05-06",
    "license": "CC-BY-4.0",
}


def speechlike(seconds: float, seed: int = 0, level: float = 0.1) -> np.ndarray:
    """Band-limited noise that swells like syllables and stops for pauses; float32."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    noise = sosfilt(butter(2, [120, 5000], "bandpass", fs=SAMPLE_RATE, output="sos"), rng.standard_normal(len(time)))
    swell = (0.55 + 0.45 * np.sin(2 * np.pi * 3.1 * time)) * (np.sin(2 * np.pi * 0.13 * time) > -0.5)
    return (level * noise * swell).astype(np.float32)


def measure(audio: np.ndarray, sizes: list[int]) -> LoudnessMeter:
    meter, done = LoudnessMeter(), 0
    while done < len(audio):
        for size in sizes:
            meter.add(audio[done : done + size])
            done += size
    return meter


@pytest.mark.parametrize("level", [0.5, 0.05, 0.002])
@pytest.mark.parametrize("sizes", [[1 << 16], [1, 977, 4801, 30_000]])
def test_loudness_agrees_with_pyloudnorm(level: float, sizes: list[int]):
    audio = speechlike(31.37, seed=3, level=level)
    loudness = measure(audio, sizes).integrated
    exact = pyloudnorm.Meter(SAMPLE_RATE, filter_class="DeMan").integrated_loudness(audio.astype(float))
    usual = pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(audio.astype(float))
    assert loudness == pytest.approx(exact, abs=0.01)
    assert loudness == pytest.approx(usual, abs=0.1)


def test_k_weighting_is_the_standard_at_48_khz():
    # ITU-R BS.1770-4, tables 1 and 2
    assert k_weighting(48_000) == pytest.approx(
        np.array(
            [
                [1.53512485958697, -2.69169618940638, 1.19839281085285, 1, -1.69065929318241, 0.73248077421585],
                [1, -2, 1, 1, -1.99004745483398, 0.99007225036621],
            ]
        ),
        abs=1e-7,
    )


def test_a_full_scale_sine_is_3_lufs_below_full_scale():
    # BS.1770: 997 Hz at 0 dBFS in one channel reads -3.01 LKFS
    tone = np.sin(2 * np.pi * 997 * np.arange(10 * SAMPLE_RATE) / SAMPLE_RATE).astype(np.float32)
    assert measure(tone, [4096]).integrated == pytest.approx(-3.01, abs=0.05)


def test_gates_leave_pauses_out():
    speech = speechlike(20, seed=5)
    pauses = np.zeros(40 * SAMPLE_RATE, dtype=np.float32)
    assert measure(np.concatenate([speech, pauses]), [50_000]).integrated == pytest.approx(
        measure(speech, [50_000]).integrated, abs=0.1
    )


@pytest.mark.parametrize("audio", [np.zeros(0), np.zeros(SAMPLE_RATE * 2), speechlike(0.39)])
def test_what_cannot_be_measured_is_minus_infinity(audio):
    assert measure(audio, [1000]).integrated == float("-inf")


def test_silence_has_no_peak():
    meter = measure(np.zeros(1000, dtype=np.float32), [100])
    assert meter.true_peak == float("-inf")
    assert meter.sample_peak == 0


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("sizes", [[1 << 16], [7, 333, 5000]])
def test_true_peak_agrees_with_a_resampled_signal(seed: int, sizes: list[int]):
    audio = speechlike(5, seed=seed)
    expected = decibels(float(np.abs(resample_poly(audio.astype(float), 4, 1)).max()))
    meter = measure(audio, sizes)
    assert meter.true_peak == pytest.approx(expected, abs=0.1)
    assert meter.sample_peak == np.abs(audio).max()


def test_true_peak_finds_what_lies_between_samples():
    # a quarter of the sampling rate, 45 degrees off: every sample is at 0.707 of the crest
    time = np.arange(SAMPLE_RATE)
    audio = (0.5 * np.sin(np.pi / 2 * time + np.pi / 4) * np.hanning(len(time))).astype(np.float32)
    meter = measure(audio, [999])
    assert decibels(meter.sample_peak) == pytest.approx(-9.03, abs=0.02)
    assert meter.true_peak == pytest.approx(-6.02, abs=0.1)


def test_true_peak_sees_the_last_sample():
    audio = np.zeros(4000, dtype=np.float32)
    audio[-2:] = 0.8  # the crest lies between them
    assert measure(audio, [4000]).true_peak > decibels(0.9)


@pytest.mark.parametrize(
    ("loudness", "peak", "gain_db", "limited"),
    [
        (-25, -20, 6, False),
        (-25, -3, 2, True),
        (-10, -0.1, -9, False),
        (-19, 2, -3, True),
        (float("-inf"), -30, 0, False),
        (float("-inf"), 1, -2, True),
        (float("-inf"), float("-inf"), 0, False),
    ],
)
def test_one_gain_to_the_target_and_never_above_the_ceiling(loudness, peak, gain_db, limited):
    gain, was_limited = choose_gain(loudness, peak, target=-19, ceiling=-1)
    assert decibels(gain) == pytest.approx(gain_db)
    assert was_limited is limited


@pytest.fixture
def raw(tmp_path: Path) -> tuple[Path, np.ndarray]:
    audio = np.concatenate([speechlike(4.3, seed=8), np.zeros(SAMPLE_RATE, dtype=np.float32)])
    path = tmp_path / "audio.f32"
    audio.astype("<f4").tofile(path)
    return path, audio


def test_files_hold_the_audio_and_the_tags(raw, tmp_path: Path):
    source, audio = raw
    files = {"flac": tmp_path / "a.flac", "mp3": tmp_path / "a.mp3"}
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
    with soundfile.SoundFile(tmp_path / "a.mp3") as file:  # another reader (mpg123) finds them as well
        assert file.title == TEXT["title"]
        assert file.comment == TEXT["comment"]


def test_every_tag_has_its_place():
    assert id3v2({name: name for name in TAGS}).count(b"\x03") == len(TAGS)
    assert id3v2({}) == b""
    with pytest.raises(ValueError, match="mood"):
        encode(Path("none"), 1.0, {}, {"mood": "grey"})


def test_odd_tags_do_not_break_a_file(raw, tmp_path: Path):
    source, audio = raw
    files = {"flac": tmp_path / "a.flac", "mp3": tmp_path / "a.mp3"}
    encode(source, 1.0, files, {"title": "a\0b\ud800", "artist": "  ", "comment": "x" * 300_000})
    for path in files.values():
        with soundfile.SoundFile(path) as file:
            assert file.frames == len(audio)
            assert file.title == "ab?"
            assert "artist" not in file.copy_metadata()


def test_the_same_audio_gives_the_same_files(raw, tmp_path: Path):
    source, _ = raw
    first = {"flac": tmp_path / "a.flac", "mp3": tmp_path / "a.mp3"}
    second = {"flac": tmp_path / "b.flac", "mp3": tmp_path / "b.mp3"}
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


@contextmanager
def file_size_limit(size: int):
    """The system refuses to let a file grow beyond `size` bytes, as a quota or a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


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
