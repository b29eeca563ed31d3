import numpy as np
import pyloudnorm
import pytest
from scipy.signal import resample_poly

from f5_pipeline.speech.audio.loudness import LoudnessMeter, choose_gain, decibels, k_weighting
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline_tests.support.sounds import speechlike


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
