"""The door of the API: keys, scopes, rates, and limits of bodies, all before a body is read.

Without any key the API answers programs on this machine alone, and no page of a browser: a web page can send requests
to a service on its reader's machine, and reach it by a name of its own.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Annotated
from urllib.parse import urlsplit

import anyio
from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from f5_pipeline.gateway.api.session import READING_METHODS, TOKEN_HEADER, Session, Sessions, has_token
from f5_pipeline.gateway.app import AUDIT
from f5_pipeline.store.base import Store
from f5_pipeline.studio.keys import SCOPES, ApiKey, find_key, has_keys, key_record
from f5_pipeline.studio.keys import Scope as KeyScope

MAX_BODY_BYTES, MAX_JSON_BYTES, MAX_FILE_BYTES = 1 << 20, 48 << 20, 272 << 20
"""Of a request without files; with a text or a file in JSON; with files in a form."""

STALL_SECONDS, MIN_BYTES_A_SECOND, MIN_BODY_SECONDS = 20.0, 16_000, 60.0
"""A body may pause for so long, and must come at this pace once it has taken longer than MIN_BODY_SECONDS."""

KEY_SECONDS = 2.0
"""How long a key that was read is believed: a revoked one opens nothing after that."""

MAX_CALLERS = 10_000

_LOCAL_ONLY = "without keys it answers programs on this machine alone: f5-pipeline keys add NAME"

LOG_IN, LOG_IN_RATE = "/desk/log-in", 20
"""Where the desk is opened, and how often an address may try a minute."""

PUBLIC = frozenset({"/docs", "/openapi.json", "/v1/health"})

LOCAL = ApiKey(key="local", name="this machine", sha256="", scopes=list(SCOPES), rate=6000, created="")
"""Who calls where there are no keys."""


class Door:
    """ASGI middleware that lets nobody in without a key.

    Args:
        local: whether the service listens on this machine alone, and is meant for it alone.
    """

    def __init__(self, app: ASGIApp, store: Store, sessions: Sessions, *, local: bool, refuse: Callable) -> None:
        self._app, self._store, self._local, self._refuse = app, store, local, refuse
        self._sessions = sessions
        self._known: OrderedDict[tuple[str, Callable], tuple[float, ApiKey | None]] = OrderedDict()
        self._tokens: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock, self._keyed = threading.Lock(), False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            if scope["path"] not in PUBLIC:
                caller, session = await run_in_threadpool(self._enter, scope, headers)
                scope.setdefault("state", {}).update(caller=caller, session=session)
                scope[AUDIT] = {"key": caller.key if caller else None, "path": scope["path"][:200]}
                if scope["path"] == LOG_IN:
                    self._take(f"from {(scope.get('client') or ('',))[0]}", LOG_IN_RATE)
                elif caller:
                    self._take(caller.key, caller.rate)
            limit = _limit(scope, headers)
            length = headers.get("content-length", "0")
            if not length.isdecimal() or int(length) > limit:
                raise HTTPException(413, f"the body may have {limit} bytes at most")
        except HTTPException as error:
            await self._refuse(error, scope["path"])(scope, receive, send)
            return
        await self._app(scope, _limited(receive, limit), send)

    def _enter(self, scope: Scope, headers: Headers) -> tuple[ApiKey | None, Session | None]:
        """Who calls, and by which session of the desk; nobody where a page of the desk is asked for without either."""
        given = headers.get("x-api-key") or headers.get("authorization", "")
        token = given[7:].strip() if given[:7].lower() == "bearer " else given.strip()
        on_desk = is_desk(scope["path"])
        if on_desk and scope["method"] not in READING_METHODS and not self._sessions.is_own_page(headers):
            raise HTTPException(403, "it does not come from a page of this service")
        session = None if token else self._sessions.find(headers)
        if session is not None and (caller := self._of_session(scope, headers, session)):
            return caller, session
        try:
            return self._caller(scope, headers, token), None
        except HTTPException as error:
            if on_desk and error.status_code == 401:
                return None, None
            raise

    def _of_session(self, scope: Scope, headers: Headers, session: Session) -> ApiKey | None:
        if session.key == LOCAL.key:
            if not (self._local and self._keyless()):
                return None
            _check_machine(scope, headers)
        key = LOCAL if session.key == LOCAL.key else self._key(session.key, key_record)
        if key is None or is_desk(scope["path"]):  # the desk's own forms have the token within
            return key
        if scope["method"] in READING_METHODS:
            is_own = headers.get("sec-fetch-site", "none") in ("none", "same-origin")
        else:
            is_own = self._sessions.is_own_page(headers) and has_token(session, headers.get(TOKEN_HEADER, ""))
        if not is_own:
            raise HTTPException(403, "it does not come from a page of the desk")
        return key

    def _caller(self, scope: Scope, headers: Headers, token: str) -> ApiKey:
        if token and (key := self._key(token)) is not None:
            return key
        if not token or self._keyless():
            if self._local and self._keyless():
                _check_local(scope, headers)
                return LOCAL
            if self._keyless():
                hint = "There are no keys, and without any it answers this machine alone: f5-pipeline keys add NAME"
                raise HTTPException(403, hint)
        raise HTTPException(401, "a valid key is needed: Authorization: Bearer …", {"www-authenticate": "Bearer"})

    def _key(self, token: str, find: Callable[[Store, str], ApiKey | None] = find_key) -> ApiKey | None:
        now = time.monotonic()
        with self._lock:
            read, key = self._known.get((token, find), (0.0, None))
        if key is None or now - read > KEY_SECONDS:
            key = find(self._store, token)
            if key is not None:  # what is no key is not remembered: there are endlessly many
                with self._lock:
                    self._known[token, find] = now, key
                    while len(self._known) > MAX_CALLERS:
                        self._known.popitem(last=False)
        return key

    def _keyless(self) -> bool:
        # Once there is a key there is always one: what comes without a valid one does not ask the store again.
        self._keyed = self._keyed or has_keys(self._store)
        return not self._keyed

    def _take(self, name: str, rate: int) -> None:
        """Count a request to a caller's rate; it may come in bursts of a quarter of a minute's."""
        now, burst = time.monotonic(), max(1.0, rate / 4)
        with self._lock:
            tokens, at = self._tokens.pop(name, (burst, now))
            tokens = min(burst, tokens + (now - at) * rate / 60)
            self._tokens[name] = max(0.0, tokens - 1), now
            while len(self._tokens) > MAX_CALLERS:
                self._tokens.popitem(last=False)
        if tokens < 1:
            wait = str(round((1 - tokens) * 60 / rate) + 1)
            raise HTTPException(429, f"more than {rate} requests a minute", {"retry-after": wait})


def _check_local(scope: Scope, headers: Headers) -> None:
    """Raise where a request does not come from a program on this machine."""
    _check_machine(scope, headers)
    if headers.get("origin") or headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
        raise HTTPException(403, _LOCAL_ONLY)


def _check_machine(scope: Scope, headers: Headers) -> None:
    """Raise where a request comes from another machine, or by a name that may be anybody's."""
    client = (scope.get("client") or ("",))[0]
    try:
        host = urlsplit(f"//{headers.get('host', '')}").hostname or ""
    except ValueError:
        host = ""
    passed_on = any(headers.get(name) for name in ("forwarded", "x-forwarded-for", "via", "x-real-ip"))
    if not (is_loopback(client) and is_loopback(host)) or passed_on:
        raise HTTPException(403, _LOCAL_ONLY)


