import json
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from f5_pipeline.errors import PipelineError
from f5_pipeline.speech.audio.assembly import AssemblySettings, Part, _Log, _Place, _Scratch, assemble
from f5_pipeline.speech.chunks import Chunk, Pause, Word
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.takes import Take
from f5_pipeline.speech.timeline import PlacedChunk, TimedWord
from f5_pipeline_tests.support.sounds import file_size_limit, speechlike

LEAD, TRAIL = 0.2, 0.3


def read_timeline(path: Path) -> Iterator[TimedWord]:
    """The words of a timeline file, in order."""
    return map(TimedWord.model_validate_json, path.read_bytes().splitlines())


def make_part(
    index: int,
    words: list[str],
    *,
    pause: Pause = "sentence",
    lead: float = LEAD,
    trail: float = TRAIL,
    each: float = 0.25,
    paragraph: int = 0,
    heading: bool = False,
    voice: str = "Ada",
    space: str = " ",
    tone: bool = False,
) -> Part:
    """A take of `each` s a word between stretches of faint room tone; every word is a burst of its own."""
    spoken, at = [], 0
    for word in words:
        spoken.append(Word(text=word, space=space, spoken=(at, at + len(word))))
        at += len(word) + 1
    text = " ".join(words)
    chunk = Chunk(
        index=index,
        passage=0,
        paragraph=paragraph,
        line=index + 1,
        heading=heading,
        voice=voice,
        language="en",
        spoken=text,
        words=spoken,
        expected_seconds=each * len(words),
        pause=pause,
    )
    seconds = lead + each * len(words) + trail
    rng = np.random.default_rng(index)
    audio = (1e-4 * rng.standard_normal(round(seconds * SAMPLE_RATE))).astype(np.float32)
    tokens = []
    for number, word in enumerate(spoken):
        start = lead + number * each
        tokens.append((*word.spoken, start, start + each))
        first, last = round(start * SAMPLE_RATE), round((start + each) * SAMPLE_RATE)
        if tone:  # an onset that can be found again to the sample
            audio[first:last] = 0.3 * np.sin(2 * np.pi * 200 * np.arange(last - first) / SAMPLE_RATE) + 0.3
        else:
            audio[first:last] = speechlike(each, seed=index, level=0.2)[: last - first]
    take = Take(
        key=f"take-{index}",
        text=text,
        language="en",
        voice=voice,
        engine="draft",
        samples=len(audio),
        speech_start=lead,
        speech_end=lead + each * len(words),
        tokens=tokens,
        method="engine",
        peak=float(np.abs(audio).max(initial=0)),
        rms_dbfs=-20,
        sha256="0" * 64,
    )
    return Part(chunk, take, lambda: audio)


def placed(result) -> list[PlacedChunk]:
    return [PlacedChunk.model_validate_json(line) for line in result.chunk_index.read_text().splitlines()]


def test_pauses_count_from_speech_to_speech(tmp_path: Path):
    settings = AssemblySettings(sentence=0.4, paragraph=0.9, chapter=2.0, head=0.6, tail=1.2)
    parts = [
        make_part(0, ["Title"], pause="chapter", heading=True),
        make_part(1, ["One", "two."], pause="sentence", paragraph=1, lead=0.0),
        make_part(2, ["Three."], pause="paragraph", paragraph=1, trail=0.0),
        make_part(3, ["Four."], pause="paragraph", paragraph=2),
    ]
    result = assemble(parts, tmp_path, settings)
    chunks = placed(result)
    assert [chunk.take for chunk in chunks] == ["take-0", "take-1", "take-2", "take-3"]
    starts, ends = [chunk.start for chunk in chunks], [chunk.end for chunk in chunks]
    assert starts[0] == pytest.approx(0.6)
    gaps = [starts[i + 1] - ends[i] for i in range(3)]
    assert gaps == pytest.approx([2.0, 0.4, 0.9], abs=1e-4)
    assert result.seconds == pytest.approx(ends[-1] + 1.2, abs=1e-4)
    assert result.samples == soundfile.info(result.files["flac"]).frames == soundfile.info(result.files["mp3"]).frames
    words = list(read_timeline(result.timeline))
    assert [word.text for word in words] == ["Title", "One", "two.", "Three.", "Four."]
    assert [word.paragraph for word in words] == [0, 1, 1, 1, 2]
    assert [word.heading for word in words] == [True, False, False, False, False]
    assert words[0].start == pytest.approx(0.6)
    assert (result.words, result.chunks) == (5, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "chunks.jsonl",
        "narration.flac",
        "narration.mp3",
        "timeline.jsonl",
    ]


