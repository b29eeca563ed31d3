"""References cut by alignment: whatever transcript a recording comes with, the text is exactly what is heard.

The recordings are spoken by another voice than the one that drafts are made with, and the times of their words are
known to the sample.
"""

from __future__ import annotations

import random
from itertools import product

import numpy as np
import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.references.prepare import MAX_CUT_SECONDS, check_reference, end_text
from f5_pipeline.speech.transcripts.reader import Transcript, TranscriptSegment
from f5_pipeline_tests.support.recordings import SENTENCES, Spoken, prepare, speak

pytestmark = pytest.mark.slow

MORE = [
    "In the morning a fisherman found a lantern on the sand.",
    "It was still warm, although nobody had carried it there.",
    "The children asked the keeper about it, but he only smiled and shook his head.",
    "Some say that the sea brings back what it has borrowed.",
    "Others believe that the wind is fond of old stories.",
]


@pytest.fixture(scope="module")
def complaint() -> Spoken:
    spoken = speak(SENTENCES[:3], lead=0.2, pause=0.2)
    assert 14 < len(spoken.samples) / SAMPLE_RATE < 15.5
    return spoken


@pytest.fixture(scope="module")
def forty() -> Spoken:
    spoken = speak(SENTENCES + MORE)
    assert 35 < len(spoken.samples) / SAMPLE_RATE < 45
    return spoken


def assert_exact(spoken: Spoken, reference, joined: str = " ") -> None:
    """Every word of the text sounds in the cut, no other one does, and none is cut."""
    assert reference.text == end_text(spoken.touched(reference.start, reference.end).replace(" ", joined))
    assert 3 <= reference.seconds <= MAX_CUT_SECONDS


@pytest.mark.parametrize("kind", ["srt", "txt", "csv", "json"])
def test_the_old_complaint_whatever_the_transcript(tmp_path, complaint, drafts, kind):
    """14 s were cut to 8 s with the text of 14 s: whatever F5 spoke with that was garbled."""
    transcript = {"srt": complaint.srt, "txt": complaint.text, "csv": complaint.csv, "json": complaint.whisper}[kind]()
    reference = prepare(tmp_path, complaint, transcript, f"t.{kind}", drafts=drafts)
    assert_exact(complaint, reference)
    assert reference.measures.method == {"srt": "given", "csv": "given", "json": "words", "txt": "aligned"}[kind]
    assert (reference.measures.confidence or 0) > 0.8
    assert all(check.passed for check in check_reference(reference.measures, reference.text, "en"))


@pytest.mark.parametrize("kind", ["srt", "txt", "csv"])
def test_forty_seconds(tmp_path, forty, drafts, kind):
    transcript = {"srt": forty.srt, "txt": forty.text, "csv": forty.csv}[kind]()
    reference = prepare(tmp_path, forty, transcript, f"t.{kind}", drafts=drafts)
    assert_exact(forty, reference)
    assert reference.text.strip()[-1] in ".?!", "whole sentences fit"


def test_ten_minutes_without_times(tmp_path, drafts):
    """Sentences spoken once and put together in many orders: cheap to make, and no two stretches are the same."""
    who = ["The old keeper", "My younger sister", "A tired fisherman", "The village doctor", "Nobody in the harbour"]
    did = ["counted the lamps on the pier", "wrote a long letter to the captain", "lost the key of the garden gate"]
    when = ["before the storm came in.", "on a cold morning in April.", "while the others were asleep."]
    texts = [" ".join(parts) for parts in product(who, did, when)]
    once = speak(texts, pause=0.35, lead=0.0)
    starts = [round(start * SAMPLE_RATE) for _, start, _ in once.sentences] + [len(once.samples)]
    order: list[int] = []
    chance = random.Random(5)
    while sum(starts[number + 1] - starts[number] for number in order) < 600 * SAMPLE_RATE:
        order += chance.sample(range(len(texts)), len(texts))
    parts, words, sentences, at = [], [], [], 0.0
    for number in order:
        parts.append(once.samples[starts[number] : starts[number + 1]])
        text, start, end = once.sentences[number]
        shift = at - starts[number] / SAMPLE_RATE
        words += [(word, a + shift, b + shift) for word, a, b in once.words if start - 1e-6 <= a < end]
        sentences.append((text, start + shift, end + shift))
        at += len(parts[-1]) / SAMPLE_RATE
    spoken = Spoken(np.concatenate(parts), sentences, words)
    told: list[tuple[str, int, int]] = []
    reference = prepare(
        tmp_path, spoken, spoken.text(), "t.txt", drafts=drafts, on_progress=lambda *step: told.append(step)
    )
    assert_exact(spoken, reference)
    whole = round(len(spoken.samples) / SAMPLE_RATE)
    assert told[0] == ("s of audio aligned", 0, whole) and told[-1] == ("s of audio aligned", whole, whole)


