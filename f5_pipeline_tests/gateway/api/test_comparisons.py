"""Pairs of takes that are heard and voted on blind."""

from __future__ import annotations

from f5_pipeline.store import layout
from f5_pipeline.store.records import read_lines
from f5_pipeline.studio.narrating.votes import Pair, Pairs, keep_pairs, preferences
from f5_pipeline.studio.records import ChosenTake, Takes
from f5_pipeline.studio.state import read_state
from f5_pipeline_tests.gateway.api.conftest import Api
from f5_pipeline_tests.gateway.api.test_desk import browser, narrated, takes, token_of, toy  # noqa: F401

VARIANTS = ("the slow one", "the rapid one")


def compared(api: Api, name: str) -> list[Pair]:
    """A comparison of a narration's two chunks; of the second only one reading is kept."""
    lines = read_lines(api.store, read_state(api.store, Takes, name).takes_key, ChosenTake)
    first, second = (line.take for line in lines)
    pairs = [
        Pair(chunk=0, line=1, language="en", text=first.text, takes=(first.key, second.key)),
        Pair(chunk=1, line=3, language="en", text=second.text, takes=(second.key, "0" * 64)),
    ]
    keep_pairs(api.store, name, Pairs(variants=VARIANTS, pairs=pairs))
    return pairs


def test_nothing_tells_which_is_which_before_the_vote(toy: Api):  # noqa: F811
    key = toy.key()
    client = toy.client(key)
    name = narrated(toy, client)
    at = f"/v1/narrations/{name}/comparison"
    assert client.get(at).status_code == 404
    pair, _ = compared(toy, name)
    page = browser(toy, key)
    shown = page.get(f"/desk/n/{name}/pairs", follow_redirects=True)
    assert str(shown.url).endswith("?chunk=0") and "Vote blind on 2 pairs" in page.get(f"/desk/n/{name}").text
    before = client.get(at)
    for secret in (*VARIANTS, *pair.takes):
        assert secret not in shown.text and secret not in before.text
    assert [one["names"] for one in before.json()["pairs"]] == [None, None]

    voter = next(iter(stat.key for stat in toy.store.list("keys/"))).split("/")[1].removesuffix(".json")
    order = pair.sides(voter)
    for side, place in zip("ab", order, strict=True):
        heard = client.get(f"{at}/0/{side}").content
        assert heard == toy.store.get_bytes(layout.take_audio(pair.takes[place]))
    answer = page.post(f"{at}/0/vote", json={"better": "b"}, headers=token_of(page))
    assert answer.json()["names"] == [VARIANTS[place] for place in order] and answer.json()["better"] == "b"
    assert preferences(toy.store, name, [pair])[0][order[1]] == 1
    assert client.post(f"{at}/0/vote", json={"better": "a"}).status_code == 409
    assert client.get(at).json()["voted"] == 1
    assert client.post(f"{at}/1/vote", json={"better": "neither"}).json()["names"]
    assert "neither" in page.get(f"/desk/n/{name}/pairs").text


def test_the_order_is_drawn_and_the_door_is_shut(toy: Api):  # noqa: F811
    client = toy.client(toy.key())
    name = narrated(toy, client)
    pair, _ = compared(toy, name)
    assert {pair.sides(str(voter)) for voter in range(20)} == {(0, 1), (1, 0)}
    at = f"/v1/narrations/{name}/comparison"
    stranger = toy.client(toy.key())
    assert stranger.get(at).status_code == stranger.get(f"{at}/0/a").status_code == 404
    assert stranger.post(f"{at}/0/vote", json={"better": "a"}).status_code == 404
    reader = toy.client(toy.key("read", "admin"))
    assert reader.get(at).status_code == 200
    only = toy.client(toy.key("read"))
    assert only.post(f"{at}/0/vote", json={"better": "a"}).status_code == 403
    assert client.post(f"{at}/7/vote", json={"better": "a"}).status_code == 404
    assert client.post(f"{at}/0/vote", json={"better": "c"}).status_code == 422
