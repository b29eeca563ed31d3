"""Transcripts for recordings that have none: the Whisper model of this installation, on this machine's device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from f5_pipeline.errors import InputError
from f5_pipeline.speech.references.recognition import Heard, check_model, installed, recognise
from f5_pipeline.store.base import Store
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.system.gpus import lease_device
from f5_pipeline.weights.errors import WeightsError
from f5_pipeline.weights.registry import RECOGNISERS

if TYPE_CHECKING:
    from f5_pipeline.speech.references.words import Progress
    from f5_pipeline.weights.library import Progress as Download

ON_PROCESSOR, ON_GPU = "whisper-small", "whisper-large-v3-turbo"
"""Models where none is chosen."""


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
            name = model or options.asr_model
            if name == "auto":
                name = ON_PROCESSOR if device == "cpu" else ON_GPU
            with _model_folder(store, options, name, recording, on_download) as folder:
                heard = recognise(recording, folder, language, device=device, on_progress=on_progress)
            return heard, name if name in RECOGNISERS else f"Whisper in {'/'.join(Path(name).parts[-2:])}"

    return Listener(listen, is_chosen=model is not None)


@contextmanager
def _model_folder(
    store: Store, options: StudioOptions, name: str, recording: Path, on_download: Callable[[Download], None]
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
                f"the recording has no transcript, and the Whisper model {name} is not here: {error.message}",
                file=recording.name,
                hint=f"Put a transcript beside the recording. {error.hint or ''}".strip(),
            ) from error
        yield folder


def _has_cuda() -> bool:
    import ctranslate2

    return ctranslate2.get_cuda_device_count() > 0
