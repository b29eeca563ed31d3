"""Signed links.

A link carries a token that says what it opens: one file of one revision of a narration, or its page with all files.
The token is signed (HMAC-SHA256 by itsdangerous), not encrypted: its holder can read the names in it but not change
them. The expiry is part of the signed payload, which tells an expired link (410) from a forged one (403). Each token
names a grant, whose record says whether it is still valid.

The token of a permanent address names neither revision nor expiry: both are in the record of its grant. The same grant
always gives the same token.

`/d/<token>/<file>` serves a file, `/n/<token>/` the page.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from itsdangerous import BadData, Signer, TimestampSigner
from itsdangerous.encoding import base64_decode, base64_encode
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from f5_pipeline.errors import InputError, PipelineError

EVERYTHING = "*"
"""The scope of a token that opens the page of a revision and every file of it."""

MIN_SECRET_CHARACTERS = 32
"""Minimum length of a signing secret."""

MAX_TOKEN_CHARACTERS = 2048
"""Maximum length of a token, well below what proxies and browsers accept as a URL."""

MAX_LIFETIME = timedelta(days=365)
"""Upper bound of every configured lifetime."""

_SALT = "f5-pipeline.gateway.link"


class LinkError(PipelineError):
    """A link that opens nothing. The message never contains the token.

    Attributes:
        status: HTTP status of the answer.
        claim: content of the token, where its signature is valid; for the log.
    """

    status = 403

    def __init__(self, message: str, *, claim: LinkClaim | None = None, **where: str | None) -> None:
        super().__init__(message, **where)
        self.claim = claim


class BadLink(LinkError):
    """Not signed by us, damaged, or made for something else (403)."""


class OutdatedLink(BadLink):
    """Signed by an earlier version, which kept no records of grants (403)."""


class ExpiredLink(LinkError):
    """Signed by us and expired (410)."""

    status = 410


class RevokedLink(LinkError):
    """Signed by us and revoked before it expired (410)."""

    status = 410


class WithheldLink(LinkError):
    """Valid, but its files may not be delivered any more (403)."""


class LinkClaim(BaseModel):
    """Content of a token: the values of the fields in their order, as JSON.

    A field that limits a link further needs a new version, so that older services refuse it. Version 2 added the record
    of the grant; version 1 had none.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    version: Literal[2] = 2
    grant: str = Field(pattern=r"^[A-Za-z0-9_-]{8,64}$", description="id of its grant")
    narration: str = Field(min_length=1)
    revision: str | None = Field(min_length=1, description="None: the newest, from the grant's record")
    file: str = Field(min_length=1, description="name of the one file it opens, or '*' for page and files")
    expires: int | None = Field(
        ge=0, description="first second at which it has expired, Unix time; None: from the grant's record"
    )

    @model_validator(mode="after")
    def _is_whole(self) -> LinkClaim:
        of_address = self.revision is None and self.expires is None and self.everything
        of_revision = self.revision is not None and self.expires is not None
        if not (of_address or of_revision):
            raise ValueError("neither of a permanent address nor of a revision")
        return self

    @property
    def everything(self) -> bool:
        """Whether it opens the page and all files of the revision."""
        return self.file == EVERYTHING

    def covers(self, name: str) -> bool:
        """Whether it opens a file of this name; the file need not exist."""
        return self.everything or self.file == name


@dataclass(frozen=True)
class Permit:
    """What a valid link opens now.

    Attributes:
        revision: of the narration.
        expires: latest expiry, Unix time, s.
    """

    revision: str
    expires: float


def new_grant() -> str:
    """A new grant id: 72 random bits, URL-safe. Links that are issued together share one."""
    return secrets.token_urlsafe(9)


def file_url(base_url: str, token: str, name: str) -> str:
    """URL of the file `name` under `token` (its own, or one for everything)."""
    return f"{base_url.rstrip('/')}/d/{token}/{quote(name, safe='')}"


def page_url(base_url: str, token: str) -> str:
    """URL of the page under `token`, which must be for everything."""
    return f"{base_url.rstrip('/')}/n/{token}/"


