"""The desk's session: a signed cookie that a browser gets for a key, and what proves that a request is the desk's own.

The cookie holds the id of the key and no secret of it. It is HttpOnly and SameSite=Strict and ends by itself; the key's
record is read as for any other request, so that a revoked key ends it. What changes something must also come from a
page of this origin (`Origin`, Fetch Metadata) and carry the token that stands in the desk's pages.

Source: OWASP Cross-Site Request Forgery Prevention (signed double submit, Fetch Metadata).
"""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from itsdangerous import BadData
from starlette.datastructures import Headers
from starlette.responses import Response

from f5_pipeline.studio.links.tokens import LinkSigner

COOKIE, TOKEN_HEADER = "f5_desk", "x-desk-token"

SESSION_SECONDS = 12 * 3600

READING_METHODS = frozenset({"GET", "HEAD"})

_VALUE = re.compile(r"(local|[0-9a-f]{12})-[0-9a-f]{32}")


@dataclass(frozen=True)
class Session:
    """A session.

    Attributes:
        key: id of its key; "local" where there are no keys.
        cookie: its value.
        token: what its requests carry.
    """

    key: str
    cookie: str
    token: str


class Sessions:
    """Opens sessions and finds them again.

    Args:
        base_url: by which people reach the service.
    """

    def __init__(self, signer: LinkSigner, base_url: str) -> None:
        self._cookies, self._tokens = signer.timestamps("desk.session"), signer.timestamps("desk.token")
        public = urlsplit(base_url)
        self._host, self._https = public.netloc.lower(), public.scheme == "https"

    def open(self, key: str) -> Session:
        return self._session(key, self._cookies.sign(f"{key}-{secrets.token_hex(16)}").decode())

    def _session(self, key: str, cookie: str) -> Session:
        return Session(key, cookie, self._tokens.get_signature(cookie.encode()).decode())

    def find(self, headers: Headers) -> Session | None:
        """The session of a request; None where it has none that is ours and has not ended."""
        try:
            cookie = SimpleCookie(headers.get("cookie", "")[:8192]).get(COOKIE)
            value = self._cookies.unsign(cookie.value, max_age=SESSION_SECONDS).decode() if cookie else ""
        except (BadData, CookieError, UnicodeError):
            return None
        match = _VALUE.fullmatch(value)
        return self._session(match[1], cookie.value) if match and cookie else None

    def set_cookie(self, answer: Response, session: Session | None, scheme: str) -> None:
        """Give a browser its session; None takes it away."""
        answer.set_cookie(
            COOKIE,
            session.cookie if session else "",
            max_age=SESSION_SECONDS if session else 0,
            httponly=True,
            samesite="strict",
            secure=self._https or scheme == "https",
        )

    def is_own_page(self, headers: Headers) -> bool:
        """Whether a browser says that a page of this origin sends the request. What says nothing is not."""
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site not in (None, "same-origin"):
            return False
        if origin is None:
            return site == "same-origin"
        try:
            place = urlsplit(origin).netloc.lower()
        except ValueError:
            return False
        return bool(place) and place in (headers.get("host", "").lower(), self._host)


def has_token(session: Session, token: str) -> bool:
    return hmac.compare_digest(session.token.encode(), token.encode("utf-8", "replace"))