@pytest.mark.parametrize(
    ("language", "texts", "joined"),
    [
        (
            "de",
            [
                "Der alte Wärter zählte die Lampen zweimal und schrieb die Zahl in sein Buch.",
                "Niemand hatte erwartet, dass das Boot vor dem Abend zurückkommt.",
                "Am Morgen fand ein Fischer eine Laterne im Sand.",
            ],
            " ",
        ),
        (
            "zh",
            [
                "今天天气很好，我们去公园散步。",
                "孩子们在草地上放风筝，大家都很高兴。",
                "晚上我们一起回家吃饭。",
                "明天还要早起上班。",
            ],
            "",
        ),
    ],
)
def test_other_languages(tmp_path, drafts, language, texts, joined):
    spoken = speak(texts, language, speed=0.9)
    transcript = joined.join(texts).encode()
    reference = prepare(tmp_path, spoken, transcript, "t.txt", drafts=drafts, language=language)
    assert_exact(spoken, reference, joined)
    assert reference.measures.method == "aligned"


# --- times that are not good ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("drift", [-1.2, 0.8, 1.2])
def test_cues_that_are_off_by_a_second_are_mended(tmp_path, complaint, drafts, drift):
    shifted = [
        TranscriptSegment(text=text, start=max(0, start + drift), end=end + drift)
        for text, start, end in complaint.sentences
    ]
    assert_exact(complaint, prepare(tmp_path, complaint, Transcript(segments=shifted), drafts=drafts))


def test_a_cue_that_ends_at_a_pause_within_the_next_sentence_is_moved_to_the_end_of_its_own(tmp_path, drafts):
    spoken = speak(
        [SENTENCES[4], "He nodded twice,", "counted the lamps, and then closed the door.", SENTENCES[1]], pause=0.3
    )
    (_, start, _), (_, _, comma), (_, _, end), _ = spoken.sentences
    cues = [
        TranscriptSegment(text=SENTENCES[4], start=start, end=comma),
        TranscriptSegment(text="He nodded twice, counted the lamps, and then closed the door.", start=comma, end=end),
    ]
    believed = prepare(tmp_path, spoken, Transcript(segments=cues))
    assert believed.text != end_text(spoken.touched(believed.start, believed.end)), "they are wrong indeed"
    reference = prepare(tmp_path, spoken, Transcript(segments=cues), drafts=drafts)
    assert_exact(spoken, reference)
    assert reference.measures.method == "aligned"


def test_a_pause_within_a_sentence_ends_no_reference(tmp_path, drafts):
    first, second = "We descended in silence until the lights", "flickered and the elevator jerked to a stop."
    # What follows cannot be cut.
    long = (
        "The building on the corner of the old market square was forty years old and nobody who had ever lived there "
    )
    spoken = speak([first, second, f"{long}for longer than a winter trusted anything that was in it."], speed=0.7)
    assert spoken.sentences[0][2] - spoken.sentences[0][1] > 3, "long enough to be cut alone"
    assert prepare(tmp_path, spoken, spoken.whisper(), "t.json", drafts=drafts).text == f"{first} {second} "


def test_times_that_cannot_be_mended_stand_and_a_check_tells(tmp_path, complaint, drafts):
    """Another text in the cues: the drafts may be wrong, but not without a word."""
    others = [MORE[0], MORE[2], MORE[3]]
    cues = [
        TranscriptSegment(text=text, start=start, end=end)
        for text, (_, start, end) in zip(others, complaint.sentences, strict=True)
    ]
    reference = prepare(tmp_path, complaint, Transcript(segments=cues), drafts=drafts)
    assert reference.measures.method == "given"
    checks = {check.name: check for check in check_reference(reference.measures, reference.text, "en")}
    assert not checks["transcript_fit"].passed and not checks["transcript_words"].passed


def test_one_cue_for_everything_is_cut_by_its_words(tmp_path, forty, drafts):
    whole = TranscriptSegment(text=forty.text().decode(), start=0.5, end=len(forty.samples) / SAMPLE_RATE)
    reference = prepare(tmp_path, forty, Transcript(segments=[whole]), drafts=drafts)
    assert_exact(forty, reference)
    assert reference.measures.method == "aligned"


