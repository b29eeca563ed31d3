"""The engine around the network: a chunk is what stock F5-TTS makes of it, in any batch; what fails fails alone."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from f5_pipeline.errors import EngineError, InputError, StoreError
from f5_pipeline.speech.engine import Cancelled, Failed, Request, Speech
from f5_pipeline.speech.engines.f5.architecture import ModelFiles
from f5_pipeline.speech.engines.f5.conditioning import ReferenceVoice, condition
from f5_pipeline.speech.engines.f5.engine import FORMAT, MIN_GENERATION_SECONDS, ROOM_SECONDS, F5Engine
from f5_pipeline.speech.engines.f5.text import Vocabulary
from f5_pipeline.speech.takes import make_take, seed_of, take_key
from f5_pipeline_tests.support.f5_engine import QUICK, VOICES, MakeEngine, recording, voice
from f5_pipeline_tests.support.tiny_f5 import make_tiny_model
from f5_pipeline_tests.support.waiting import HANG_SECONDS


def request(text: str = "Hello there.", *, voice: str = "ada", language: str = "en", **more: Any) -> Request:
    key = hashlib.sha256(repr((text, voice, sorted(more.items()))).encode()).hexdigest()
    return Request(**{"key": key, "text": text, "language": language, "voice": voice, "speech_seconds": 0.9, **more})


def spoken(engine: F5Engine, *requests: Request, **options: Any) -> dict[str, Speech | Failed]:
    results = list(engine.speak(requests, **options))
    assert sorted(result.key for result in results) == sorted(one.key for one in requests)
    return {result.key: result for result in results}


def speech(engine: F5Engine, one: Request) -> Speech:
    result = spoken(engine, one)[one.key]
    assert isinstance(result, Speech), result
    return result


def reason(engine: F5Engine, one: Request) -> str:
    result = spoken(engine, one)[one.key]
    assert isinstance(result, Failed), result
    return result.reason


# --- equal to stock ---------------------------------------------------------------------------------------------------


class Stock:
    """F5-TTS's own inference on the same files, one chunk at a time."""

    def __init__(self, files: ModelFiles) -> None:
        from f5_pipeline.speech.engines.f5.checkpoint import without_flash_attn

        with without_flash_attn():
            from f5_tts.infer import utils_infer
            from f5_tts.model import DiT

        self.infer: Any = utils_infer.infer_batch_process
        arguments = {key: value for key, value in files.architecture.arguments().items() if key != "mel_dim"}
        self.model = utils_infer.load_model(
            DiT, arguments, str(files.checkpoint), vocab_file=str(files.vocabulary), device="cpu"
        )
        self.vocoder = utils_infer.load_vocoder(
            is_local=True, local_path=str(files.vocoder_config.parent), device="cpu"
        )

    def speak(self, text: str, reference: ReferenceVoice, reference_text: str, frames: int, seed: int) -> np.ndarray:
        torch.manual_seed(seed)
        wave, _, _ = next(
            self.infer(
                (torch.from_numpy(reference.load())[None], 24_000),
                reference_text.removesuffix(" "),  # it adds a blank itself
                [text],
                self.model,
                self.vocoder,
                nfe_step=QUICK.nfe,
                fix_duration=(frames + 0.5) * 256 / 24_000,
                device="cpu",
                progress=None,
            )
        )
        return wave


LEAK = 256
"""Samples of the reference's last frame, which stock cuts at the wrong place and so leaves at the start."""

EDGE = 256 * 16
"""Samples that hear the frame before them: 3 of each of the tiny Vocos' 3 convolutions, and of the transform."""


