"""The models of this installation: from a name to complete, verified files on this machine.

Files are looked up in the cache of this machine, then in the store, then on the hub. What is found in one place is
copied to the places before it, so that a worker with an empty cache uses the store and never the hub. A store that is a
local folder serves its own files; then nothing is kept twice.
"""

from __future__ import annotations

import difflib
import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from f5_pipeline.errors import InputError, NotFoundError, StoreError
from f5_pipeline.speech.engines.f5.architecture import Architecture, ModelFiles
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.system.clock import iso_time
from f5_pipeline.system.hashing import file_sha256
from f5_pipeline.weights.cache import Cache, Lease
from f5_pipeline.weights.hub import Hub
from f5_pipeline.weights.records import ROLES, Blob, ModelRecord, Role
from f5_pipeline.weights.registry import MODELS, VOCODERS, CommercialUse, ModelSpec, SpecFile, VocoderSpec
from f5_pipeline.weights.transfer import PLACES, OnProgress, Place, Progress, Transfer

log = logging.getLogger("f5_pipeline.weights")

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
"""Valid names of models, which are part of keys."""

_HUB_FILE = re.compile(r"hf://(?P<repo>[\w.-]+/[\w.-]+?)(?:@(?P<revision>[0-9a-f]{40}))?(?:/(?P<path>.+))?")
_CUSTOM = "custom"


@dataclass(eq=False)
class Acquired:
    """A model on this machine. Its files are kept until `release()`, or until the process ends.

    Attributes:
        files: the files for an engine.
        record: the lock.
        source: the farthest place that a file came from.
        seconds: time to acquire it.
        received: bytes from store or hub.
        notes: for people, such as damaged files that were replaced.
    """

    files: ModelFiles
    record: ModelRecord
    source: Place
    seconds: float
    received: int
    notes: list[str] = field(default_factory=list)
    leases: list[Lease] = field(default_factory=list, repr=False)

    def release(self) -> None:
        for lease in self.leases:
            lease.release()
        if self in _held:
            _held.remove(self)

    def __enter__(self) -> Acquired:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


_held: list[Acquired] = []
"""Acquired models are in use until they are released, even where no one keeps the object."""


@dataclass(frozen=True)
class Entry:
    """A model in a listing.

    Attributes:
        name: its name.
        spec: its entry in the registry; None for an added model.
        record: its lock; None where it was never pulled.
        cached, stored: bytes of it in this machine's cache and in the store.
    """

    name: str
    spec: ModelSpec | None
    record: ModelRecord | None
    cached: int
    stored: int


@dataclass(frozen=True)
class Finding:
    """State of a file in a place, from `verify`: "ok", "corrupt" or "missing"."""

    model: str
    file: str
    role: str
    place: Place
    state: str
    sha256: str


