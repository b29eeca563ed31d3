"""Questions to one bucket below one prefix: sent, counted, and their refusals told in words."""

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
from f5_pipeline.store.s3.client import asking, client
from f5_pipeline.store.s3.refusals import DAMAGED, DENIED, MISSING, Refused, code_of, denial, explain, said_of

SHA256 = "sha256"
"""Name of the metadata that keeps an object's hash: ETags of multipart uploads say nothing of the content."""

TRIES = 5
"""How often a body that is cut or damaged on its way is asked for again, without a byte of progress between."""


def pause(failures: int) -> None:
    """Wait between two tries: up to 1, 2, 4 … 16 s, by chance, so that many clients do not come back at once."""
    time.sleep(random.uniform(0, min(16.0, 2.0 ** (failures - 1))))


def mark_of(answer: dict[str, Any]) -> str:
    return str(answer.get("ETag", "")).strip('"')


def version_of(answer: dict[str, Any]) -> str | None:
    """The version that a bucket keeps of an object; None where it keeps none."""
    version = answer.get("VersionId")
    return version if version and version != "null" else None


@dataclass
class Bucket:
    """A bucket, and the prefix in it that is ours: no key beyond it is ever named.

    Attributes:
        url: without credentials, `b2://bucket/prefix`.
        prefix: empty, or it ends with a slash.
        transfers: requests that may be under way at once.
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
        """Ask for an operation (`put_object`) and return its answer.

        Args:
            key: of ours, without the prefix.
            expect: error codes that the caller has an answer to.

        Raises:
            Refused: with one of those codes.
            StoreError: with all others, and where nothing answers.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        if key is not None:
            parameters["Key"] = self.prefix + check_key(key)
        with asking(self.calls) as asked:
            for attempt in range(1, TRIES + 1):
                try:
                    return getattr(self.client, operation)(Bucket=self.name, **parameters)
                except (BotoCoreError, ClientError) as error:
                    code = code_of(error)
                    if code in expect:
                        raise Refused(code, said_of(error, self.access)) from None
                    if code in DAMAGED and attempt < TRIES:
                        pause(attempt)
                        continue
                    # botocore's own text may hold what is no one's business: the cause is not shown with it.
                    raise explain(error, self.access, self.url, operation, key, asked.sent) from None
        raise AssertionError("unreachable")

    def presign(self, operation: str, key: str, seconds: int, **parameters: str) -> str:
        """An address that carries out the operation on `key`; nothing is asked for it."""
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
        """GET the bytes from `start` to before `end`; with `mark`, of that state of the object only."""
        parameters: dict[str, Any] = {}
        if start or end is not None:
            parameters["Range"] = f"bytes={start}-{'' if end is None else end - 1}"
        if mark:
            parameters["IfMatch"] = f'"{mark}"'
        try:
            answer = self.ask("get_object", key, expect=(*expect, *DENIED), **parameters)
        except Refused as refused:
            if refused.code in DENIED:
                raise self._denied(key, refused.said) from None
            raise
        if "Range" in parameters and not str(answer.get("ContentRange", "")).startswith(f"bytes {start}-"):
            answer["Body"].close()
            raise StoreError(f"{self.access.endpoint or 'the service'} does not give parts of objects", file=self.url)
        return answer

    def head(self, key: str) -> Any:
        """What is known of an object. Raises NotFoundError."""
        numeric = ("400", "401", "403", "301", "307")
        try:
            return self.ask("head_object", key, expect=numeric)
        except Refused:
            # The answer to a HEAD has no body that says why; the one to a GET has.
            answer = self.get(key, 0, 1, expect=("InvalidRange", "416"))
            answer["Body"].close()
            raise StoreError("the service lets the object be read but not be asked about", file=self.url) from None

    def stat(self, key: str) -> ObjectStat:
        return stat_of(key, self.head(key))

    def pages(self, operation: str, marks: dict[str, str], prefix: str, **parameters: Any) -> Iterator[Any]:
        """All answers of a listing; `marks` names each field that says where the next one begins."""
        while True:
            answer = self.ask(operation, Prefix=self.prefix + prefix, **parameters)
            yield answer
            if not answer.get("IsTruncated"):
                return
            parameters |= {ask: answer[told] for ask, told in marks.items() if answer.get(told)}

    def _denied(self, key: str, said: str) -> StoreError:
        """The error behind a 403 to a question about `key`: some services answer so where there is no such object."""
        if _answers_403_for_missing(self):
            return NotFoundError("there is no such object", file=f"{self.url}/{key}")
        return denial(self.url, "get_object", key, said)


def stat_of(key: str, answer: dict[str, Any], size: int | None = None) -> ObjectStat:
    """An object by the answer to a HEAD, or a GET of its whole."""
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
    """Whether the service says 403 where a key that may not list asks for what is not there, as AWS does.

    It is tried once in a process: an object is written, and it and one that is missing are asked for.
    """
    known = (bucket.access, bucket.url)
    with _probing:
        if known not in _probed:
            _probed[known] = _probe(bucket)
        return _probed[known]


def _probe(bucket: Bucket) -> bool:
    def refused(key: str) -> bool:
        try:
            bucket.ask("head_object", key, expect=(*DENIED, *MISSING))
        except Refused as answer:
            return answer.code in DENIED
        return False

    key = f"check-{uuid.uuid4().hex}"
    put_bytes(bucket, key, b"ok")
    try:
        return not refused(key) and refused(f"{key}-missing")
    finally:
        with contextlib.suppress(StoreError):
            bucket.ask("delete_object", key)


def put_bytes(bucket: Bucket, key: str, data: bytes) -> ObjectStat:
    """Write an object in one piece, checked by the service on arrival."""
    sha256 = hashlib.sha256(data).hexdigest()
    answer = bucket.ask("put_object", key, Body=data, ContentMD5=content_md5(data), Metadata={SHA256: sha256})
    return ObjectStat(key, len(data), time.time(), sha256, mark_of(answer))


def content_md5(data: bytes) -> str:
    """MD5 as the header Content-MD5 wants it."""
    return base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