@pytest.mark.parametrize("version", ["v1", "v0"])
def test_a_chunk_is_what_stock_makes_of_it(
    version: str, tiny: ModelFiles, tmp_path: Path, make_engine: MakeEngine, vocabulary: Vocabulary
):
    files = tiny
    if version == "v0":
        files = make_tiny_model(tmp_path, seed=3, text_mask_padding=False, pe_attn_head=1)
    stock, engine = Stock(files), make_engine(files)
    chunks = [
        request("Hello there, all of you.", speech_seconds=1.7),
        request("你好，世界。", voice="ben", language="zh"),
        request("It's me", voice="ben", speech_seconds=0.2),
    ]
    results = spoken(engine, *chunks)
    for chunk in chunks:
        made = results[chunk.key]
        assert isinstance(made, Speech)
        reference = VOICES[chunk.voice]
        text = condition(reference, vocabulary).text
        frames = made.details["frames"] + made.details["reference_frames"]
        theirs = stock.speak(chunk.text, reference, text, frames, seed_of(chunk.key))
        assert theirs.shape == (len(made.samples) + LEAK,)
        assert np.abs(theirs[LEAK + EDGE :] - made.samples[EDGE:]).max() <= 1e-5
        assert np.abs(made.samples[EDGE:]).max() > 1e-3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")
def test_a_gpu_speaks_as_the_processor_does(make_engine: MakeEngine):
    """In fp32, but for rounding: both begin with the noise of the chunk's key."""
    chunk = request("Hello there, all of you.", speech_seconds=1.7)
    ours, theirs = (speech(make_engine(device=device), chunk) for device in ("cpu", "cuda"))
    assert ours.samples.shape == theirs.samples.shape
    assert np.abs(ours.samples - theirs.samples).max() < 0.02 * np.abs(ours.samples).max()


def test_the_reference_is_conditioned_as_in_stock(vocabulary: Vocabulary, tiny: ModelFiles):
    from f5_tts.model.modules import MelSpec

    for one, raised in ((VOICES["ada"], False), (VOICES["ben"], True)):
        made = condition(one, vocabulary)
        audio = torch.from_numpy(one.load())[None]
        rms = audio.square().mean().sqrt()
        mel = MelSpec()(audio * 0.1 / rms if raised else audio)[0].T
        torch.testing.assert_close(made.mel, mel, rtol=0, atol=1e-6)
        assert made.mel.shape == (len(one.load()) // 256 + 1, 100)
        assert made.gain == pytest.approx(0.4 if raised else 1.0, abs=1e-5)
    assert condition(VOICES["ben"], vocabulary).text == "I am twelve. "


def test_what_a_quiet_voice_says_is_as_quiet(make_engine: MakeEngine):
    loud, quiet = voice("x", level=0.1, seed=4), voice("x", level=0.02, seed=4)
    one = request(voice="x")
    heard = [speech(make_engine(references={"x": reference}), one).samples for reference in (loud, quiet)]
    np.testing.assert_allclose(heard[0] * 0.2, heard[1], atol=2e-5)


# --- the same whatever surrounds it -----------------------------------------------------------------------------------

CHUNKS = [
    request("One."),
    request("Two and a half of them.", speech_seconds=2.0),
    request("Three.", voice="ben"),
    request("四。", language="zh", speech_seconds=1.4),
    request("Five in all", voice="ben", speech_seconds=1.2),
]


def test_a_chunk_does_not_depend_on_its_batch(shared_engine: F5Engine, make_engine: MakeEngine):
    together = spoken(shared_engine, *CHUNKS)
    reversed_ = spoken(shared_engine, *CHUNKS[::-1])
    alone = make_engine(batch_frames=1)
    for chunk in CHUNKS:
        first, second, third = together[chunk.key], reversed_[chunk.key], speech(alone, chunk)
        assert isinstance(first, Speech) and isinstance(second, Speech)
        assert np.array_equal(first.samples, second.samples)
        np.testing.assert_allclose(first.samples, third.samples, atol=1e-5)
        assert third.details["batch"]["chunks"] == 1
    facts = together[CHUNKS[0].key]
    assert isinstance(facts, Speech) and facts.details["batch"]["chunks"] == len(CHUNKS)


def test_a_key_is_a_seed(shared_engine: F5Engine):
    one, again, other = request(key="a"), request(key="a"), request(key="b")
    heard = [speech(shared_engine, chunk) for chunk in (one, again, other)]
    assert np.array_equal(heard[0].samples, heard[1].samples)
    assert np.abs(heard[0].samples - heard[2].samples).max() > 1e-2
    assert heard[0].details["seed"] == seed_of("a") != heard[2].details["seed"]


def test_voice_language_and_text_are_heard(shared_engine: F5Engine):
    changes: list[dict[str, Any]] = [{}, {"voice": "ben"}, {"text": "Hallo theme."}]
    first, *others = (speech(shared_engine, request(**{"key": "k", **change})).samples for change in changes)
    for other in others:
        assert np.abs(first - other).max() > 1e-4  # ten times what a batch may change


def test_the_longest_come_first_and_all_are_answered(make_engine: MakeEngine):
    engine = make_engine(batch_frames=400)
    chunks = [request(f"Number {n}.", speech_seconds=0.9 + n / 5) for n in range(6)]
    order = [result.key for result in engine.speak(iter(chunks))]
    assert order == [chunk.key for chunk in chunks[::-1]]


def test_a_speech_makes_a_take(shared_engine: F5Engine):
    one = request("Hello there.", attempt=1)
    made = speech(shared_engine, one)
    assert made.tokens is None and made.method == "none"
    assert made.samples.dtype == np.float32 and made.samples.ndim == 1
    take, _ = make_take(one, made, "f5")
    assert take.method == "none" and take.samples == len(made.samples)
    details = json.loads(json.dumps(take.details, allow_nan=False))
    expected = {"model": "tiny", "nfe": 4, "cfg_strength": 2.0, "device": "cpu", "dtype": "fp32", "attempt": 1}
    assert expected.items() <= details.items()


# --- durations --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({"speech_seconds": 2.0}, 2.0 + ROOM_SECONDS),
        ({"speech_seconds": 2.0, "expected_seconds": 9.0}, 2.0 + ROOM_SECONDS),
        ({"speech_seconds": None, "expected_seconds": 1.5}, 1.5 + ROOM_SECONDS),
        ({"speech_seconds": 0.2}, MIN_GENERATION_SECONDS),
    ],
)
def test_speech_lasts_as_long_as_asked_with_room_around_it(
    given: dict[str, Any], seconds: float, shared_engine: F5Engine
):
    made = speech(shared_engine, request("Yes.", **given))
    assert made.details["frames"] == math.ceil(seconds * 24_000 / 256)
    assert len(made.samples) == (made.details["frames"] - 1) * 256


