"""Making links: signed, expiring addresses of delivered files."""

from __future__ import annotations

import math
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.records import read_record
from f5_pipeline.studio.links.grants import extend_address, issue_grant
from f5_pipeline.studio.records import Links, Manifest
from f5_pipeline.system.clock import iso_time

if TYPE_CHECKING:
    from f5_pipeline.studio.links.tokens import LinkSigner

SECRET_FILE = "link-secret"


def open_signer(home: Path, secret: SecretStr | None, link_seconds: int) -> LinkSigner:
    """The signer of links.

    Args:
        home: folder for a secret that is drawn at the first call where `secret` is None.
        secret: one or more, separated by commas, newest first.
        link_seconds: lifetime of a link, s.

    Raises:
        InputError: a secret is too short or cannot be read or stored, or the lifetime is out of bounds.
    """
    from f5_pipeline.studio.links.tokens import LinkSigner, load_secret

    keys = load_secret(home / SECRET_FILE, secret.get_secret_value() if secret else None)
    return LinkSigner(keys, lifetime=timedelta(seconds=link_seconds))


def read_manifest(store: Store, narration: str, revision: str) -> Manifest:
    """The manifest of a revision. Raises NotFoundError."""
    return read_record(store, layout.manifest(narration, revision), Manifest)


def make_links(store: Store, manifest: Manifest, signer: LinkSigner, *, base_url: str) -> Links:
    """Issue links: one for each file of a revision, under a new grant with the signer's lifetime, and the narration's
    permanent address, which shows this revision from now on and expires with them."""
    from f5_pipeline.studio.links.tokens import file_url, page_url

    narration, revision, begin = manifest.narration, manifest.revision, time.time()
    expires = math.ceil(begin + signer.lifetime.total_seconds())  # as the signer does
    grant = issue_grant(store, narration, revision, expires)
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