class LinkSigner:
    """Makes and checks tokens.

    Args:
        keys: secrets of at least 32 characters, newest first: the first signs, all verify. To rotate, put the new one
            in front and drop the old one when its links have expired; to void every link at once, drop it now.
        lifetime: of a link, by default.
        max_lifetime: the longest that may be requested, at most 365 days.

    Raises:
        InputError: no key, a key too short, or lifetimes out of bounds.
    """

    def __init__(
        self,
        keys: Sequence[str],
        *,
        lifetime: timedelta = timedelta(days=7),
        max_lifetime: timedelta = MAX_LIFETIME,
    ) -> None:
        if isinstance(keys, (str, bytes)):
            raise TypeError("keys is a sequence of secrets, newest first")
        _check_secrets(keys, source="signing keys")
        if not timedelta(0) < max_lifetime <= MAX_LIFETIME:
            raise InputError(
                f"the longest lifetime of a link must be above 0 and at most {MAX_LIFETIME.days} days, "
                f"not {max_lifetime}",
                hint="Choose a shorter one.",
            )
        if not timedelta(0) < lifetime <= max_lifetime:
            raise InputError(
                f"the lifetime of a link must be more than 0 and at most {max_lifetime}, not {lifetime}",
                hint="Choose a lifetime within the bound, or raise the bound.",
            )
        self.lifetime = lifetime
        self.max_lifetime = max_lifetime
        self._count = len(keys)
        # Not URLSafeSerializer: it compresses, and a compressed token begins with a dot, which many web servers refuse
        # as a hidden file.
        self._signer = Signer(
            list(reversed(keys)),  # itsdangerous wants the newest last
            salt=_SALT,
            key_derivation="hmac",
            digest_method=hashlib.sha256,
        )

    def __repr__(self) -> str:
        return f"LinkSigner(keys={self._count}, lifetime={self.lifetime}, max_lifetime={self.max_lifetime})"

    def __reduce__(self):
        raise TypeError("a LinkSigner holds secrets and is not pickled; build it where it is needed")

    def timestamps(self, purpose: str) -> TimestampSigner:
        """A signer of values with their time, by the same secrets and for another purpose than links."""
        salt = f"f5-pipeline.{purpose}"
        keys = self._signer.secret_keys
        return TimestampSigner(keys, salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)

    def sign(
        self,
        narration: str,
        revision: str,
        file: str = EVERYTHING,
        *,
        lifetime: timedelta | None = None,
        grant: str | None = None,
        now: float | None = None,
    ) -> str:
        """Make the token of a link.

        Args:
            narration: name of the narration.
            revision: its revision.
            file: name of the one file that it opens, or "*" for the page and all files.
            lifetime: time to its expiry; the signer's default if None.
            grant: id of its grant; a new one if None.
            now: Unix time in s; the clock's if None.

        Raises:
            InputError: a name that cannot stand in a link, or a lifetime out of bounds.
        """
        lifetime = self.lifetime if lifetime is None else lifetime
        if not timedelta(0) < lifetime <= self.max_lifetime:
            raise InputError(
                f"a link of {narration} cannot live for {lifetime}: up to {self.max_lifetime} is allowed",
                hint="Choose a lifetime within the bound.",
            )
        expires = math.ceil((time.time() if now is None else now) + lifetime.total_seconds())
        return self._token(new_grant() if grant is None else grant, narration, revision, file, expires)

    def sign_address(self, narration: str, grant: str) -> str:
        """The token of a narration's permanent address: the same for the same grant and newest key.

        Raises:
            InputError: a name that cannot stand in a link.
        """
        return self._token(grant, narration, None, EVERYTHING, None)

    def _token(self, grant: str, narration: str, revision: str | None, file: str, expires: int | None) -> str:
        for what, name in (("narration", narration), ("revision", revision), ("file", file)):
            if name is None:
                continue
            if not name or name in (".", "..") or any(c in "/\\" or ord(c) < 32 or ord(c) == 127 for c in name):
                raise InputError(
                    f"{name!r} cannot be the {what} of a link",
                    hint="Use a name without slashes and control characters.",
                )
        try:
            claim = LinkClaim(grant=grant, narration=narration, revision=revision, file=file, expires=expires)
        except ValidationError as error:
            what = error.errors()[0]["loc"][0]
            raise InputError(
                f"no link can be made, its {what} is not valid",
                file=ascii(narration),
                hint="Take a grant id from new_grant." if what == "grant" else "Use a name of plain Unicode text.",
            ) from None
        payload = json.dumps(list(claim.model_dump().values()), ensure_ascii=False, separators=(",", ":"))
        token = self._signer.sign(base64_encode(payload)).decode()
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise InputError(f"the names of {narration[:60]!r} are too long for a link", hint="Use shorter names.")
        return token

    def verify(self, token: str, now: float | None = None) -> LinkClaim:
        """Check a token and return its content. Its grant is not checked here.

        Args:
            token: as in the URL.
            now: Unix time in s; the clock's if None.

        Raises:
            BadLink: not signed by one of the keys, altered in any character, or of an unknown version; OutdatedLink for
                an earlier version.
            ExpiredLink: signed by us, but `now` is at or after its expiry.
        """
        if not token or len(token) > MAX_TOKEN_CHARACTERS or not token.isascii():
            raise BadLink("this is not a link of this service")
        # The signature covers the payload's text, but its own base64 has spare bits, and the decoder skips foreign
        # characters: only the canonical spelling is accepted, so that no altered token is valid.
        signature = token.rpartition(".")[2].encode()
        try:
            if base64_encode(base64_decode(signature)) != signature:
                raise BadLink("the signature is wrong")
            payload = json.loads(base64_decode(self._signer.unsign(token)))
        except (BadData, ValueError):
            raise BadLink("the signature is wrong") from None
        try:
            claim = LinkClaim.model_validate(dict(zip(LinkClaim.model_fields, payload, strict=True)))
        except (ValueError, TypeError):
            # Signed with our key, so by another version of this software.
            if isinstance(payload, list) and payload[:1] == [1] and len(payload) == len(LinkClaim.model_fields):
                raise OutdatedLink("this link was made by an earlier version of this service") from None
            raise BadLink("this link was made by another version of this service") from None
        if claim.expires is not None and (time.time() if now is None else now) >= claim.expires:
            raise ExpiredLink("this link has expired", claim=claim)
        return claim