def test_without_an_estimate_the_text_decides(shared_engine: F5Engine):
    plain = {"speech_seconds": None, "text": "A whole sentence is spoken here by someone."}
    normal, fast = (speech(shared_engine, request(**plain, speed=speed)).details["frames"] for speed in (1.0, 2.0))
    assert normal > 1.5 * fast > 150


def test_there_is_a_frame_for_each_token(shared_engine: F5Engine):
    made = speech(shared_engine, request("la " * 150, speech_seconds=1.0))
    tokens = len("Call me nature. ") + len("la " * 150) - 1
    assert made.details["frames"] + made.details["reference_frames"] == tokens + 1


def test_long_chunks_are_noted_and_very_long_ones_fail(make_engine: MakeEngine):
    engine = make_engine(sampler=QUICK.model_copy(update={"nfe": 1}))
    assert speech(engine, request(speech_seconds=30.0)).details["beyond_30_s"] == pytest.approx(31.1, abs=0.1)
    assert "at most 60 s" in reason(engine, request(speech_seconds=60.0))


# --- text and voices --------------------------------------------------------------------------------------------------


def test_unknown_letters_fail_with_their_names(shared_engine: F5Engine):
    said = reason(shared_engine, request("नमस्ते दुनिया"))
    assert "no characters for" in said and "न" in said and "it speaks en, zh" in said
    assert "12 of 12 letters" in said


def test_a_single_unknown_letter_is_noted(shared_engine: F5Engine):
    made = speech(shared_engine, request("The letter न alone."))
    assert made.details["unknown"] == ["न"]


