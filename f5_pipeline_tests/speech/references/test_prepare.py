"""References: what is cut out of a recording is exactly what its text says.

The recordings are spoken by the draft engine, which knows to the sample where each word is.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from f5_pipeline.errors import InputError
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.references.prepare import (
    LEAD,
    MAX_CUT_SECONDS,
    TAIL,
    check_reference,
    count_syllables,
    count_words,
    end_text,
    prepare_reference,
)
from f5_pipeline.speech.transcripts.reader import Transcript, TranscriptSegment, read_transcript
from f5_pipeline_tests.support.recordings import SENTENCES, Spoken, prepare, speak, write


@pytest.fixture(scope="module")
def long() -> Spoken:
    spoken = speak(SENTENCES)
    assert 14 < len(spoken.samples) / SAMPLE_RATE < 22
    return spoken


@pytest.fixture(scope="module")
def short() -> Spoken:
    spoken = speak(SENTENCES[2:4])
    assert 5 < len(spoken.samples) / SAMPLE_RATE < 10
    return spoken


# --- text and audio stay together -------------------------------------------------------------------------------------


def test_a_long_recording_with_srt_is_cut_together_with_its_text(tmp_path, long):
    reference = prepare(tmp_path, long, long.srt())
    # A whole number of cues, each word of which is heard, and no other.
    cues = [text for text, _, _ in long.sentences]
    runs = {" ".join(cues[i:j]): (i, j) for i in range(len(cues)) for j in range(i + 1, len(cues) + 1)}
    assert reference.text.strip() in runs
    assert reference.text == long.touched(reference.start, reference.end) + " "
    assert 3 + LEAD + TAIL <= reference.seconds <= MAX_CUT_SECONDS
    assert reference.record.cut
    assert len(reference.samples) == round(reference.seconds * SAMPLE_RATE)
    assert all(check.passed for check in check_reference(reference.measures, reference.text, "en"))


def test_the_old_complaint_fourteen_seconds_keep_no_text_beyond_the_cut(tmp_path):
    spoken = speak(SENTENCES[:3], lead=0.2, pause=0.2)
    seconds = len(spoken.samples) / SAMPLE_RATE
    assert 14 < seconds < 15.5
    reference = prepare(tmp_path, spoken, spoken.srt())
    assert reference.seconds <= 8
    assert reference.text.strip() != " ".join(SENTENCES[:3])
    assert reference.text.strip() == spoken.touched(reference.start, reference.end)
    # The samples are those of that part, but for the offset, the fades and 16 bit.
    begin, end = round(reference.start * SAMPLE_RATE), round(reference.end * SAMPLE_RATE)
    part = spoken.samples[begin:end]
    padding = round(LEAD * SAMPLE_RATE)
    second = reference.samples[SAMPLE_RATE : 2 * SAMPLE_RATE]
    shift = max(range(padding + 1), key=lambda n: float(np.dot(part[SAMPLE_RATE - n : 2 * SAMPLE_RATE - n], second)))
    difference = part[SAMPLE_RATE - shift : 2 * SAMPLE_RATE - shift] - second
    assert np.ptp(difference) < 1e-4


def test_words_allow_a_cut_inside_a_segment(tmp_path, long):
    reference = prepare(tmp_path, long, long.whisper(), "t.json")
    heard = long.touched(reference.start, reference.end)
    assert end_text(heard) == reference.text
    assert 3 <= reference.seconds <= MAX_CUT_SECONDS


def test_one_endless_segment_with_words_is_cut_at_a_pause(tmp_path, long):
    words = [{"word": f" {word}", "start": start, "end": end} for word, start, end in long.words]
    text = " ".join(word for word, _, _ in long.words)
    data = json.dumps([{"start": words[0]["start"], "end": words[-1]["end"], "text": text, "words": words}])
    reference = prepare(tmp_path, long, data.encode(), "t.json")
    assert reference.text == end_text(long.touched(reference.start, reference.end))
    assert 5 <= reference.seconds <= MAX_CUT_SECONDS


@pytest.mark.parametrize("drift", [-0.3, -0.15, 0.15, 0.3])
def test_sloppy_cue_times_move_to_the_pause(tmp_path, long, drift):
    shifted = [
        TranscriptSegment(text=text, start=max(0, start + drift), end=end + drift)
        for text, start, end in long.sentences
    ]
    reference = prepare(tmp_path, long, Transcript(segments=shifted))
    assert reference.text.strip() == long.touched(reference.start, reference.end)


def test_cues_that_touch_each_other_are_cut_at_the_pause_between(tmp_path, long):
    starts = [start for _, start, _ in long.sentences] + [len(long.samples) / SAMPLE_RATE]
    cues = [
        TranscriptSegment(text=text, start=start, end=following)
        for (text, start, _), following in zip(long.sentences, starts[1:], strict=True)
    ]
    reference = prepare(tmp_path, long, Transcript(segments=cues))
    assert reference.text.strip() == long.touched(reference.start, reference.end)


def test_wrong_word_times_never_cut_a_word(tmp_path, long):
    rng = np.random.default_rng(3)
    for _ in range(4):
        times, clock = [], 0.0
        for word, start, end in long.words:
            begin = max(clock, start + rng.uniform(-0.08, 0.08))
            clock = max(begin + 0.02, end + rng.uniform(-0.08, 0.08))
            times.append({"word": f" {word}", "start": begin, "end": clock})
        text = " ".join(word for word, _, _ in long.words)
        data = json.dumps([{"start": times[0]["start"], "end": times[-1]["end"], "text": text, "words": times}])
        reference = prepare(tmp_path, long, data.encode(), "t.json")
        assert reference.text == end_text(long.touched(reference.start, reference.end))


def test_a_sentence_that_the_transcript_leaves_out_is_not_bridged(tmp_path, long):
    for missing in range(len(long.sentences)):
        kept = [sentence for number, sentence in enumerate(long.sentences) if number != missing]
        cues = [TranscriptSegment(text=text, start=start, end=end) for text, start, end in kept]
        reference = prepare(tmp_path, long, Transcript(segments=cues))
        assert reference.text.strip() == long.touched(reference.start, reference.end)


def test_a_short_recording_whose_transcript_leaves_something_out_is_cut(tmp_path, short):
    reference = prepare(tmp_path, short, short.srt(1))
    assert reference.record.cut
    assert reference.text.strip() == SENTENCES[2] == short.touched(reference.start, reference.end)


def test_a_short_recording_is_kept_whole(tmp_path, short):
    for transcript, name in ((short.srt(), "t.srt"), (" ".join(SENTENCES[2:4]).encode(), "t.txt")):
        reference = prepare(tmp_path, short, transcript, name)
        assert reference.text == " ".join(SENTENCES[2:4]) + " "
        assert not reference.record.cut
        speech = short.words[-1][2] - short.words[0][1]
        assert reference.measures.speech_seconds == pytest.approx(speech, abs=0.12)
        assert reference.seconds == pytest.approx(reference.measures.speech_seconds + LEAD + TAIL, abs=0.002)


def test_chinese_is_cut_by_its_characters(tmp_path):
    texts = [
        "今天天气很好，我们去公园散步。",
        "孩子们在草地上放风筝，大家都很高兴。",
        "晚上我们一起回家吃饭。",
        "明天还要早起上班。",
    ]
    spoken = speak(texts, "cmn")
    reference = prepare(tmp_path, spoken, spoken.srt(), language="zh")
    assert reference.text in {"".join(texts[i:j]) for i in range(4) for j in range(i + 1, 5)}
    assert reference.text == spoken.touched(reference.start, reference.end).replace(" ", "")
    checks = {check.name: check for check in check_reference(reference.measures, reference.text, "zh")}
    assert checks["speaking_rate"].passed, checks["speaking_rate"]


# --- what is refused --------------------------------------------------------------------------------------------------


def refused(tmp_path, spoken, transcript, name="t.srt", **options) -> InputError:
    with pytest.raises(InputError) as caught:
        prepare(tmp_path, spoken, transcript, name, **options)
    assert caught.value.hint and caught.value.hint.endswith(".")
    assert caught.value.file == "keeper/recording.flac"
    return caught.value


def test_what_cannot_be_cut_truthfully_is_refused(tmp_path, long):
    assert "no transcript" in refused(tmp_path, long, None).message
    untimed = refused(tmp_path, long, " ".join(SENTENCES).encode(), "t.txt")
    assert "no times" in untimed.message
    assert "times" in (untimed.hint or "")
    end = len(long.samples) / SAMPLE_RATE
    whole = Transcript(segments=[TranscriptSegment(text=" ".join(SENTENCES), start=0.5, end=end)])
    assert "short enough" in refused(tmp_path, long, whole).message
    beyond = Transcript(segments=[TranscriptSegment(text="Hello.", start=1, end=end + 5)])
    assert "only to" in refused(tmp_path, long, beyond).message


def test_a_recording_without_pauses_is_refused(tmp_path, long):
    tone = (0.2 * np.sin(np.arange(len(long.samples)) * 0.05)).astype(np.float32)
    steady = Spoken(tone, long.sentences, long.words)
    assert "pause" in refused(tmp_path, steady, steady.srt()).message


def test_silent_and_very_short_recordings_are_refused(tmp_path, short):
    silent = Spoken(np.zeros(5 * SAMPLE_RATE, np.float32), [], [])
    assert "silent" in refused(tmp_path, silent, b"Hello.", "t.txt").message
    hiss = Spoken(np.random.default_rng(0).normal(0, 0.0002, 5 * SAMPLE_RATE).astype(np.float32), [], [])
    assert "silent" in refused(tmp_path, hiss, b"Hello.", "t.txt").message
    start = round(short.words[0][1] * SAMPLE_RATE)
    brief = Spoken(short.samples[: start + SAMPLE_RATE // 2], [], [])
    assert "of speech are in" in refused(tmp_path, brief, b"He counted.", "t.txt").message


# --- samples ----------------------------------------------------------------------------------------------------------


def test_edges_are_silent_without_clicks_and_padded_where_the_recording_ends(tmp_path, short):
    first, last = (round(t * SAMPLE_RATE) for t in (short.words[0][1], short.words[-1][2]))
    tight = Spoken(short.samples[first : last + 1], short.sentences, short.words)
    for spoken in (tight, short):
        reference = prepare(tmp_path, spoken, b"He counted the lamps.", "t.txt")
        samples = reference.samples
        assert samples.dtype == np.float32
        assert abs(samples[0]) < 0.001 and abs(samples[-1]) < 0.001
        tail = samples[-round((TAIL - 0.05) * SAMPLE_RATE) :]
        assert np.abs(tail).max() < 0.01
        edge = np.abs(np.diff(np.concatenate([[0.0], samples[:240]])))
        assert edge.max() < 0.02
        assert reference.seconds == pytest.approx(reference.measures.speech_seconds + LEAD + TAIL, abs=0.002)


def test_any_rate_channels_and_format_give_the_same_reference_within_noise(tmp_path, short):
    import soxr

    plain = prepare(tmp_path, short, short.srt())
    transcript = read_transcript(short.srt(), "t.srt")
    high = soxr.resample(short.samples, SAMPLE_RATE, 44100)
    stereo = np.stack([high, -high], axis=1)  # one channel in opposite phase: their mean is silent
    for name, samples, rate in (
        ("s.wav", stereo, 44100),
        ("m.mp3", high, 44100),
        ("o.ogg", short.samples, SAMPLE_RATE),
    ):
        other = prepare_reference(write(tmp_path / name, samples, rate), transcript, language="en", name="keeper")
        assert other.text == plain.text
        assert other.measures.rms_dbfs == pytest.approx(plain.measures.rms_dbfs, abs=0.5)
        assert other.seconds == pytest.approx(plain.seconds, abs=0.1)


def test_loud_floating_point_is_brought_into_range_and_reported(tmp_path, short):
    recording = write(tmp_path / "loud.wav", short.samples * 8, subtype="FLOAT")
    transcript = read_transcript(short.srt(), "t.srt")
    reference = prepare_reference(recording, transcript, language="en", name="keeper")
    assert np.abs(reference.samples).max() <= 1.0
    assert reference.measures.peak > 1
    assert reference.measures.clipping_share > 0.001


def test_the_hash_names_samples_and_text_and_the_record_is_json(tmp_path, short):
    one = prepare(tmp_path, short, short.srt())
    again = prepare(tmp_path, short, short.srt())
    other = prepare(tmp_path, short, short.srt().replace(b"lamps", b"ships"))
    assert one.sha256 == again.sha256
    assert len({one.sha256, other.sha256}) == 2
    assert (one.samples == other.samples).all()
    record = json.loads(one.record.model_dump_json())
    assert record["text"] == one.text
    # 16 bit hold the samples: what is stored is what was hashed.
    path = write(tmp_path / "stored.flac", one.pcm16(), subtype="PCM_16")
    stored, _ = soundfile.read(path, dtype="float32")
    assert (stored == one.samples).all()


# --- text -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello there", "Hello there. "),
        ("Hello there.  ", "Hello there. "),
        ("Hello, there,", "Hello, there. "),
        ("Is it?", "Is it? "),
        ("He said “go”", "He said “go.” "),
        ("He said “go.”", "He said “go.” "),
        ("And then —", "And then. "),
        ("Wait…", "Wait… "),
        ("今天很好", "今天很好。"),
        ("今天很好。", "今天很好。"),
        ("今天很好，", "今天很好。"),
        ("क्या हाल है।", "क्या हाल है। "),
        ("안녕하세요", "안녕하세요. "),
    ],
)
def test_texts_end_as_f5_needs_them(text, expected):
    assert end_text(text) == expected
    assert end_text(expected) == expected


@pytest.mark.parametrize(
    ("text", "language", "words", "syllables"),
    [
        ("The quick brown fox jumps over the lazy dog.", "en", 9, 11),
        ("It's a beautiful evening in the made-up village", "en", 8, 14),
        ("Schöne Grüße aus München", "de", 4, 7),
        ("今天天气很好", "zh", 6, 6),
        ("안녕하세요 여러분", "ko", 2, 8),
        ("Привет, как дела?", "ru", 3, 5),
        ("… 「」 --", "en", 0, 0),
    ],
)
def test_words_and_syllables(text, language, words, syllables):
    assert count_words(text) == words
    assert count_syllables(text, language) == pytest.approx(syllables, abs=1)
