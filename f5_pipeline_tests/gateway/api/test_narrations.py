"""Narrations from submission to result."""

from __future__ import annotations

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from f5_pipeline.gateway.api.service import Service
from f5_pipeline.orchestration.launching import webhooks
from f5_pipeline.orchestration.launching.inbox import inbox_calls
from f5_pipeline.orchestration.launching.webhooks import tell
from f5_pipeline.orchestration.partitions import NARRATIONS
from f5_pipeline.orchestration.reporting.observations import register_all
from f5_pipeline.settings import get_settings
from f5_pipeline.store import layout
from f5_pipeline.studio.lexicon import load_lexicon
from f5_pipeline.studio.narrating.scripts import list_scripts, load_script, script_version
from f5_pipeline.studio.removal import receipts
from f5_pipeline.studio.webhooks import Webhook
from f5_pipeline_tests.gateway.api.conftest import Api
from f5_pipeline_tests.support.installation import EXAMPLES
from f5_pipeline_tests.support.ticks import _STORES, StoreOf

TEXT = {"text": "The lamp was lit. Nobody saw it.", "voice": "ada"}


def scripts(api: Api) -> list[str]:
    return [name for name, _ in list_scripts(api.store)]


def called(api: Api) -> list[list[str]]:
    """The batches that a tick of the sensor for calls would launch."""
    import dagster as dg

    _STORES[api.store.url] = api.store
    with dg.build_sensor_context(instance=api.instance, resources={"store": StoreOf(url=api.store.url)}) as context:
        result = inbox_calls(context)
    requests = result.run_requests if isinstance(result, dg.SensorResult) else []
    return [request.run_config["ops"]["plan_batch"]["config"]["narrations"] for request in requests or []]


def test_a_text_becomes_a_narration_with_links(api: Api):
    client = api.client(api.key())
    options = {"title": "The <i>lamp</i>", "formats": ["mp3"], "speed": 1.2, "priority": 3, "timing_formats": ["vtt"]}
    answer = client.post("/v1/narrations", json=TEXT | options)
    name = answer.json()["id"]
    assert answer.status_code == 202 and answer.headers["location"] == f"/v1/narrations/{name}"
    loaded = load_script(api.store, name)
    assert loaded.script.title == "The <i>lamp</i>" and loaded.script.formats == ["mp3"]
    assert (loaded.options.voice, loaded.options.speed, loaded.options.priority) == ("ada", 1.2, 3)
    assert client.get(f"/v1/narrations/{name}/result").status_code == 409
    assert called(api) == [[name]], "the in-box takes it at once"
    api.deliver(name)
    shown = client.get(f"/v1/narrations/{name}").json()
    assert shown["state"] == "done" and shown["seconds"] > 1 and shown["progress"]["made"] == shown["progress"]["takes"]
    result = client.get(f"/v1/narrations/{name}/result", params={"timing_format": "srt"}).json()
    assert {file["name"].removeprefix(name) for file in result["files"]} == {
        ".mp3", ".srt", ".vtt", ".words.csv", ".words.json"
    }  # fmt: skip
    assert set(result["timing_files"]) == {"vtt", "srt"} and result["words"] == 7
    for file in result["files"]:
        assert file["url"].startswith("http://127.0.0.1/d/") and client.get(file["url"]).status_code == 200
    assert "&lt;i&gt;lamp" in client.get(result["page"]).text and "<i>lamp" not in client.get(result["page"]).text
    events = client.get(f"/v1/narrations/{name}/events").text
    assert events.startswith("event: narration\ndata: ") and json.loads(events.split("data: ")[1])["state"] == "done"
    assert client.post(f"/v1/narrations/{name}/cancel").status_code == 409

    removed = client.delete(f"/v1/narrations/{name}").json()
    assert removed["id"] == name and removed["removed"]
    assert client.get(result["files"][0]["url"]).status_code == client.get(result["page"]).status_code == 410
    assert client.get(f"/v1/narrations/{name}").status_code == 404 and scripts(api) == []
    assert [stat.key for stat in api.store.list() if "lamp" in stat.key or stat.key.startswith("takes/")] == []
    (receipt,) = receipts(api.store)
    assert receipt.receipt == removed["receipt"] and receipt.finished and receipt.removed["takes"].objects == 2
    assert client.delete(f"/v1/narrations/{name}").status_code == 404


