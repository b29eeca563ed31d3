"""The API as an ASGI app: a door, the endpoints, and one form for every error."""

from __future__ import annotations

import logging
import math
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from f5_pipeline import __version__
from f5_pipeline.errors import InputError, NotFoundError, PipelineError, StoreError
from f5_pipeline.gateway.api import catalogue, comparisons, desk, metrics, narrations, retakes, runpod, speech, voices
from f5_pipeline.gateway.api.access import Door, is_desk
from f5_pipeline.gateway.api.models import ErrorAnswer
from f5_pipeline.gateway.api.page import render_reference
from f5_pipeline.gateway.api.service import ConflictError, Service
from f5_pipeline.gateway.api.session import Sessions
from f5_pipeline.gateway.page import render_notice
from f5_pipeline.gateway.traffic import traffic_of
from f5_pipeline.studio.keys import QuotaError

log = logging.getLogger("f5_pipeline.gateway")

FOLDERS = frozenset({"v1", "v2", "desk", "run", "runsync", "status", "cancel", "docs", "openapi.json", "metrics"})
"""First parts of the paths that belong to the API."""

RETRY_AFTER_SECONDS = "30"

_CODES = {400: "bad_request", 401: "unauthorized", 403: "forbidden", 404: "not_found", 405: "method_not_allowed"}
_CODES |= {408: "too_slow", 409: "conflict", 413: "too_large", 422: "invalid", 429: "too_many", 503: "unavailable"}

_DESCRIPTION = """Texts become narrations in cloned voices, with word times and captions.

A key goes into `Authorization: Bearer …` or `X-API-Key`; `f5-pipeline keys add NAME` makes one."""


def create_api(service: Service, *, local: bool) -> FastAPI:
    """The API.

    Args:
        local: whether it may answer without a key where there are none: it listens on this machine alone.
    """
    sessions = Sessions(service.signer, service.base_url)
    refused = {code: {"model": ErrorAnswer} for code in (400, 401, 403, 404, 408, 409, 413, 422, 429, 503)}
    app = FastAPI(
        title="f5_pipeline",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        responses=refused,  # type: ignore[arg-type]
        middleware=[Middleware(Door, store=service.store, sessions=sessions, local=local, refuse=_http_answer)],
        exception_handlers={
            PipelineError: _on_pipeline_error,  # type: ignore[dict-item]
            RequestValidationError: _on_invalid,  # type: ignore[dict-item]
            ValidationError: _on_invalid,  # type: ignore[dict-item]
            HTTPException: lambda request, error: _http_answer(error, request.url.path),  # type: ignore[dict-item]
            OSError: _on_failure,  # type: ignore[dict-item]
        },
        redirect_slashes=False,
    )
    app.state.service, app.state.sessions = service, sessions
    app.state.collector = metrics.StudioCollector(service)
    for part in (narrations, retakes, comparisons, voices, catalogue, speech, runpod, desk, metrics):
        app.include_router(part.router)
    # As RunPod's own client asks, where its `endpoint_url_base` ends with /v2; endpoints have any name.
    app.include_router(runpod.router, prefix="/v2/{endpoint}", include_in_schema=False)

    @app.get("/docs", include_in_schema=False)
    def reference() -> HTMLResponse:
        return HTMLResponse(render_reference(app.openapi()))

    make_schema = app.openapi

    def schema() -> dict[str, Any]:  # costs a second, so it is made when somebody asks for it
        made = make_schema()
        made["components"].setdefault("securitySchemes", {})["key"] = {"type": "http", "scheme": "bearer"}
        made["security"] = [{"key": []}]
        return made

    app.openapi = schema  # type: ignore[method-assign]
    return app


def _answer(
    path: str, status: int, message: str, hint: str | None = None, param: str | None = None, **headers: str
) -> Response:
    if is_desk(path):
        root = "../" * (path.count("/") - 1)
        page = render_notice(status, "The desk cannot show that", f"{message}. {hint or ''}", root)
        return HTMLResponse(page, status, headers)
    kind = "invalid_request_error" if status < 500 else "server_error"
    body: dict[str, Any] = {"message": message, "hint": hint, "type": kind, "code": _CODES.get(status, "error")}
    return JSONResponse({"error": body | {"param": param}}, status, headers)


def _http_answer(error: HTTPException, path: str = "") -> Response:
    return _answer(path, error.status_code, str(error.detail), **(error.headers or {}))


def _on_pipeline_error(request: Request, error: PipelineError) -> Response:
    # An option that is wrong has "configuration" for its file, as in the UI.
    file, place = (str(error.place), None) if error.file == "configuration" else (error.file, error.place)
    where = ":".join(str(part) for part in (file, place) if part is not None)
    message = f"{where}: {error.message}" if where else error.message
    if isinstance(error, ConflictError):
        return _answer(request.url.path, 409, message, error.hint)
    if isinstance(error, InputError):
        return _answer(request.url.path, 422, message, error.hint, file)
    if isinstance(error, QuotaError):
        return _answer(request.url.path, 429, message, error.hint)
    if isinstance(error, NotFoundError):
        return _answer(request.url.path, 404, message, error.hint)
    if isinstance(error, StoreError):
        traffic_of(request.scope).count_store_error()
    log.error("a request failed: %s", error)
    return _answer(request.url.path, 503, message, error.hint, **{"retry-after": RETRY_AFTER_SECONDS})


def _on_failure(request: Request, error: OSError) -> Response:
    traffic_of(request.scope).count_store_error()
    log.error("a request failed: %s", error)
    return _answer(
        request.url.path, 503, "it cannot be done just now", "Try again.", **{"retry-after": RETRY_AFTER_SECONDS}
    )


def _on_invalid(request: Request, error: RequestValidationError | ValidationError) -> Response:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    message = first["msg"].removeprefix("Value error, ")
    given = first.get("input")
    if isinstance(given, str | int | float) and not (isinstance(given, float) and not math.isfinite(given)):
        message += f" (it is {str(given)[:60]!r})"
    return _answer(request.url.path, 422, f"{place}: {message}" if place else message, param=place or None)
