"""The resources of assets: the store and the signer of links."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from f5_pipeline.orchestration.configured import check_configured, open_store
from f5_pipeline.settings import get_settings
from f5_pipeline.store.base import Store
from f5_pipeline.store.connect import is_bucket

if TYPE_CHECKING:
    from f5_pipeline.studio.links.tokens import LinkSigner


class StoreResource(dg.ConfigurableResource):
    """The store that keeps everything.

    Example:
        >>> StoreResource(url="file:./studio").open().exists("models/weights.json")
    """

    url: str = Field(description="address of the store: file:<folder>, b2://bucket/prefix or s3://bucket/prefix")

    def open(self) -> Store:
        """The store at the address, one object for the whole process: it counts the calls."""
        check_configured("resources.store.config.url", self.url, get_settings().store_url)
        return _open_once(self.url, id(get_settings()), os.getpid())


@lru_cache(maxsize=8)
def _open_once(url: str, settings: int, pid: int) -> Store:
    return open_store(get_settings(), url)


class LinksResource(dg.ConfigurableResource):
    """How download links are made. The secret that signs them is read when needed, and not kept here."""

    base_url: str = Field(description="what links begin with, no slash at the end")

    def checked_base_url(self) -> str:
        """What links begin with, no slash at the end."""
        return check_configured("resources.links.config.base_url", self.base_url, get_settings().base_url)

    def signer(self) -> LinkSigner:
        """Signs and checks links with the secret of the settings."""
        from f5_pipeline.studio.links.making import open_signer

        settings = get_settings()
        return open_signer(settings.home_folder, settings.link_secret, settings.link_seconds)


def bucket_resources(url: str) -> dict[str, dg.ConfigurableResource]:
    """dagster-aws's resource `s3` on the store's own client, where the store at `url` is a bucket; else nothing."""
    if not is_bucket(url):
        return {}
    from f5_pipeline.orchestration.bucket_resource import BucketResource

    return {"s3": BucketResource(url=url)}