def test_pauses_are_digital_silence(tmp_path: Path):
    settings = AssemblySettings(sentence=1.0, margin=0.03)
    result = assemble([make_part(0, ["One."]), make_part(1, ["Two."])], tmp_path, settings, formats=["flac"])
    audio, _ = soundfile.read(result.files["flac"], dtype="int16")
    first, second = placed(result)
    gap = audio[round((first.end + 0.031) * SAMPLE_RATE) : round((second.start - 0.031) * SAMPLE_RATE)]
    assert len(gap) > 0.9 * SAMPLE_RATE
    assert not gap.any()
    assert list(result.files) == ["flac"]


@pytest.mark.parametrize("crossfade", [0.0, 0.02, 0.2])
@pytest.mark.parametrize(("lead", "trail"), [(0.2, 0.3), (0.0, 0.0), (0.01, 0.004), (0.0, 0.3)])
def test_word_times_stay_on_their_sound_through_crossfades(tmp_path: Path, crossfade: float, lead, trail):
    # Every take begins with a step from silence to 0.3: its place in the master is found again by the sample.
    parts = [
        make_part(i, ["a", "b", "c"], pause="none" if i % 4 else "sentence", lead=lead, trail=trail, tone=True)
        for i in range(40)
    ]
    settings = AssemblySettings(crossfade=crossfade, loudness=0, peak=0)
    result = assemble(parts, tmp_path, settings, formats=["flac"])
    words = list(read_timeline(result.timeline))
    assert len(words) == 120
    audio, _ = soundfile.read(result.files["flac"])
    cycle = 0.3 * np.sin(2 * np.pi * 200 * np.arange(0.25 * SAMPLE_RATE) / SAMPLE_RATE) + 0.3
    cycle *= 10 ** (result.gain_db / 20)
    for before, word in zip([None, *words], words, strict=False):
        assert before is None or before.end <= word.start + 1e-9
        assert word.end - word.start == pytest.approx(0.25, abs=1e-5)
        first = round(word.start * SAMPLE_RATE)
        heard = audio[first : first + len(cycle)]
        inner = slice(100, -100)  # without the fades at the edges of a take
        assert np.abs(heard[inner] - cycle[inner]).max() < 1e-3


def test_a_crossfade_shortens_the_narration_by_its_overlap(tmp_path: Path):
    def length(crossfade: float) -> int:
        parts = [make_part(i, ["word"], pause="none" if i < 9 else "sentence") for i in range(10)]
        settings = AssemblySettings(crossfade=crossfade)
        return assemble(parts, tmp_path, settings, formats=[]).samples

    assert length(0) - length(0.05) == 9 * round(0.05 * SAMPLE_RATE)


def test_speech_that_fills_its_take_is_not_overlapped(tmp_path: Path):
    parts = [make_part(i, ["word"], pause="none", lead=0.0, trail=0.0) for i in range(5)]
    result = assemble(parts, tmp_path, AssemblySettings(crossfade=0.1), formats=[])
    chunks = placed(result)
    assert [b.start - a.end for a, b in pairwise(chunks)] == pytest.approx([0.0] * 4, abs=2e-6)