def test_a_sentence_that_the_transcript_lacks_is_not_in_the_reference(tmp_path, forty, drafts):
    texts = [text for text, _, _ in forty.sentences]
    lacks = " ".join(texts[:3] + texts[4:]).encode()
    assert_exact(forty, prepare(tmp_path, forty, lacks, "t.txt", drafts=drafts))


def test_a_language_that_cannot_be_aligned_still_has_its_times(tmp_path, complaint, drafts):
    reference = prepare(tmp_path, complaint, complaint.srt(), drafts=drafts, language="xx")
    assert reference.measures.confidence is None and reference.measures.method == "given"
    checks = {check.name: check for check in check_reference(reference.measures, reference.text, "xx")}
    assert checks["transcript_fit"].passed and "Not checked" in checks["transcript_fit"].description
    with pytest.raises(InputError, match="cannot be timed in this language") as told:
        prepare(tmp_path, complaint, complaint.text(), "t.txt", drafts=drafts, language="xx")
    assert told.value.file == "t.txt" and "with times" in (told.value.hint or "")


# --- transcripts of something else ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [" ".join(MORE), " ".join([*MORE[2:4], SENTENCES[4]]), " ".join(SENTENCES[2::-1])])
def test_a_transcript_of_something_else_is_refused(tmp_path, complaint, drafts, wrong):
    with pytest.raises(InputError) as told:
        prepare(tmp_path, complaint, wrong.encode(), "other.txt", drafts=drafts)
    assert told.value.file == "other.txt"
    assert told.value.hint and "what is heard" in told.value.hint and "with times" in told.value.hint


@pytest.mark.parametrize("case", ["text says more", "recording says more"])
def test_where_text_and_recording_part_is_told(tmp_path, forty, drafts, case):
    texts = [text for text, _, _ in forty.sentences]
    if case == "text says more":
        texts.insert(6, "This one was never said by anybody on the island, nor thought of.")
        at = forty.sentences[5][2]
    else:
        del texts[1]
        at = forty.sentences[1][1]
    with pytest.raises(InputError, match=case) as told:
        prepare(tmp_path, forty, " ".join(texts).encode(), "said.txt", drafts=drafts)
    assert told.value.file == "said.txt"
    minutes, _, seconds = str(told.value.place).rpartition(":")
    assert float(minutes or 0) * 60 + float(seconds) == pytest.approx(at, abs=8)


@pytest.mark.parametrize("name", ["t.txt", "t.srt"])
def test_a_short_recording_with_other_words_of_the_same_length_is_caught(tmp_path, drafts, name):
    """Syllables and pace are right: only the words are not."""
    spoken = speak(SENTENCES[2:4])
    wrong = (
        "They counted my chairs inside, drove the hammer through a brick, and opened the gate. Soon his voice gave out."
    )
    clock = f"00:00:00,600 --> 00:00:0{len(spoken.samples) / SAMPLE_RATE:.3f}".replace(".", ",")
    transcript = wrong if name == "t.txt" else f"1\n{clock}\n{wrong}\n"
    reference = prepare(tmp_path, spoken, transcript.encode(), name, drafts=drafts)
    checks = {check.name: check for check in check_reference(reference.measures, reference.text, "en")}
    assert not checks["transcript_fit"].passed
    assert checks["transcript_length"].passed and checks["speaking_rate"].passed


def test_right_words_are_no_false_alarm_in_noise_and_another_voice(tmp_path, drafts):
    noise = np.random.default_rng(2)
    for language, text in (
        ("en", SENTENCES[2]),
        ("es", "El viejo guardián del faro contó las lámparas dos veces y cerró la puerta."),
        ("ru", "Старый смотритель маяка дважды пересчитал лампы, записал число и закрыл дверь."),
    ):
        for speed in (0.8, 1.3):
            spoken = speak([text], language, speed=speed)
            loud = np.sqrt(np.mean(np.square(spoken.samples[np.abs(spoken.samples) > 0.003])))
            noisy = spoken.samples + noise.normal(0, loud / 10, len(spoken.samples)).astype(np.float32)
            reference = prepare(
                tmp_path, Spoken(noisy, [], []), text.encode(), "t.txt", drafts=drafts, language=language
            )
            checks = {check.name: check for check in check_reference(reference.measures, reference.text, language)}
            assert checks["transcript_fit"].passed, checks["transcript_fit"]
