"""A bucket as a store: Backblaze B2 and other S3 services.

Requests are signed with version 4. Conditional writes, bulk deletion and requests on the bucket itself (list, head) are
not used. Each object has its sha256 as metadata and is verified against it when it is read.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

from f5_pipeline.errors import DamagedError, NotFoundError, StoreError
from f5_pipeline.store.base import ObjectStat, Progress, check_key
from f5_pipeline.store.calls import Calls
from f5_pipeline.store.disk import on_disk
from f5_pipeline.store.s3.access import Access
from f5_pipeline.store.s3.bucket import MAX_TRIES, SHA256, Bucket, mark_of, pause, put_bytes, version_of
from f5_pipeline.store.s3.downloads import download
from f5_pipeline.store.s3.refusals import DENIED, Refused, denial
from f5_pipeline.store.s3.stream import BUFFER_BYTES, Changed, ObjectReader, Stream
from f5_pipeline.store.s3.uploads import upload
from f5_pipeline.system.hashing import file_sha256
from f5_pipeline.system.scratch import workspace

log = logging.getLogger("f5_pipeline.store")

MAX_URL_SECONDS = 604_800
"""Longest lifetime of a presigned URL in signature version 4."""

_PAGE = 1000
_MAX_SINGLE_BYTES = 16 << 20
"""Size up to which a file is sent in one request."""
_MAX_DAMAGED_READS = 2
_NO_SUCH = ("NoSuchKey", "NoSuchVersion", "404")
_UNKNOWN = ("NotImplemented", "501", "MethodNotAllowed", "405")
_REPLY_HEADERS = {
    "content-type": "ResponseContentType",
    "content-disposition": "ResponseContentDisposition",
    "cache-control": "ResponseCacheControl",
}


class S3Store:
    """A store below a prefix of a bucket.

    Args:
        url: without credentials: `b2://bucket/prefix`.
        transfers: maximum number of requests at once.
        part_bytes: size of the parts of large objects in a transfer.
        state: folder of this machine for the journals of uploads.
    """

    def __init__(
        self,
        url: str,
        access: Access,
        *,
        transfers: int = 8,
        part_bytes: int = 16 << 20,
        state: Path,
    ) -> None:
        name, _, prefix = url.partition("://")[2].partition("/")
        self.url = url
        self.parallel = transfers
        self.calls = Calls()
        self.bucket = Bucket(url, name, f"{prefix}/" if prefix else "", access, transfers, self.calls)
        self._part_bytes = part_bytes
        self._state = state

    def __repr__(self) -> str:
        return f"S3Store({self.url!r})"

    @property
    def client(self) -> Any:
        """boto3's client of this process, for callers that use S3 directly."""
        return self.bucket.client

    def put_bytes(self, key: str, data: bytes) -> ObjectStat:
        return put_bytes(self.bucket, key, data)

    def replace_bytes(self, key: str, data: bytes) -> bool:
        try:
            before, answer = self._read(key)
        except NotFoundError:
            before, answer = None, {}
        if before == data:
            return False
        put_bytes(self.bucket, key, data)
        if version := version_of(answer):
            try:
                self.bucket.ask("delete_object", key, expect=(*DENIED, *_NO_SUCH), VersionId=version)
            except Refused as refused:
                if refused.code in DENIED:
                    _warn_of_versions(self.url)
        return True

    def put_file(
        self, key: str, path: Path, *, sha256: str | None = None, on_progress: Progress | None = None
    ) -> ObjectStat:
        check_key(key)
        with on_disk(path):
            size = path.stat().st_size
            if size <= min(self._part_bytes, _MAX_SINGLE_BYTES):
                data = path.read_bytes()
                if sha256 and hashlib.sha256(data).hexdigest() != sha256:
                    raise StoreError("its content is not what it should be", file=str(path))
                stat = put_bytes(self.bucket, key, data)
                if on_progress:
                    on_progress(stat.size, stat.size)
                return stat
            digest = sha256 or file_sha256(path)
            return upload(self.bucket, key, path, digest, self._part_bytes, self._state, on_progress)

    def get_bytes(self, key: str) -> bytes:
        return self._read(key)[0]

    def _read(self, key: str) -> tuple[bytes, dict[str, Any]]:
        """An object and its response; read again where it was replaced meanwhile or damaged in transit."""
        for attempt in range(1, MAX_TRIES + 1):
            stream = Stream(self.bucket, key)
            try:
                data = stream.read_all()
            except Changed:
                if attempt == MAX_TRIES:
                    raise
                continue
            finally:
                stream.close()
            expected = (stream.answer.get("Metadata") or {}).get(SHA256)
            if expected is None or hashlib.sha256(data).hexdigest() == expected:
                return data, stream.answer
            if attempt >= _MAX_DAMAGED_READS:
                break
            pause(attempt)
        raise DamagedError(
            "its content is not what it was", file=f"{self.url}/{key}", hint="Delete it, then run again."
        )

    def open(self, key: str, start: int = 0, end: int | None = None) -> BinaryIO:
        return cast(BinaryIO, io.BufferedReader(ObjectReader(self.bucket, key, start, end), BUFFER_BYTES))

    @contextmanager
    def fetch(self, key: str) -> Iterator[Path]:
        with workspace() as folder:
            path = folder / key.rpartition("/")[2]
            self.download(key, path)
            yield path

    def download(self, key: str, path: Path, *, sha256: str | None = None, on_progress: Progress | None = None) -> None:
        download(self.bucket, key, path, sha256, self._part_bytes, on_progress)

    def stat(self, key: str) -> ObjectStat:
        return self.bucket.stat(key)

    def exists(self, key: str) -> bool:
        try:
            self.bucket.head(key)
        except NotFoundError:
            return False
        return True

    def list(self, prefix: str = "", *, after: str = "", limit: int | None = None) -> Iterator[ObjectStat]:
        if limit is not None and limit <= 0:
            return
        start = {"StartAfter": self.bucket.prefix + after} if after else {}
        page = _PAGE if limit is None else min(_PAGE, limit)
        count = 0
        marks = {"ContinuationToken": "NextContinuationToken"}
        for answer in self.bucket.pages("list_objects_v2", marks, prefix, MaxKeys=page, **start):
            for entry in answer.get("Contents", ()):
                key = entry["Key"][len(self.bucket.prefix) :]
                if not key or key.endswith("/"):  # other tools' placeholders for folders
                    continue
                yield ObjectStat(key, entry["Size"], entry["LastModified"].timestamp(), mark=mark_of(entry))
                count += 1
                if count == limit:
                    return

    def folders(self, prefix: str) -> Iterator[str]:
        begins = len(self.bucket.prefix + prefix)
        marks = {"ContinuationToken": "NextContinuationToken"}
        for answer in self.bucket.pages("list_objects_v2", marks, prefix, Delimiter="/"):
            for entry in answer.get("CommonPrefixes", ()):
                yield entry["Prefix"][begins:-1]

    def delete(self, key: str) -> None:
        last = None
        while True:
            try:
                version = version_of(self.bucket.head(key))
            except NotFoundError:
                return
            if version is None or version == last:  # the bucket keeps no versions, or this one cannot be removed
                break
            try:
                # Without its version it would only be hidden, and still be billed.
                self.bucket.ask("delete_object", key, expect=DENIED, VersionId=version)
            except Refused:
                _warn_of_versions(self.url)
                break
            last = version
        self.bucket.ask("delete_object", key)

    def local_path(self, key: str) -> Path | None:
        return None

    def presign(self, key: str, seconds: int, *, headers: Mapping[str, str]) -> str | None:
        if not 1 <= seconds <= MAX_URL_SECONDS:
            raise StoreError(
                f"a presigned address cannot live for {seconds} s",
                hint=f"Ask for 1 to {MAX_URL_SECONDS} s (7 days).",
            )
        reply = {_REPLY_HEADERS[name.lower()]: value for name, value in headers.items()}
        return self.bucket.presign("get_object", key, seconds, **reply)

    def check(self) -> None:
        """Write, read back and remove a small object.

        A key without permission to delete is accepted with a warning.

        Raises:
            StoreError: the store does not work; with a hint.
        """
        key = f"check-{uuid.uuid4().hex}"
        data = uuid.uuid4().bytes
        self.put_bytes(key, data)
        try:
            if self.get_bytes(key) != data:
                raise StoreError("the store returned other bytes than were written", file=self.url)
            next(self.list(key, limit=1), None)
        finally:
            try:
                self.delete(key)
            except StoreError as error:
                if error.retryable:
                    raise
                log.warning("%s (%s is left behind)", error, key)

    def abandoned_uploads(self, grace_s: float) -> Iterator[tuple[str, str, float]]:
        """Multipart uploads that were never completed: key, id, and POSIX time of their start, s.

        Args:
            grace_s: uploads younger than this, s, are left out.
        """
        marks = {"KeyMarker": "NextKeyMarker", "UploadIdMarker": "NextUploadIdMarker"}
        with contextlib.suppress(Refused):
            for answer in self.bucket.pages("list_multipart_uploads", marks, "", expect=_UNKNOWN):
                for entry in answer.get("Uploads", ()):
                    started = entry["Initiated"].timestamp()
                    if time.time() - started > grace_s:
                        yield entry["Key"][len(self.bucket.prefix) :], entry["UploadId"], started

    def abort(self, key: str, upload_id: str) -> None:
        """Abort an upload and free its parts; no error where there is no such upload."""
        with contextlib.suppress(Refused):
            self.bucket.ask("abort_multipart_upload", key, expect=("NoSuchUpload", "404"), UploadId=upload_id)

    def old_versions(self, prefix: str = "") -> Iterator[tuple[str, str, int, float, bool]]:
        """Hidden versions, which are still billed: key, version, bytes, POSIX time, and whether it is a delete marker.

        Nothing where the service keeps no versions.
        """
        marks = {"KeyMarker": "NextKeyMarker", "VersionIdMarker": "NextVersionIdMarker"}
        begins = len(self.bucket.prefix)
        with contextlib.suppress(Refused):
            for answer in self.bucket.pages("list_object_versions", marks, prefix, expect=_UNKNOWN):
                for entry in answer.get("Versions", ()):
                    if not entry["IsLatest"]:
                        modified = entry["LastModified"].timestamp()
                        yield entry["Key"][begins:], entry["VersionId"], entry["Size"], modified, False
                for entry in answer.get("DeleteMarkers", ()):
                    yield entry["Key"][begins:], entry["VersionId"], 0, entry["LastModified"].timestamp(), True

    def delete_version(self, key: str, version_id: str) -> None:
        """Remove one version or delete marker; no error where it does not exist."""
        try:
            self.bucket.ask("delete_object", key, expect=(*_NO_SUCH, *DENIED), VersionId=version_id)
        except Refused as refused:
            if refused.code in DENIED:
                raise denial(self.url, "delete_object", key, refused.message) from None


_warned = threading.Event()


def _warn_of_versions(url: str) -> None:
    """Warn, once in a process, that older versions are left behind."""
    if not _warned.is_set():
        _warned.set()
        log.warning(
            "%s: the key may not delete (deleteFiles), so older versions stay hidden in the bucket and are paid for; "
            "give it that capability or the bucket a lifecycle rule that deletes hidden versions",
            url,
        )
