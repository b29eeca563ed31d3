"""What stands before Dagster's web server: a filter of the requests that pages of other origins make a browser send.

The web server has no log-in, and whoever reaches it launches runs. On a private address that is the user, and every
page that the user's browser has open: it can post a form, load an image or open a WebSocket there, and read the answers
too where a name of its own resolves to this machine (DNS rebinding). Browsers say where a request comes from
(`Origin`, Fetch Metadata, `Host`); programs such as curl say nothing, and are let through.

Source: W3C Fetch Metadata Request Headers; OWASP Cross-Site Request Forgery Prevention (resource isolation policy).
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

READING_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """An ASGI application that hands on to another what does not come from a foreign page.

    Args:
        app: the application behind it.
        host: where it listens; a name is one of its own.
        names: further host names by which browsers reach it, as behind a proxy.
    """

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], host: str, names: Iterable[str]) -> None:
        self.app = app
        machine = socket.gethostname().lower()
        self.proxied_names = {name.strip().lower() for name in names}
        self.names = {"localhost", machine, machine.partition(".")[0], host.lower(), *self.proxied_names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reason = self.refusal(scope) if scope["type"] in ("http", "websocket") else None
        if reason is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": reason[:120]})
        else:
            body = f"{reason}\n".encode()
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": 403, "headers": headers})
            await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def refusal(self, scope: Scope) -> str | None:
        """Why a request is refused; None where it is not."""
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        hosts = headers.get("host", [])
        if len(hosts) != 1 or not self._is_own(hosts[0]):
            return (
                f"This web server is not called {' and '.join(hosts)[:200]!r}. If it is reached by that name, as "
                "behind a proxy, add the name to F5_UI_HOSTS."
            )
        if any(not self._is_same_origin(origin, hosts[0]) for origin in headers.get("origin", [])):
            return "A page of another origin asked for this. If it is this one behind a proxy, see F5_UI_HOSTS."
        site = headers.get("sec-fetch-site", ["none"])[-1]
        reads = scope["type"] == "http" and scope["method"] in READING_METHODS
        opens_page = (
            reads and headers.get("sec-fetch-mode") == ["navigate"] and headers.get("sec-fetch-dest") == ["document"]
        )
        if site not in ("same-origin", "none") and not opens_page:
            return "A page of another origin asked for this."
        if reads and scope["path"].rstrip("/").endswith("/graphql") and scope["query_string"]:
            return "A query comes by POST here: a link must not be able to change anything."
        return None

    def _is_own(self, host: str) -> bool:
        # A name can be made to resolve to this machine; an address is what it is.
        name = _host_name(host)
        return name is not None and (name in self.names or name.endswith(".localhost") or _is_address(name))

    def _is_same_origin(self, origin: str, host: str) -> bool:
        place = urlsplit(origin).netloc.lower() if "://" in origin else ""
        # A proxy may put a host of its own in the place of the browser's.
        return bool(place) and (place == host.lower() or _host_name(place) in self.proxied_names)


def _host_name(host: str) -> str | None:
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
        return parts.hostname
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