def test_nothing_to_speak_fails(shared_engine: F5Engine):
    for text in ("", "😀", "..."):
        assert "nothing of it can be spoken" in reason(shared_engine, request(text))


def test_russian_is_read_letter_by_letter(make_engine: MakeEngine, vocabulary: Vocabulary):
    ivan = voice("ivan", text="Его зовут Иван", language="ru")
    engine = make_engine(languages=["ru"], references={"ivan": ivan})
    assert "unknown" not in speech(engine, request("Привет, мир!", voice="ivan", language="ru")).details
    assert condition(ivan, vocabulary).text == "Его зовут Иван. "


def test_languages_of_the_model(make_engine: MakeEngine, shared_engine: F5Engine):
    for known in ("en", "en-GB", "zh", "zh-Hant-TW", "cmn"):
        shared_engine.check_language(known)
    with pytest.raises(InputError, match="does not speak de: it speaks en, zh") as caught:
        shared_engine.check_language("de")
    assert "weights list" in str(caught.value)
    assert "does not speak de" in reason(shared_engine, request(language="de"))
    make_engine(languages=[]).check_language("tlh")


def unreadable() -> np.ndarray:
    raise InputError("the recording is damaged", file="cy.flac", hint="Add it again.")


@pytest.mark.parametrize(
    ("load", "text", "told"),
    [
        (unreadable, "Hello.", "cy.flac: the recording is damaged"),
        (lambda: np.zeros(24_000, np.float32), "Hello.", "silent"),
        (lambda: np.full(24_000, np.nan, np.float32), "Hello.", "silent or damaged"),
        (lambda: np.ones(3, np.float32), "Hello.", "not a recording"),
        (lambda: recording(1.0), "", "says nothing"),
    ],
)
def test_a_reference_that_cannot_be_used_fails_its_own_chunks(load: Any, text: str, told: str, make_engine: MakeEngine):
    engine = make_engine(references={**VOICES, "cy": ReferenceVoice("cy", "0", text, "en", load)})
    good, *bad = request("Fine."), request("Bad.", voice="cy"), request("Worse.", voice="cy")
    results = spoken(engine, *bad, good)
    assert isinstance(results[good.key], Speech)
    for chunk in bad:
        failed = results[chunk.key]
        assert isinstance(failed, Failed) and told in failed.reason and "cy" in failed.reason


def test_a_missing_voice_fails(shared_engine: F5Engine):
    assert "no reference for the voice 'dan'" in reason(shared_engine, request(voice="dan"))
    with pytest.raises(InputError, match="dan"):
        shared_engine.sound("dan")


def test_a_reference_is_read_once(make_engine: MakeEngine):
    read = []

    def load() -> np.ndarray:
        read.append(1)
        return recording(1.0)

    engine = make_engine(references={"cy": ReferenceVoice("cy", "0", "Hello.", "en", load)})
    spoken(engine, *(request(f"Number {n}.", voice="cy") for n in range(3)))
    spoken(engine, request("More.", voice="cy"))
    assert len(read) == 1


def test_a_reference_that_cannot_be_read_this_time_ends_the_run(make_engine: MakeEngine):
    class Passing(StoreError):
        retryable = True

    def load() -> np.ndarray:
        raise Passing("the store does not answer")

    engine = make_engine(references={"cy": ReferenceVoice("cy", "0", "Hello.", "en", load)})
    with pytest.raises(Passing):
        spoken(engine, request(voice="cy"))


# --- faults of the device ---------------------------------------------------------------------------------------------


def on_sample(engine: F5Engine, monkeypatch: pytest.MonkeyPatch, before: Any) -> list[int]:
    """Call `before(items)` before each batch of the engine's network; return the sizes of batches as they come."""
    network = engine._loaded().network
    sample, sizes = network.sample, []

    def sampled(items: Any, *arguments: Any, **options: Any) -> Any:
        sizes.append(len(items))
        before(items)
        return sample(items, *arguments, **options)

    monkeypatch.setattr(network, "sample", sampled)
    return sizes


