# ruff: noqa: F811  (fixtures are imported)
"""The nightly batch: all that waits, within its caps, in as few runs as there are GPUs."""

from __future__ import annotations

import subprocess
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from f5_pipeline.orchestration.launching.nightly import nightly
from f5_pipeline.settings import get_settings
from f5_pipeline.studio.narrating.batches import CHARACTERS_PER_MINUTE
from f5_pipeline_tests.support.installation import Installation
from f5_pipeline_tests.support.ticks import Inbox, box, instance  # noqa: F401

pytestmark = pytest.mark.slow

NIGHT = datetime(2026, 3, 1, 1, 0, tzinfo=timezone.utc)
MINUTE = "x" * (CHARACTERS_PER_MINUTE - 1) + "\n"


def night(box: Inbox, when: datetime = NIGHT) -> list[dg.RunRequest]:
    """The runs that the schedule asks for."""
    with dg.build_schedule_context(instance=box.instance, scheduled_execution_time=when) as context:
        made = nightly(context)
    if isinstance(made, dg.SkipReason):
        assert made.skip_message == "No narration waits." or "F5_MONTHLY_COST" in str(made.skip_message)
        return []
    return made  # type: ignore[return-value]


def names_of(requests: list[dg.RunRequest]) -> list[list[str]]:
    return [one.run_config["ops"]["plan_batch"]["config"]["narrations"] for one in requests]


@pytest.fixture
def asleep(box, monkeypatch) -> Inbox:
    """An in-box that leaves all to the night."""
    monkeypatch.setenv("F5_INBOX", "night")
    get_settings.cache_clear()
    return box


def test_it_runs_by_default_at_one_in_the_night():
    assert (nightly.cron_schedule, nightly.execution_timezone) == ("0 1 * * *", "UTC")
    assert nightly.default_status == dg.DefaultScheduleStatus.RUNNING
    assert nightly.job_name == "narrate_batch"


def test_a_night_without_work_launches_nothing(asleep):
    assert night(asleep) == []


def test_it_takes_what_is_new_edited_and_failed_with_attempts_left(asleep, monkeypatch):
    monkeypatch.setenv("F5_ATTEMPTS", "2")
    get_settings.cache_clear()
    for name in ("new", "edited", "failed", "given-up", "done", "retired"):
        asleep.put(f"{name}.txt", name)
    asleep.look()
    versions = {name: one.version for name, one in asleep.ledger.scripts(asleep.ledger.narrations()).items()}
    ledger = asleep.ledger
    for name, tries, reason in (("failed", 1, "why"), ("given-up", 2, "why"), ("done", 1, None), ("edited", 1, None)):
        for attempt in range(tries):
            ledger.start({name: versions[name]}, f"run-{attempt}")
            ledger.finish(name, versions[name], f"run-{attempt}", reason)
    asleep.put("edited.txt", "Another text.")
    asleep.store.delete("scripts/retired.txt")
    asleep.look()
    (request,) = night(asleep)
    assert sorted(names_of([request])[0]) == ["edited", "failed", "new"]
    assert request.tags["f5/batch"] == "nightly"
    assert int(request.tags["dagster/priority"]) < 0


def test_minutes_are_capped_by_priority_then_age_and_the_rest_waits(asleep, monkeypatch):
    monkeypatch.setenv("F5_NIGHTLY_MINUTES", "10")
    get_settings.cache_clear()
    for name, minutes in (("old", 4), ("long", 7), ("short", 2)):
        asleep.put(f"{name}.txt", MINUTE * minutes)
        asleep.look()
    asleep.put("first.txt", MINUTE * 4)
    asleep.say("first", priority=3)
    asleep.look()
    (request,) = night(asleep)
    assert names_of([request]) == [["first", "old", "short"]], "what is too long lets smaller ones pass"
    run = asleep.launch(request)
    for name in ("first", "old", "short"):
        version = asleep.ledger.scripts([name])[name].version
        asleep.ledger.start({name: version}, run.run_id)
        asleep.ledger.finish(name, version, run.run_id)
    asleep.put("long-too.txt", MINUTE * 9)
    asleep.look()
    assert names_of(night(asleep, NIGHT + timedelta(days=1))) == [["long"]], "it is older"


def test_one_that_is_longer_than_the_cap_is_taken_alone(asleep, monkeypatch):
    monkeypatch.setenv("F5_NIGHTLY_MINUTES", "1")
    get_settings.cache_clear()
    asleep.put("a.txt", MINUTE * 30)
    asleep.look()
    asleep.put("b.txt", MINUTE * 30)
    asleep.look()
    assert names_of(night(asleep)) == [["a"]]


