"""Compute logs in the store's bucket. Imported only where there is one."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from dagster_aws.s3.compute_log_manager import S3ComputeLogManager

from f5_pipeline.dagster_host.compute_logs import LocalComputeLogs
from f5_pipeline.errors import StoreError
from f5_pipeline.orchestration.internals import IO_TYPE_EXTENSION, ComputeIOType, ConfigurableClassData
from f5_pipeline.store import layout
from f5_pipeline.store.s3.store import S3Store

log = logging.getLogger("f5_pipeline.dagster_host.compute_logs")

UPLOAD_SECONDS = 30
"""How often the logs of a running step are uploaded."""


class BucketComputeLogs(S3ComputeLogManager):
    """Dagster's S3 compute logs, on the store's client: signature version 4, no checksums, single deletes.

    Args:
        local_dir: where the output of steps is collected on this machine.
    """

    def __init__(self, store: S3Store, local_dir: Path, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(
            bucket=store.bucket.name,
            prefix=store.bucket.prefix + layout.LOGS,
            local_dir=str(local_dir),
            upload_interval=UPLOAD_SECONDS,
            region=store.bucket.access.region,
            inst_data=inst_data,
        )
        self._local_manager = LocalComputeLogs(str(local_dir))
        self._store = store
        self._s3_session = store.client
        self._partial_keys: set[str] = set()

    def _key(self, full_key: str) -> str:
        return full_key[len(self._store.bucket.prefix) :]

    def _upload_file_obj(
        self, data: IO[bytes], log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False
    ) -> None:
        key = self._key(self._s3_key(log_key, io_type))
        partial_key = self._key(self._s3_key(log_key, io_type, partial=True))
        if partial:
            if os.fstat(data.fileno()).st_size == 0:
                return
            try:
                self._store.replace_bytes(partial_key, data.read())
                self._partial_keys.add(partial_key)
            except StoreError as error:  # a later upload may succeed
                log.warning("the log of a running step was not brought to the bucket: %s", error)
            return
        self._store.put_bytes(key, data.read())
        if partial_key in self._partial_keys:
            self._partial_keys.discard(partial_key)
            self._store.delete(partial_key)

    def download_from_cloud_storage(
        self, log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False
    ) -> None:
        extension = IO_TYPE_EXTENSION[io_type]
        path = Path(self.local_manager.get_captured_local_path(log_key, extension, partial=partial))
        path.parent.mkdir(parents=True, exist_ok=True)
        self._store.download(self._key(self._s3_key(log_key, io_type, partial=partial)), path)

    def download_url_for_type(self, log_key: Sequence[str], io_type: ComputeIOType) -> str | None:
        if not self.is_capture_complete(log_key):
            return None
        key = self._key(self._s3_key(log_key, io_type))
        return self._store.presign(key, 3600, headers={"content-type": "text/plain; charset=utf-8"})

    def cloud_storage_has_logs(self, log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False) -> bool:
        return self._store.exists(self._key(self._s3_key(log_key, io_type, partial=partial)))

    def delete_logs(self, log_key: Sequence[str] | None = None, prefix: Sequence[str] | None = None) -> None:
        self.local_manager.delete_logs(log_key=log_key, prefix=prefix)
        if log_key:
            for io_type in ComputeIOType:
                for partial in (False, True):
                    self._store.delete(self._key(self._s3_key(log_key, io_type, partial=partial)))
        elif prefix:
            folder = "/".join([*self._resolve_path_for_namespace(prefix), ""])
            for item in self._store.list(self._key(folder)):
                self._store.delete(item.key)

    def get_log_keys_for_log_key_prefix(
        self, log_key_prefix: Sequence[str], io_type: ComputeIOType
    ) -> Sequence[list[str]]:
        folder = "/".join([*self._resolve_path_for_namespace(log_key_prefix), ""])
        names = (item.key.rpartition("/")[2].partition(".") for item in self._store.list(self._key(folder)))
        return [[*log_key_prefix, name] for name, _, extension in names if extension == IO_TYPE_EXTENSION[io_type]]
