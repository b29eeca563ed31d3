"""The store and the studio's options from the settings. Imports no Dagster: the command line uses it too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from f5_pipeline.errors import InputError
from f5_pipeline.settings import Settings
from f5_pipeline.store.base import Store
from f5_pipeline.store.connect import Access, connect

if TYPE_CHECKING:
    from f5_pipeline.studio.narrating.credentials import Credentials
    from f5_pipeline.studio.options import StudioOptions


def open_store(settings: Settings, url: str | None = None) -> Store:
    """The store of the settings, or the one at `url` with the same access. Makes no request to it.

    Raises:
        InputError: the address is not that of a store, or a setting that the bucket needs is missing.
    """
    access = Access(
        key_id=settings.store_key_id.get_secret_value() if settings.store_key_id else None,
        key=settings.store_key.get_secret_value() if settings.store_key else None,
        endpoint=settings.store_endpoint,
        region=settings.store_region,
    )
    return connect(
        url or settings.store_url,
        access,
        transfers=settings.transfers,
        part_bytes=settings.part_mb << 20,
        state=settings.cache_folder / "uploads",
    )


def check_configured(name: str, value: str, setting: str) -> str:
    """`value` of a resource, where it is that of the settings.

    Dagster lets the config of a run replace what the definitions say, and whoever can launch a run writes it: it must
    not send a run, and the keys that it holds, to another place.

    Raises:
        InputError: it is another.
    """
    if value != setting:
        raise InputError(
            f"{name} is {value!r} in the run's config, and {setting!r} in the settings",
            hint="Remove it from the run's config; settings are changed in the environment of this installation.",
        )
    return value


def studio_options(settings: Settings) -> StudioOptions:
    """The studio's options from the settings.

    Raises:
        InputError: there is no engine of the name in F5_ENGINE, or no caption format of one in F5_CAPTIONS.
    """
    from f5_pipeline.speech import engines
    from f5_pipeline.speech.captions.formats import chosen_formats
    from f5_pipeline.speech.script.model import caption_names
    from f5_pipeline.studio.options import StudioOptions

    for name, check in (
        ("F5_ENGINE", lambda: engines.check_choice(settings.engine)),
        ("F5_CAPTIONS", lambda: chosen_formats(caption_names(settings.captions))),
    ):
        try:
            check()
        except InputError as error:
            raise InputError(f"{name} is not valid: {error.message}", file="environment", hint=error.hint) from None
    return StudioOptions.model_validate(settings)


def content_credentials(settings: Settings) -> Credentials | None:
    """What delivered files are signed with; None where nothing is set. Raises InputError where it cannot be used."""
    from f5_pipeline.studio.narrating.credentials import credentials_of

    certificate, key = settings.c2pa_certificate, settings.c2pa_key
    return credentials_of(certificate and certificate.expanduser(), key and key.expanduser())
