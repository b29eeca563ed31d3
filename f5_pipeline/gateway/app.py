"""The download service as an ASGI app.

    /d/<token>/<file>   a delivered file: ranges, validators, download by default, `?inline=1` plays it in place;
                        `?revision=…` as a permanent address's page names it: refused where there is a newer one
    /n/<token>/         the page of a narration, for a token that opens everything
    /static/<file>      the page's own style sheet, script and icon
    /healthz            200 "ok" if the store answers

What a link opens is decided by its token and by the record of its grant, which is read anew for each request, so that a
link ends as soon as it is revoked; a key of the store never comes from a URL. 403: not a link of ours, not for this
file, or withheld; 410: it was one, and has expired or was revoked; 404: it is good, and what it names is not there;
503: the store does not answer, and then nothing is given. Neither answers nor log lines hold a token.

Downloads may be sent on (307) to an address of the store's own, which lives for minutes.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Sequence

from anyio import Lock
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from f5_pipeline.errors import NotFoundError, StoreError
from f5_pipeline.gateway.delivery import DeliveredFile, ObjectReader, deliver, redirect
from f5_pipeline.gateway.page import STATIC, PageFacts, render_notice, render_page
from f5_pipeline.gateway.verification import Verifier
from f5_pipeline.studio.links.tokens import (
    BadLink,
    ExpiredLink,
    LinkClaim,
    LinkError,
    LinkSigner,
    Permit,
    RevokedLink,
    WithheldLink,
)

log = logging.getLogger("f5_pipeline.gateway")
access = logging.getLogger("f5_pipeline.gateway.access")

RETRY_AFTER = 30
"""Seconds after which a client may ask again when the store did not answer."""

HEALTH_SECONDS = 5.0
"""How long an answer of /healthz stands, so that asking it often costs the store nothing."""

_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-robots-tag": "noindex, nofollow",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cache-control": "no-store",
}
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# A sound opened by itself: the browser's own player may load it and style itself, nothing may run. (Under `sandbox` it
# would have no origin, and could not load it.)
_INLINE_POLICY = "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_DOWNLOAD_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_CLAIM = "f5_pipeline.claim"
_REVISION = "f5_pipeline.revision"
_FILE = "f5_pipeline.file"


class ReplacedRevision(LinkError):
    """Asked for by a page that was loaded before the narration had its newest revision (410)."""

    status = 410


def create_app(
    *,
    store: ObjectReader,
    signer: LinkSigner,
    permit: Callable[[LinkClaim], Permit],
    files_of: Callable[[str, str], Sequence[DeliveredFile]],
    page_facts: Callable[[str, str], PageFacts],
    presign_seconds: int | None = None,
    probe: Callable[[], object] | None = None,
    now: Callable[[], float] = time.time,
    health_seconds: float = HEALTH_SECONDS,
) -> Starlette:
    """The download service.

    All callables may block; they run in worker threads.

    Args:
        store: where the bytes are.
        signer: checks tokens.
        permit: what a token that is signed opens now, asked for each request; a LinkError if nothing.
        files_of: narration and revision to its delivered files; NotFoundError if there is no such revision.
        page_facts: narration and revision to what its page says; NotFoundError as above.
        presign_seconds: how long an address of the store lives that a download is sent to; None: the service gives the
            bytes itself, as it does where the store has no addresses.
        probe: raises if the store does not work; asks it for an object that is not there if None.
        now: Unix time in s.
        health_seconds: how long an answer of /healthz stands.
    """
    service = _Service(store, signer, permit, files_of, page_facts, presign_seconds, probe, now, health_seconds)
    app = Starlette(
        routes=[
            Route("/", service.root),
            Route("/healthz", service.health),
            Route("/robots.txt", service.robots),
            Route("/d/{token}/{name:path}", service.file),
            Route("/n/{token}", service.to_page),
            Route("/n/{token}/", service.page),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(_Guard)],
        exception_handlers={
            LinkError: _on_link_error,
            HTTPException: _on_http_error,
            NotFoundError: _on_missing,
            StoreError: _on_store_error,
            OSError: _on_store_error,
        },
    )
    app.router.redirect_slashes = False
    return app


class _Service:
    def __init__(
        self,
        store: ObjectReader,
        signer: LinkSigner,
        permit: Callable[[LinkClaim], Permit],
        files_of: Callable[[str, str], Sequence[DeliveredFile]],
        page_facts: Callable[[str, str], PageFacts],
        presign_seconds: int | None,
        probe: Callable[[], object] | None,
        now: Callable[[], float],
        health_seconds: float,
    ) -> None:
        self.store, self.signer, self.permit, self.presign_seconds = store, signer, permit, presign_seconds
        self.files_of, self.page_facts = files_of, page_facts
        self.now = now
        self.verifier = Verifier()
        self.probe = probe or self._look
        self.health_seconds = health_seconds
        self._health: tuple[float, bool] | None = None
        self._health_lock: Lock | None = None

    def _look(self) -> None:
        try:
            self.store.stat("healthz")
        except NotFoundError:
            return

    def _claim(self, request: Request) -> LinkClaim:
        try:
            claim = self.signer.verify(request.path_params["token"], self.now())
        except LinkError as error:
            request.scope[_CLAIM] = error.claim
            raise
        request.scope[_CLAIM] = claim
        return claim

    async def _permit(self, request: Request, claim: LinkClaim) -> Permit:
        permit = await run_in_threadpool(self.permit, claim)
        request.scope[_REVISION] = permit.revision
        return permit

    async def file(self, request: Request) -> Response:
        claim = self._claim(request)
        name = request.path_params["name"]
        if not claim.covers(name):
            raise BadLink("this link is not for this file")
        permit = await self._permit(request, claim)
        # A page and what it plays must be of one revision: half of either is none.
        if request.query_params.get("revision", permit.revision) != permit.revision:
            raise ReplacedRevision("there is a newer revision")
        files = await run_in_threadpool(self.files_of, claim.narration, permit.revision)
        file = next((file for file in files if file.name == name), None)
        if file is None:
            raise NotFoundError("no such file in this revision")
        request.scope[_FILE] = file.name
        inline = "inline" in request.query_params
        response = None
        # What the page plays and shows always comes from here: its policy lets it load from its own origin only, and
        # captions from another would need CORS rules on the bucket.
        if self.presign_seconds is not None and not (inline and file.playable):
            seconds = int(min(self.presign_seconds, permit.expires - self.now()))
            response = await redirect(request, self.store, file, seconds)
        if response is None:
            response = await deliver(request, self.store, file, self.verifier, inline=inline)
        shown = response.headers.get("content-disposition", "").startswith("inline")
        response.headers["content-security-policy"] = _INLINE_POLICY if shown else _DOWNLOAD_POLICY
        return response

    async def page(self, request: Request) -> Response:
        claim = self._claim(request)
        if not claim.everything:
            raise BadLink("this link is for one file")
        permit = await self._permit(request, claim)
        files = await run_in_threadpool(self.files_of, claim.narration, permit.revision)
        facts = await run_in_threadpool(self.page_facts, claim.narration, permit.revision)
        newest = claim.revision is None
        return HTMLResponse(render_page(facts, files, permit, request.path_params["token"], newest=newest))

    async def to_page(self, request: Request) -> Response:
        self._claim(request)
        # Relative: right behind any host and path prefix, and nothing of the request's Host header goes into it.
        return RedirectResponse(f"{request.path_params['token']}/", status_code=308)

    async def root(self, request: Request) -> Response:
        return _answer(
            request, 200, "ok", "Narrations", "Each narration here has its own link. Ask for it where you got this one."
        )

    async def robots(self, request: Request) -> Response:
        return PlainTextResponse("User-agent: *\nDisallow: /\n")

    async def health(self, request: Request) -> Response:
        self._health_lock = self._health_lock or Lock()
        async with self._health_lock:
            if self._health is None or time.monotonic() - self._health[0] >= self.health_seconds:
                try:
                    await run_in_threadpool(self.probe)
                    good = True
                except Exception as error:
                    log.error("the store does not answer: %s", error)
                    good = False
                self._health = time.monotonic(), good
            good = self._health[1]
        if good:
            return PlainTextResponse("ok")
        return PlainTextResponse("the store does not answer", 503, {"retry-after": str(RETRY_AFTER)})


_REFUSALS: dict[type[LinkError], tuple[str, str, str]] = {
    BadLink: (
        "forbidden",
        "This link is not valid",
        "It is incomplete or was changed, or it is for another file. Copy the whole link, or ask for a new link.",
    ),
    ExpiredLink: ("expired", "This link has expired", "Ask whoever gave it to you for a new link."),
    RevokedLink: ("revoked", "This link was taken back", "Ask whoever gave it to you whether there is a new link."),
    WithheldLink: (
        "withheld",
        "This narration is not given away at present",
        "Its model or a voice in it may not be used commercially. Ask whoever gave you the link.",
    ),
    ReplacedRevision: ("replaced", "This narration has a newer revision", "Load its page again."),
}


async def _on_link_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, LinkError)
    return _answer(request, error.status, *_REFUSALS[type(error)])


async def _on_missing(request: Request, error: Exception) -> Response:
    text = "The link is good, but what it names is no longer there, or never was. Ask for a new link."
    return _answer(request, 404, "not_found", "Nothing is here", text)


async def _on_store_error(request: Request, error: Exception) -> Response:
    log.error("the store does not answer: %s", error)
    response = _answer(
        request, 503, "unavailable", "The narration cannot be fetched just now", "Try again in a minute."
    )
    response.headers["retry-after"] = str(RETRY_AFTER)
    return response


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        response = _answer(request, 404, "not_found", "Nothing is here", "Check the link, or ask for a new link.")
    elif error.status_code == 405:
        response = _answer(request, 405, "method_not_allowed", "This can only be read", "Use GET or HEAD.")
    else:
        response = _answer(request, error.status_code, "refused", "This cannot be answered", "Ask for a new link.")
    for name, value in (error.headers or {}).items():
        response.headers[name] = value
    return response


def _answer(request: Request, status: int, code: str, title: str, text: str) -> Response:
    """One message as HTML for browsers, JSON for programs that ask for it, else plain text."""
    wanted = request.headers.get("accept", "").lower()
    if "text/html" in wanted:
        # Relative to the address as the browser sees it, undecoded: each slash behind the first is one folder down.
        path = request.scope.get("raw_path") or request.scope["path"].encode()
        path = path.partition(b"?")[0].removeprefix(request.scope.get("root_path", "").encode())
        root = "../" * max(0, path.count(b"/") - 1)
        response: Response = HTMLResponse(render_notice(status, title, text, root), status)
    elif "json" in wanted:
        response = JSONResponse({"status": status, "code": code, "message": title, "hint": text}, status)
    else:
        response = PlainTextResponse(f"{title}. {text}\n", status)
    response.headers["vary"] = "accept"
    return response


class _Guard:
    """Headers on every answer, one log line each, and no traceback to a client."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begin = time.monotonic()
        status, sent = 0, 0

        async def guarded(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("content-security-policy", _PAGE_POLICY)
            elif message["type"] == "http.response.body" and scope["method"] != "HEAD":
                sent += len(message.get("body", b""))
            await send(message)

        try:
            if not _CONTROL.search(scope["path"]):
                await self.app(scope, receive, guarded)
            else:  # part of no address here, and not expected everywhere below
                response = await _on_http_error(Request(scope), HTTPException(404))
                await response(scope, receive, guarded)
        except Exception as error:
            if status:
                # Half an answer cannot be taken back: the server cuts the connection, and the client sees it.
                log.error("an answer was cut after %d bytes: %s", sent, error.__cause__ or error)
                raise
            log.exception("a request failed")
            request = Request(scope)
            response = _answer(request, 500, "error", "Something went wrong here", "Try again in a minute.")
            await response(scope, receive, guarded)
        finally:
            if scope["path"] != "/healthz":
                self._note(scope, status, sent, time.monotonic() - begin)

    def _note(self, scope: Scope, status: int, sent: int, seconds: float) -> None:
        claim: LinkClaim | None = scope.get(_CLAIM)
        facts: dict[str, object] = {"method": scope["method"], "status": status, "bytes": sent}
        facts["ms"] = round(seconds * 1000)
        if claim is not None:
            facts |= {"narration": claim.narration, "grant": claim.grant}
            facts["revision"] = scope.get(_REVISION, claim.revision)
            facts["file"] = scope.get(_FILE, "page" if scope["path"].startswith("/n/") else None)
        # JSON: names cannot break the line, and a log collector reads it as it is.
        access.info("%s", json.dumps(facts))
