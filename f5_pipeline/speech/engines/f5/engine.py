"""The F5 engine: chunks of any number of narrations and voices, sampled in batches, each as if it were alone."""

from __future__ import annotations

import gc
import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from f5_pipeline.errors import EngineError, InputError, PipelineError
from f5_pipeline.speech.ahead import ahead
from f5_pipeline.speech.engine import SAMPLE_RATE, Cancelled, Failed, Request, Speech
from f5_pipeline.speech.engines.f5.architecture import HOP, ModelFiles
from f5_pipeline.speech.engines.f5.batching import batches
from f5_pipeline.speech.engines.f5.checkpoint import ModelError, first_line, import_f5_tts, load_dit, load_vocoder
from f5_pipeline.speech.engines.f5.conditioning import Conditioning, ReferenceVoice, condition
from f5_pipeline.speech.engines.f5.sampling import Sampler
from f5_pipeline.speech.engines.f5.text import Vocabulary, f5_text
from f5_pipeline.speech.takes import seed_of
from f5_pipeline.speech.text.duration import expected_seconds
from f5_pipeline.speech.text.languages import base

if TYPE_CHECKING:
    import torch

    from f5_pipeline.speech.engines.f5.network import Item, Network
    from f5_pipeline.speech.engines.f5.vocoder import Vocoder

__all__ = ["FORMAT", "F5Engine", "ReferenceVoice"]

log = logging.getLogger("f5_pipeline.f5")

FORMAT = 1
"""Version of everything here that decides the sound (text, joint, room, level); a new one invalidates all takes."""

ROOM_SECONDS = 0.3
"""Silence generated around the speech, in addition to its expected seconds."""

MIN_GENERATION_SECONDS = 1.2
"""Of a generation, room included.

In fewer frames F5 drops short words or says the reference's last ones (F5-TTS issues 58, 133, 903). It needs no carrier
sentence, since the reference's text is one: the line is spoken after it in any case and lacks nothing but time. F5-TTS
itself speaks what is under 10 bytes at 0.3 of the pace, 1 to 3 s; that long a single word is drawled.
"""

MAX_TRAINED_SECONDS = 30.0
"""Longest speech that F5 was trained on, reference included; beyond, it speaks too fast (F5-TTS issues 3, 811)."""

MAX_SECONDS = 60.0
"""Longest generation that is tried, reference included."""

THREADS = 2
"""Batches under way on a device: one is sampled, the other before or after that."""

MAX_UNKNOWN_SHARE = 0.05
"""Share of a chunk's letters that the vocabulary may lack; a single one among others is always allowed."""


@dataclass(frozen=True)
class _Model:
    """A loaded model; `software` has the versions of the libraries."""

    name: str
    software: dict[str, str]
    vocabulary: Vocabulary
    network: Network
    vocoder: Vocoder


class _Kept:
    """Loaded models that no engine of this process uses, the last used last. An engine takes one out and puts it back
    when it is closed, so that no two threads share one."""

    def __init__(self) -> None:
        self.max_models, self.lost = 0, False
        self._models: dict[tuple[str, ...], _Model] = {}
        self._lock = threading.Lock()

    def take(self, key: tuple[str, ...]) -> _Model | None:
        """The model of this key; where there is none, room is made for one more."""
        with self._lock:
            model = self._models.pop(key, None)
            self._shrink(self.max_models - (model is None))
        return model

    def put(self, key: tuple[str, ...], model: _Model) -> None:
        with self._lock:
            self._models[key] = model
            del model  # so that what is freed is gone
            self._shrink(self.max_models)

    def _shrink(self, count: int) -> None:
        while len(self._models) > max(0, count):
            device = self._models.pop(next(iter(self._models))).network.device
            _free(device)


_kept = _Kept()


def keep_models(count: int) -> None:
    """Keep so many models loaded in this process when their engines are closed: of each content, precision, device,
    attention and compilation one. Another model that is asked for takes the place of the one that was used first."""
    _kept.max_models = count


def device_is_lost() -> bool:
    """Whether a device has failed in this process, which then can use it no more: it must be started anew."""
    return _kept.lost


@dataclass(frozen=True)
class _Job:
    """A request, ready to be sampled."""

    request: Request
    item: Item
    gain: float
    details: dict[str, Any]

    @property
    def frames(self) -> int:
        return self.item.frames


@dataclass(frozen=True)
class _Trouble:
    """Why a batch failed. Has no traceback, which would keep the batch's memory."""

    memory: bool
    reason: str


