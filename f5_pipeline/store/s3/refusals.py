"""Errors of an S3 service, explained to the user with a hint."""

from __future__ import annotations

from typing import Any

from f5_pipeline.errors import NotFoundError, RetryableStoreError, StoreError
from f5_pipeline.store.s3.access import Access

MISSING = ("NoSuchKey", "404", "NotFound", "NoSuchVersion")
DENIED = ("AccessDenied", "403", "Forbidden", "AllAccessDisabled", "AccessDeniedException")
CHANGED = ("PreconditionFailed", "412")
DAMAGED = ("BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch")
"""The service received other bytes than were sent: they are sent again."""

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
"""Permission that a key needs, by the first word of the operation: B2's capability and AWS's action."""


class Refused(Exception):
    """The service refused with an error code that the caller handles."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(code)


def code_of(error: Exception) -> str:
    """The S3 error code; empty where the error is no response of a service."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def message_of(error: Exception, access: Access) -> str:
    """The service's message, without the key."""
    response: dict[str, Any] = getattr(error, "response", None) or {}
    return access.hide(str(response.get("Error", {}).get("Message", "") or code_of(error)))


def explain(error: Exception, access: Access, url: str, operation: str, key: str | None, sent: int) -> StoreError:
    """The StoreError for an exception of botocore.

    Args:
        operation: of S3, as boto3 names it (`put_object`).
        sent: how often the request was sent.
    """
    from botocore import exceptions

    response: dict[str, Any] = getattr(error, "response", None) or {}
    code = code_of(error)
    status = int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    message = message_of(error, access)
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
            f"{service} has not this bucket in the region {access.region} ({message})",
            file=url,
            hint="Set F5_STORE_REGION, and F5_STORE_ENDPOINT where it names a region, to the bucket's own.",
        )
    if code == "RequestTimeTooSkewed":
        return StoreError(
            f"the clock of this machine is wrong: {service} refuses its requests", file=url, hint="Set the clock."
        )
    if code in DENIED:
        return denial(url, operation, key, message)
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
        return StoreError(f"{service} refuses {operation}: {code} {message}", file=where)
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


def denial(url: str, operation: str, key: str | None, message: str) -> StoreError:
    """The error for an operation that the key does not allow."""
    capability, action = _NEEDS[operation.partition("_")[0]]
    needed = capability if url.startswith("b2:") else f"{action} ({capability} on Backblaze B2)"
    return StoreError(
        f"the key for the bucket does not allow {operation} here ({message})",
        file=f"{url}/{key}" if key else url,
        hint=f"Use a key that has {needed} for this bucket and prefix, "
        "and check that no cap of the account is reached.",
    )