def test_as_few_runs_as_gpus_and_none_for_less_than_it_is_worth(asleep):
    asleep.instance.event_log_storage.set_concurrency_slots("gpu", 3)
    for number in range(6):
        asleep.put(f"n{number}.txt", MINUTE * 4)
    asleep.look()
    assert sorted(map(len, names_of(night(asleep)))) == [3, 3], "24 minutes are two runs' worth"
    for number in range(6, 12):
        asleep.put(f"n{number}.txt", MINUTE * 4)
    asleep.look()
    assert sorted(map(len, names_of(night(asleep)))) == [4, 4, 4]


def test_a_second_tick_of_the_same_night_launches_nothing(asleep):
    asleep.instance.event_log_storage.set_concurrency_slots("gpu", 2)
    for number in range(6):
        asleep.put(f"n{number}.txt", MINUTE * 4)
    asleep.look()
    first = night(asleep)
    again = night(asleep)
    assert [one.run_key for one in first] == [one.run_key for one in again], "Dagster makes one run of a key"
    assert len({one.run_key for one in first}) == 2
    for request in first:
        asleep.launch(request)
    assert night(asleep) == []
    assert {one.run_key for one in first}.isdisjoint(
        one.run_key for one in night(asleep, NIGHT + timedelta(days=1)) or [dg.RunRequest(run_key="none")]
    )


def test_the_hour_that_comes_twice_has_two_keys(asleep):
    asleep.put("a.txt")
    asleep.look()
    berlin = ZoneInfo("Europe/Berlin")
    twice = [datetime(2026, 10, 25, 2, 0, tzinfo=berlin, fold=fold) for fold in (0, 1)]
    keys = [night(asleep, when)[0].run_key for when in twice]
    assert keys == ["nightly-2026-10-25T00:00Z-0", "nightly-2026-10-25T01:00Z-0"]


def load(installation: Installation, **settings: str) -> subprocess.CompletedProcess[str]:
    """Load the code location as a process of its own does; it prints its schedules."""
    program = "from f5_pipeline.definitions import defs; print(*(s.name for s in defs.schedules or []))"
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env={**installation.env, **settings}, capture_output=True, text=True, check=False)


def test_it_can_be_switched_off_and_set(installation):
    assert load(installation, F5_NIGHTLY="off").stdout.split() == []
    assert load(installation, F5_NIGHTLY="30 2 * * 1-5", F5_TIMEZONE="Europe/Berlin").stdout.split() == ["nightly"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"F5_NIGHTLY": "at night"}, "F5_NIGHTLY is no cron schedule ('at night'). Write five fields"),
        ({"F5_NIGHTLY": "61 1 * * *"}, "F5_NIGHTLY is no cron schedule"),
        ({"F5_TIMEZONE": "Middle/Earth"}, "F5_TIMEZONE is no time zone ('Middle/Earth'). Use a name as"),
    ],
)
def test_settings_that_cannot_be_are_told_by_name(installation, settings, told):
    ended = load(installation, **settings)
    assert ended.returncode != 0 and told in ended.stderr


def test_the_runs_of_a_night_share_what_it_may_cost(asleep, monkeypatch):
    monkeypatch.setenv("F5_NIGHTLY_COST", "5")
    get_settings.cache_clear()
    asleep.instance.event_log_storage.set_concurrency_slots("gpu", 2)
    for name in ("a", "b"):
        asleep.put(f"{name}.txt", MINUTE * 30)
    asleep.look()
    requests = night(asleep)
    assert [request.run_config["ops"]["plan_batch"]["config"]["max_cost"] for request in requests] == [2.5, 2.5]


def cost_of(requests: list[dg.RunRequest]) -> float:
    return sum(one.run_config["ops"]["plan_batch"]["config"].get("max_cost", 0.0) for one in requests)


def bill(box: Inbox, cost: float) -> None:
    """A batch is reported that has cost this."""
    box.instance.report_runless_asset_event(dg.AssetMaterialization("batch_report", metadata={"cost": cost}))


def test_a_month_costs_no_more_than_it_may(asleep, monkeypatch):
    asleep.put("a.txt", "One waits.")
    asleep.look()
    now = datetime.now(timezone.utc)
    bill(asleep, 3.0)
    bill(asleep, 4.5)
    for nightly_cost, monthly_cost, allowed in (("0", "0", 0.0), ("0", "10", 2.5), ("2", "10", 2.0), ("5", "10", 2.5)):
        monkeypatch.setenv("F5_NIGHTLY_COST", nightly_cost)
        monkeypatch.setenv("F5_MONTHLY_COST", monthly_cost)
        get_settings.cache_clear()
        assert cost_of(night(asleep, now)) == pytest.approx(allowed)

    bill(asleep, 2.5)
    assert night(asleep, now) == []
    monkeypatch.setenv("F5_INBOX", "now")
    get_settings.cache_clear()
    looked = asleep.look()
    assert not looked.run_requests
    assert "have cost 10.00 of the 10.00 that F5_MONTHLY_COST allows" in str(looked.skip_reason)
    next_month = (now.replace(day=1) + timedelta(days=32)).replace(day=2)
    assert len(night(asleep, next_month)) == 1
