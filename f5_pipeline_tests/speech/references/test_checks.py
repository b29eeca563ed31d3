"""Checks of references: faults are caught, good recordings are not."""

from __future__ import annotations

import numpy as np
import pytest

from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.references.prepare import check_reference
from f5_pipeline_tests.support.recordings import SENTENCES, Spoken, prepare, speak


@pytest.fixture(scope="module")
def short() -> Spoken:
    return speak(SENTENCES[2:4])


def failing(reference, language="en") -> dict[str, str]:
    checks = check_reference(reference.measures, reference.text, language)
    names = ["duration", "clipping", "level", "noise_floor", "silence_share", "speaking_rate"]
    names += ["transcript_fit", "transcript_words", "transcript_length"]
    assert [check.name for check in checks] == names
    for check in checks:
        assert check.description.endswith(".")
        low, high = check.bounds
        assert check.passed == ((low is None or check.value >= low) and (high is None or check.value <= high))
    return {check.name: check.severity for check in checks if not check.passed}


def test_a_good_recording_passes_all_checks(tmp_path, short):
    assert failing(prepare(tmp_path, short, short.srt())) == {}


def test_a_transcript_with_more_or_less_than_the_recording_is_caught(tmp_path, short):
    text = " ".join(SENTENCES[2:4])
    for wrong in (f"{text} {text}", "Then the bell.", SENTENCES[1] + text):
        assert "transcript_length" in failing(prepare(tmp_path, short, wrong.encode(), "t.txt")), wrong
    assert failing(prepare(tmp_path, short, (text * 4).encode(), "t.txt")) == {
        "speaking_rate": "error",
        "transcript_length": "error",
    }


@pytest.mark.parametrize("speed", [0.7, 1.0, 1.5])
@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("He counted the lamps twice, wrote the number in his book, and closed the door.", "en"),
        ("Der alte Wärter zählte die Lampen zweimal und schrieb die Zahl in sein Buch.", "de"),
        ("El viejo guardián del faro contó las lámparas dos veces y cerró la puerta.", "es"),
        ("今天天气很好，我们去公园散步。晚上回家吃饭。", "cmn"),
        ("Старый смотритель маяка дважды пересчитал лампы и закрыл дверь.", "ru"),
        ("बूढ़े रखवाले ने दीपक दो बार गिने और संख्या अपनी किताब में लिखी।", "hi"),
    ],
)
def test_a_right_transcript_passes_at_any_pace(tmp_path, text, language, speed):
    spoken = speak([text], language, speed=speed)
    reference = prepare(tmp_path, spoken, text.encode(), "t.txt", language=language)
    assert not {"speaking_rate", "transcript_length"} & set(failing(reference, language=language))
    half = text[: len(text) * 2 // 5]
    assert "transcript_length" in failing(prepare(tmp_path, spoken, half.encode(), "t.txt", language=language))


def test_faults_of_the_recording_are_caught(tmp_path, short):
    rng = np.random.default_rng(1)

    def faulty(samples: np.ndarray) -> dict[str, str]:
        return failing(
            prepare(tmp_path, Spoken(samples.astype(np.float32), [], []), " ".join(SENTENCES[2:4]).encode(), "t.txt")
        )

    assert faulty(np.clip(short.samples * 20, -1, 1)).get("clipping") == "error"
    assert "level" in faulty(short.samples * 0.02)
    assert "noise_floor" in faulty(short.samples + rng.normal(0, 0.02, len(short.samples)))
    middle = round(short.words[5][1] * SAMPLE_RATE)
    gap = rng.normal(0, 0.0004, 4 * SAMPLE_RATE)
    paused = np.concatenate([short.samples[:middle], gap, short.samples[middle : middle + 2 * SAMPLE_RATE]])
    assert "silence_share" in faulty(paused)


@pytest.mark.parametrize("speed", [0.85, 1.2])
@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Nobody had expected the boat to come back before the evening.", "en"),
        ("Le vieux gardien du phare compta deux fois les lampes, puis il ferma la porte.", "fr"),
        ("おじいさんはランプをにどかぞえて、ドアをしめました。そしてうみをみました。", "ja"),
        ("늙은 등대지기는 등불을 두 번 세고 문을 닫았습니다.", "ko"),
    ],
)
def test_bounds_part_good_recordings_from_noisy_and_faint_ones(tmp_path, text, language, speed):
    """A room 28 dB below the speech and any usual level pass; 20 dB, and speech at -40 dBFS, do not."""
    speech = speak([text], language, speed=speed).samples
    rng = np.random.default_rng(4)
    loud = np.sqrt(np.mean(np.square(speech[np.abs(speech) > 0.003])))

    def told(level: float, noise: float) -> set[str]:
        scaled = speech / loud * 10 ** (level / 20)
        noisy = scaled + rng.normal(0, 10 ** ((level + noise) / 20), len(scaled))
        spoken = Spoken(noisy.astype(np.float32), [], [])
        reference = prepare(tmp_path, spoken, text.encode(), "t.txt", language=language)
        return set(failing(reference, language=language)) - {"duration"}

    for level in (-30, -24, -18):
        assert told(level, -45) == set()
    assert told(-24, -28) == set()
    assert told(-24, -20) == {"noise_floor"}
    assert told(-40, -50) == {"level"}
