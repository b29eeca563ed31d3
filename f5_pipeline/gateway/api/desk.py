"""The pages of the retake desk: a log-in, the narrations, and one with its text and the attempts at a sentence.

The pages are made here; what their buttons do is the API's, called by one script with the session's token.
"""

from __future__ import annotations

from collections import Counter
from itertools import groupby
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from f5_pipeline.gateway.api.access import LOCAL, check_scope, is_admin
from f5_pipeline.gateway.api.comparisons import comparison_of, list_pairs
from f5_pipeline.gateway.api.narrations import At
from f5_pipeline.gateway.api.retakes import desk_of, list_chunks, show_chunk
from f5_pipeline.gateway.api.session import Session, Sessions, has_token
from f5_pipeline.gateway.app import PAGE_POLICY
from f5_pipeline.gateway.page import human_duration, template
from f5_pipeline.studio.keys import ApiKey, find_key
from f5_pipeline.studio.narrating.votes import find_pairs
from f5_pipeline.studio.records import Plan, Takes
from f5_pipeline.studio.state import find_state

router = APIRouter(prefix="/desk", include_in_schema=False)

CHUNKS_A_PAGE = 200
NARRATIONS_A_PAGE = 25

# A form is sent here; and with "no-referrer" browsers would hide their origin from us.
_HEADERS = {
    "content-security-policy": PAGE_POLICY.replace("form-action 'none'", "form-action 'self'"),
    "referrer-policy": "same-origin",
}


def _page(
    request: Request, name: str, *, root: str, session: Session | None, status: int = 200, **values: Any
) -> Response:
    caller: ApiKey | None = request.state.caller
    html = template(name).render(
        root=root,
        token=session.token if session else "",
        may_narrate=caller is not None and bool({"admin", "narrate"} & set(caller.scopes)),
        is_admin=caller is not None and is_admin(caller),
        owner=caller.name if caller and caller is not LOCAL else None,
        **values,
    )
    return HTMLResponse(html, status, _HEADERS)


def _log_in_page(request: Request, root: str, problem: str = "", status: int = 200) -> Response:
    return _page(request, "desk_log_in.html", root=root, session=None, status=status, problem=problem)


@router.get("")
def narrations(request: Request, service: At, after: Annotated[str | None, Query(max_length=64)] = None) -> Response:
    """All narrations of the key with their states; the log-in where there is no session."""
    caller, session, sessions = _present(request)
    if caller is None:
        return _log_in_page(request, "")
    page, more = service.list(caller, NARRATIONS_A_PAGE, after)
    rows = [(narration, find_state(service.store, Takes, narration.id)) for narration in page]
    answer = _page(request, "desk_list.html", root="", session=session, rows=rows, after=more, duration=human_duration)
    _keep_local(sessions, answer, caller, session, request)
    return answer


@router.get("/n/{narration}")
def narration(
    narration: str,
    request: Request,
    service: At,
    chunk: Annotated[int | None, Query(ge=0)] = None,
    start: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> Response:
    """A narration: its text from chunk `start` on, and the attempts at one."""
    caller, session, sessions = _present(request)
    if caller is None:
        return _log_in_page(request, "../../")
    state = service.describe(service.request_of(caller, narration), narration)
    plan = find_state(service.store, Plan, narration)
    takes = find_state(service.store, Takes, narration)
    if chunk is not None:
        start = chunk
    start = start // CHUNKS_A_PAGE * CHUNKS_A_PAGE
    chunks = list_chunks(service, plan, start, CHUNKS_A_PAGE) if plan else []
    chosen = None
    if plan and chunk is not None:
        chosen = show_chunk(service, desk_of(service, caller, narration, chunk))
    answer = _page(
        request,
        "desk_narration.html",
        root="../../",
        session=session,
        state=state,
        plan=plan,
        takes=takes,
        paragraphs=[list(group) for _, group in groupby(chunks, key=lambda shown: shown.paragraph)],
        start=start,
        end=start + len(chunks),
        step=CHUNKS_A_PAGE,
        chosen=chosen,
        compared=find_pairs(service.store, narration),
    )
    _keep_local(sessions, answer, caller, session, request)
    return answer


@router.get("/n/{narration}/pairs")
def pairs(narration: str, request: Request, service: At, chunk: Annotated[int | None, Query(ge=0)] = None) -> Response:
    """The pairs of a narration's newest comparison, one at a time; without a chunk, the next to vote on."""
    caller, session, sessions = _present(request)
    if caller is None:
        return _log_in_page(request, "../../../")
    listed = list_pairs(service, caller, narration, comparison_of(service, caller, narration))
    left = [pair for pair in listed if pair.better is None]
    if chunk is None and left:
        return RedirectResponse(f"?chunk={left[0].chunk}", 303)
    answer = _page(
        request,
        "desk_pairs.html",
        root="../../../",
        session=session,
        narration=narration,
        pairs=listed,
        voted=len(listed) - len(left),
        pair=next((pair for pair in listed if pair.chunk == chunk), None),
        preferred=Counter(pair.preferred for pair in listed).most_common(),
    )
    _keep_local(sessions, answer, caller, session, request)
    return answer


@router.post("/log-in")
async def log_in(request: Request, service: At) -> Response:
    """Exchange a key for a session."""
    token = str((await request.form()).get("key", ""))[:200].strip()
    key = await run_in_threadpool(find_key, service.store, token)
    if key is None or not {"narrate", "read", "admin"} & set(key.scopes):
        problem = "This key does not open the desk: it is mistyped, revoked, or lacks the scope narrate or read."
        return _log_in_page(request, "../", problem, 401)
    sessions: Sessions = request.app.state.sessions
    answer = RedirectResponse("../desk", 303)
    sessions.set_cookie(answer, sessions.open(key.key), request.url.scheme)
    return answer


@router.post("/log-out")
async def log_out(request: Request) -> Response:
    """End the session in this browser."""
    session: Session | None = request.state.session
    given = str((await request.form()).get("token", ""))
    answer = RedirectResponse("../desk", 303)
    if session is not None and has_token(session, given):
        request.app.state.sessions.set_cookie(answer, None, request.url.scheme)
    return answer


def _present(request: Request) -> tuple[ApiKey | None, Session | None, Sessions]:
    caller: ApiKey | None = request.state.caller
    sessions: Sessions = request.app.state.sessions
    if caller is not None:
        check_scope(caller, "read", "narrate")
    session: Session | None = request.state.session
    if caller is LOCAL and session is None:  # where there are no keys, there is nothing to log in with
        session = sessions.open(LOCAL.key)
    return caller, session, sessions


def _keep_local(
    sessions: Sessions, answer: Response, caller: ApiKey, session: Session | None, request: Request
) -> None:
    if caller is LOCAL and session is not None and request.state.session is None:
        sessions.set_cookie(answer, session, request.url.scheme)
