"""The download service as an ASGI app.

    /d/<token>/<file>   a delivered file: ranges, validators, download by default, `?inline=1` plays it in place;
                        `all.zip` has all files, for a token that opens everything;
                        `?revision=…` as a permanent address's page names it: refused where there is a newer one
    /n/<token>/         the page of a narration, for a token that opens everything; below it, for its script:
        text            the parts of the text, as JSON: [first ms, last ms, words] of each
        text/<part>     the words of a part with their times
        waveform        the loudness of the whole, a byte a column
    /static/<file>      the page's own style sheet, script and icon
    /healthz            200 "ok" if the store answers
    /v1, /docs, …       the HTTP API (gateway/api), where `f5-pipeline` serves it too; /desk its retake desk, /metrics
                        figures for Prometheus

Its token and the record of its grant decide what a link opens. The record is read for each request, so that revoking a
link ends it at once; a key of the store never comes from a URL. 403: not a link of ours, not for this file, or
withheld; 410: expired, revoked or removed; 404: the link is valid, but what it names does not exist; 503: the store
does not answer, or a file is not what was delivered. Neither answers nor log lines contain a token.

Downloads may be redirected (307) to an address of the store, which is valid for minutes.
"""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable, Collection, Sequence

from anyio import Lock
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from f5_pipeline.errors import NotFoundError, StoreError
from f5_pipeline.gateway.archive import ARCHIVE, deliver_archive
from f5_pipeline.gateway.delivery import DeliveredFile, ObjectReader, content_disposition, deliver, redirect
from f5_pipeline.gateway.page import STATIC, PageFacts, render_notice, render_page
from f5_pipeline.gateway.reading import SUFFIX as TEXT_SUFFIX
from f5_pipeline.gateway.reading import ReadingText
from f5_pipeline.gateway.traffic import Traffic, attach, traffic_of
from f5_pipeline.gateway.verification import Verifier
from f5_pipeline.gateway.waveform import read_levels
from f5_pipeline.store import layout
from f5_pipeline.studio.links.tokens import (
    BadLink,
    ExpiredLink,
    LinkClaim,
    LinkError,
    LinkSigner,
    OutdatedLink,
    Permit,
    RevokedLink,
    WithheldLink,
)

log = logging.getLogger("f5_pipeline.gateway")
access = logging.getLogger("f5_pipeline.gateway.access")

RETRY_AFTER_SECONDS = 30
"""When a client may try again after the store did not answer."""

HEALTH_SECONDS = 5.0
"""How long an answer of /healthz is kept, so that frequent requests do not reach the store."""

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
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# For audio opened by itself: the browser's own player may load it and style itself, nothing may run. (Under `sandbox`
# it would have no origin, and could not load it.)
_INLINE_POLICY = "default-src 'none'; media-src 'self'; style-src 'unsafe-inline'; frame-ancestors 'none'"
_DOWNLOAD_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

AUDIT = "f5_pipeline.audit"
"""In a scope: what the API says of a request in its line of the log: the key's id, the path, the narration."""

_CLAIM = "f5_pipeline.claim"
_REVISION = "f5_pipeline.revision"
_FILE = "f5_pipeline.file"


class ReplacedRevision(LinkError):
    """A page asks for a revision that is no longer the newest (410)."""

    status = 410


