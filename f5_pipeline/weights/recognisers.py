"""The Whisper models of this installation, which write transcripts; kept and locked as the library's models are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from f5_pipeline.errors import InputError
from f5_pipeline.store import layout
from f5_pipeline.store.records import find_record, write_record
from f5_pipeline.system.clock import iso_time
from f5_pipeline.system.scratch import workspace
from f5_pipeline.weights.errors import WeightsError
from f5_pipeline.weights.library import Finding, Library
from f5_pipeline.weights.records import RecogniserRecord
from f5_pipeline.weights.registry import RECOGNISERS, RecogniserSpec, SpecFile
from f5_pipeline.weights.transfer import OnProgress, Progress

_FILES = re.compile(r"(preprocessor_)?config\.json|model\.bin|tokenizer\.json|vocabulary\.(txt|json)")


def find_recogniser(library: Library, name: str) -> RecogniserRecord | None:
    """The lock of a Whisper model from the store, None where it has none yet."""
    return find_record(library.store, layout.recogniser(name), RecogniserRecord)


def verify_recogniser(library: Library, name: str) -> list[Finding]:
    """Check the hash of every file of a Whisper model, in the cache and in the store; nothing where it has no lock."""
    locked = find_recogniser(library, name)
    return library.verify_files(name, locked.files) if locked else []


def lock_recogniser(
    library: Library,
    name: str,
    on_progress: OnProgress = lambda _: None,
    specs: Mapping[str, RecogniserSpec] = RECOGNISERS,
) -> RecogniserRecord:
    """The lock of a Whisper model; a new one is made from the present commit of its repository on the hub.

    Raises:
        InputError: no model has this name.
        WeightsError: offline, or the hub has no such model.
    """
    spec = specs.get(name)
    if spec is None:
        raise InputError(f"there is no Whisper model {name!r}", hint=f"Use a folder, or one of: {', '.join(specs)}.")
    with library.cache.alone(f"lock-{name}", lambda: on_progress(Progress(name, "lock", "waiting", 0, 0))):
        if record := find_recogniser(library, name):
            return record
        listing = library.hub.listing(spec.repo, spec.revision)
        paths = sorted(filter(_FILES.fullmatch, listing.files))
        if not {"config.json", "model.bin", "tokenizer.json"} <= set(paths):
            raise WeightsError(f"the hub has no Whisper model in {spec.repo}", file=library.hub.endpoint)
        files = {
            path: library.transfer.describe(
                name, spec.repo, listing.revision, SpecFile(path=path), listing, on_progress
            )
            for path in paths
        }
        record = RecogniserRecord(
            **spec.model_dump(include={"name", "licence", "commercial_use", "note", "repo"}),
            revision=listing.revision,
            files=files,
            locked=iso_time(),
        )
        write_record(library.store, layout.recogniser(name), record)
        return find_recogniser(library, name) or record


@contextmanager
def borrow_recogniser(
    library: Library,
    name: str,
    on_progress: OnProgress = lambda _: None,
    specs: Mapping[str, RecogniserSpec] = RECOGNISERS,
) -> Iterator[Path]:
    """A folder with the files of a Whisper model, verified, under the names that CTranslate2 looks for.

    Raises:
        InputError, WeightsError: see `lock_recogniser`, or its files are not available.
    """
    record = lock_recogniser(library, name, on_progress, specs)
    with workspace() as folder, ExitStack() as stack:
        for path, blob in record.files.items():
            (folder / path).symlink_to(stack.enter_context(library.transfer.borrow(name, blob, on_progress)).absolute())
        yield folder
