"""Where Dagster keeps what steps print: on this machine, or in the store's bucket.

In dagster.yaml:

    compute_logs:
      module: f5_pipeline.dagster_host.compute_logs
      class: StoreComputeLogs
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from f5_pipeline.errors import InputError
from f5_pipeline.orchestration.internals import (
    IO_TYPE_EXTENSION,
    CapturedLogContext,
    ComputeIOType,
    ComputeLogManager,
    ConfigurableClassData,
    LocalComputeLogManager,
)
from f5_pipeline.settings import Settings, get_settings
from f5_pipeline.store.connect import is_bucket

SHOW_SECONDS = 1.0
"""How often what a step prints is shown where it runs."""


class LocalComputeLogs(LocalComputeLogManager):
    """Keeps what steps print in a folder. Dagster's own starts four processes for each step to show it as well."""

    @contextmanager
    def capture_logs(self, log_key: Sequence[str]) -> Iterator[CapturedLogContext]:
        stdout, stderr = (
            Path(self.get_captured_local_path(log_key, IO_TYPE_EXTENSION[kind]))
            for kind in (ComputeIOType.STDOUT, ComputeIOType.STDERR)
        )
        with _kept(sys.stdout, stdout), _kept(sys.stderr, stderr):
            yield CapturedLogContext(log_key)
        Path(self.complete_artifact_path(log_key)).touch()


@contextmanager
def _kept(stream: IO[str], path: Path) -> Iterator[None]:
    """Append what is written to a stream, by this process and its children, to a file, and show it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab", buffering=0) as file:
        try:
            number = stream.fileno()
        except (AttributeError, OSError):  # no file, as in tests
            yield
            return
        with os.fdopen(os.dup(number), "wb") as shown:
            ended = threading.Event()
            show = threading.Thread(target=_show, args=(path, file.tell(), shown, ended), daemon=True)
            stream.flush()
            os.dup2(file.fileno(), number)
            show.start()
            try:
                yield
            finally:
                stream.flush()
                os.dup2(shown.fileno(), number)
                ended.set()
                show.join()


def _show(path: Path, start: int, shown: IO[bytes], ended: threading.Event) -> None:
    with path.open("rb") as file, suppress(OSError):  # the reader may be gone
        file.seek(start)
        while True:
            last = ended.wait(SHOW_SECONDS)
            shutil.copyfileobj(file, shown)
            shown.flush()
            if last:
                return


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
            return LocalComputeLogs(str(folder), inst_data=inst_data)
        check_compute_logs(settings)
        from f5_pipeline.dagster_host.bucket_logs import BucketComputeLogs
        from f5_pipeline.orchestration.bucket_resource import BucketResource

        return BucketComputeLogs(BucketResource(url=settings.store_url).open(), folder, inst_data)


def check_compute_logs(settings: Settings) -> None:
    """Raise InputError where logs belong in a store that is not a bucket: Dagster notices only when a run begins."""
    if settings.compute_logs == "store" and not is_bucket(settings.store_url):
        raise InputError(
            "compute logs can be kept in the store only where that is a bucket",
            file="F5_COMPUTE_LOGS",
            hint="Set F5_COMPUTE_LOGS=local, or F5_STORE to b2://bucket/prefix.",
        )
