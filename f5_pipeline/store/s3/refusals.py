"""What the refusals of an S3 service mean for the user, each with a hint."""

from __future__ import annotations

from typing import Any

from f5_pipeline.errors import NotFoundError, RetryableStoreError, StoreError
from f5_pipeline.store.s3.access import Access

MISSING = ("NoSuchKey", "404", "NotFound", "NoSuchVersion")
DENIED = ("AccessDenied", "403", "Forbidden", "AllAccessDisabled", "AccessDeniedException")
CHANGED = ("PreconditionFailed", "412")
DAMAGED = ("BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch")
"""The service has received other bytes than were sent: they are sent again."""

_WRONG_KEY = (
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidToken",
    "Unauthorized",
    "401",
)
_WRONG_REGION = (
    "AuthorizationHeaderMalformed",
    "PermanentRedirect",
    "301",
    "TemporaryRedirect",
    "IllegalLocationConstraintException",
    "InvalidRegion",
)
_BUSY = ("SlowDown", "ServiceUnavailable", "InternalError", "Throttling", "RequestTimeout", "TooManyRequests", "429")

_NEEDS = {
    "get": ("readFiles", "s3:GetObject"),
    "head": ("readFiles", "s3:GetObject"),
    "put": ("writeFiles", "s3:PutObject"),
    "create": ("writeFiles", "s3:PutObject"),
    "upload": ("writeFiles", "s3:PutObject"),
    "complete": ("writeFiles", "s3:PutObject"),
    "abort": ("writeFiles", "s3:AbortMultipartUpload"),
    "list": ("listFiles", "s3:ListBucket"),
    "delete": ("deleteFiles", "s3:DeleteObject and s3:DeleteObjectVersion"),
}
"""What a key must be allowed, by the first word of the operation: B2's capability and AWS's action."""


class Refused(Exception):
    """The service has refused with one of the codes that the caller has an answer to."""

    def __init__(self, code: str, said: str) -> None:
        self.code = code
        self.said = said
        super().__init__(code)


def code_of(error: Exception) -> str:
    """The S3 error code; empty for what is no answer of a service."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def said_of(error: Exception, access: Access) -> str:
    """What the service says of it, the key hidden."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return access.hide(str(response.get("Error", {}).get("Message", "") or code_of(error)))


def explain(error: Exception, access: Access, url: str, operation: str, key: str | None, sent: int) -> StoreError:
    """What an exception of botocore means.

    Args:
        operation: of S3, as boto3 names it (`put_object`).
        sent: how often the request was sent.
    """
    from botocore import exceptions

    response: dict[str, Any] = getattr(error, "response", None) or {}
    code = code_of(error)
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    said = said_of(error, access)
    where = f"{url}/{key}" if key else url
    service = access.endpoint or f"AWS in {access.region}"
    tried = "once" if sent <= 1 else f"{sent} times"

    if code in MISSING and operation.startswith(("get", "head", "delete")):
        return NotFoundError("there is no such object", file=where)
    if code == "NoSuchBucket" or (code == "404" and operation.startswith("list")):
        return StoreError(
            f"there is no such bucket at {service}",
            file=url,
            hint="Make the bucket there, or correct F5_STORE and F5_STORE_ENDPOINT.",
        )
    if code in _WRONG_KEY:
        return StoreError(
            f"the key for the bucket is wrong: {service} refuses it ({code})",
            file=url,
            hint="Set F5_STORE_KEY_ID and F5_STORE_KEY to an application key for this bucket, and check "
            "F5_STORE_ENDPOINT and F5_STORE_REGION: a key is known in its own region only.",
        )
    if code in _WRONG_REGION:
        return StoreError(
            f"{service} has not this bucket in the region {access.region} ({said})",
            file=url,
            hint="Set F5_STORE_REGION, and F5_STORE_ENDPOINT where it names a region, to the bucket's own.",
        )
    if code == "RequestTimeTooSkewed":
        return StoreError(
            f"the clock of this machine is wrong: {service} refuses its requests", file=url, hint="Set the clock."
        )
    if code in DENIED:
        return denial(url, operation, key, said)
    if code in DAMAGED:
        return RetryableStoreError(
            f"{service} received other bytes than were sent ({code}), tried {tried}", file=where, hint="Run again."
        )
    if (status >= 500 and status != 501) or status == 429 or code in _BUSY:
        return RetryableStoreError(
            f"{service} is overloaded or out of order ({code} {status}), tried {tried}".replace("  ", " "),
            file=where,
            hint="Run again later: what is finished is kept. Lower F5_TRANSFERS if it stays so.",
        )
    if isinstance(error, exceptions.ClientError):
        return StoreError(f"{service} refuses {operation}: {code} {said}", file=where)
    if isinstance(error, (exceptions.NoCredentialsError, exceptions.PartialCredentialsError)):
        return StoreError("there is no key for the bucket", file=url, hint="Set F5_STORE_KEY_ID and F5_STORE_KEY.")
    text = access.hide(str(error))
    if isinstance(error, exceptions.SSLError) and "CERTIFICATE" in text:
        return StoreError(f"the certificate of {service} is not valid here", file=url, hint="Check F5_STORE_ENDPOINT.")
    if isinstance(error, (exceptions.ConnectTimeoutError, exceptions.ReadTimeoutError)):
        return RetryableStoreError(
            f"{service} does not answer in time, tried {tried}", file=where, hint="Check the network, then run again."
        )
    if isinstance(error, (exceptions.HTTPClientError, exceptions.ConnectionError)):
        return RetryableStoreError(
            f"{service} cannot be reached ({type(error).__name__}), tried {tried}",
            file=where,
            hint="Check F5_STORE_ENDPOINT and the network, then run again: what is finished is kept.",
        )
    return StoreError(f"could not ask {service} for {operation} ({type(error).__name__}: {text})", file=where)


def denial(url: str, operation: str, key: str | None, said: str) -> StoreError:
    """The error for what the key is not allowed."""
    capability, action = _NEEDS[operation.partition("_")[0]]
    needed = capability if url.startswith("b2:") else f"{action} ({capability} on Backblaze B2)"
    return StoreError(
        f"the key for the bucket does not allow {operation} here ({said})",
        file=f"{url}/{key}" if key else url,
        hint=f"Use a key that has {needed} for this bucket and prefix, "
        "and check that no cap of the account is reached.",
    )
