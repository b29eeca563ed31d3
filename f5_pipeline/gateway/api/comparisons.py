"""/v1/narrations/{narration}/comparison: pairs of takes by two models or presets, to be heard and voted on blind.

Which of a pair is A is drawn by lot for each key; nothing that is answered tells it before the vote.
"""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from f5_pipeline.errors import NotFoundError
from f5_pipeline.gateway.api.access import Narrator, Teller
from f5_pipeline.gateway.api.models import Strict
from f5_pipeline.gateway.api.narrations import At, Identifier
from f5_pipeline.gateway.api.retakes import VERIFIER, take_file
from f5_pipeline.gateway.api.service import ConflictError, Service
from f5_pipeline.gateway.delivery import DeliveredFile, deliver
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.studio.keys import ApiKey
from f5_pipeline.studio.narrating.gate import find_take
from f5_pipeline.studio.narrating.votes import Pair, Pairs, Vote, find_pairs, find_vote, vote

router = APIRouter(prefix="/v1/narrations/{narration}/comparison", tags=["retakes"])

Side = Literal["a", "b"]


class PairAnswer(BaseModel):
    """A sentence, spoken twice."""

    chunk: int
    line: int
    language: str
    text: str
    better: Literal["a", "b", "neither"] | None = Field(description="this key's vote; None: not voted yet")
    names: tuple[str, str] | None = Field(description="what A and B are; None before the vote")

    @property
    def preferred(self) -> str | None:
        """What the vote was for, by its name."""
        return self.names["ab".index(self.better)] if self.names and self.better in ("a", "b") else self.better


class ComparisonAnswer(BaseModel):
    """The newest comparison of a narration."""

    pairs: list[PairAnswer]
    voted: int


class Ballot(Strict):
    better: Literal["a", "b", "neither"]

    model_config = ConfigDict(json_schema_extra={"examples": [{"better": "a"}]})


def comparison_of(service: Service, caller: ApiKey, narration: str) -> Pairs:
    """The newest comparison of a narration that the caller may see."""
    service.request_of(caller, narration)
    found = find_pairs(service.store, narration)
    if found is None:
        hint = "The command makes one: f5-pipeline compare NARRATION --preset final --preset rapid"
        raise NotFoundError("there is no comparison of it", hint=hint)
    return found


def list_pairs(service: Service, caller: ApiKey, narration: str, found: Pairs) -> list[PairAnswer]:
    """All pairs in the order of the text, with the caller's votes."""
    votes = in_parallel(
        service.store, lambda pair: (pair, find_vote(service.store, narration, pair, caller.key)), found.pairs
    )
    return [_answer(pair, found, caller, given) for pair, given in votes]


def _answer(pair: Pair, found: Pairs, caller: ApiKey, given: Vote | None) -> PairAnswer:
    order = pair.sides(caller.key)
    better = None
    if given is not None:
        takes = [pair.takes[side] for side in order]
        better = "neither" if given.better is None else "ab"[takes.index(given.better)]
    return PairAnswer.model_validate(
        pair.model_dump(exclude={"takes"})
        | {"better": better, "names": given and tuple(found.variants[side] for side in order)}
    )


def _pair_of(found: Pairs, chunk: int) -> Pair:
    pair = next((pair for pair in found.pairs if pair.chunk == chunk), None)
    if pair is None:
        raise NotFoundError(f"chunk {chunk} is not among those that were compared")
    return pair


@router.get("", summary="Pairs to hear blind")
def pairs(narration: Identifier, caller: Teller, service: At) -> ComparisonAnswer:
    answers = list_pairs(service, caller, narration, comparison_of(service, caller, narration))
    return ComparisonAnswer(pairs=answers, voted=sum(answer.better is not None for answer in answers))


@router.get(
    "/{chunk}/{side}",
    summary="The audio of one of a pair",
    response_class=Response,
    responses={200: {"content": {"audio/flac": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def audio(
    narration: Identifier,
    chunk: int,
    side: Annotated[Side, Path(description="a or b")],
    caller: Teller,
    service: At,
    request: Request,
) -> Response:
    """A FLAC file."""
    file = await run_in_threadpool(_audio_of, service, caller, narration, chunk, side)
    return await deliver(request, service.store, file, VERIFIER, inline=True)


def _audio_of(service: Service, caller: ApiKey, narration: str, chunk: int, side: Side) -> DeliveredFile:
    pair = _pair_of(comparison_of(service, caller, narration), chunk)
    key = pair.takes[pair.sides(caller.key)["ab".index(side)]]
    take = find_take(service.store, key)
    if take is None:
        raise NotFoundError("its takes are not kept any more", hint="Compare anew: f5-pipeline compare.")
    return take_file(service.store, take, f"{narration}-{chunk}-{side}.flac")


@router.post("/{chunk}/vote", summary="Say which is better")
def give_vote(narration: Identifier, chunk: int, given: Ballot, caller: Narrator, service: At) -> PairAnswer:
    """It cannot be changed, as the answer tells what A and B are. 409 where this key has voted on the pair."""
    found = comparison_of(service, caller, narration)
    pair = _pair_of(found, chunk)
    if find_vote(service.store, narration, pair, caller.key) is not None:
        raise ConflictError("you have voted on this pair", hint="Go on to the next.")
    order = pair.sides(caller.key)
    better = None if given.better == "neither" else pair.takes[order["ab".index(given.better)]]
    return _answer(pair, found, caller, vote(service.store, narration, pair, caller.key, better))