def load_secret(
    path: Path,
    env_value: str | None,
    *,
    env_name: str = "F5_LINK_SECRET",
    draw: Callable[[], str] = lambda: secrets.token_urlsafe(48),
) -> list[str]:
    """The signing secrets, newest first.

    Args:
        path: file that holds them, one a line. If it does not exist, one secret is drawn and stored in it, readable
            by its owner only; processes that start at once end up with the same one.
        env_value: value of the environment variable, secrets separated by commas. It takes precedence over the file;
            None or blank: not set.
        env_name: name of that variable, for messages.
        draw: makes a new secret.

    Raises:
        InputError: a secret is too short, or the file is empty, not readable, or open to other users.
    """
    if env_value is not None and env_value.strip():
        return _check_secrets([part.strip() for part in env_value.split(",") if part.strip()], source=env_name)
    try:
        text = _read_private(path)
    except FileNotFoundError:
        _create_private(path, draw() + "\n", env_name)
        text = _read_private(path)  # ours, or that of another process
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise InputError(
            "the file of the link secret is empty",
            file=str(path),
            hint="Delete it, and a new secret is drawn (links given away until now end).",
        )
    return _check_secrets(lines, source=str(path))


def _check_secrets(keys: Sequence[str], source: str) -> list[str]:
    draw = "python -c 'import secrets; print(secrets.token_urlsafe(48))'"
    if not keys:
        raise InputError("no secret to sign links with", file=source, hint=f"Draw one with {draw}.")
    for number, key in enumerate(keys, 1):
        if len(key) < MIN_SECRET_CHARACTERS:
            raise InputError(
                f"secret {number} of {len(keys)} to sign links with has {len(key)} characters, "
                f"fewer than {MIN_SECRET_CHARACTERS}",
                file=source,
                hint=f"Draw one with {draw}.",
            )
    return list(keys)


def _read_private(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            # A mounted secret may be readable by its group (Kubernetes fsGroup); others may do nothing with it.
            if os.name == "posix" and mode & 0o027:
                raise InputError(
                    f"the file of the link secret is open to other users (mode {mode:04o})",
                    file=str(path),
                    hint=f"Run: chmod 600 {path}. If others could have read it, delete it to draw a new secret.",
                )
            return file.read()
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise InputError(
            f"the link secret cannot be read ({reason})",
            file=str(path),
            hint="Make it a text file that the user who runs this can read, and no other.",
        ) from None


def _create_private(path: Path, text: str, env_name: str) -> None:
    """Write `text` to `path` atomically with mode 0600, unless the file exists already."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)  # unlike a rename, it never replaces a file
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"the link secret cannot be stored ({error.strerror})",
            file=str(path),
            hint=f"Make the folder writable, or set {env_name} to a secret of at least {MIN_SECRET_CHARACTERS} "
            "characters.",
        ) from None