class Library:
    """Models by name.

    Args:
        store: holds the locks and files for all machines.
        cache: folder of model files on this machine.
        cache_bytes: its size limit; the least recently used files are evicted first.
        hub: URL of a hub that speaks Hugging Face's protocol.
        token: for gated repositories.
        offline: never use the hub.
        models, vocoders: the registry.
    """

    def __init__(
        self,
        store: Store,
        *,
        cache: Path,
        cache_bytes: int,
        hub: str,
        token: str | None = None,
        offline: bool = False,
        models: Mapping[str, ModelSpec] = MODELS,
        vocoders: Mapping[str, VocoderSpec] = VOCODERS,
    ) -> None:
        self.store = store
        self.cache = Cache(cache, cache_bytes)
        self.hub = Hub(hub, token=token, offline=offline)
        self.transfer = Transfer(store, self.cache, self.hub)
        self._models = models
        self._vocoders = vocoders

    # Locks

    def find(self, name: str) -> ModelRecord | None:
        """The lock of a model from the store, None where it has none yet."""
        key = self._record_key(name)
        try:
            return ModelRecord.model_validate_json(self.store.get_bytes(key))
        except NotFoundError:
            return None
        except ValidationError as error:
            raise StoreError(
                f"not a lock of a model of this version ({error.errors()[0]['msg']})",
                file=key,
                hint=f"Delete it, then run `f5-pipeline weights pull {name}`.",
            ) from None

    def lock(self, name: str, on_progress: OnProgress = lambda _: None) -> ModelRecord:
        """The lock of a model. A new one is made from the registry, or from the hub where the registry lacks hashes.

        Raises:
            InputError: no model has this name.
            WeightsError: offline, or the hub has other bytes than the registry says.
        """
        if record := self.find(name):
            return record
        spec = self._models.get(name)
        if spec is None:
            raise self._unknown(name)
        with self.cache.alone(f"lock-{name}", lambda: on_progress(Progress(name, "lock", "waiting", 0, 0))):
            if record := self.find(name):
                return record
            vocoder = self._vocoders[spec.vocoder]
            files: dict[Role, Blob] = {}
            revision = spec.revision
            for part, spec_files in _by_repository(spec, vocoder):
                listing = None
                if not _pinned(part, *spec_files.values()):
                    listing = self.hub.listing(part.repo, part.revision)
                for role, spec_file in spec_files.items():
                    files[role] = self.transfer.describe(
                        name, part.repo, part.revision, spec_file, listing, on_progress
                    )
                if part is spec and listing is not None:
                    revision = listing.revision
            record = ModelRecord(
                name=name,
                architecture=spec.architecture,
                vocoder=vocoder.name,
                languages=spec.languages,
                licence=spec.licence,
                commercial_use=spec.commercial_use,
                note=spec.note,
                repo=spec.repo,
                revision=revision,
                files=files,
                locked=iso_time(),
            )
            return self._keep(record)

    def models(self) -> list[Entry]:
        """Every known model: those of the registry, then the added ones."""
        locks = self._locks()
        names = [*self._models, *(name for name in locks if name not in self._models)]
        sizes = {stat.key: stat.size for stat in self.store.list(layout.model_blob(""))}
        entries = []
        for name in names:
            record = self.find(name) if name in locks else None
            blobs = list(record.files.values()) if record else []
            entries.append(
                Entry(
                    name,
                    self._models.get(name),
                    record,
                    cached=sum(blob.size for blob in blobs if self.cache.has(blob)),
                    stored=sum(blob.size for blob in blobs if sizes.get(blob.key) == blob.size),
                )
            )
        return entries

    def locked(self) -> list[ModelRecord]:
        """All locks in the store."""
        return [record for name in self._locks() if (record := self.find(name))]

    # Files

    def acquire(self, name: str, on_progress: OnProgress = lambda _: None) -> Acquired:
        """Bring a model to this machine, verified, and keep it there while it is in use.

        Raises:
            InputError: no model has this name.
            WeightsError: it is not available; the message says what is missing and how to provide it.
        """
        started = time.monotonic()
        record = self.lock(name, on_progress)
        paths: dict[Role, Path] = {}
        leases: list[Lease] = []
        notes: list[str] = []
        farthest, received = 0, 0
        try:
            for role in ROLES:
                blob = record.files[role]
                lease = self.cache.lease(blob)
                leases.append(lease)
                paths[role], place, moved = self.transfer.obtain(name, blob, notes, on_progress)
                farthest, received = max(farthest, PLACES.index(place)), received + moved
        except BaseException:
            for lease in leases:
                lease.release()
            raise
        files = ModelFiles(
            name=name,
            architecture=record.architecture,
            checkpoint=paths["checkpoint"],
            vocabulary=paths["vocabulary"],
            vocoder_config=paths["vocoder_config"],
            vocoder_weights=paths["vocoder_weights"],
            sha256=record.sha256,
        )
        acquired = Acquired(files, record, PLACES[farthest], time.monotonic() - started, received, notes, leases)
        _held.append(acquired)
        return acquired

    def verify(self, name: str) -> list[Finding]:
        """Check the hash of every file of a model, in the cache and in the store.

        Raises:
            InputError: no model has this name.
        """
        record = self.find(name)
        if record is None:
            if name in self._models:
                return []
            raise self._unknown(name)
        return self.verify_files(name, {role: record.files[role] for role in ROLES})

    def verify_files(self, name: str, files: Mapping[str, Blob]) -> list[Finding]:
        """Check the hash of files, in the cache and in the store.

        Args:
            files: by role.
        """
        findings = []
        for role, blob in files.items():
            lease = self.cache.lease(blob)
            try:
                if self.store.local_path(blob.key) is None or self.cache.has(blob):
                    state = self.cache.state(self.cache.path(blob), blob, deep=True)
                    findings.append(Finding(name, blob.name, role, "cache", state, blob.sha256))
                findings.append(Finding(name, blob.name, role, "store", self.transfer.stored_state(blob), blob.sha256))
            finally:
                lease.release()
        return findings

    def evict(self, name: str | None = None) -> dict[str, int]:
        """Remove a model, or all, from this machine's cache, not from the store. Returns the bytes by file.

        Files in use stay, and so does a vocoder that another cached model needs.
        """
        if name is None:
            return self.cache.evict()
        record = self.find(name)
        if record is None:
            if name in self._models:
                return {}
            raise self._unknown(name)
        others = [other for other in self.locked() if other.name != name and self.cache.has(other.files["checkpoint"])]
        kept = {blob.sha256 for other in others for blob in other.files.values()}
        return self.cache.evict({blob.sha256 for blob in record.files.values()} - kept)

    # Added models

    def add(
        self,
        name: str,
        checkpoint: str | Path,
        *,
        vocabulary: str | Path | None = None,
        architecture: str | Path | Architecture = "F5TTS_v1_Base",
        vocoder: str | Path = "vocos-mel-24khz",
        languages: Sequence[str] = ("en",),
        licence: str = "unknown",
        commercial_use: CommercialUse = "disputed",
        note: str = "",
        on_progress: OnProgress = lambda _: None,
    ) -> ModelRecord:
        """Add a checkpoint as a model of this installation, for all machines; replaces an added model of this name.

        Args:
            checkpoint: `.safetensors`, or `.pt` (read as weights only, kept as safetensors), or a file of the hub,
                `hf://owner/name/path`, `hf://owner/name@commit/path`.
            vocabulary: one entry a line; f5-tts's own if None. May be `hf://…`.
            architecture: name, YAML file like f5-tts's configurations, or sizes.
            vocoder: name in the registry, a folder with config.yaml and pytorch_model.bin, or `hf://owner/name`.
            languages: BCP 47 tags.
            licence: of the weights; commercial_use: whether its speech may be sold.

        Raises:
            InputError: the files are not of the stated kind or do not fit each other.
            WeightsError: the hub cannot provide them.
        """
        from f5_pipeline.weights.checkpoints import package_vocabulary, read_architecture

        if not NAME.fullmatch(name):
            raise InputError(
                f"{name!r} cannot name a model: letters, digits, '.', '-' and '_' only, 64 at most",
                hint="Choose another name.",
            )
        if name in self._models or name in ("blobs", "recognisers"):
            raise InputError(f"the name {name!r} is taken by the registry", hint="Choose another name.")
        sizes = read_architecture(architecture)
        vocabulary_blob = self._add_file(name, vocabulary or package_vocabulary(), on_progress)
        checkpoint_blob = self._add_checkpoint(name, checkpoint, sizes, vocabulary_blob, on_progress)
        config, weights = self._add_vocoder(name, vocoder, on_progress)
        origin = checkpoint_blob.origin
        record = ModelRecord(
            name=name,
            architecture=sizes,
            vocoder=str(vocoder) if str(vocoder) in self._vocoders else "custom",
            languages=tuple(languages),
            licence=licence,
            commercial_use=commercial_use,
            note=note,
            repo=origin.repo if origin else None,
            revision=origin.revision if origin else None,
            files={
                "checkpoint": checkpoint_blob,
                "vocabulary": vocabulary_blob,
                "vocoder_config": config,
                "vocoder_weights": weights,
            },
            locked=iso_time(),
        )
        return self._keep(record)

    def _add_checkpoint(
        self, name: str, checkpoint: str | Path, sizes: Architecture, vocabulary: Blob, on_progress: OnProgress
    ) -> Blob:
        from f5_pipeline.weights.checkpoints import check_fit, convert, read_shapes, vocabulary_size

        with self.transfer.borrow(name, vocabulary, on_progress) as path:
            entries = vocabulary_size(path)
        if _HUB_FILE.fullmatch(str(checkpoint)):
            blob = self._add_file(name, checkpoint, on_progress)
            if blob.name.endswith(".safetensors"):
                with self.transfer.borrow(name, blob, on_progress) as path:
                    check_fit(path, read_shapes(path), sizes, entries)
            return blob
        source = Path(checkpoint)
        if not source.is_file():
            raise InputError("there is no such checkpoint", file=str(source))
        if source.suffix == ".safetensors":
            check_fit(source, read_shapes(source), sizes, entries)
            return self._add_file(name, source, on_progress)
        if source.suffix not in (".pt", ".pth", ".ckpt", ".bin"):
            raise InputError("a checkpoint is a .safetensors or a .pt file", file=str(source))
        with self.cache.draft("convert") as draft:
            self.cache.make_room(source.stat().st_size, source.name)
            convert(source, draft)
            check_fit(source, read_shapes(draft), sizes, entries)
            return self._add_file(name, draft, on_progress, stored_as=f"{source.stem}.safetensors")

    def _add_vocoder(self, name: str, vocoder: str | Path, on_progress: OnProgress) -> tuple[Blob, Blob]:
        if spec := self._vocoders.get(str(vocoder)):
            listing = None if _pinned(spec, spec.config, spec.weights) else self.hub.listing(spec.repo, spec.revision)
            config, weights = (
                self.transfer.describe(name, spec.repo, spec.revision, spec_file, listing, on_progress)
                for spec_file in (spec.config, spec.weights)
            )
            return config, weights
        files = ("config.yaml", "pytorch_model.bin")
        if (match := _HUB_FILE.fullmatch(str(vocoder))) and not match["path"]:
            config, weights = (self._add_file(name, f"{vocoder}/{file}", on_progress) for file in files)
            return config, weights
        folder = Path(vocoder)
        if not all((folder / file).is_file() for file in files):
            raise InputError(
                f"{str(vocoder)!r} is no known vocoder and no folder with {' and '.join(files)}",
                hint=f"Use {', '.join(self._vocoders)}, or the folder of a Vocos.",
            )
        config, weights = (self._add_file(name, folder / file, on_progress) for file in files)
        return config, weights

    def _add_file(self, name: str, file: str | Path, on_progress: OnProgress, stored_as: str | None = None) -> Blob:
        """Add a local file, or a file of the hub, to the store."""
        if match := _HUB_FILE.fullmatch(str(file)):
            if not match["path"]:
                raise InputError(f"{file} names no file", hint="Write hf://owner/name/path/of/the/file.")
            listing = self.hub.listing(match["repo"], match["revision"])
            spec_file = SpecFile(path=match["path"])
            blob = self.transfer.describe(name, match["repo"], listing.revision, spec_file, listing, on_progress)
            with self.transfer.borrow(name, blob, on_progress):  # copies it to the store
                return blob
        path = Path(file)
        try:
            size = path.stat().st_size
            blob = Blob(name=stored_as or path.name, sha256=file_sha256(path), size=size)
        except OSError as error:
            raise InputError(f"it cannot be read ({error.strerror or error})", file=str(path)) from error
        if self.transfer.stored_size(blob) != size or self.transfer.stored_state(blob) != "ok":
            on_progress(Progress(name, blob.name, "to store", 0, size))
            self.store.put_file(blob.key, path)
        return blob

    def _keep(self, record: ModelRecord) -> ModelRecord:
        """Write a lock and return it as read back, in case another machine locked the model meanwhile."""
        self.store.put_bytes(self._record_key(record.name), record.model_dump_json(indent=1).encode())
        return self.find(record.name) or record

    def _record_key(self, name: str) -> str:
        spec = self._models.get(name)
        if spec is None:
            if not NAME.fullmatch(name):
                raise self._unknown(name)
            return layout.model_record(name, _CUSTOM)
        return layout.model_record(name, spec.revision or "main")

    def _locks(self) -> list[str]:
        """Names of the locked models, from one listing of the store."""
        names = []
        for stat in self.store.list("models/"):
            fields = layout.model_record.match(stat.key)
            if fields and NAME.fullmatch(name := fields["model"]) and stat.key == self._record_key(name):
                names.append(name)
        return names

    def _unknown(self, name: str) -> InputError:
        known = [*self._models, *self._locks()]
        near = difflib.get_close_matches(name, known, 3, 0.5)
        return InputError(
            f"there is no model {name!r}",
            hint=f"Did you mean {' or '.join(near)}?" if near else "See: f5-pipeline weights list.",
        )


def _pinned(part: ModelSpec | VocoderSpec, *files: SpecFile) -> bool:
    """Whether the registry has everything for a lock, so that the hub is not needed."""
    return part.revision is not None and all(file.sha256 and file.size is not None for file in files)


def _by_repository(
    spec: ModelSpec, vocoder: VocoderSpec
) -> Iterator[tuple[ModelSpec | VocoderSpec, dict[Role, SpecFile]]]:
    yield spec, {"checkpoint": spec.checkpoint, "vocabulary": spec.vocabulary}
    yield vocoder, {"vocoder_config": vocoder.config, "vocoder_weights": vocoder.weights}