def test_a_removal_that_a_service_was_stopped_in_is_finished_by_the_next(api: Api, monkeypatch: pytest.MonkeyPatch):
    client = api.client(api.key())
    name = client.post("/v1/narrations", json=TEXT).json()["id"]
    api.deliver(name)
    with monkeypatch.context() as patch:
        patch.setattr(Service, "finish_removal", lambda *_: None)
        assert client.delete(f"/v1/narrations/{name}").status_code == 200
    (receipt,) = receipts(api.store)
    assert receipt.finished is None and list(api.store.list("takes/")) != []
    api.service.finish_removals()
    (receipt,) = receipts(api.store)
    assert receipt.finished and list(api.store.list("takes/")) == []


def test_the_same_idempotency_key_gives_the_same_narration(api: Api):
    client, other = api.client(api.key()), api.client(api.key())
    headers = {"idempotency-key": "order 17"}
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: client.post("/v1/narrations", json=TEXT, headers=headers), range(4)))
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 202]
    assert len(scripts(api)) == 1
    assert client.post("/v1/narrations", json=TEXT | {"speed": 1.1}, headers=headers).status_code == 409
    assert other.post("/v1/narrations", json=TEXT, headers=headers).status_code == 202
    assert len(scripts(api)) == 2
    client.post("/v1/narrations", json=TEXT)
    assert len(scripts(api)) == 3, "without one, each is its own"


def test_files_come_by_form_and_in_base64(api: Api):
    client = api.client(api.key())
    text = "---\ntitle: The lamp\nvoice: ada\n---\n\nIt was lit.\n"
    form = {"options": json.dumps({"speed": 0.9})}
    answer = client.post("/v1/narrations/upload", files={"file": ("../../lamp.md", text)}, data=form)
    assert answer.status_code == 202 and answer.json()["title"] == "The lamp"
    assert load_script(api.store, answer.json()["id"]).options.speed == 0.9
    given = {"file": base64.b64encode(text.encode()).decode(), "file_name": "lamp.md"}
    assert client.post("/v1/narrations", json=given).status_code == 202
    refused = client.post("/v1/narrations/upload", files={"file": ("lamp.odt", b"x")})
    assert refused.status_code == 422 and ".epub" in refused.json()["error"]["hint"]
    refused = client.post("/v1/narrations/upload", files={"file": ("lamp.md", text)}, data={"options": '{"speed": 9}'})
    assert refused.status_code == 422 and "speed" in refused.json()["error"]["param"]


@pytest.mark.parametrize(
    ("given", "about"),
    [
        ({"voice": "adda"}, "Did you mean ada?"),
        ({"language": "klingon"}, "language"),
        ({"model": "no-model"}, "model"),
        ({"engine": "no-engine"}, "engine"),
        ({"text": "Fine.\n\n[break 2s Broken.\n\n[nobody] Hello."}, "the script:"),
        ({"text": "---\nspeed: quick\n---\nHello."}, "the script:2"),
        ({"file": "????", "text": None, "file_name": "a.md"}, "base64"),
        ({"url": "http://169.254.169.254/x.md", "text": None}, "not on the public internet"),
        ({"speed": "<script>alert(1)</script>"}, "speed"),
        ({"url": "https://example.org/x.md"}, "one of text, file and url"),
        ({"sped": 1}, "sped"),
        ({"webhook": "https://10.0.0.1/hook"}, "not on the public internet"),
        ({"webhook": "http://93.184.216.34/hook"}, "no https address"),
    ],
)
def test_what_cannot_be_narrated_is_refused_with_its_place_and_nothing_is_kept(api: Api, given, about):
    answer = api.client(api.key()).post("/v1/narrations", json=TEXT | given)
    error = answer.json()["error"]
    assert answer.status_code == 422 and about in f"{error['message']} {error['hint']}", error
    assert "/tmp" not in answer.text and answer.headers["content-type"] == "application/json"
    assert scripts(api) == [] and not list(api.store.list("requests/")) and not list(api.store.list("narrations/"))


