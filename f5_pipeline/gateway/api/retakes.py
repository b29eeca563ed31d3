"""/v1/narrations/{narration}/chunks: what is said, what the quality gate doubts, the attempts at it, and which is used.

The studio's retakes by HTTP. What is asked for or chosen is kept at once; the in-box makes it.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.concurrency import run_in_threadpool

from f5_pipeline.errors import NotFoundError
from f5_pipeline.gateway.api.access import Narrator, Teller, check_scope
from f5_pipeline.gateway.api.models import LexiconAnswer, Narration, Strict
from f5_pipeline.gateway.api.narrations import At, Identifier
from f5_pipeline.gateway.api.service import ConflictError, Service
from f5_pipeline.gateway.delivery import DeliveredFile, deliver
from f5_pipeline.gateway.verification import Verifier
from f5_pipeline.speech.takes import Take
from f5_pipeline.speech.text.lexicon import checked_entry
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.studio.keys import ApiKey
from f5_pipeline.studio.lexicon import add_entries
from f5_pipeline.studio.narrating.gate import find_take
from f5_pipeline.studio.narrating.retakes import Attempt, RetakeDesk, read_chunks
from f5_pipeline.studio.records import ChosenTake, ChunkChoice, Plan, PlannedChunk, TakeKey
from f5_pipeline.studio.state import find_state

router = APIRouter(prefix="/v1/narrations/{narration}", tags=["retakes"])

VERIFIER = Verifier()


class ChunkAnswer(BaseModel):
    """A chunk: what one take says, a sentence as a rule."""

    index: int
    line: int = Field(description="of the script, on which its passage begins")
    paragraph: int
    heading: bool
    voice: str
    language: str
    text: str = Field(description="as the author wrote it")
    speed: float
    seconds: float | None = Field(description="of the speech in use; None: not made yet")
    doubts: list[str] = Field(description="why the quality gate doubts the take in use")
    picked: bool = Field(description="a person picked its take")
    locked: bool = Field(description="the pick stays where model, preset or reference change")


class ChunkPage(BaseModel):
    """Chunks in order; `start` is the index of the first."""

    chunks: list[ChunkAnswer]
    start: int
    total: int


class ChunkAttempts(ChunkAnswer):
    """A chunk and the attempts at it."""

    attempts: list[Attempt]
    differ: bool = Field(description="whether another attempt of its engine sounds another way")
    undoable: bool = Field(description="whether something was chosen before")


class Ask(Strict):
    """The next attempt; or so many; or that of a number; or the chunk at another speed."""

    count: int | None = Field(default=None, ge=1, le=20)
    seed: int | None = Field(default=None, ge=0, lt=1 << 31, description="number of the attempt")
    speed: float | None = Field(default=None, ge=0.3, le=3.0)

    model_config = ConfigDict(json_schema_extra={"examples": [{"count": 2}]})

    @model_validator(mode="after")
    def _one_way(self) -> Ask:
        if sum(value is not None for value in (self.count, self.seed, self.speed)) > 1:
            raise ValueError("give one of count, seed and speed")
        return self


class Pick(Strict):
    take: TakeKey = Field(description="`key` of an attempt")
    lock: bool = Field(default=False, description="also after a change of model, preset or reference")

    model_config = ConfigDict(json_schema_extra={"examples": [{"take": "0" * 64, "lock": True}]})


class Respelling(Strict):
    written: str = Field(min_length=1, max_length=120, description="the word, as in the script")
    said: str = Field(min_length=1, max_length=160, description="another spelling, or IPA between two slashes")
    everywhere: bool = Field(default=False, description="in every narration; needs the scope admin")

    model_config = ConfigDict(json_schema_extra={"examples": [{"written": "Nietzsche", "said": "Neecha"}]})


def plan_of(service: Service, caller: ApiKey, narration: str) -> Plan:
    """The plan of a narration that the caller may see."""
    service.request_of(caller, narration)
    plan = find_state(service.store, Plan, narration)
    if plan is None:
        raise ConflictError("it is not planned yet", hint="Ask again when its state shows takes.")
    return plan


def desk_of(service: Service, caller: ApiKey, narration: str, chunk: int) -> RetakeDesk:
    plan = plan_of(service, caller, narration)
    if not 0 <= chunk < plan.chunks:
        raise NotFoundError(f"there is no chunk {chunk}; it has 0 to {plan.chunks - 1}")
    return RetakeDesk(service.store, narration, chunk, service.options)


def list_chunks(service: Service, plan: Plan, start: int, count: int) -> list[ChunkAnswer]:
    return [ChunkAnswer(**_fields(*row)) for row in read_chunks(service.store, plan, start, count)]


def _fields(planned: PlannedChunk, used: ChosenTake | None, choice: ChunkChoice | None) -> dict:
    chunk = planned.chunk
    shown = chunk.model_dump(include={"index", "line", "paragraph", "heading", "voice", "language", "speed"})
    return shown | {
        "text": chunk.written,
        "seconds": round(used.take.speech_end - used.take.speech_start, 2) if used else None,
        "doubts": used.doubts if used else [],
        "picked": choice is not None and choice.pick is not None,
        "locked": choice is not None and choice.locked,
    }


def show_chunk(service: Service, desk: RetakeDesk) -> ChunkAttempts:
    (row,) = read_chunks(service.store, desk.plan, desk.planned.chunk.index, 1)
    fields = {"attempts": desk.attempts(), "differ": desk.differ, "undoable": bool(desk.choice.history)}
    return ChunkAttempts(**_fields(*row), **fields)


@router.get("/chunks", summary="What it says, chunk by chunk, and what is doubted")
def chunks(
    narration: Identifier,
    caller: Teller,
    service: At,
    start: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> ChunkPage:
    plan = plan_of(service, caller, narration)
    return ChunkPage(chunks=list_chunks(service, plan, start, limit), start=start, total=plan.chunks)


@router.get("/chunks/{chunk}", summary="The attempts at a chunk")
def chunk(narration: Identifier, chunk: int, caller: Teller, service: At) -> ChunkAttempts:
    return show_chunk(service, desk_of(service, caller, narration, chunk))


@router.get(
    "/chunks/{chunk}/attempts/{take}",
    summary="The audio of an attempt",
    response_class=Response,
    responses={200: {"content": {"audio/flac": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def audio(
    narration: Identifier, chunk: int, take: TakeKey, caller: Teller, service: At, request: Request
) -> Response:
    """A FLAC file; `take` is the `key` of an attempt."""
    file = await run_in_threadpool(_audio_of, service, caller, narration, chunk, take)
    return await deliver(request, service.store, file, VERIFIER, inline=True)


def _audio_of(service: Service, caller: ApiKey, narration: str, chunk: int, key: str) -> DeliveredFile:
    desk = desk_of(service, caller, narration, chunk)
    take = find_take(service.store, key) if key in {attempt.key for attempt in desk.attempts()} else None
    if take is None:
        raise NotFoundError("there is no such attempt at this chunk")
    return take_file(service.store, take, f"{narration}-{chunk}.flac")


def take_file(store: Store, take: Take, name: str) -> DeliveredFile:
    """The audio of a take, to be delivered under a name."""
    key = layout.take_audio(take.key)
    stat = store.stat(key)
    return DeliveredFile(name, key, stat.size, take.sha256, "audio/flac", stat.modified)


@router.post("/chunks/{chunk}/attempts", status_code=202, summary="Ask for another attempt")
def ask(narration: Identifier, chunk: int, given: Ask, caller: Narrator, service: At) -> ChunkAttempts:
    """It is made at once and changes nothing until it is picked; another speed is used as soon as it is made."""
    desk = desk_of(service, caller, narration, chunk)
    if given.speed is not None:
        desk.set_speed(given.speed)
    else:
        desk.ask(given.count or 1, () if given.seed is None else (given.seed,))
    if service.describe(service.request_of(caller, narration), narration).state != "done":
        service.change(caller, narration, cancel=False)
    return show_chunk(service, desk)


@router.post("/chunks/{chunk}/pick", summary="Use an attempt")
def pick(narration: Identifier, chunk: int, given: Pick, caller: Narrator, service: At) -> ChunkAttempts:
    """Whatever the quality gate says. `deliver` makes the new revision at once, the in-box at its next look."""
    desk = desk_of(service, caller, narration, chunk)
    desk.pick(given.take, lock=given.lock)
    return show_chunk(service, desk)


@router.post("/chunks/{chunk}/undo", summary="Take back the last choice")
def undo(narration: Identifier, chunk: int, caller: Narrator, service: At) -> ChunkAttempts:
    desk = desk_of(service, caller, narration, chunk)
    desk.roll_back()
    return show_chunk(service, desk)


@router.post("/chunks/{chunk}/release", summary="Leave a chunk to script and quality gate again")
def release(narration: Identifier, chunk: int, caller: Narrator, service: At) -> ChunkAttempts:
    desk = desk_of(service, caller, narration, chunk)
    desk.release()
    return show_chunk(service, desk)


@router.post("/respell", summary="Say a word another way")
def respell(narration: Identifier, given: Respelling, caller: Narrator, service: At) -> LexiconAnswer:
    """An entry of the lexicon, for this narration alone or everywhere. `deliver` makes the sentences with this word."""
    service.request_of(caller, narration)
    if given.everywhere:
        check_scope(caller, "admin")
    said = given.said.strip()
    is_ipa = len(said) > 2 and said[0] == said[-1] == "/"
    fields = {"written": given.written, "ipa" if is_ipa else "said": said}
    entry = checked_entry(fields | {"narration": "" if given.everywhere else narration}, "lexicon")
    changes = add_entries(service.store, [entry])
    return LexiconAnswer(entries=[entry], added=changes.added, changed=changes.changed)


@router.post("/deliver", status_code=202, summary="Deliver what was chosen")
def deliver_choices(narration: Identifier, caller: Narrator, service: At) -> Narration:
    """Makes what is touched, and a new revision. 409 where nothing has changed."""
    return service.change(caller, narration, cancel=False)
