"""The retake desk: its API, its session, and that nobody but its own pages can act in its reader's name."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

from f5_pipeline.gateway.api import access, session
from f5_pipeline.speech import engines
from f5_pipeline.store import layout
from f5_pipeline.store.records import put_lines, read_lines
from f5_pipeline.studio.keys import list_keys, revoke_key
from f5_pipeline.studio.links.tokens import LinkSigner
from f5_pipeline.studio.narrating.choices import find_choices
from f5_pipeline.studio.records import ChosenTake, Doubt, Takes
from f5_pipeline.studio.state import read_state, write_state
from f5_pipeline_tests.gateway.api.conftest import HERE, Api
from f5_pipeline_tests.gateway.api.test_narrations import called
from f5_pipeline_tests.support.toy_engine import TOY

TEXT = 'The first sentence stays as it is.\n\nThe second one is <b>heard</b> &amp; "heard" again.'
OWN = {"origin": HERE, "sec-fetch-site": "same-origin"}


@pytest.fixture
def toy(api: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    """The API beside an engine whose attempts differ."""
    specs = {**engines._specs(), "toy": TOY}
    monkeypatch.setattr(engines, "_specs", lambda: specs)
    return api


def narrated(api: Api, client: TestClient, **options) -> str:
    given = {"text": TEXT, "voice": "ada", "engine": "toy", "title": "<i>Lamp</i>", **options}
    name = client.post("/v1/narrations", json=given).json()["id"]
    called(api)
    api.deliver(name)
    return name


def doubt(api: Api, name: str, reason: str) -> None:
    """Let the quality gate doubt the second chunk of a narration."""
    gathered = read_state(api.store, Takes, name)
    lines = list(read_lines(api.store, gathered.takes_key, ChosenTake))
    lines[1].doubts = [reason]
    gathered.takes_key, _ = put_lines(api.store, lambda digest: layout.narration_takes(name, digest), lines)
    gathered.measured, gathered.doubtful = 2, 1
    text = lines[1].take.text
    gathered.doubts = [
        Doubt(chunk=1, line=3, voice="ada", text=text, attempts=3, score=4, reasons=[reason], take=lines[1].take.key)
    ]
    write_state(api.store, gathered, name)


def takes(api: Api) -> set[str]:
    return {stat.key for stat in api.store.list("takes/") if stat.key.endswith(".json")}


def browser(api: Api, key: str = "", **options) -> TestClient:
    """A browser at the desk, logged in with a key."""
    client = api.client(**options)
    if key:
        answer = client.post("/desk/log-in", data={"key": key}, headers=OWN)
        assert answer.status_code == 303 and answer.headers["location"] == "../desk", answer.text
    return client


def token_of(client: TestClient, path: str = "/desk") -> dict[str, str]:
    (token,) = re.findall(r'data-token="([^"]+)"', client.get(path).text)
    return OWN | {session.TOKEN_HEADER: token}


@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_an_attempt_is_asked_for_heard_picked_locked_and_delivered(toy: Api):
    client = toy.client(toy.key())
    name = narrated(toy, client)
    at, revision = f"/v1/narrations/{name}", client.get(f"/v1/narrations/{name}/result").json()["revision"]
    page = client.get(f"{at}/chunks").json()
    assert page["total"] == 2 and page["chunks"][1]["text"] == 'The second one is heard & "heard" again.'
    assert page["chunks"][1]["seconds"] > 1 and page["chunks"][1]["doubts"] == []
    assert client.get(f"{at}/chunks", params={"start": 1}).json()["chunks"] == page["chunks"][1:]

    before = takes(toy)
    asked = client.post(f"{at}/chunks/1/attempts", json={"count": 1})
    assert asked.status_code == 202 and [one["made"] for one in asked.json()["attempts"]] == [True, False]
    assert client.get(at).json()["state"] == "queued" and called(toy) == [[name]], "the in-box makes it at once"
    toy.deliver(name)
    assert len(takes(toy) - before) == 1
    shown = client.get(f"{at}/chunks/1").json()
    first, second = shown["attempts"]
    assert first["used"] and not second["used"] and second["made"]
    assert client.get(f"{at}/result").json()["revision"] == revision, "asking changes nothing"

    audio = client.get(f"{at}/chunks/1/attempts/{second['key']}")
    assert audio.headers["content-type"] == "audio/flac" and audio.content.startswith(b"fLaC")
    part = client.get(f"{at}/chunks/1/attempts/{second['key']}", headers={"range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"fLaC")
    assert client.get(f"{at}/chunks/0/attempts/{second['key']}").status_code == 404, "of another chunk"

    assert client.post(f"{at}/deliver").status_code == 409
    picked = client.post(f"{at}/chunks/1/pick", json={"take": second["key"], "lock": True}).json()
    assert picked["picked"] and picked["locked"] and picked["attempts"][1]["used"]
    assert client.post(f"{at}/deliver").json()["state"] == "queued" and called(toy) == [[name]]
    toy.deliver(name)
    assert len(takes(toy) - before) == 1, "takes made: one"
    assert client.get(f"{at}/result").json()["revision"] != revision
    undone = client.post(f"{at}/chunks/1/undo").json()
    assert not undone["picked"] and not undone["undoable"]
    assert client.post(f"{at}/chunks/1/undo").status_code == 422
    toy.deliver(name)
    assert client.get(f"{at}/result").json()["revision"] == revision, "it is rolled back"


def test_another_speed_a_certain_attempt_and_a_word(toy: Api):
    client = toy.client(toy.key())
    name = narrated(toy, client)
    at, before = f"/v1/narrations/{name}", takes(toy)
    assert client.post(f"{at}/chunks/0/attempts", json={"seed": 77}).status_code == 202
    assert client.post(f"{at}/chunks/1/attempts", json={"speed": 0.5}).status_code == 202
    toy.deliver(name)
    assert len(takes(toy) - before) == 2
    assert client.get(f"{at}/chunks/1").json()["speed"] == 0.5
    assert [one["attempt"] for one in client.get(f"{at}/chunks/0").json()["attempts"]] == [0, 77]
    assert client.post(f"{at}/chunks/1/release").json()["undoable"]

    toy.deliver(name)
    before = takes(toy)
    word = {"written": "stays", "said": "remains"}
    added = client.post(f"{at}/respell", json=word).json()
    assert added["added"] == 1 and added["entries"][0]["narration"] == name
    assert client.post(f"{at}/respell", json=word | {"everywhere": True}).status_code == 403
    assert client.get(at).json()["state"] == "queued"
    client.post(f"{at}/deliver")
    assert called(toy) == [[name]]
    toy.deliver(name)
    assert len(takes(toy) - before) == 1, "the sentence with the word"


def test_what_cannot_be_asked_for(toy: Api):
    client = toy.client(toy.key())
    name = narrated(toy, client)
    at = f"/v1/narrations/{name}/chunks"
    for path, given, status in (
        ("/1/attempts", {"count": 2, "seed": 1}, 422),
        ("/1/attempts", {"speed": 9}, 422),
        ("/1/attempts", {"count": 21}, 422),
        ("/1/pick", {"take": "0" * 64}, 422),
        ("/1/pick", {"take": "../../lexicon"}, 422),
        ("/9/attempts", {}, 404),
    ):
        assert client.post(at + path, json=given).status_code == status, (path, given)
    assert client.get(f"{at}/1/attempts/{'0' * 64}").status_code == 404
    assert not toy.store.exists(layout.script_choices(name))
    draft = narrated(toy, client, engine="draft")
    answer = client.post(f"/v1/narrations/{draft}/chunks/0/attempts", json={})
    assert answer.status_code == 422 and "sounds the same" in answer.json()["error"]["message"]
    queued = client.post("/v1/narrations", json={"text": "A text.", "voice": "ada"}).json()["id"]
    assert client.get(f"/v1/narrations/{queued}/chunks").status_code == 409


def test_it_is_its_owners_and_readers_change_nothing(toy: Api):
    owner, other = toy.client(toy.key()), toy.client(toy.key())
    name = narrated(toy, owner)
    at = f"/v1/narrations/{name}"
    key = owner.get(f"{at}/chunks/1").json()["attempts"][0]["key"]
    reading = ("/chunks", "/chunks/1", f"/chunks/1/attempts/{key}")
    changing = ("/chunks/1/attempts", "/chunks/1/pick", "/chunks/1/undo", "/chunks/1/release", "/respell", "/deliver")
    given = {"/chunks/1/pick": {"take": key}, "/respell": {"written": "a", "said": "b"}}
    reader, keeper = toy.client(toy.key("read")), toy.client(toy.key("voices"))
    for path in reading:
        assert other.get(at + path).status_code == 404, path
        assert keeper.get(at + path).status_code == 403
        assert owner.get(at + path).status_code == 200
    for path in changing:
        assert other.post(at + path, json=given.get(path, {})).status_code == 404, path
        assert reader.post(at + path, json=given.get(path, {})).status_code == 403
    desk = browser(toy, toy.key())
    assert desk.get(f"/desk/n/{name}").status_code == 404 and name not in desk.get("/desk").text
    assert not find_choices(toy.store, name).chunks and not toy.store.exists(layout.lexicon())


def test_an_admin_sees_also_what_the_command_line_made(toy: Api):
    client = toy.client(toy.key())
    name = client.post("/v1/narrations", json={"text": "A text.", "voice": "ada"}).json()["id"]
    toy.store.replace_bytes(layout.script("by-hand", ".md"), b"---\nvoice: ada\n---\nA text.\n")
    admin = toy.client(toy.key("admin"))
    seen, after = [], None
    while True:
        page = admin.get("/v1/narrations", params={"limit": 1} | ({"after": after} if after else {})).json()
        seen += [narration["id"] for narration in page["narrations"]]
        if (after := page["after"]) is None:
            break
    assert sorted(seen) == sorted(["by-hand", name])
    assert [narration["id"] for narration in client.get("/v1/narrations").json()["narrations"]] == [name]


def test_the_session_is_a_cookie_that_ends(toy: Api, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(access, "KEY_SECONDS", 0.0)
    key = toy.key()
    login = toy.client().post("/desk/log-in", data={"key": key}, headers=OWN)
    cookie = login.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=strict" in cookie and "Secure" not in cookie and key not in cookie
    toy.service.base_url = "https://narrations.example"
    over_tls = toy.client().post("/desk/log-in", data={"key": key}, headers=OWN)
    assert "Secure" in over_tls.headers["set-cookie"]
    toy.service.base_url = HERE

    desk = browser(toy, key)
    assert "Narrations" in desk.get("/desk").text and desk.get("/v1/narrations").status_code == 200
    value = desk.cookies[session.COOKIE]
    stranger = toy.client()
    for wrong in (value[:-1], value + "A", "local" + value[12:], value.replace(".", "-"), "x"):
        stranger.cookies.clear()
        stranger.cookies.set(session.COOKIE, wrong)
        assert "Log in" in stranger.get("/desk").text and stranger.get("/v1/narrations").status_code == 401
    link = LinkSigner(["another secret that is long enough for it"]).timestamps("desk.session").sign(b"x").decode()
    stranger.cookies.clear()
    stranger.cookies.set(session.COOKIE, link)
    assert stranger.get("/v1/narrations").status_code == 401

    with monkeypatch.context() as later:
        later.setattr(session, "SESSION_SECONDS", -1)
        assert desk.get("/v1/narrations").status_code == 401
    headers = token_of(desk)
    revoke_key(toy.store, next(iter(list_keys(toy.store))).key)
    assert desk.get("/v1/narrations").status_code == 401 and "Log in" in desk.get("/desk").text
    assert desk.post("/v1/narrations", json={"text": "x"}, headers=headers).status_code == 401

    desk = browser(toy, toy.key("voices", "read"))
    token = token_of(desk)[session.TOKEN_HEADER]
    assert "set-cookie" not in desk.post("/desk/log-out", data={"token": "x"}, headers=OWN).headers
    assert 'f5_desk=""' in desk.post("/desk/log-out", data={"token": token}, headers=OWN).headers["set-cookie"]


def test_keys_that_open_nothing_are_refused_and_tries_are_limited(toy: Api, monkeypatch: pytest.MonkeyPatch):
    client = toy.client()
    for key in ("", "x", toy.key("voices"), "<script>alert(1)</script>"):
        answer = client.post("/desk/log-in", data={"key": key}, headers=OWN)
        assert answer.status_code == 401 and "set-cookie" not in answer.headers and "<script>al" not in answer.text
    monkeypatch.setattr(access, "LOG_IN_RATE", 1)
    answers = [client.post("/desk/log-in", data={"key": "x"}, headers=OWN) for _ in range(3)]
    assert answers[-1].status_code == 429 and int(answers[-1].headers["retry-after"]) > 1
    assert client.get("/desk").status_code == 200


@pytest.mark.parametrize("keyed", [True, False])
def test_no_other_page_can_act_in_its_readers_name(toy: Api, keyed):
    key = toy.key() if keyed else ""
    desk, given = browser(toy, key), {"text": "x", "voice": "ada"}
    good = token_of(desk)
    for headers in (
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://[127.0.0.1"},
        {"origin": HERE, "sec-fetch-site": "cross-site"},
        {"origin": HERE, "sec-fetch-site": "same-site"},
        {"origin": "http://127.0.0.1:81"},
        {"sec-fetch-site": "none"},
    ):
        foreign = headers | {session.TOKEN_HEADER: good[session.TOKEN_HEADER]}
        assert desk.post("/v1/narrations", json=given, headers=foreign).status_code == 403, headers
        for path in ("log-in", "log-out"):
            fields = {"key": key, "token": good[session.TOKEN_HEADER]}
            answer = desk.post(f"/desk/{path}", data=fields, headers=headers)
            assert answer.status_code == 403 and "set-cookie" not in answer.headers
        if headers.get("sec-fetch-site", "none") != "none":
            assert desk.get("/v1/narrations", headers=headers).status_code == 403
    for token in ("", "x", "é", good[session.TOKEN_HEADER][:-1]):
        wrong = {name.encode(): value.encode() for name, value in (OWN | {session.TOKEN_HEADER: token}).items()}
        assert desk.post("/v1/narrations", json=given, headers=wrong).status_code == 403
    assert desk.post("/v1/narrations", json=given, headers=good).status_code == 202


def test_without_keys_the_desk_is_for_this_machine_and_needs_no_log_in(toy: Api):
    desk = toy.client()
    answer = desk.get("/desk")
    assert "Narrations" in answer.text and "Log out" not in answer.text and "HttpOnly" in answer.headers["set-cookie"]
    headers = token_of(desk)
    assert desk.post("/v1/narrations", json={"text": "x", "voice": "ada"}, headers=headers).status_code == 202
    assert desk.post("/v1/narrations", json={"text": "x"}, headers=OWN).status_code == 403, "no token"
    for other in (toy.client(local=False), toy.client(address="192.0.2.1")):
        assert other.get("/desk").status_code == 403 and "keys add" in other.get("/desk").text
    assert desk.get("/desk", headers={"host": "evil.example"}).status_code == 403
    toy.key()
    fresh = toy.client()
    fresh.cookies.set(session.COOKIE, desk.cookies[session.COOKIE])
    assert "Log in" in fresh.get("/desk").text, "once there are keys, that session is none"


def test_the_pages_escape_every_field_and_load_nothing_of_others(toy: Api):
    evil = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>"
    key = toy.key()
    client = toy.client(key)
    name = narrated(toy, client, title=evil, text=f"The &lt;script&gt;alert(1)&lt;/script&gt; word. {TEXT}")
    doubt(toy, name, evil)
    assert client.get(f"/v1/narrations/{name}/chunks/1").json()["doubts"] == [evil]
    ledger, desk = toy.ledger, browser(toy, key)
    pages = [desk.get("/desk"), desk.get(f"/desk/n/{name}"), desk.get(f"/desk/n/{name}?chunk=1")]
    ledger.finish(name, "another version", "run", evil)
    pages += [desk.get(f"/desk?after={evil}"), desk.get(f"/desk/n/{evil}"), desk.get(f"/desk/n/{name}?chunk=99")]
    for page in pages:
        assert "<script>alert" not in page.text and "<img" not in page.text and "onerror=alert(1)>" not in page.text
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert not re.findall(r'(?:src|href|action)="(?:https?:)?//|<script(?! src=)|style=|\son\w+="', page.text)
        assert page.headers["content-type"].startswith("text/html") and page.headers["cache-control"] == "no-store"
    assert "1 doubted" in pages[0].text and pages[2].text.count("&lt;script&gt;alert(1)") > 4
    assert "&lt;script&gt;alert(1)" in pages[0].text and "no chunk 99" in pages[-1].text
    assert [page.status_code for page in pages[-2:]] == [404, 404]