def test_cancel_and_retry(api: Api):
    client = api.client(api.key())
    name = client.post("/v1/narrations", json=TEXT).json()["id"]
    assert client.post(f"/v1/narrations/{name}/cancel").json()["state"] == "canceled"
    assert called(api) == [], "it is not begun"
    assert api.ledger.pending(attempts=3, failed=True) == [], "nor at night"
    events = client.get(f"/v1/narrations/{name}/events").text
    assert '"canceled"' in events
    assert client.post(f"/v1/narrations/{name}/retry").json()["state"] == "queued"
    assert called(api) == [[name]]

    version = script_version(api.store, name)
    api.ledger.start({name: version}, "run")
    api.ledger.finish(name, version, "run", "the voice is mute")
    shown = client.get(f"/v1/narrations/{name}").json()
    assert (shown["state"], shown["error"]) == ("failed", "the voice is mute")
    api.ledger.finish(name, version, "run", "the store is away", retryable=True)
    assert client.get(f"/v1/narrations/{name}").json()["state"] == "queued", "the in-box tries it again by itself"


def test_pages_of_a_list(api: Api, monkeypatch: pytest.MonkeyPatch):
    client = api.client(api.key())
    names = {client.post("/v1/narrations", json=TEXT | {"title": f"Lamp {n}"}).json()["id"] for n in range(5)}
    seen, after = [], None
    while True:
        page = client.get("/v1/narrations", params={"limit": 2} | ({"after": after} if after else {})).json()
        seen += [narration["id"] for narration in page["narrations"]]
        if (after := page["after"]) is None:
            break
    assert len(seen) == 5 and set(seen) == names
    gone, asked, look = seen[2], [], api.service.desk.state
    monkeypatch.setattr(api.service.desk, "state", lambda name: asked.append(name) or look(name))
    api.store.delete(dict(list_scripts(api.store))[gone])
    page = client.get("/v1/narrations", params={"limit": 5}).json()
    assert [narration["id"] for narration in page["narrations"]] == [name for name in seen if name != gone]
    assert asked == [gone], "the others are looked at together"


def test_voices_come_and_go(api: Api):
    client_key = api.key()
    client, other, admin = api.client(client_key), api.client(api.key()), api.client(api.key("admin"))
    recording = (EXAMPLES / "voices" / "ada.flac").read_bytes()
    text = (EXAMPLES / "voices" / "ada.txt").read_bytes()
    files = {"recording": ("x.flac", recording), "transcript": ("x.txt", text)}
    answer = client.post("/v1/voices/upload", files=files, data={"name": "kit", "commercial_use": "yes"})
    assert answer.status_code == 201, answer.text
    assert answer.json()["ready"] and answer.json()["commercial_use"] == "yes"
    refused = other.post("/v1/voices/upload", files=files, data={"name": "kit"})
    assert refused.status_code == 409 and other.delete("/v1/voices/kit").status_code == 409
    assert client.delete("/v1/voices/ada").status_code == 409, "added at the command line"
    wrong = client.post("/v1/voices/upload", files={"recording": ("x.flac", b"no audio")}, data={"name": "kim"})
    assert wrong.status_code == 422 and "/tmp" not in wrong.text
    assert client.post("/v1/voices/upload", files=files, data={"name": "../kim"}).status_code == 422
    assert [voice["name"] for voice in other.get("/v1/voices").json()["voices"]] == ["ada", "kit"]
    assert client.get("/v1/voices/kit").json()["reference_seconds"] > 1
    assert client.delete("/v1/voices/kit").status_code == 200 and client.get("/v1/voices/kit").status_code == 404
    for caller in (client, admin):
        name = caller.post("/v1/narrations", json=TEXT).json()["id"]
        api.deliver(name)
    refused = admin.delete("/v1/voices/ada")
    assert refused.status_code == 409 and "2 narrations" in refused.text
    api.store.replace_bytes(layout.api_voice(client_key[3:15], "ada"), b"{}")
    assert client.delete("/v1/voices/ada?with_narrations=true").status_code == 409, "one is the admin's"
    url = admin.get(f"/v1/narrations/{name}/result").json()["page"]
    assert admin.get(url).status_code == 200
    assert admin.delete("/v1/voices/ada?with_narrations=true").status_code == 200
    assert admin.get(url).status_code == 410 and admin.get(f"/v1/narrations/{name}").json()["state"] == "failed"
    left = {stat.key.partition("/")[0] for stat in api.store.list()}
    assert left - {"runs"} == {"keys", "receipts", "requests", "scripts", "work"}, "the scripts stay"
    assert client.delete("/v1/voices/kit").status_code == 404
    assert not [stat.key for stat in api.store.list("requests/") if layout.api_voice.match(stat.key)]


