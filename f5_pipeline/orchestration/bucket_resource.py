"""The store's bucket as a resource of dagster-aws. Imported only where the store is a bucket."""

from __future__ import annotations

from typing import Any

from dagster_aws.s3 import S3Resource
from pydantic import Field

from f5_pipeline.orchestration.configured import check_configured, open_store
from f5_pipeline.settings import get_settings
from f5_pipeline.store.s3.store import S3Store


class BucketResource(S3Resource):
    """boto3's S3 client for the store's bucket, the same that the store uses.

    Key, endpoint and region come from the environment, not from the config.

    Example:
        >>> BucketResource(url="b2://bucket/prefix").get_client().head_object(Bucket="bucket", Key="prefix/…")
    """

    url: str = Field(description="address of the store, b2://bucket/prefix or s3://bucket/prefix")

    @classmethod
    def _is_dagster_maintained(cls) -> bool:
        return False

    def open(self) -> S3Store:
        """The store in the bucket."""
        check_configured("resources.s3.config.url", self.url, get_settings().store_url)
        store = open_store(get_settings(), self.url)
        assert isinstance(store, S3Store)
        return store

    def get_client(self) -> Any:
        return self.open().client