def test_equal_power_keeps_the_level_of_a_crossfade(tmp_path: Path):
    # room tone of the same level on both sides of a long joint
    parts = []
    for index in range(30):
        part = make_part(index, ["word"], pause="none", lead=0.5, trail=0.5)
        audio = (0.1 * np.random.default_rng(index).standard_normal(part.take.samples)).astype(np.float32)
        parts.append(Part(part.chunk, part.take, lambda audio=audio: audio))
    settings = AssemblySettings(crossfade=0.2, joint=0.1, loudness=0, peak=0)
    result = assemble(parts, tmp_path, settings, formats=["flac"])
    audio, _ = soundfile.read(result.files["flac"])
    chunks = placed(result)
    assert chunks[1].start - chunks[0].end == pytest.approx(0.1, abs=1e-4)  # two margins, one of them overlapped
    body = audio[round(chunks[0].start * SAMPLE_RATE) : round(chunks[-1].end * SAMPLE_RATE)]
    windows = body[: len(body) // 480 * 480].reshape(-1, 480)
    rms = np.sqrt((windows**2).mean(axis=1)) / 10 ** (result.gain_db / 20)
    assert rms.min() > 0.08 and rms.max() < 0.12


def test_loudness_and_peak_of_the_master_are_what_is_said(tmp_path: Path):
    import pyloudnorm

    parts = [make_part(i, ["some", "words", "here."], paragraph=i // 3) for i in range(20)]
    result = assemble(parts, tmp_path, AssemblySettings(loudness=-23, peak=-1), formats=["flac"])
    assert not result.limited_by_peak
    audio, _ = soundfile.read(result.files["flac"])
    assert pyloudnorm.Meter(SAMPLE_RATE).integrated_loudness(audio) == pytest.approx(-23, abs=0.1)
    assert result.loudness_lufs == pytest.approx(-23, abs=0.01)

    limited = assemble(parts, tmp_path, AssemblySettings(loudness=-3, peak=-2), formats=["flac"])
    assert limited.limited_by_peak
    assert limited.true_peak_dbtp == pytest.approx(-2, abs=1e-6)
    audio, _ = soundfile.read(limited.files["flac"])
    assert 20 * np.log10(np.abs(audio).max()) <= -2 + 0.001  # rounding to 16 bit
    assert limited.loudness_lufs is not None and limited.loudness_lufs < -3


def test_chapters_are_the_headings(tmp_path: Path):
    parts = [
        make_part(0, ["A", "long"], pause="none", heading=True, paragraph=0),
        make_part(1, ["heading"], pause="chapter", heading=True, paragraph=0),
        make_part(2, ["Its", "subtitle"], pause="chapter", heading=True, paragraph=1),
        make_part(3, ["Text."], pause="chapter", paragraph=2),
        make_part(4, ["第", "一"], pause="none", heading=True, paragraph=3, space=""),
        make_part(5, ["章"], pause="chapter", heading=True, paragraph=3, space=""),
        make_part(6, ["End."], paragraph=4),
    ]
    result = assemble(parts, tmp_path, AssemblySettings(), formats=[])
    chunks = placed(result)
    assert [(c.text, c.start) for c in result.chapters] == [
        ("A long heading", chunks[0].start),
        ("Its subtitle", chunks[2].start),
        ("第一章", chunks[4].start),
    ]


def test_odd_words_survive_the_timeline(tmp_path: Path):
    odd = ['"quoted"', "a,b", "line\nbreak", "\u2028", "😀👩‍👩‍👧", "שָׁלוֹם", "{\\an8}", "\r"]
    result = assemble([make_part(0, odd)], tmp_path, AssemblySettings(), formats=[])
    assert [word.text for word in read_timeline(result.timeline)] == odd


def test_takes_are_loaded_one_at_a_time_and_progress_is_told(tmp_path: Path):
    loaded, told = [], []

    def parts() -> Iterator[Part]:
        for index in range(5):
            assert told == list(range(1, index + 1)), "nothing is read ahead"
            part = make_part(index, ["word"])
            yield Part(part.chunk, part.take, lambda part=part: (loaded.append(part.chunk.index), part.audio())[1])

    assemble(parts(), tmp_path, AssemblySettings(), formats=[], progress=told.append)
    assert loaded == [0, 1, 2, 3, 4]
    assert told == [1, 2, 3, 4, 5]


def test_the_same_takes_give_the_same_bytes(tmp_path: Path):
    def run(name: str) -> dict[str, bytes]:
        work = tmp_path / name
        work.mkdir()
        parts = [make_part(i, ["same", "words"], pause="none" if i % 2 else "sentence") for i in range(8)]
        assemble(parts, work, AssemblySettings(), tags={"title": "T"})
        return {path.name: path.read_bytes() for path in work.iterdir()}

    assert run("a") == run("b")


def changed(part: Part, *, audio=None, chunk=None, take=None) -> Part:
    return Part(
        part.chunk.model_copy(update=chunk or {}),
        part.take.model_copy(update=take or {}),
        part.audio if audio is None else (lambda: audio),
    )


NAN = np.full(round((LEAD + 0.25 + TRAIL) * SAMPLE_RATE), np.nan, dtype=np.float32)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (changed(make_part(1, ["word"]), take={"text": "sword"}), "another text"),
        (changed(make_part(1, ["word"]), audio=np.zeros(17, dtype=np.float32)), "17"),
        (changed(make_part(1, ["word"]), audio=np.zeros((2, 5), dtype=np.float32)), "shape"),
        (changed(make_part(1, ["word"]), audio=NAN), "no numbers"),
        (changed(make_part(1, ["word"]), take={"speech_start": 0.4, "speech_end": 0.3}), "0.4"),
        (changed(make_part(1, ["word"]), chunk={"index": 0}), "comes after"),
    ],
)
def test_a_take_that_does_not_fit_is_an_error_and_leaves_nothing(tmp_path: Path, bad: Part, message: str):
    with pytest.raises(PipelineError, match=message):
        assemble([make_part(0, ["fine"]), bad], tmp_path, AssemblySettings())
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_assemble(tmp_path: Path):
    with pytest.raises(PipelineError, match="nothing"):
        assemble([], tmp_path, AssemblySettings())
    assert list(tmp_path.iterdir()) == []


def test_an_error_while_loading_passes_and_leaves_nothing(tmp_path: Path):
    def lost():
        raise FileNotFoundError("take-1")

    with pytest.raises(FileNotFoundError):
        assemble(
            [make_part(0, ["a"]), Part(*(lambda p: (p.chunk, p.take))(make_part(1, ["b"])), lost)],
            tmp_path,
            AssemblySettings(),
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", [0, 1000, 60_000, 400_000])
def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path: Path, limit: int):
    parts = [make_part(i, ["some", "words"]) for i in range(8)]
    with file_size_limit(limit), pytest.raises(PipelineError, match="no space is left"):
        assemble(parts, tmp_path, AssemblySettings())
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_narration(tmp_path: Path):
    def peak(count: int) -> int:
        one = make_part(0, ["word"] * 8)
        parts = (Part(one.chunk.model_copy(update={"index": i}), one.take, one.audio) for i in range(count))
        tracemalloc.start()
        assemble(parts, tmp_path, AssemblySettings(), formats=[])
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    peak(5)  # imports and caches
    assert peak(150) < peak(30) + 300_000


def test_results_are_plain_data(tmp_path: Path):
    result = assemble([make_part(0, ["word"])], tmp_path, AssemblySettings())
    data = json.loads(result.model_dump_json())
    assert data["files"]["flac"].endswith("narration.flac")
    assert data["limited_by_peak"] in (True, False)


def test_words_in_what_is_cut_off_are_moved_to_the_edge(tmp_path: Path):
    # An engine may give a dash at the end of a sentence a moment long after the sound.
    part = make_part(0, ["word", "–"], trail=0.4)
    tokens = [part.take.tokens[0], (5, 6, 0.9, 1.0)]
    part = changed(part, take={"tokens": tokens, "speech_end": 0.5})
    result = assemble([part, make_part(1, ["next"])], tmp_path, AssemblySettings(sentence=0.35), formats=[])
    word, dash, following = read_timeline(result.timeline)
    assert word.end <= dash.start < dash.end <= following.start
    assert following.start - word.start == pytest.approx(0.5 - LEAD + 0.35, abs=1e-3)


@pytest.mark.parametrize(
    "times",
    [[(0.5, 0.4), (0.6, 0.7)], [(0.5, 0.5), (0.6, 0.7)], [(0.5, 0.7), (0.6, 0.8)], [(-0.1, 0.2), (0.3, 0.4)]],
)
def test_words_out_of_order_are_never_written(times):
    part, unopened = make_part(3, ["one", "two"]), _Scratch(Path("none"), "w")
    with pytest.raises(PipelineError, match="goes from"):
        _Log().add(part, _Place(0.0, 1.0, times), unopened, unopened)
