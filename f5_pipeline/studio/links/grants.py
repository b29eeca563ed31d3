"""Grants: the records by which links are issued, extended and revoked.

A token says what a link opens and cannot be recalled. The record of its grant is read for every request and can be
revoked. The links to the files of a revision share one grant, which expires with them. The permanent address of a
narration has another, which covers the newest revision: the narration's `Address` names it and its expiry.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from f5_pipeline.errors import InputError
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.store.records import find_record, read_record, write_record
from f5_pipeline.studio.records import Address, Grant, Links
from f5_pipeline.system.clock import iso_time, posix_time

if TYPE_CHECKING:
    from f5_pipeline.studio.links.tokens import LinkClaim, Permit

NEWEST = "newest"
"""Value of `Grant.covers` for a permanent address."""


def issue_grant(store: Store, narration: str, revision: str, expires: float) -> Grant:
    """Issue a grant for the files of a revision, until `expires` (Unix time, s)."""
    return _write_grant(store, narration, covers=revision, expires=iso_time(expires))


def extend_address(store: Store, narration: str, revision: str, expires: float) -> Address:
    """Let the permanent address of a narration show `revision`, until `expires` (Unix time, s).

    The address stays the same, unless it was revoked: then the narration gets a new one.
    """
    present = find_record(store, _address_key(narration), Address)
    grant = present and find_record(store, layout.grant(narration, present.grant), Grant)
    if grant is None or grant.revoked:
        grant = _write_grant(store, narration, covers=NEWEST, expires=None)
    address = Address(narration=narration, grant=grant.grant, revision=revision, expires=iso_time(expires))
    write_record(store, _address_key(narration), address)
    return address


def check_grant(store: Store, claim: LinkClaim, at: float | None = None) -> Permit:
    """What a verified token opens at the time `at` (Unix time, s; the clock's if None), by the records in the store.

    Raises:
        BadLink: its grant covers something else.
        RevokedLink, ExpiredLink: the grant was revoked or removed, or has expired.
        NotFoundError, StoreError: the records cannot be read.
    """
    from f5_pipeline.studio.links.tokens import BadLink, ExpiredLink, Permit, RevokedLink

    grant = find_record(store, layout.grant(claim.narration, claim.grant), Grant)
    covers = NEWEST if claim.revision is None else claim.revision
    if grant is None:  # its token is ours, so it was given, and removed since
        raise RevokedLink("this link was taken back", claim=claim)
    if (grant.grant, grant.narration, grant.covers) != (claim.grant, claim.narration, covers):
        raise BadLink("its grant covers something else", claim=claim)
    if grant.revoked:
        raise RevokedLink("this link was revoked", claim=claim)
    if claim.revision is None:
        address = read_record(store, _address_key(claim.narration), Address)
        revision, expires = address.revision, _seconds(address.expires)
    else:
        revision, expires = claim.revision, _seconds(grant.expires)
    if (time.time() if at is None else at) >= expires:
        raise ExpiredLink("this link has expired", claim=claim)
    return Permit(revision, expires)


def grants_of(store: Store, narration: str) -> list[Grant]:
    """Every grant of a narration, oldest first; that of its address with the expiry of the address."""
    address = find_record(store, _address_key(narration), Address)
    keys = [stat.key for stat in store.list(f"grants/{narration}/")]
    grants = []
    for grant in in_parallel(store, lambda key: read_record(store, key, Grant), keys):
        if grant.expires is None and address is not None:
            grant = grant.model_copy(update={"expires": address.expires})
        grants.append(grant)
    return sorted(grants, key=lambda grant: (grant.made, grant.grant))


def grant_state(grant: Grant, at: float | None = None) -> str:
    """The state of a grant from `grants_of`: alive, expired or revoked."""
    if grant.revoked:
        return "revoked"
    return "alive" if (time.time() if at is None else at) < _seconds(grant.expires) else "expired"


def links_are_valid(store: Store, links: Links) -> bool:
    """Whether links, the permanent address included, have neither expired nor been revoked."""
    if not links.grant or time.time() >= _seconds(links.expires):
        return False
    files = find_record(store, layout.grant(links.narration, links.grant), Grant)
    address = find_record(store, _address_key(links.narration), Address)
    page = address and find_record(store, layout.grant(links.narration, address.grant), Grant)
    return files is not None and page is not None and not (files.revoked or page.revoked)


def revoke(store: Store, narration: str, grant: str | None = None, *, note: str = "") -> list[Grant]:
    """Revoke a grant, or all grants of a narration; return those that were not over already.

    Raises:
        InputError: there is no such grant.
    """
    records = grants_of(store, narration)
    if grant is not None and grant not in (record.grant for record in records):
        raise InputError(
            f"{narration!r} has no grant {grant!r}", hint=f"See which it has: f5-pipeline links list {narration}."
        )
    revoked = []
    for record in records:
        # An expired address may be extended again: only revoking ends it.
        if (grant is None or record.grant == grant) and (grant_state(record) == "alive" or record.covers == NEWEST):
            key = layout.grant(narration, record.grant)
            stored = read_record(store, key, Grant)
            if not stored.revoked:
                revoked.append(stored.model_copy(update={"revoked": iso_time(), "note": note}))
                write_record(store, key, revoked[-1])
    return revoked


def _write_grant(store: Store, narration: str, *, covers: str, expires: str | None) -> Grant:
    from f5_pipeline.studio.links.tokens import new_grant

    grant = Grant(grant=new_grant(), narration=narration, covers=covers, made=iso_time(), expires=expires)
    write_record(store, layout.grant(narration, grant.grant), grant)
    return grant


def _address_key(narration: str) -> str:
    return layout.narration_state(narration, "address")


def _seconds(expires: str | None) -> float:
    return posix_time(expires) if expires else 0.0