@pytest.mark.slow
def test_entries_that_are_added_at_once_are_all_kept(api: Api):
    """Each writes the whole lexicon."""
    key = api.key("admin")

    def add(number: int) -> int:
        entry = {"written": f"word{number}", "said": "other"}
        return api.client(key).post("/v1/lexicon", json=[entry]).status_code

    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(add, range(32))) == {200}
    assert {entry.written for entry in load_lexicon(api.store)} == {f"word{number}" for number in range(32)}


def test_lexicon_plan_and_models(api: Api):
    admin = api.client(api.key("admin"))
    entry = {"written": "Nietzsche", "said": "Neecha"}
    assert admin.post("/v1/lexicon", json=[entry]).json()["added"] == 1
    assert admin.get("/v1/lexicon").json()["entries"][0]["said"] == "Neecha"
    assert admin.post("/v1/lexicon", json=[entry | {"voice": "nobody"}]).status_code == 422
    assert admin.delete("/v1/lexicon", params={"written": "nietzsche"}).json()["entries"] == []
    assert admin.delete("/v1/lexicon", params={"written": "nietzsche"}).status_code == 404
    planned = admin.post("/v1/plan", json=TEXT).json()
    assert (planned["words"], planned["takes_to_make"], planned["engine"]) == (7, 1, "draft"), (
        "short sentences are joined"
    )
    assert planned["cost"] is None and scripts(api) == []
    assert {"draft", "F5TTS_v1_Base"} <= {model["id"] for model in admin.get("/v1/models").json()["data"]}


def test_a_webhook_is_told_and_its_state_is_shown(api: Api, monkeypatch: pytest.MonkeyPatch):
    """What is sent, and how often, has tests of its own: orchestration/launching/test_webhooks.py."""
    sent: list[Webhook] = []

    def refuse(hooks, keys, now, allowed):
        sent.extend(hooks)
        return ["500" for _ in sent]

    monkeypatch.setattr(webhooks, "send_all", refuse)
    client = api.client(api.key())
    given = TEXT | {"webhook": "https://93.184.216.34/hook?token=secret"}
    answer = client.post("/v1/narrations", json=given).json()
    name = answer["id"]
    assert answer["webhook"] == {"state": "waiting", "attempts": 0, "answer": None}
    assert "secret" not in json.dumps(answer)
    register_all(api.instance, NARRATIONS, [name])
    tell(api.instance, lambda: api.store, get_settings(), time.time())
    assert sent == []
    api.deliver(name)
    api.ledger.finish(name, script_version(api.store, name), "a run")
    tell(api.instance, lambda: api.store, get_settings(), time.time())
    message = json.loads(sent[0].body)
    shown = client.get(f"/v1/narrations/{name}").json()
    assert shown["webhook"] == {"state": "sending", "attempts": 1, "answer": "500"}
    assert (message["id"], message["state"], message["seconds"]) == (name, "done", shown["seconds"])
    assert message["result"].endswith(f"/v1/narrations/{name}/result")
