"""Links: signed, expiring addresses of what a narration delivers, and what the download service is told about it."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from f5_pipeline.settings import Settings
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.studio.records import Links, Manifest
from f5_pipeline.studio.state import read_record

if TYPE_CHECKING:
    from f5_pipeline.gateway.delivery import DeliveredFile
    from f5_pipeline.gateway.page import PageFacts
    from f5_pipeline.gateway.tokens import LinkSigner

SECRET_FILE = "link-secret"


def open_signer(settings: Settings) -> LinkSigner:
    """The signer with the secret of the environment, or with one that is made once and kept in the home folder."""
    from f5_pipeline.gateway.tokens import LinkSigner, load_secret

    given = settings.link_secret.get_secret_value() if settings.link_secret else None
    keys = load_secret(settings.home_folder / SECRET_FILE, given)
    return LinkSigner(keys, lifetime=timedelta(seconds=settings.link_seconds))


def read_manifest(store: Store, narration: str, revision: str) -> Manifest:
    """What a revision delivers. Raises NotFoundError."""
    return read_record(store, layout.manifest(narration, revision), Manifest)


def make_links(manifest: Manifest, signer: LinkSigner, *, base_url: str) -> Links:
    """A link for each file of a revision and one for its page, all of one grant, for as long as the signer says."""
    from f5_pipeline.gateway.tokens import EVERYTHING, file_url, new_grant, page_url

    grant, moment = new_grant(), time.time()

    def token(file: str) -> str:
        return signer.sign(manifest.narration, manifest.revision, file, grant=grant, now=moment)

    expires = datetime.fromtimestamp(moment, timezone.utc) + signer.lifetime
    return Links(
        narration=manifest.narration,
        revision=manifest.revision,
        page=page_url(base_url, token(EVERYTHING)),
        files={file.name: file_url(base_url, token(file.name), file.name) for file in manifest.files},
        expires=expires.isoformat(timespec="seconds"),
    )


def delivered_files(store: Store, narration: str, revision: str) -> list[DeliveredFile]:
    """What the download service may serve of a revision. Raises NotFoundError."""
    from f5_pipeline.gateway.delivery import DeliveredFile, media_type_of

    return [
        DeliveredFile(file.name, file.key, file.size, file.sha256, media_type_of(file.name))
        for file in read_manifest(store, narration, revision).files
    ]


def page_facts(store: Store, narration: str, revision: str) -> PageFacts:
    """What the page of a revision tells. Raises NotFoundError."""
    from f5_pipeline.gateway.page import PageChapter, PageFacts

    manifest = read_manifest(store, narration, revision)
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
