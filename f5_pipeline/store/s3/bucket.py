"""Requests to a bucket below a prefix: sent, counted, and their errors explained."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import random
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from f5_pipeline.errors import NotFoundError, StoreError
from f5_pipeline.store.base import ObjectStat, check_key
from f5_pipeline.store.calls import Calls
from f5_pipeline.store.s3.access import Access
from f5_pipeline.store.s3.client import client, count_requests
from f5_pipeline.store.s3.refusals import DAMAGED, DENIED, MISSING, Refused, code_of, denial, explain, message_of

SHA256 = "sha256"
"""Metadata field for an object's hash: the ETag of a multipart upload is no hash of the content."""

MAX_TRIES = 5
"""How often a truncated or damaged body is requested in a row without any progress."""


def pause(failures: int) -> None:
    """Wait between two tries: a random time up to 1, 2, 4 … 16 s, so that clients do not return all at once."""
    time.sleep(random.uniform(0, min(16.0, 2.0 ** (failures - 1))))


def mark_of(answer: dict[str, Any]) -> str:
    return str(answer.get("ETag", "")).strip('"')


def version_of(answer: dict[str, Any]) -> str | None:
    """The version id of an object; None in a bucket without versions."""
    version = answer.get("VersionId")
    return version if version and version != "null" else None


@dataclass
class Bucket:
    """A bucket and our prefix in it; no key outside the prefix is ever used.

    Attributes:
        url: without credentials, `b2://bucket/prefix`.
        prefix: empty, or ending with a slash.
        transfers: maximum number of requests at once.
    """

    url: str
    name: str
    prefix: str
    access: Access
    transfers: int
    calls: Calls

    @property
    def client(self) -> Any:
        """boto3's client of this process."""
        return client(self.access, self.transfers)

    def ask(self, operation: str, key: str | None = None, *, expect: tuple[str, ...] = (), **parameters: Any) -> Any:
        """Request an operation (`put_object`) and return the response.

        Args:
            key: without the prefix.
            expect: error codes that the caller handles.

        Raises:
            Refused: for one of these codes.
            StoreError: for all others, and where there is no response.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        if key is not None:
            parameters["Key"] = self.prefix + check_key(key)
        with count_requests(self.calls) as requests:
            for attempt in range(1, MAX_TRIES + 1):
                try:
                    return getattr(self.client, operation)(Bucket=self.name, **parameters)
                except (BotoCoreError, ClientError) as error:
                    code = code_of(error)
                    if code in expect:
                        raise Refused(code, message_of(error, self.access)) from None
                    if code in DAMAGED and attempt < MAX_TRIES:
                        pause(attempt)
                        continue
                    # botocore's own text may hold secrets: the cause is not shown.
                    raise explain(error, self.access, self.url, operation, key, requests.sent) from None
        raise AssertionError("unreachable")

    def presign(self, operation: str, key: str, seconds: int, **parameters: str) -> str:
        """A URL that carries out the operation on `key`; sends no request."""
        from botocore.exceptions import BotoCoreError

        where = {"Bucket": self.name, "Key": self.prefix + check_key(key)}
        try:
            return self.client.generate_presigned_url(operation, Params={**where, **parameters}, ExpiresIn=seconds)
        except BotoCoreError as error:
            raise explain(error, self.access, self.url, operation, key, 0) from None

    def get(
        self,
        key: str,
        start: int = 0,
        end: int | None = None,
        mark: str | None = None,
        expect: tuple[str, ...] = (),
    ) -> Any:
        """GET the bytes [start, end); with `mark`, only of that version of the object."""
        parameters: dict[str, Any] = {}
        if start or end is not None:
            parameters["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        if mark:
            parameters["IfMatch"] = f'"{mark}"'
        try:
            answer = self.ask("get_object", key, expect=(*expect, *DENIED), **parameters)
        except Refused as refused:
            if refused.code in DENIED:
                raise self._denied(key, refused.message) from None
            raise
        if "Range" in parameters and not str(answer.get("ContentRange", "")).startswith(f"bytes {start}-"):
            answer["Body"].close()
            raise StoreError(f"{self.access.endpoint or 'the service'} does not give parts of objects", file=self.url)
        return answer

    def head(self, key: str) -> Any:
        """HEAD an object. Raises NotFoundError."""
        numeric = ("400", "401", "403", "301", "307")
        try:
            return self.ask("head_object", key, expect=numeric)
        except Refused:
            # The response to a HEAD has no body with the reason; that to a GET has.
            answer = self.get(key, 0, 1, expect=("InvalidRange", "416"))
            answer["Body"].close()
            raise StoreError("the service lets the object be read but not be asked about", file=self.url) from None

    def stat(self, key: str) -> ObjectStat:
        return stat_of(key, self.head(key))

    def pages(self, operation: str, marks: dict[str, str], prefix: str, **parameters: Any) -> Iterator[Any]:
        """All responses of a listing; `marks` maps each request parameter to the field of the previous response."""
        while True:
            answer = self.ask(operation, Prefix=self.prefix + prefix, **parameters)
            yield answer
            if not answer.get("IsTruncated"):
                return
            parameters |= {name: answer[field] for name, field in marks.items() if answer.get(field)}

    def _denied(self, key: str, message: str) -> StoreError:
        """The error for a 403 on `key`: some services answer so where there is no such object."""
        if _answers_403_for_missing(self):
            return NotFoundError("there is no such object", file=f"{self.url}/{key}")
        return denial(self.url, "get_object", key, message)


def stat_of(key: str, answer: dict[str, Any], size: int | None = None) -> ObjectStat:
    """Facts about an object from the response to a HEAD or a full GET."""
    metadata = answer.get("Metadata") or {}
    return ObjectStat(
        key,
        answer["ContentLength"] if size is None else size,
        answer["LastModified"].timestamp(),
        metadata.get(SHA256),
        mark_of(answer),
    )


_probed: dict[tuple[Access, str], bool] = {}
_probing = threading.Lock()


def _answers_403_for_missing(bucket: Bucket) -> bool:
    """Whether the service answers 403 for a missing object where the key may not list, as AWS does.

    Probed once in a process, with an object that is written for it and a missing one.
    """
    identity = (bucket.access, bucket.url)
    with _probing:
        if identity not in _probed:
            _probed[identity] = _probe(bucket)
        return _probed[identity]


def _probe(bucket: Bucket) -> bool:
    def refused(key: str) -> bool:
        try:
            bucket.ask("head_object", key, expect=(*DENIED, *MISSING))
        except Refused as refusal:
            return refusal.code in DENIED
        return False

    key = f"check-{uuid.uuid4().hex}"
    put_bytes(bucket, key, b"ok")
    try:
        return not refused(key) and refused(f"{key}-missing")
    finally:
        with contextlib.suppress(StoreError):
            bucket.ask("delete_object", key)


def put_bytes(bucket: Bucket, key: str, data: bytes) -> ObjectStat:
    """Write an object in one request, verified by the service."""
    sha256 = hashlib.sha256(data).hexdigest()
    answer = bucket.ask("put_object", key, Body=data, ContentMD5=content_md5(data), Metadata={SHA256: sha256})
    return ObjectStat(key, len(data), time.time(), sha256, mark_of(answer))


def content_md5(data: bytes) -> str:
    """MD5 for the header Content-MD5, base64."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