class F5Engine:
    """F5-TTS behind the engine protocol. Loads on the first `speak`; not to be used by two threads at once.

    Attributes:
        name: "f5".
        notes: rejected ways of acceleration on this device, with reasons; empty until loaded.
        load_seconds: time of loading, s; 0.0 until then.
    """

    name = "f5"

    def __init__(
        self,
        *,
        files: Callable[[], ModelFiles],
        model_sha256: str,
        languages: Sequence[str],
        references: Mapping[str, ReferenceVoice],
        sampler: Sampler,
        device: str = "auto",
        attention: str = "auto",
        compile: str = "auto",
        batch_frames: int = 0,
        pace: str = "",
        model: str = "",
    ) -> None:
        """
        Args:
            files: fetches the model; called when it is loaded.
            model_sha256: `ModelFiles.sha256` of `files`, as keys are made before the model is fetched.
            languages: BCP 47 tags that the model speaks; empty: whatever its characters can write.
            references: the voices.
            sampler: its `dtype` is the network's precision.
            device, attention, compile: see `Network`.
            batch_frames: mel frames of a batch, references included; 0: as many as fit into free memory.
            pace: identity of the estimate of `Request.speech_seconds`.
            model: its name, for messages.
        """
        self._files = files
        self._model_sha256 = model_sha256
        self._languages = tuple(languages)
        self._references = references
        self._sampler = sampler
        self._options = {"device": device, "attention": attention, "compile": compile}
        self._batch_frames = batch_frames
        self._pace = pace
        self._name = f"the model {model}" if model else "the model"
        self._key = (model_sha256, sampler.dtype, device, attention, compile)
        self._model: _Model | None = None
        self._lost = False
        self._budget = 0
        self._ended = 0.0  # monotonic, of the last batch
        self._conditioned: dict[str, Conditioning | str] = {}
        self.notes: list[str] = []
        self.load_seconds = 0.0

    @property
    def device(self) -> str:
        """Where it computes, as it was asked for: "auto", "cpu", "cuda:0"."""
        return self._options["device"]

    def sound(self, voice: str) -> dict[str, Any]:
        """See `Engine.sound`.

        Raises:
            InputError: there is no such voice.
        """
        reference = self._reference(voice)
        return {
            "engine": self.name,
            "format": FORMAT,
            "model": self._model_sha256,
            "sampler": self._sampler.model_dump(),
            "reference": reference.sha256,
            "reference_language": reference.language.lower(),
            "pace": self._pace,
            **({} if reference.speed == 1.0 else {"reference_speed": reference.speed}),
        }

    def check_language(self, language: str) -> None:
        """Raise InputError where the model does not speak `language`; a region or script does not matter."""
        known = {base(tag) for tag in self._languages}
        if known and base(language) not in known:
            raise InputError(
                f"{self._name} does not speak {language}: it speaks {', '.join(self._languages)}",
                hint=f"Choose a model that speaks {language} (`f5-pipeline weights list` names the languages of each).",
            )

    def speak(
        self, requests: Iterable[Request], *, cancelled: Callable[[], bool] = lambda: False
    ) -> Iterator[Speech | Failed]:
        """See `Engine.speak`. Requests are pulled by the window (`batching.WINDOW`), results come by the batch.

        A chunk sounds the same whatever it is batched with. Out of memory, a batch is halved and later ones stay
        smaller; any other fault makes its chunks be tried alone. While one batch is sampled, the next is prepared and
        the one before decoded and copied (THREADS), also before its results are taken; `cancelled` is called by those
        threads.
        """
        failed: list[Failed] = []

        def jobs() -> Iterator[_Job]:
            for request in requests:
                job = self._job(request)
                if isinstance(job, Failed):
                    failed.append(job)
                else:
                    yield job

        closed = threading.Event()

        def speak_batch(batch: list[_Job]) -> tuple[list[Speech | Failed], Exception | None]:
            results: list[Speech | Failed] = []
            try:
                results.extend(self._speak_batch(batch, lambda: closed.is_set() or cancelled()))
            except Exception as error:  # what was spoken before comes before it
                return results, error
            return results, None

        queue = batches(jobs(), lambda job: job.frames, lambda: self._budget)
        spoken = ahead(speak_batch, queue, threads=THREADS, max_pending=2, name="device")
        try:
            for results, error in spoken:
                yield from results
                if error is not None:
                    raise error
                while failed:
                    yield failed.pop(0)
        finally:
            closed.set()
            spoken.close()
        yield from failed

    def close(self) -> None:
        """Free the device, unless `keep_models` keeps the model; a later `speak` loads it again."""
        model, self._model = self._model, None
        self._conditioned.clear()
        if model is not None and not self._lost:
            _kept.put(self._key, model)

    # --- one request --------------------------------------------------------------------------------------------------

    def _reference(self, voice: str) -> ReferenceVoice:
        try:
            return self._references[voice]
        except KeyError:
            raise InputError(
                f"there is no reference for the voice {voice!r}", hint="Add the voice and make its reference."
            ) from None

    def _job(self, request: Request) -> _Job | Failed:
        """Raises PipelineError: the model cannot be loaded here, or a reference cannot be read this time."""
        model = self._loaded()
        try:
            self.check_language(request.language)
            return self._prepared(request, model, self._conditioning(request.voice, model))
        except InputError as error:
            return Failed(request.key, str(error))

    def _conditioning(self, voice: str, model: _Model) -> Conditioning:
        """Made once a voice. A recording that cannot be used is not read again for every one of its chunks."""
        conditioning = self._conditioned.get(voice)
        if conditioning is None:
            try:
                conditioning = condition(self._reference(voice), model.vocabulary)
            except PipelineError as error:
                if error.retryable:
                    raise
                conditioning = str(error)
            self._conditioned[voice] = conditioning
        if isinstance(conditioning, str):
            raise InputError(conditioning)
        return conditioning

    def _prepared(self, request: Request, model: _Model, reference: Conditioning) -> _Job:
        """Raises InputError: the text cannot be spoken by this model."""
        import torch

        from f5_pipeline.speech.engines.f5.network import Item

        text = f5_text(request.text, request.language, model.vocabulary)
        details: dict[str, Any] = {}
        unknown, letters = model.vocabulary.unknown(text)
        if not letters:
            raise InputError("nothing of it can be spoken")
        if unknown:
            names = sorted(set(unknown))
            if len(unknown) == letters or (len(unknown) > 1 and len(unknown) > MAX_UNKNOWN_SHARE * letters):
                raise InputError(self._unreadable(names, len(unknown), letters))
            details["unknown"] = names
        tokens = model.vocabulary.encode(reference.text + text)
        reference_frames = len(reference.mel)
        seconds = request.speech_seconds
        if seconds is None:
            seconds = request.fitted(
                request.expected_seconds or expected_seconds(request.text, request.language, request.speed)
            )
        frames = math.ceil(max(seconds + ROOM_SECONDS, MIN_GENERATION_SECONDS) * SAMPLE_RATE / HOP)
        # F5 puts a token on each frame from the first one on: with fewer frames than tokens the last ones are cut.
        frames = max(reference_frames + frames, len(tokens) + 1)
        total_seconds = frames * HOP / SAMPLE_RATE
        if total_seconds > MAX_SECONDS:
            raise InputError(
                f"it would last {total_seconds:.0f} s with its reference, and F5 speaks at most {MAX_SECONDS:.0f} s",
                hint="Cut the sentence, or the reference.",
            )
        if total_seconds > MAX_TRAINED_SECONDS:
            details["beyond_30_s"] = round(total_seconds, 1)
        seed = seed_of(request.key)
        item = Item(reference.mel, torch.tensor(tokens, dtype=torch.long), frames, seed)
        details |= {"seed": seed, "frames": frames - reference_frames, "reference_frames": reference_frames}
        return _Job(request, item, reference.gain, details)

    def _unreadable(self, names: list[str], unknown: int, letters: int) -> str:
        shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        speaks = f"; it speaks {', '.join(self._languages)}" if self._languages else ""
        return f"the model has no characters for {shown} ({unknown} of {letters} letters){speaks}"

    # --- one batch ----------------------------------------------------------------------------------------------------

    def _speak_batch(self, batch: list[_Job], cancelled: Callable[[], bool]) -> Iterator[Speech | Failed]:
        waiting = [batch]
        while waiting:
            batch = waiting.pop()
            if cancelled():
                raise Cancelled
            outcome = self._synthesize(batch, cancelled)
            if not isinstance(outcome, _Trouble):
                yield from outcome
            elif len(batch) == 1:
                yield Failed(batch[0].request.key, outcome.reason)
            elif outcome.memory:
                half = (len(batch) + 1) // 2
                waiting += [batch[half:], batch[:half]]
                self._budget = max(1, min(self._budget, sum(job.frames for job in batch[:half])))
                log.warning("%d chunks do not fit into memory; on with %d at a time", len(batch), half)
            else:
                waiting += [[job] for job in reversed(batch)]

    def _synthesize(self, batch: list[_Job], cancelled: Callable[[], bool]) -> list[Speech | Failed] | _Trouble:
        """Raises Cancelled, or EngineError where the device is lost for this process."""
        from f5_pipeline.speech.engines.f5.network import not_finite

        model = self._loaded()
        started = time.monotonic()
        try:
            mels = model.network.sample([job.item for job in batch], self._sampler, cancelled=cancelled)
            with model.network.aside():
                broken = set(not_finite(mels))
                waves = model.vocoder.decode([mel.nan_to_num(0.0, 0.0, 0.0) for mel in mels])
        except (Cancelled, EngineError):
            raise
        except Exception as error:
            try:
                trouble = _trouble(error, batch, model.network.device)
            except EngineError:
                self._lost = _kept.lost = True
                raise
            if not trouble.memory:
                log.warning("%d chunks could not be spoken", len(batch), exc_info=True)
        else:
            # Of the time of the batch before, none counts twice.
            ended = time.monotonic()
            started, self._ended = max(started, self._ended), ended
            facts = self._facts(model, batch, ended - started)
            return [
                Failed(job.request.key, _NOT_FINITE) if index in broken else _speech(job, wave, facts)
                for index, (job, wave) in enumerate(zip(batch, waves, strict=True))
            ]
        # Only here is the traceback gone, and with it what the batch held.
        if trouble.memory:
            _free(model.network.device)
        return trouble

    def _facts(self, model: _Model, batch: list[_Job], seconds: float) -> dict[str, Any]:
        network = model.network
        return {
            "model": model.name,
            **model.software,
            **{name: value for name, value in self._sampler.model_dump().items() if name != "dtype"},
            "device": str(network.device),
            "dtype": network.dtype,
            "attention": network.attention,
            "batch": {
                "chunks": len(batch),
                "frames": sum(job.frames for job in batch),
                "seconds": round(seconds, 3),
            },
        }

    # --- loading ------------------------------------------------------------------------------------------------------

    def _loaded(self) -> _Model:
        if self._model is None:
            started = time.monotonic()
            files = self._files()
            if files.sha256 != self._model_sha256:
                raise ModelError(
                    f"the model's files are not those that the takes were planned with ({files.sha256[:12]} here, "
                    f"{self._model_sha256[:12]} planned)",
                    file=files.name,
                    hint="Plan the narration again.",
                )
            self._model = _kept.take(self._key) or self._load(files)
            self.notes = list(self._model.network.notes)
            self._budget = self._batch_frames or max(1, self._model.network.frame_budget())
            self.load_seconds = time.monotonic() - started
        return self._model

    def _load(self, files: ModelFiles) -> _Model:
        dit, vocabulary = load_dit(files)
        vocos = load_vocoder(files)

        import torch

        from f5_pipeline.speech.engines.f5.network import Network
        from f5_pipeline.speech.engines.f5.vocoder import Vocoder

        try:
            network = Network(dit, dtype=self._sampler.dtype, **self._options)
            vocoder = Vocoder(vocos, network.device)
        except torch.OutOfMemoryError as error:
            raise ModelError(
                f"the model {files.name} does not fit into the device's memory: {first_line(error)}",
                hint="Free the device of other programs, or choose another with F5_DEVICE.",
            ) from None
        software = {"torch": str(torch.__version__), "f5_tts": import_f5_tts().version}
        return _Model(files.name, software, vocabulary, network, vocoder)


