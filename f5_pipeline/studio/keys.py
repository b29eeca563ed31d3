"""Keys of the HTTP API: who may do what, how often, and how much.

A key is 256 random bits behind its id. The store has its sha256 alone, so that nobody can read a key there; for bits
that cannot be guessed no slower hash is needed.
"""

from __future__ import annotations

import hmac
import re
import secrets
import threading
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Literal, get_args

from pydantic import BaseModel, Field

from f5_pipeline.errors import InputError, PipelineError
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.records import find_record, read_record, write_record
from f5_pipeline.system.clock import iso_time

Scope = Literal["narrate", "voices", "read", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
DEFAULT_SCOPES: tuple[Scope, ...] = ("narrate", "voices", "read")
DEFAULT_RATE = 120
"""Requests a minute."""

_TOKEN = re.compile(r"f5-([0-9a-f]{12})-[A-Za-z0-9_-]{43}")
_CHARGING = threading.Lock()


class ApiKey(BaseModel):
    """The record of a key."""

    key: str = Field(description="its id, which is no secret")
    name: str = Field(description="who has it, for people")
    sha256: str = Field(description="of the whole key, hex")
    scopes: list[Scope]
    rate: int = Field(default=DEFAULT_RATE, description="requests a minute, at most")
    minutes: float | None = Field(default=None, description="of narration in a calendar month (UTC); None: no limit")
    created: str
    revoked: str | None = None


class Usage(BaseModel):
    """What a key has used in a month."""

    minutes: float = 0.0


class QuotaError(PipelineError):
    """A key has used up its minutes."""


def add_key(
    store: Store, name: str, scopes: Sequence[Scope] = DEFAULT_SCOPES, *, rate: int, minutes: float | None
) -> tuple[str, ApiKey]:
    """Make a key; return it, which is shown this once, and its record."""
    identifier = secrets.token_hex(6)
    token = f"f5-{identifier}-{secrets.token_urlsafe(32)}"
    digest = sha256(token.encode()).hexdigest()
    key = ApiKey(
        key=identifier, name=name, sha256=digest, scopes=list(scopes), rate=rate, minutes=minutes, created=iso_time()
    )
    write_record(store, layout.api_key(identifier), key)
    return token, key


def list_keys(store: Store) -> Iterator[ApiKey]:
    """The records of all keys, revoked ones among them."""
    for stat in store.list("keys/"):
        if layout.api_key.match(stat.key):
            yield read_record(store, stat.key, ApiKey)


def has_keys(store: Store) -> bool:
    """Whether a key was ever made here; a revoked one counts."""
    return any(layout.api_key.match(stat.key) for stat in store.list("keys/", limit=1))


def find_key(store: Store, token: str) -> ApiKey | None:
    """The record of a key that may be used; None where there is none, or it was revoked."""
    match = _TOKEN.fullmatch(token)
    key = key_record(store, match[1]) if match else None
    return key if key and hmac.compare_digest(sha256(token.encode()).hexdigest(), key.sha256) else None


def key_record(store: Store, identifier: str) -> ApiKey | None:
    """The record of a key that may be used, by its id alone, which proves nothing; None where it was revoked."""
    key = find_record(store, layout.api_key(identifier), ApiKey)
    return None if key is None or key.revoked else key


def revoke_key(store: Store, identifier: str) -> ApiKey:
    """End a key at once. Raises InputError where there is none."""
    key = find_record(store, layout.api_key(identifier), ApiKey) if re.fullmatch("[0-9a-f]{12}", identifier) else None
    if key is None:
        raise InputError(f"there is no key {identifier!r}", hint="See: f5-pipeline keys list.")
    key = key if key.revoked else key.model_copy(update={"revoked": iso_time()})
    write_record(store, layout.api_key(identifier), key)
    return key


def usage_of(store: Store, key: ApiKey) -> Usage:
    """What a key has used this month."""
    return find_record(store, layout.api_usage(key.key, iso_time()[:7]), Usage) or Usage()


def charge(store: Store, key: ApiKey, seconds: float) -> None:
    """Count narration to a key's month. Raises QuotaError where it would have more than its minutes."""
    if key.minutes is None:
        return
    with _CHARGING:
        minutes = usage_of(store, key).minutes + seconds / 60
        if minutes > key.minutes:
            raise QuotaError(
                f"{seconds / 60:.1f} minutes are more than this key has left of its {key.minutes:g} this month",
                hint="Ask for less, wait for the next month, or ask for another key.",
            )
        write_record(store, layout.api_usage(key.key, iso_time()[:7]), Usage(minutes=round(minutes, 4)))