MEMORY_ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
]


@pytest.mark.parametrize("error", MEMORY_ERRORS, ids=lambda error: type(error).__name__)
def test_out_of_memory_halves_the_batch_and_stays_lower(
    error: Exception, make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
):
    once = QUICK.model_copy(update={"nfe": 1})
    engine = make_engine(sampler=once)
    # Each chunk has 113 frames after the 76 of its reference.
    chunks = [request(f"Number {n}.") for n in range(4)]

    def full(items: Any) -> None:
        if sum(item.frames for item in items) > 300:
            raise error

    sizes = on_sample(engine, monkeypatch, full)
    results = spoken(engine, *chunks)
    assert sizes == [4, 2, 1, 1, 2, 1, 1]
    expected = spoken(make_engine(sampler=once), *chunks)
    for key, made in results.items():
        other = expected[key]
        assert isinstance(made, Speech) and isinstance(other, Speech)
        np.testing.assert_allclose(made.samples, other.samples, atol=1e-5)
    sizes.clear()
    spoken(engine, *chunks)
    assert sizes == [1, 1, 1, 1]


def test_a_chunk_too_long_for_the_memory_fails_alone(make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch):
    engine = make_engine()
    long, short = request("Long.", speech_seconds=4.0), request("Short.")

    def full(items: Any) -> None:
        if any(item.frames > 400 for item in items):
            raise torch.OutOfMemoryError("CUDA out of memory.")

    on_sample(engine, monkeypatch, full)
    results = spoken(engine, long, short)
    failed = results[long.key]
    assert isinstance(failed, Failed) and "do not fit into the memory" in failed.reason and "5 s" in failed.reason
    assert isinstance(results[short.key], Speech)


def test_what_a_batch_held_is_free_when_it_is_halved(make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch):
    import weakref

    engine = make_engine()
    held: list[weakref.ref[torch.Tensor]] = []

    def full(items: Any) -> None:
        assert all(one() is None for one in held)
        if len(items) > 1:
            ballast = torch.zeros(10)
            held.append(weakref.ref(ballast))
            raise torch.OutOfMemoryError("CUDA out of memory.")

    on_sample(engine, monkeypatch, full)
    assert all(isinstance(one, Speech) for one in spoken(engine, request("One."), request("Two.")).values())
    assert held


def test_a_fault_is_found_by_trying_its_chunks_alone(make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch):
    engine = make_engine()
    chunks = [request(f"Number {n}.") for n in range(4)]
    bad = seed_of(chunks[2].key)

    def broken(items: Any) -> None:
        if any(item.seed == bad for item in items):
            raise ValueError("what is this")

    sizes = on_sample(engine, monkeypatch, broken)
    results = spoken(engine, *chunks)
    assert sizes == [4, 1, 1, 1, 1]
    failed = results.pop(chunks[2].key)
    assert isinstance(failed, Failed) and failed.reason == "F5 could not speak it: ValueError: what is this"
    assert all(isinstance(one, Speech) for one in results.values())


def test_numbers_that_are_not_finite_fail_alone(make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch):
    engine = make_engine()
    chunks = [request("One."), request("Two.")]
    network = engine._loaded().network
    sample = network.sample

    def poisoned(items: Any, *arguments: Any, **options: Any) -> list[torch.Tensor]:
        made = sample(items, *arguments, **options)
        for item, mel in zip(items, made, strict=True):
            if item.seed == seed_of(chunks[0].key):
                mel[3, 5] = math.nan
        return made

    monkeypatch.setattr(network, "sample", poisoned)
    results = spoken(engine, *chunks)
    failed = results[chunks[0].key]
    assert isinstance(failed, Failed) and "not finite" in failed.reason
    assert isinstance(results[chunks[1].key], Speech)


