"""Blind votes on the pairs of takes that a comparison made: what is offered to be heard, and what was preferred.

A vote is about two takes, whatever comparison they are of: it counts again where the same two are compared anew.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from hashlib import sha256

from pydantic import BaseModel, Field

from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.parallel import in_parallel
from f5_pipeline.store.records import find_record, write_record
from f5_pipeline.studio.records import TakeKey
from f5_pipeline.system.clock import iso_time


class Pair(BaseModel):
    """A chunk, spoken by both variants of a comparison; takes in the order of the variants."""

    chunk: int
    line: int
    language: str
    text: str
    takes: tuple[TakeKey, TakeKey]

    @property
    def id(self) -> str:
        """Of the two takes, whichever is first; hex."""
        return sha256(" ".join(sorted(self.takes)).encode()).hexdigest()

    def sides(self, voter: str) -> tuple[int, int]:
        """The places in `takes` of what a voter hears as A and as B: by lot, always the same for one voter."""
        return (0, 1) if sha256(f"{self.id} {voter}".encode()).digest()[0] % 2 else (1, 0)


class Pairs(BaseModel):
    """The newest comparison of a narration."""

    variants: tuple[str, str]
    pairs: list[Pair]


class Vote(BaseModel):
    """What one person prefers of two takes. It is not changed: once it is given, the names are shown."""

    takes: tuple[TakeKey, TakeKey]
    better: TakeKey | None = Field(description="None: neither")
    voter: str = Field(description="id of a key of the HTTP API, or `local`")
    made: str


def keep_pairs(store: Store, narration: str, pairs: Pairs) -> None:
    write_record(store, layout.comparison(narration), pairs)


def find_pairs(store: Store, narration: str) -> Pairs | None:
    """The newest comparison of a narration; None where there is none."""
    return find_record(store, layout.comparison(narration), Pairs)


def find_vote(store: Store, narration: str, pair: Pair, voter: str) -> Vote | None:
    return find_record(store, layout.vote(narration, pair.id, voter), Vote)


def vote(store: Store, narration: str, pair: Pair, voter: str, better: TakeKey | None) -> Vote:
    """Keep what a voter prefers of a pair; `better`: one of its takes, None: neither."""
    given = Vote(takes=pair.takes, better=better, voter=voter, made=iso_time())
    write_record(store, layout.vote(narration, pair.id, voter), given)
    return given


def preferences(store: Store, narration: str, pairs: Iterable[Pair]) -> Mapping[int, tuple[float, float]]:
    """By chunk with a vote at least: the shares of its voters who prefer the first take, and the second."""
    keys = (stat.key for stat in store.list(layout.votes_of(narration)))
    votes: dict[frozenset[str], list[Vote]] = defaultdict(list)
    for given in in_parallel(store, lambda key: find_record(store, key, Vote), keys):
        if given is not None:
            votes[frozenset(given.takes)].append(given)
    shares = {}
    for pair in pairs:
        if given := votes.get(frozenset(pair.takes)):
            first, second = (sum(one.better == take for one in given) / len(given) for take in pair.takes)
            shares[pair.chunk] = (first, second)
    return shares