def is_desk(path: str) -> bool:
    """Whether a path is of the retake desk's pages."""
    return path == "/desk" or path.startswith("/desk/")


def is_loopback(host: str) -> bool:
    """Whether a host, as written, is this machine by its loopback address or name."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _limit(scope: Scope, headers: Headers) -> int:
    """Bytes that the body of a request may have."""
    if headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return MAX_FILE_BYTES if scope["path"].endswith("/upload") else MAX_BODY_BYTES
    large = scope["path"] in ("/v1/narrations", "/v1/voices", "/v1/plan", "/run", "/runsync")
    return MAX_JSON_BYTES if large else MAX_BODY_BYTES


def _limited(receive: Receive, limit: int) -> Receive:
    """A body that raises where it is too large or too slow."""
    size, begun, ended = 0, time.monotonic(), False

    async def next_message() -> Message:
        nonlocal size, ended
        if ended:
            return await receive()
        try:
            with anyio.fail_after(STALL_SECONDS):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408, "the body does not come") from None
        size += len(message.get("body", b""))
        ended = message["type"] != "http.request" or not message.get("more_body", False)
        if size > limit:
            raise HTTPException(413, f"the body may have {limit} bytes at most")
        if not ended and time.monotonic() - begun > MIN_BODY_SECONDS + size / MIN_BYTES_A_SECOND:
            raise HTTPException(408, "the body comes too slowly")
        return message

    return next_message


def check_scope(key: ApiKey, *scopes: KeyScope) -> None:
    """Refuse a key that has none of the scopes; "admin" has all."""
    if not {"admin", *scopes} & set(key.scopes):
        raise HTTPException(403, f"this key lacks the scope {' or '.join(scopes)}")


def needs(*scopes: KeyScope) -> Callable[[Request], ApiKey]:
    """A dependency: the caller, who must have one of the scopes; "admin" has all."""

    def caller(request: Request) -> ApiKey:
        check_scope(request.state.caller, *scopes)
        return request.state.caller

    return caller


Reader = Annotated[ApiKey, Depends(needs("read", "narrate", "voices"))]
Narrator = Annotated[ApiKey, Depends(needs("narrate"))]
Teller = Annotated[ApiKey, Depends(needs("read", "narrate"))]
VoiceKeeper = Annotated[ApiKey, Depends(needs("voices"))]
Admin = Annotated[ApiKey, Depends(needs("admin"))]


def is_admin(key: ApiKey) -> bool:
    return "admin" in key.scopes