def create_app(
    *,
    store: ObjectReader,
    signer: LinkSigner,
    permit: Callable[[LinkClaim], Permit],
    files_of: Callable[[str, str], Sequence[DeliveredFile]],
    page_facts: Callable[[str, str], PageFacts],
    timing_file: Callable[[str, str, str], tuple[bytes, str] | None] = lambda narration, revision, name: None,
    presign_seconds: int | None = None,
    probe: Callable[[], object] | None = None,
    now: Callable[[], float] = time.time,
    health_seconds: float = HEALTH_SECONDS,
    on_fetch: Callable[[str, str, str, str, int, str, str], object] | None = None,
    api: ASGIApp | None = None,
    api_folders: Collection[str] = (),
) -> Starlette:
    """The download service.

    All callables may block; they run in worker threads.

    Args:
        store: holds the files.
        signer: checks tokens.
        permit: what a signed token opens now, called for each request; raises LinkError if nothing.
        files_of: the delivered files of a narration and revision; raises NotFoundError if there is no such revision.
        page_facts: what the page of a narration and revision shows; raises NotFoundError as above.
        timing_file: content and media type of a timing file of a revision that is made when it is asked for; None where
            there is none of this name.
        presign_seconds: validity of the store's addresses that downloads are redirected to; None: the service sends
            the bytes itself, as it does where the store has no addresses.
        probe: raises if the store does not work; None: asks the store for an object that does not exist.
        now: Unix time, s.
        health_seconds: how long an answer of /healthz is kept.
        on_fetch: called after each answer to a GET that a link opened: narration, grant, revision, file, bytes,
            address and program of the reader; must not block.
        api: the app below the first parts of paths in `api_folders`.
    """
    service = _Service(store, signer, permit, files_of, page_facts, presign_seconds, probe, now, health_seconds)
    service.timing_file = timing_file
    app = Starlette(
        routes=[
            Route("/", service.root),
            Route("/healthz", service.health),
            Route("/robots.txt", service.robots),
            Route("/d/{token}/{name:path}", service.file),
            Route("/n/{token}", service.to_page),
            Route("/n/{token}/", service.page),
            Route("/n/{token}/text", service.outline),
            Route("/n/{token}/text/{part:int}", service.text),
            Route("/n/{token}/waveform", service.waveform),
            Mount("/static", StaticFiles(directory=STATIC)),
            *([_Folders(api, api_folders)] if api else []),
        ],
        middleware=[Middleware(_Guard, api_folders=api_folders, on_fetch=on_fetch)],
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


class _Folders(BaseRoute):
    """Hands paths below some folders to an app, as they are."""

    def __init__(self, app: ASGIApp, folders: Collection[str]) -> None:
        self.app, self.folders = app, frozenset(folders)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        is_ours = (
            scope["type"] == "http" and scope["path"].split("/")[1:2] and scope["path"].split("/")[1] in self.folders
        )
        return Match.FULL if is_ours else Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


class _Service:
    timing_file: Callable[[str, str, str], tuple[bytes, str] | None]

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
        self.reading = ReadingText(store)
        self.probe = probe or self._probe_store
        self.health_seconds = health_seconds
        self._health: tuple[float, bool] | None = None
        self._health_lock: Lock | None = None

    def _probe_store(self) -> None:
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
        permit, files = await self._opened(request, claim)
        file = next((file for file in files if file.name == name), None)
        if file is None and claim.everything and name == ARCHIVE:
            request.scope[_FILE] = name
            response = await deliver_archive(request, self.store, files, f"{claim.narration}.zip", self.verifier)
            response.headers["content-security-policy"] = _DOWNLOAD_POLICY
            return response
        if file is None:
            made = await run_in_threadpool(self.timing_file, claim.narration, permit.revision, name)
            if made is None:
                raise NotFoundError("no such file in this revision")
            request.scope[_FILE] = name
            headers = {"content-disposition": content_disposition(name), "content-security-policy": _DOWNLOAD_POLICY}
            return Response(made[0], headers={"content-type": made[1], **headers})
        request.scope[_FILE] = file.name
        inline = "inline" in request.query_params
        response = None
        # What the page plays and shows is always sent from here: its policy allows its own origin only, and captions
        # from another would need CORS rules on the bucket.
        if self.presign_seconds is not None and not (inline and file.playable):
            seconds = int(min(self.presign_seconds, permit.expires - self.now()))
            response = await redirect(request, self.store, file, seconds)
        if response is None:
            response = await deliver(request, self.store, file, self.verifier, inline=inline)
        shown = response.headers.get("content-disposition", "").startswith("inline")
        response.headers["content-security-policy"] = _INLINE_POLICY if shown else _DOWNLOAD_POLICY
        return response

    async def _opened(self, request: Request, claim: LinkClaim) -> tuple[Permit, Sequence[DeliveredFile]]:
        permit = await self._permit(request, claim)
        # A page and what it plays must be of one revision.
        if request.query_params.get("revision", permit.revision) != permit.revision:
            raise ReplacedRevision("there is a newer revision")
        return permit, await run_in_threadpool(self.files_of, claim.narration, permit.revision)

    def _page_claim(self, request: Request) -> LinkClaim:
        claim = self._claim(request)
        if not claim.everything:
            raise BadLink("this link is for one file")
        return claim

    async def page(self, request: Request) -> Response:
        claim = self._page_claim(request)
        permit, files = await self._opened(request, claim)
        facts = await run_in_threadpool(self.page_facts, claim.narration, permit.revision)
        newest = claim.revision is None
        return HTMLResponse(render_page(facts, files, permit, request.path_params["token"], newest=newest))

    async def _word_times(self, request: Request) -> DeliveredFile:
        """The file that the page's text is read from."""
        _, files = await self._opened(request, self._page_claim(request))
        file = next((file for file in files if file.name.endswith(TEXT_SUFFIX)), None)
        if file is None:
            raise NotFoundError("no word times in this revision")
        path = self.store.local_path(file.key)
        if path is not None:
            await self.verifier.check(path, file.size, file.sha256)
        return file

    async def outline(self, request: Request) -> Response:
        parts = await run_in_threadpool(self.reading.outline, await self._word_times(request))
        return JSONResponse([(part.start, part.end, part.words) for part in parts])

    async def text(self, request: Request) -> Response:
        file = await self._word_times(request)
        return JSONResponse(await run_in_threadpool(self.reading.part, file, request.path_params["part"]))

    async def waveform(self, request: Request) -> Response:
        claim = self._page_claim(request)
        permit, _ = await self._opened(request, claim)
        levels = await run_in_threadpool(read_levels, self.store, layout.waveform(claim.narration, permit.revision))
        # No error where there is none: revisions that were made before waveforms were kept have none.
        return Response(levels, media_type="application/octet-stream") if levels else Response(status_code=204)

    async def to_page(self, request: Request) -> Response:
        self._claim(request)
        # Relative: works behind any host and path prefix, and does not use the request's Host header.
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
                    healthy = True
                except Exception as error:
                    log.error("the store does not answer: %s", error)
                    traffic_of(request.scope).count_store_error()
                    healthy = False
                self._health = time.monotonic(), healthy
            healthy = self._health[1]
        if healthy:
            return PlainTextResponse("ok")
        return PlainTextResponse("the store does not answer", 503, {"retry-after": str(RETRY_AFTER_SECONDS)})


_REFUSALS: dict[type[LinkError], tuple[str, str, str]] = {
    BadLink: (
        "forbidden",
        "This link is not valid",
        "It is incomplete or was changed, or it is for another file. Copy the whole link, or ask for a new link.",
    ),
    OutdatedLink: (
        "outdated",
        "This link was made by an earlier version of this service",
        "It opens nothing any more. Ask whoever gave it to you for a new one.",
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
    traffic_of(request.scope).count_store_error()
    response = _answer(
        request, 503, "unavailable", "The narration cannot be fetched just now", "Try again in a minute."
    )
    response.headers["retry-after"] = str(RETRY_AFTER_SECONDS)
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
        # Relative to the address as the browser sees it, undecoded: each slash after the first is a folder level.
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
    """Sets headers on every answer, logs it in one line, counts it, and sends no traceback to a client."""

    def __init__(
        self, app: ASGIApp, api_folders: Collection[str], on_fetch: Callable[..., object] | None = None
    ) -> None:
        self.app, self.traffic, self.on_fetch = app, Traffic(api_folders), on_fetch

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        attach(scope, self.traffic)
        begin = time.monotonic()
        status, sent, answered = 0, 0, Headers()

        async def guarded(message: Message) -> None:
            nonlocal status, sent, answered
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("content-security-policy", PAGE_POLICY)
                answered = headers
            elif message["type"] == "http.response.body" and scope["method"] != "HEAD":
                sent += len(message.get("body", b""))
            await send(message)

        try:
            if not _CONTROL.search(scope["path"]):
                await self.app(scope, receive, guarded)
            else:  # no address here contains one, and the code below does not expect it
                response = await _on_http_error(Request(scope), HTTPException(404))
                await response(scope, receive, guarded)
        except Exception as error:
            if status:
                # The headers are sent: the server cuts the connection, and the client notices.
                log.error("an answer was cut after %d bytes: %s", sent, error.__cause__ or error)
                raise
            log.exception("a request failed")
            request = Request(scope)
            response = _answer(request, 500, "error", "Something went wrong here", "Try again in a minute.")
            await response(scope, receive, guarded)
        finally:
            self.traffic.count(scope, status, answered, sent)
            if scope["path"] != "/healthz":
                self._log_access(scope, status, sent, time.monotonic() - begin)
                self._note_fetch(scope, status, sent)

    def _note_fetch(self, scope: Scope, status: int, sent: int) -> None:
        claim: LinkClaim | None = scope.get(_CLAIM)
        is_fetch = status in (200, 204, 206, 307) and scope["method"] == "GET" and _REVISION in scope
        if self.on_fetch is None or claim is None or not is_fetch:
            return
        file = scope.get(_FILE) or "/".join(["page", *scope["path"].split("/")[3:]]).rstrip("/")
        address = (scope.get("client") or ("",))[0]
        agent = Headers(scope=scope).get("user-agent", "")
        self.on_fetch(claim.narration, claim.grant, scope[_REVISION], file, sent, address, agent)

    def _log_access(self, scope: Scope, status: int, sent: int, seconds: float) -> None:
        claim: LinkClaim | None = scope.get(_CLAIM)
        entry: dict[str, object] = {"method": scope["method"], "status": status, "bytes": sent}
        entry["ms"] = round(seconds * 1000)
        if claim is not None:
            entry |= {"narration": claim.narration, "grant": claim.grant}
            entry["revision"] = scope.get(_REVISION, claim.revision)
            entry["file"] = scope.get(_FILE, "page" if scope["path"].startswith("/n/") else None)
        entry |= scope.get(AUDIT, {})
        # JSON, so that names cannot break the line and log collectors can parse it.
        access.info("%s", json.dumps(entry))