def test_a_lost_device_ends_the_run(make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch):
    engine = make_engine()

    def lost(items: Any) -> None:
        raise RuntimeError("CUDA error: device-side assert triggered\nmore")

    sizes = on_sample(engine, monkeypatch, lost)
    with pytest.raises(EngineError, match="device-side assert") as caught:
        list(engine.speak([request("One."), request("Two.")]))
    assert caught.value.retryable and sizes == [2]


def test_cancelled_between_batches_and_within_one(make_engine: MakeEngine):
    engine = make_engine(batch_frames=1)
    chunks = [request(f"Number {n}.") for n in range(4)]
    spoken(engine, chunks[0])
    results: list[Any] = []
    with pytest.raises(Cancelled):
        for result in engine.speak(chunks, cancelled=lambda: bool(results)):
            results.append(result)
    assert len(results) in (1, 2), "the second may be spoken before the first is taken"

    asked = 0

    def within() -> bool:
        nonlocal asked
        asked += 1
        return asked > 3

    with pytest.raises(Cancelled):
        list(engine.speak(chunks[:1], cancelled=within))
    assert asked == 4  # before the batch, and at three of four evaluations


def test_the_device_has_the_next_batch_before_the_results_of_one_are_taken(
    make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch
):
    engine = make_engine(batch_frames=1)
    begun = threading.Semaphore(0)
    sizes = on_sample(engine, monkeypatch, lambda items: begun.release())
    stream = engine.speak(request(f"Number {n}.") for n in range(4))
    next(stream)
    assert begun.acquire(timeout=HANG_SECONDS) and begun.acquire(timeout=HANG_SECONDS), "while the first is held here"
    stream.close()  # type: ignore[attr-defined]
    assert len(sizes) <= 3, "nothing is begun for nobody"


def test_one_batch_is_sampled_while_the_one_before_is_decoded(make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch):
    engine = make_engine(batch_frames=1)
    begun = threading.Semaphore(0)
    sizes = on_sample(engine, monkeypatch, lambda items: begun.release())
    vocoder, sampling_ahead = engine._loaded().vocoder, []
    decode = vocoder.decode

    def decoded(mels: Any) -> Any:
        # Its own sampling, and but for the last that of the next.
        sampling_ahead.append(begun.acquire(timeout=HANG_SECONDS) and begun.acquire(timeout=HANG_SECONDS))
        begun.release()
        return decode(mels)

    monkeypatch.setattr(vocoder, "decode", decoded)
    chunks = [request(f"Number {n}.") for n in range(4)]
    begun.release()  # in the place of one after the last
    made = spoken(engine, *chunks)
    assert sampling_ahead == [True] * 4 and sizes == [1] * 4
    assert all(isinstance(one, Speech) for one in made.values())


def test_requests_are_pulled_as_they_are_needed(make_engine: MakeEngine):
    engine = make_engine(sampler=QUICK.model_copy(update={"nfe": 1}))
    pulled = 0

    def requests() -> Iterator[Request]:
        nonlocal pulled
        for n in range(5000):
            pulled += 1
            yield request(f"Number {n}.")

    stream = engine.speak(requests())
    next(stream)
    assert pulled <= 1024
    del stream


# --- loading, keys ----------------------------------------------------------------------------------------------------


