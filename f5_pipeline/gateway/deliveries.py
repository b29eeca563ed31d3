"""What the download service reads from a store: what a link opens now, its files, and the facts for their page."""

from __future__ import annotations

import time
from datetime import datetime
from functools import lru_cache

from f5_pipeline.errors import InputError
from f5_pipeline.gateway.delivery import DeliveredFile, media_type_of
from f5_pipeline.gateway.page import PageChapter, PageFacts
from f5_pipeline.store.base import Store
from f5_pipeline.studio.links.grants import check_grant
from f5_pipeline.studio.links.making import read_manifest
from f5_pipeline.studio.links.rights import check_delivery
from f5_pipeline.studio.links.tokens import LinkClaim, Permit, WithheldLink
from f5_pipeline.studio.records import Manifest
from f5_pipeline.studio.timing_files import write_timing_file

MAX_MANIFESTS = 256
"""Manifests that are kept in memory."""

MANIFEST_SECONDS = 60.0
"""How long they are kept: a damaged revision that was made again is served within that time."""

RIGHTS_SECONDS = 5.0
"""How long a check of rights is kept: a commercial narration is withheld within that time after its voice withdraws."""


class Deliveries:
    """Provides what `create_app` needs from a store.

    Grants are read for each request. Manifests are kept for a minute (a revision never changes, and can only be made
    again), checks of rights for seconds.

    Raises, each method:
        NotFoundError: there is no such revision.
        StoreError: the store cannot be read.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept_manifest = lru_cache(MAX_MANIFESTS)(self._read_manifest)
        self._kept_rights = lru_cache(MAX_MANIFESTS)(self._check_rights)

    def permit(self, claim: LinkClaim) -> Permit:
        """What a signed token opens now. Raises LinkError."""
        permit = check_grant(self._store, claim)
        try:
            self._kept_rights(claim.narration, permit.revision, time.monotonic() // RIGHTS_SECONDS)
        except InputError as error:
            raise WithheldLink(error.message, claim=claim) from None
        return permit

    def files_of(self, narration: str, revision: str) -> list[DeliveredFile]:
        """The files of a revision."""
        manifest = self._manifest(narration, revision)
        created = datetime.fromisoformat(manifest.created).timestamp()
        return [
            DeliveredFile(
                file.name, file.key, file.size, file.sha256, media_type_of(file.name), created, chapter=file.chapter
            )
            for file in manifest.files
        ]

    def timing_file(self, narration: str, revision: str, name: str) -> tuple[bytes, str] | None:
        """A timing file of a revision that is made when it is asked for: see `write_timing_file`."""
        return write_timing_file(self._store, self._manifest(narration, revision), name)

    def page_facts(self, narration: str, revision: str) -> PageFacts:
        """The facts for the page of a revision."""
        manifest = self._manifest(narration, revision)
        audio = manifest.audio
        return PageFacts(
            title=audio.plan.title,
            voices=audio.plan.voices,
            seconds=audio.seconds,
            engine=audio.plan.engine,
            author=audio.plan.author,
            created=datetime.fromisoformat(manifest.created),
            language=audio.plan.language,
            chapters=[PageChapter(chapter.title, chapter.start) for chapter in audio.chapters],
        )

    def _manifest(self, narration: str, revision: str) -> Manifest:
        return self._kept_manifest(narration, revision, time.monotonic() // MANIFEST_SECONDS)

    def _read_manifest(self, narration: str, revision: str, _period: float) -> Manifest:
        return read_manifest(self._store, narration, revision)

    def _check_rights(self, narration: str, revision: str, _period: float) -> None:
        check_delivery(self._store, self._manifest(narration, revision).audio.plan)
