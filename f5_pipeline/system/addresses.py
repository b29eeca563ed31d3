"""Addresses that others name, checked before anything is sent to them: none of the network that this machine stands in.

Every address of a host must be allowed, and the connection goes to one that was checked, under the name of its host: a
name that changes its address meanwhile reaches nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from f5_pipeline.errors import InputError

if TYPE_CHECKING:
    import httpx

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


class Pinned(NamedTuple):
    """A request's URL by an address that was checked, and what names the host: in Host, and in TLS."""

    url: httpx.URL
    headers: dict[str, str]
    extensions: dict[str, Any]


def is_public(address: Address) -> bool:
    """Whether an address belongs to the internet; one that carries an IPv4 address is judged by that."""
    if isinstance(address, ipaddress.IPv6Address):
        teredo = address.teredo[1] if address.teredo else None
        inner = address.ipv4_mapped or address.sixtofour or teredo
        if inner is None and (address in _NAT64 or int(address) >> 32 == 0):
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.scope_id is not None:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def pin(
    url: str, allowed: Callable[[Address], bool] = is_public, *, schemes: Sequence[str] = ("http", "https")
) -> Pinned:
    """Resolve and check a URL. May block.

    Args:
        allowed: whether an address may be connected to.

    Raises:
        InputError: it is none that may be connected to.
    """
    import httpx

    kind = " or ".join(schemes)

    def refusal(problem: str) -> InputError:
        return InputError(problem, file=url[:200], hint=f"Give a public {kind} address.")

    try:
        parts, parsed = urlsplit(url), httpx.URL(url)
        host, port = parsed.raw_host.decode("ascii").strip("[]"), parts.port
    except (ValueError, httpx.InvalidURL, UnicodeError):
        raise refusal("it is no address") from None
    if parts.scheme not in schemes or not host:
        raise refusal(f"it is no {kind} address")
    if parts.username is not None or parts.password is not None:
        raise refusal("it contains a password")
    try:
        answers = socket.getaddrinfo(host, port or (443 if parts.scheme == "https" else 80), type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(str(answer[4][0])) for answer in answers]
    except (OSError, UnicodeError, ValueError):
        raise refusal("its host is not known") from None
    if not addresses or not all(map(allowed, addresses)):
        raise refusal("its host is not on the public internet")
    named = f"[{host}]" if ":" in host else host
    return Pinned(
        parsed.copy_with(host=str(addresses[0]), fragment=None),
        {"host": f"{named}:{port}" if parsed.port else named},
        {"sni_hostname": host},
    )
