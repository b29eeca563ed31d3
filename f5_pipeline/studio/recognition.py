"""What listens here: it writes transcripts for recordings that have none, and hears takes. The models of this
installation, on this machine's device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple

from f5_pipeline.errors import InputError
from f5_pipeline.speech.audio import recordings as audio
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.listening.whisper import Whisper, check_model, installed, load
from f5_pipeline.speech.references.recognition import MAX_HEARD_SECONDS, Heard, recognise
from f5_pipeline.store.base import Store
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.system.gpus import lease_device
from f5_pipeline.weights.errors import WeightsError
from f5_pipeline.weights.registry import RECOGNISERS

if TYPE_CHECKING:
    import numpy as np

    from f5_pipeline.speech.listening.listener import SpeechListener
    from f5_pipeline.speech.listening.recogniser import Recogniser
    from f5_pipeline.speech.references.record import Reference, ReferenceHearing
    from f5_pipeline.speech.references.words import Progress
    from f5_pipeline.weights.library import Progress as Download

ON_PROCESSOR, ON_GPU = "whisper-small", "whisper-large-v3-turbo"
"""Models where none is chosen."""


_heard: dict[tuple[str, str], ReferenceHearing] = {}
"""What was heard in the last reference: to add a voice is to check it, and to make it right afterwards."""


class Listener(NamedTuple):
    """Writes transcripts.

    Attributes:
        listen: called with the recording, its language (None: to be detected), and a `words.Progress`; returns what is
            heard and the model's name.
        is_chosen: whether a person named the model, so that it writes an earlier transcript of its kind anew.
    """

    listen: Callable[[Path, str | None, Progress], tuple[Heard, str]]
    is_chosen: bool = False


def listener(
    store: Store,
    options: StudioOptions,
    model: str | None = None,
    *,
    on_download: Callable[[Download], None] = lambda _: None,
    on_wait: Callable[[str], None] = lambda note: None,
) -> Listener | None:
    """What writes transcripts here; None without the extra `asr`.

    Args:
        model: name of a Whisper model, a folder with one, or "auto"; None: that of the options.
        on_download: see `weights.library`.
        on_wait: called with a sentence before a wait for a GPU.
    """
    if not installed():
        return None

    def listen(recording: Path, language: str | None, on_progress: Progress) -> tuple[Heard, str]:
        with lease_device(options.device, options.gpus, on_wait=on_wait) as leased:
            device = leased if leased.startswith("cuda") and _has_cuda() else "cpu"
            name = _model_of(model or options.asr_model, device)
            missing = f"the recording has no transcript, and the Whisper model {name} is not here"
            with _model_folder(
                store, options, name, missing, recording.name, "Put a transcript beside the recording.", on_download
            ) as folder:
                heard = recognise(recording, folder, language, device=device, on_progress=on_progress)
            return heard, _shown(name)

    return Listener(listen, is_chosen=model is not None)


@contextmanager
def open_listener(
    store: Store,
    options: StudioOptions,
    *,
    device: str = "cpu",
    references: Mapping[str, Callable[[], np.ndarray]] = {},
) -> Iterator[SpeechListener | None]:
    """What listens to takes and references; None where `options.listen` is "off", or "auto" and no model is here.

    Where Moonshine is installed and nobody has chosen another model, it hears English, but on a GPU that Whisper can
    use; the rest is heard by Whisper, whose model is loaded when it is needed.

    Args:
        device: "cpu", "cuda", "cuda:<n>"; "auto": a GPU where there is one, which this process holds.
        references: by voice, loads the samples of its reference, to compare speakers.

    Raises:
        InputError: listening is asked for, and the extra `asr` or the model is not to be had.
    """
    from f5_pipeline.speech.listening.listener import SpeechListener
    from f5_pipeline.speech.listening.moonshine import Moonshine, find_model
    from f5_pipeline.speech.listening.speaker import SpeakerEncoder, find_weights

    if options.listen == "off":
        yield None
        return
    on_gpu = device.startswith(("cuda", "auto")) and installed() and _has_cuda()
    device = ("cuda" if device == "auto" else device) if on_gpu else "cpu"
    folder = find_model() if options.asr_model == "auto" else None
    with ExitStack() as stack:
        loaded, turn = lru_cache(1)(lambda: stack.enter_context(_whisper(store, options, device))), Lock()

        def whisper() -> Whisper | None:
            with turn:  # threads ask, and it is loaded once
                return loaded()

        if folder is None and whisper() is None:
            yield None
            return
        english = Moonshine(folder) if folder else None

        def recogniser_of(language: str) -> Recogniser | None:
            if english and english.hears(language) and (device == "cpu" or whisper() is None):
                return english
            return found if (found := whisper()) and found.hears(language) else None

        weights = find_weights()
        yield SpeechListener(recogniser_of, SpeakerEncoder(weights, device) if weights else None, references)


@contextmanager
def _whisper(store: Store, options: StudioOptions, device: str) -> Iterator[Whisper | None]:
    """The Whisper model that listens; None where it is not asked for and not here. Raises as `open_listener`."""
    asked = options.listen in ("doubt", "all")
    if not installed() and asked:
        hint = "Install it: pip install 'f5-pipeline[asr]'. Or unset F5_LISTEN."
        raise InputError("takes cannot be listened to: Whisper is not installed", file="F5_LISTEN", hint=hint)
    name = _model_of(options.asr_model, device)
    if not installed() or (not asked and not _is_here(store, options, name)):
        yield None
        return
    missing = f"takes cannot be listened to: the Whisper model {name} is not here"
    hint = "Or choose another by F5_ASR_MODEL, or unset F5_LISTEN."
    with _model_folder(store, options, name, missing, "F5_LISTEN", hint, lambda _: None) as folder:
        yield Whisper(load(folder, device), _shown(name))


def hear_reference(
    store: Store, options: StudioOptions, reference: Reference, recording: Path
) -> ReferenceHearing | None:
    """What is heard in a reference, and whether one person speaks in its recording; None where nothing listens.

    The same reference is listened to once in a process. Raises InputError as `open_listener` does.
    """
    from f5_pipeline.speech.listening.listener import Piece
    from f5_pipeline.speech.references.record import ReferenceHearing

    key = reference.sha256, options.asr_model
    if key in _heard:
        return _heard[key]
    with open_listener(store, options, device="cpu") as listener:
        if listener is None:
            return None
        words, language = None, reference.record.language
        if listener.hears(language):
            (words,) = listener.listen([Piece(reference.samples, reference.text, language, "")])
        samples = audio.read_mono(recording, SAMPLE_RATE, 0.0, min(audio.probe(recording).seconds, MAX_HEARD_SECONDS))
        half = len(samples) // 2
        hearing = ReferenceHearing(words=words, halves=listener.likeness(samples[:half], samples[half:]))
    _heard.clear()
    _heard[key] = hearing
    return hearing


def _model_of(name: str, device: str) -> str:
    return name if name != "auto" else ON_PROCESSOR if device == "cpu" else ON_GPU


def _shown(name: str) -> str:
    return name if name in RECOGNISERS else f"Whisper in {'/'.join(Path(name).parts[-2:])}"


def _is_here(store: Store, options: StudioOptions, name: str) -> bool:
    """Whether a model can be had without a download from the hub."""
    if name not in RECOGNISERS:
        return Path(name).expanduser().is_dir()
    from f5_pipeline.studio.weights import open_library
    from f5_pipeline.weights.recognisers import find_recogniser

    library = open_library(store, options)
    record = find_recogniser(library, name)
    return record is not None and all(
        library.cache.has(blob) or library.transfer.stored_size(blob) is not None for blob in record.files.values()
    )


@contextmanager
def _model_folder(
    store: Store,
    options: StudioOptions,
    name: str,
    missing: str,
    file: str,
    hint: str,
    on_download: Callable[[Download], None],
) -> Iterator[Path]:
    from f5_pipeline.studio.weights import open_library
    from f5_pipeline.weights.recognisers import borrow_recogniser

    folder = Path(name).expanduser()
    if name not in RECOGNISERS and folder.is_dir():
        yield check_model(folder)
        return
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(borrow_recogniser(open_library(store, options), name, on_download))
        except WeightsError as error:
            raise InputError(
                f"{missing}: {error.message}", file=file, hint=f"{hint} {error.hint or ''}".strip()
            ) from error
        yield folder


def _has_cuda() -> bool:
    import ctranslate2

    return ctranslate2.get_cuda_device_count() > 0
