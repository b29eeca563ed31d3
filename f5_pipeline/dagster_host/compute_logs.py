"""Where Dagster keeps what steps print: on this machine, or in the store's bucket.

In dagster.yaml:

    compute_logs:
      module: f5_pipeline.dagster_host.compute_logs
      class: StoreComputeLogs
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from f5_pipeline.errors import InputError
from f5_pipeline.orchestration.internals import ComputeLogManager, ConfigurableClassData, LocalComputeLogManager
from f5_pipeline.settings import Settings, get_settings


class StoreComputeLogs(LocalComputeLogManager):
    """Creates Dagster's compute logs as F5_COMPUTE_LOGS says: in a folder or, with `store`, in the bucket."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config_value(  # type: ignore[override]  # the class depends on the settings
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> ComputeLogManager:
        """
        Raises:
            InputError: the logs belong in the store, and that is not a bucket.
        """
        settings = get_settings()
        folder = settings.home_folder / "storage"
        if settings.compute_logs == "local":
            return LocalComputeLogManager(str(folder), inst_data=inst_data)
        check_compute_logs(settings)
        from f5_pipeline.dagster_host.bucket_logs import BucketComputeLogs
        from f5_pipeline.orchestration.bucket_resource import BucketResource

        return BucketComputeLogs(BucketResource(url=settings.store_url).open(), folder, inst_data)


def check_compute_logs(settings: Settings) -> None:
    """Raise InputError where logs belong in a store that is not a bucket: Dagster notices only when a run begins."""
    if settings.compute_logs == "store" and settings.store_url.startswith("file:"):
        raise InputError(
            "compute logs can be kept in the store only where that is a bucket",
            file="F5_COMPUTE_LOGS",
            hint="Set F5_COMPUTE_LOGS=local, or F5_STORE to b2://bucket/prefix.",
        )
