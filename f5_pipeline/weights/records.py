"""The lock of a model: its files by content, wherever they are kept."""

from __future__ import annotations

import hashlib
import json
from pathlib import PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from f5_pipeline.speech.engines.f5.architecture import Architecture
from f5_pipeline.store import layout
from f5_pipeline.weights.registry import CommercialUse

Role = Literal["checkpoint", "vocabulary", "vocoder_config", "vocoder_weights"]
ROLES: tuple[Role, ...] = ("checkpoint", "vocabulary", "vocoder_config", "vocoder_weights")


class Origin(BaseModel):
    """Location of a file on the hub: repository, commit, path."""

    model_config = ConfigDict(frozen=True)

    repo: str
    revision: str
    path: str

    def __str__(self) -> str:
        return f"{self.repo}/{self.path} at {self.revision[:12]}"


class Blob(BaseModel):
    """A file of a model, identified by its content."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="original file name")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(ge=0, description="bytes")
    origin: Origin | None = Field(default=None, description="on the hub; None: added from a file")

    @property
    def file_name(self) -> str:
        """Name in cache and store, with the extension, by which loaders recognise the format."""
        return self.sha256 + PurePosixPath(self.name).suffix.lower()

    @property
    def key(self) -> str:
        return layout.model_blob(self.file_name)


class ModelRecord(BaseModel):
    """A locked model: all who read this record use the same files."""

    model_config = ConfigDict(frozen=True)

    name: str
    architecture: Architecture
    vocoder: str
    languages: tuple[str, ...]
    licence: str
    commercial_use: CommercialUse
    note: str = ""
    repo: str | None = Field(default=None, description="Hugging Face id; None: added from a file")
    revision: str | None = Field(default=None, description="commit of the repository")
    files: dict[Role, Blob]
    locked: str = Field(description="when it was locked, ISO 8601, UTC")

    @property
    def sha256(self) -> str:
        """Digest of everything that decides the sound: the files by content, and the architecture."""
        sound = {"files": {role: self.files[role].sha256 for role in ROLES}, "arch": self.architecture.model_dump()}
        return hashlib.sha256(json.dumps(sound, sort_keys=True, separators=(",", ":")).encode()).hexdigest()

    @property
    def size(self) -> int:
        """Size of all files, bytes."""
        return sum(blob.size for blob in self.files.values())


class RecogniserRecord(BaseModel):
    """A locked Whisper model: its files by the names that CTranslate2 looks for."""

    model_config = ConfigDict(frozen=True)

    name: str
    licence: str
    commercial_use: CommercialUse
    note: str = ""
    repo: str
    revision: str = Field(description="commit of the repository")
    files: dict[str, Blob]
    locked: str = Field(description="when it was locked, ISO 8601, UTC")

    @property
    def size(self) -> int:
        """Size of all files, bytes."""
        return sum(blob.size for blob in self.files.values())
