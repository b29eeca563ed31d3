# ruff: noqa: F811  (fixtures are imported)
"""Webhooks: what has ended is told, signed, until it is taken; to a receiver that is a real HTTP server."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import dagster as dg
import pytest
import standardwebhooks

from f5_pipeline.errors import InputError
from f5_pipeline.orchestration.launching import webhooks
from f5_pipeline.orchestration.launching.webhooks import announce_batch, tell
from f5_pipeline.orchestration.ledger import Ledger
from f5_pipeline.orchestration.partitions import NARRATIONS
from f5_pipeline.orchestration.reporting.observations import register_all
from f5_pipeline.settings import get_settings
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.records import write_record
from f5_pipeline.studio.narrating.batches import BatchReport, NarrationOutcome
from f5_pipeline.studio.webhooks import SECRET_FILE, WAIT_SECONDS, Webhook, open_secrets
from f5_pipeline_tests.support.installation import Installation
from f5_pipeline_tests.support.ticks import batch_run, instance  # noqa: F401

STORY = "story-0123456789abcdef"
WAIT = WAIT_SECONDS[0] + 1


@dataclass
class Receiver:
    """What it has received, headers and bodies; it answers with `statuses`, the last of them for ever."""

    statuses: list[int] = field(default_factory=lambda: [204])
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    def verified(self, number: int) -> dict:
        (key,) = open_secrets(get_settings().home_folder, None)
        headers, body = self.received[number]
        return standardwebhooks.Webhook(key).verify(body, headers)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            made.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(made.statuses.pop(0) if len(made.statuses) > 1 else made.statuses[0])
            self.send_header("location", made.url)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    made.url = f"http://127.0.0.1:{server.server_address[1]}/hook?token=1"
    yield made
    server.shutdown()
    server.server_close()


@dataclass
class Teller:
    """The sensor's work, tick by tick, at times of the test's choosing, and from a ledger that is opened anew."""

    instance: dg.DagsterInstance
    store: Store
    now: float = field(default_factory=time.time)

    def tick(self, seconds: float = 0.0) -> dict[str, Webhook]:
        self.now += seconds
        return tell(self.instance, lambda: self.store, get_settings(), self.now)

    def failed(self, url: str, *, trusted: bool = True) -> Ledger:
        """A narration that failed for good, and is to be told to `url`."""
        ledger = Ledger(self.instance)
        write_record(self.store, layout.webhook(STORY), Webhook(url=url, title="A story", trusted=trusted))
        register_all(self.instance, NARRATIONS, [STORY])
        ledger.start({STORY: "1"}, "a run")
        ledger.finish(STORY, "1", "a run", reason="line 3: no voice")
        return ledger


@pytest.fixture
def teller(here: Installation, instance) -> Teller:
    return Teller(instance, here.store)


def test_a_receiver_that_fails_twice_gets_the_same_message_the_third_time(teller, receiver):
    receiver.statuses = [500, 302, 204]
    teller.now -= WAIT_SECONDS[0] + WAIT_SECONDS[1]  # the library refuses what is five minutes old, or not of yet
    ledger = teller.failed(receiver.url)
    assert [hook.answer for hook in teller.tick().values()] == ["500"]
    assert teller.tick(seconds=WAIT_SECONDS[0] - 1) == {}, "not before its time"
    assert teller.tick(seconds=2)[STORY].answer == "302"
    assert teller.tick(seconds=WAIT_SECONDS[1] + 1)[STORY].state == "delivered"
    assert Teller(teller.instance, teller.store, teller.now + 100_000).tick() == {}
    assert len(receiver.received) == 3, "redirects are not followed"
    first, last = (receiver.received[number] for number in (0, 2))
    assert first[1] == last[1] and first[0]["webhook-id"] == last[0]["webhook-id"]
    assert receiver.verified(0) == {
        "type": "narration.failed",
        "timestamp": receiver.verified(2)["timestamp"],
        "id": STORY,
        "state": "failed",
        "title": "A story",
        "seconds": None,
        "result": None,
        "error": "line 3: no voice",
    }
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook("whsec_" + "A" * 44).verify(last[1], last[0])

    ledger.retry(STORY, "1")
    assert teller.tick() == {}
    ledger.cancel(STORY, "1", "canceled by its owner")
    teller.tick()
    assert receiver.verified(3)["state"] == "canceled"
    assert receiver.received[3][0]["webhook-id"] != last[0]["webhook-id"], "another end is another message"


def test_what_may_be_tried_again_has_not_ended(teller, receiver):
    ledger = teller.failed(receiver.url)
    ledger.start({STORY: "2"}, "a run")
    ledger.finish(STORY, "2", "a run", reason="the bucket does not answer", retryable=True)
    assert teller.tick() == {} and not receiver.received


def test_who_did_not_ask_is_not_told_and_the_store_is_asked_once(teller, monkeypatch):
    ledger = teller.failed("")
    teller.store.delete(layout.webhook(STORY))
    assert teller.tick() == {}
    monkeypatch.setattr(teller, "store", None)
    ledger.start({STORY: "2"}, "a run")
    ledger.finish(STORY, "2", "a run", reason="line 3: no voice")
    assert teller.tick() == {}


def test_eight_attempts_in_a_day_and_no_more(teller, receiver):
    receiver.statuses = [503]
    teller.failed(receiver.url)
    states = [teller.tick()[STORY].state]
    states += [teller.tick(seconds=wait + 1)[STORY].state for wait in WAIT_SECONDS]
    assert states == ["sending"] * 7 + ["failed"] and len(receiver.received) == 8
    assert 20 * 3600 < sum(WAIT_SECONDS) < 25 * 3600
    assert teller.tick(seconds=1e6) == {}


def test_a_receiver_that_is_gone_is_not_asked_again(teller, receiver):
    receiver.statuses = [410]
    teller.failed(receiver.url)
    assert teller.tick()[STORY].state == "failed"


def test_an_attempt_that_is_killed_is_made_again_after_its_wait(teller, receiver, monkeypatch):
    teller.failed(receiver.url)

    def killed(*_):
        assert teller.tick() == {}, "while one tick sends, another does not"
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(webhooks, "send_all", killed)
        with pytest.raises(KeyboardInterrupt):
            teller.tick()
    assert teller.tick() == {}, "not at once: it may have arrived"
    assert teller.tick(seconds=WAIT)[STORY].state == "delivered"
    assert Ledger(teller.instance).webhooks([STORY])[STORY].attempts == 2


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_what_a_submission_names_reaches_nothing_private(teller, receiver, scheme):
    teller.failed(receiver.url.replace("http", scheme, 1), trusted=False)
    hook = teller.tick()[STORY]
    assert hook.state == "sending" and not receiver.received
    assert hook.answer in ("it is no https address", "its host is not on the public internet")


def test_the_report_of_a_batch(teller, receiver, instance, monkeypatch):
    monkeypatch.setenv("F5_WEBHOOK", receiver.url)
    get_settings.cache_clear()
    run = batch_run(instance, "story", "poem").run_id
    outcomes = [
        NarrationOutcome(narration="story", version="1", engine="draft", seconds=60.0),
        NarrationOutcome(narration="poem", version="1", engine="draft", reason="line 3: no voice"),
    ]
    numbers = dict.fromkeys(("wall_seconds", "gpu_seconds", "draft_seconds", "gpu_hour_cost"), 1.0)
    counts = dict.fromkeys(("waiting", "takes_made", "retakes"), 1)
    report = BatchReport(
        run=run,
        launcher="in-box",
        began="2026-05-04T00:00:00Z",
        ended="2026-05-04T00:01:00Z",
        narrations=outcomes,
        audio_seconds=60.0,
        cost=0.5,
        cost_per_minute=0.5,
        **numbers,
        **counts,
    )
    for _ in range(2):  # the step that reports is tried again
        announce_batch(Ledger(instance), report, receiver.url)
        teller.tick()
    told = receiver.verified(0)
    assert len(receiver.received) == 1 and told["id"] == run and told["type"] == "batch.failed"
    assert told["error"] == "1 of 2 narrations failed" and told["cost"] == 0.5
    assert [one["state"] for one in told["narrations"]] == ["done", "failed"]


def test_a_secret_is_drawn_and_kept_for_its_owner(tmp_path):
    (first,) = open_secrets(tmp_path, None)
    assert first.startswith("whsec_") and open_secrets(tmp_path, None) == [first]
    assert (tmp_path / SECRET_FILE).stat().st_mode & 0o777 == 0o600
    (tmp_path / SECRET_FILE).write_text("x" * 40)
    with pytest.raises(InputError, match="another form"):
        open_secrets(tmp_path, None)