# The network has tried wider precisions already.
_NOT_FINITE = "the network gave numbers that are not finite: the checkpoint may be damaged"


def _speech(job: _Job, wave: torch.Tensor, facts: dict[str, Any]) -> Speech:
    samples = wave * job.gain
    clipped = float((samples.abs() > 1.0).float().mean())
    details = {**job.details, **facts} | ({"clipped": round(clipped, 6)} if clipped else {})
    return Speech(job.request.key, samples.clamp(-1.0, 1.0).numpy(), None, "none", details)


def _trouble(error: Exception, batch: Sequence[_Job], device: torch.device) -> _Trouble:
    """The failure of a batch.

    Raises:
        EngineError: the device can compute nothing more in this process.
    """
    import torch

    text = str(error)
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(sign in text for sign in _OUT_OF_MEMORY):
        longest = max(job.frames for job in batch) * HOP / SAMPLE_RATE
        return _Trouble(
            True, f"{longest:.0f} s with its reference do not fit into the memory of {device}: cut the sentence"
        )
    # After such an error every further call fails in the same way.
    if isinstance(error, getattr(torch, "AcceleratorError", ())) or "CUDA error" in text:
        raise EngineError(
            f"the device {device} failed: {first_line(error)}", hint="Run again; if it stays so, look at the driver."
        ) from None
    return _Trouble(False, f"F5 could not speak it: {type(error).__name__}: {first_line(error)}")


_OUT_OF_MEMORY = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "DefaultCPUAllocator", "can't allocate memory")


def _free(device: torch.device) -> None:
    """Return cached memory to the device, for other processes and larger blocks; the CPU has no cache."""
    if device.type == "cpu":
        return
    import torch

    gc.collect()
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
