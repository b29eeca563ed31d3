"""Credentials and address of a bucket."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from f5_pipeline.errors import InputError

_B2_ENDPOINT = re.compile(r"https://s3\.([a-z0-9-]+)\.backblazeb2\.com")


@dataclass(frozen=True)
class Access:
    """Credentials and address of a bucket.

    Attributes:
        key_id, key: the key for the bucket; None leaves both to boto3's own chain (an instance's role).
        endpoint: URL of the S3 service, `https://host[:port]`; None: AWS.
        region: region that requests are signed for.
    """

    key_id: str | None = field(default=None, repr=False)
    key: str | None = field(default=None, repr=False)
    endpoint: str | None = None
    region: str | None = None

    def hide(self, text: str) -> str:
        """`text` without the key, in case a server repeats it."""
        for secret in (self.key, self.key_id):
            if secret:
                text = text.replace(secret, "…")
        return text


def complete(scheme: str, access: Access) -> Access:
    """`access` with endpoint and region completed.

    Raises:
        InputError: a value is missing; names the variable, with a hint.
    """
    if scheme == "b2":
        for value, variable, what in (
            (access.key_id, "F5_STORE_KEY_ID", "the id of an application key for this bucket (not the master key's)"),
            (access.key, "F5_STORE_KEY", "the application key itself"),
        ):
            if not value:
                raise InputError(f"a b2:// store needs {what}", file=variable, hint=f"Set {variable}.")
    elif bool(access.key_id) != bool(access.key):
        present, missing = ("F5_STORE_KEY_ID", "F5_STORE_KEY") if access.key_id else ("F5_STORE_KEY", "F5_STORE_KEY_ID")
        raise InputError(
            f"{present} is set and {missing} is not", file=missing, hint="Set both, or neither for an instance's role."
        )
    endpoint = access.endpoint.rstrip("/") if access.endpoint else None
    region = access.region
    if scheme == "b2" and endpoint is None:
        if not region:
            raise InputError(
                "a b2:// store needs its region, or its endpoint",
                file="F5_STORE_REGION",
                hint="Set F5_STORE_REGION to what the bucket's page shows in its endpoint, for example eu-central-003.",
            )
        endpoint = f"https://s3.{region}.backblazeb2.com"
    # B2 needs the region in its endpoint, whatever AWS_REGION is set to on this machine.
    if endpoint and (match := _B2_ENDPOINT.fullmatch(endpoint)):
        region = match[1]
    if not region:
        raise InputError(
            "the store needs the region that requests are signed for",
            file="F5_STORE_REGION",
            hint="Set F5_STORE_REGION, for example us-east-1; Cloudflare R2 has auto.",
        )
    return replace(access, endpoint=endpoint, region=region)
