"""Links: signed, expiring addresses of what a narration delivers, and what the download service is told about it."""

from __future__ import annotations

import math
import time
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

from f5_pipeline.errors import InputError
from f5_pipeline.settings import Settings
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.records import read_record
from f5_pipeline.studio.links.grants import check_grant, extend_address, give
from f5_pipeline.studio.links.rights import check_delivery
from f5_pipeline.studio.records import Links, Manifest
from f5_pipeline.system.clock import iso_time, posix_time

if TYPE_CHECKING:
    from f5_pipeline.gateway.delivery import DeliveredFile
    from f5_pipeline.gateway.page import PageFacts
    from f5_pipeline.studio.links.tokens import LinkClaim, LinkSigner, Permit

SECRET_FILE = "link-secret"

MANIFESTS = 256
"""Manifests that the download service keeps."""

MANIFEST_SECONDS = 60.0
"""How long it keeps them at most: a revision that was lost in part and made again is served within that time."""

RIGHTS_SECONDS = 5.0
"""How long it takes at most until a commercial narration is withheld after its voice has withdrawn."""


def open_signer(settings: Settings) -> LinkSigner:
    """The signer with the secret of the environment, or with one that is made once and kept in the home folder."""
    from f5_pipeline.studio.links.tokens import LinkSigner, load_secret

    given = settings.link_secret.get_secret_value() if settings.link_secret else None
    keys = load_secret(settings.home_folder / SECRET_FILE, given)
    return LinkSigner(keys, lifetime=timedelta(seconds=settings.link_seconds))


def read_manifest(store: Store, narration: str, revision: str) -> Manifest:
    """What a revision delivers. Raises NotFoundError."""
    return read_record(store, layout.manifest(narration, revision), Manifest)


def make_links(store: Store, manifest: Manifest, signer: LinkSigner, *, base_url: str) -> Links:
    """Give links: one for each file of a revision, of a grant of their own, for as long as the signer says; and the
    narration's permanent address, which shows this revision from now on and lives as long."""
    from f5_pipeline.studio.links.tokens import file_url, page_url

    narration, revision, begin = manifest.narration, manifest.revision, time.time()
    expires = math.ceil(begin + signer.lifetime.total_seconds())  # as the signer does
    grant = give(store, narration, revision, expires)
    address = extend_address(store, narration, revision, expires)

    def url(file: str) -> str:
        token = signer.sign(narration, revision, file, grant=grant.grant, now=begin)
        return file_url(base_url, token, file)

    return Links(
        narration=narration,
        revision=revision,
        page=page_url(base_url, signer.sign_address(narration, address.grant)),
        files={file.name: url(file.name) for file in manifest.files},
        expires=iso_time(expires),
        grant=grant.grant,
    )


class Deliveries:
    """What the download service is told: what a link opens now, the files behind it, and what their page says.

    Grants are read for each request. What hardly changes is kept for a while: manifests for a minute (a revision never
    changes, and can only be made again), and for seconds that a narration may still be given away.

    Raises, each method:
        NotFoundError: there is no such revision.
        StoreError: the store cannot be read.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept_manifest = lru_cache(MANIFESTS)(self._read_manifest)
        self._kept_rights = lru_cache(MANIFESTS)(self._check_rights)

    def permit(self, claim: LinkClaim) -> Permit:
        """What a signed token opens now. Raises LinkError."""
        from f5_pipeline.studio.links.tokens import WithheldLink

        opened = check_grant(self._store, claim)
        try:
            self._kept_rights(claim.narration, opened.revision, time.monotonic() // RIGHTS_SECONDS)
        except InputError as error:
            raise WithheldLink(error.message, claim=claim) from None
        return opened

    def files_of(self, narration: str, revision: str) -> list[DeliveredFile]:
        """What may be served of a revision."""
        from f5_pipeline.gateway.delivery import DeliveredFile, media_type_of

        manifest = self._manifest(narration, revision)
        made = posix_time(manifest.created)
        return [
            DeliveredFile(file.name, file.key, file.size, file.sha256, media_type_of(file.name), made)
            for file in manifest.files
        ]

    def page_facts(self, narration: str, revision: str) -> PageFacts:
        """What the page of a revision tells."""
        from f5_pipeline.gateway.page import PageChapter, PageFacts

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
            chapters=[PageChapter(one.title, one.start) for one in audio.chapters],
        )

    def _manifest(self, narration: str, revision: str) -> Manifest:
        return self._kept_manifest(narration, revision, time.monotonic() // MANIFEST_SECONDS)

    def _read_manifest(self, narration: str, revision: str, _period: float) -> Manifest:
        return read_manifest(self._store, narration, revision)

    def _check_rights(self, narration: str, revision: str, _period: float) -> None:
        check_delivery(self._store, self._manifest(narration, revision).audio.plan)