def test_planning_needs_no_torch():
    code = "import sys, f5_pipeline.speech.engines.f5.engine; print([name for name in HEAVY if name in sys.modules])"
    heavy = ["torch", "f5_tts", "vocos", "numba", "huggingface_hub"]
    done = subprocess.run(
        [sys.executable, "-c", code.replace("HEAVY", str(heavy))], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_nothing_is_loaded_before_it_speaks_and_once_then(tiny: ModelFiles, make_engine: MakeEngine):
    fetched = []

    def files() -> ModelFiles:
        fetched.append(1)
        return tiny

    engine = make_engine(files=files)
    assert engine.sound("ada") and list(engine.speak([])) == [] and not fetched
    first = speech(engine, request())
    speech(engine, request("More."))
    assert fetched == [1] and engine.load_seconds > 0
    engine.close()
    assert np.array_equal(speech(engine, request()).samples, first.samples)
    assert fetched == [1, 1]


def test_files_that_are_not_the_planned_ones_are_refused(tiny: ModelFiles, make_engine: MakeEngine):
    engine = make_engine(model_sha256="0" * 64)
    with pytest.raises(EngineError, match="not those that the takes were planned with"):
        list(engine.speak([request()]))


def test_a_broken_model_ends_the_run_without_another_try(tiny: ModelFiles, make_engine: MakeEngine, tmp_path: Path):
    files = replace(tiny, vocabulary=tmp_path / "vocab.txt")
    engine = make_engine(files=lambda: files)
    with pytest.raises(EngineError, match="vocabulary is missing") as caught:
        list(engine.speak([request()]))
    assert not caught.value.retryable


def test_all_that_decides_the_sound_is_in_the_key(tiny: ModelFiles, make_engine: MakeEngine):
    def key(**options: Any) -> str:
        sound = make_engine(**options).sound("ada")
        return take_key(text="Hello", language="en", sound=sound, speed=1.0, attempt=0)

    german = {"ada": replace(VOICES["ada"], language="de")}
    another = {"ada": replace(VOICES["ada"], sha256="f" * 64)}
    changes: list[dict[str, Any]] = [
        {},
        {"model_sha256": "1" * 64},
        {"sampler": QUICK.model_copy(update={"nfe": 5})},
        {"sampler": QUICK.model_copy(update={"dtype": "bf16"})},
        {"references": german},
        {"references": another},
        {"pace": "other"},
    ]
    assert len({key(**change) for change in changes}) == len(changes)
    # What decides speed only does not.
    assert key() == key(device="cuda", attention="varlen", compile="on", batch_frames=5)
    assert make_engine().sound("ada")["format"] == FORMAT


# --- kept loaded ------------------------------------------------------------------------------------------------------


def test_a_model_stays_loaded_for_the_next_engine(make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch, tmp_path):
    """Of each content and precision one; the next that is loaded takes its place. What is spoken stays the same."""
    from f5_pipeline.speech.engines.f5 import engine as engines

    loads: list[F5Engine] = []
    load = F5Engine._load
    monkeypatch.setattr(engines, "_kept", engines._Kept())
    monkeypatch.setattr(F5Engine, "_load", lambda self, files: loads.append(self) or load(self, files))
    first = make_engine()
    before = speech(first, request()).samples
    first.close()
    cold = make_engine()
    speech(cold, request())
    assert loads == [first, cold], "nothing is kept unless it is asked for"
    cold.close()

    engines.keep_models(1)
    loads.clear()
    for sampler in (QUICK, QUICK, QUICK.model_copy(update={"nfe": QUICK.nfe + 1})):
        warm = make_engine(sampler=sampler)
        heard = speech(warm, request()).samples
        assert sampler != QUICK or np.array_equal(heard, before)
        assert warm.load_seconds >= 0.0
        warm.close()
    assert len(loads) == 1
    used, beside = make_engine(), make_engine()
    speech(used, request())
    speech(beside, request())
    assert loads[1:] == [beside], "no two engines share one"
    used.close()
    beside.close()
    other = make_engine(make_tiny_model(tmp_path, seed=2))
    speech(other, request())
    assert not engines._kept._models, "the one that is not asked for any more has made room"
    other.close()
    assert loads[2:] == [other] and len(engines._kept._models) == 1


def test_a_lost_device_is_not_kept(make_engine: MakeEngine, monkeypatch: pytest.MonkeyPatch):
    from f5_pipeline.speech.engines.f5 import engine as engines

    monkeypatch.setattr(engines, "_kept", engines._Kept())
    engines.keep_models(1)
    lost = make_engine()
    monkeypatch.setattr(
        lost._loaded().network, "sample", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("CUDA error"))
    )
    with pytest.raises(EngineError):
        speech(lost, request())
    lost.close()
    assert engines.device_is_lost() and not engines._kept._models
