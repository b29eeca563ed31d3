"""/metrics: it tells what there is, asks little and names nobody; rules and board name what it tells."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from f5_pipeline.gateway.api import metrics
from f5_pipeline.gateway.api.metrics import StudioCollector
from f5_pipeline.orchestration.batch.report import report_metadata
from f5_pipeline.orchestration.reporting import figures
from f5_pipeline.orchestration.tags import GPU_POOL
from f5_pipeline.store import layout
from f5_pipeline.store.calls import Calls
from f5_pipeline.studio.figures import Figures
from f5_pipeline.studio.keys import SCOPES
from f5_pipeline.studio.narrating.batches import BatchPart, BatchPlan, NarrationOutcome, report_of
from f5_pipeline.studio.records import ShardReport
from f5_pipeline_tests.gateway.api.conftest import HERE, Api
from f5_pipeline_tests.gateway.api.test_narrations import TEXT, called
from f5_pipeline_tests.support.installation import REPOSITORY
from f5_pipeline_tests.support.scraped import samples_of, scrape, unknown_metrics
from f5_pipeline_tests.support.ticks import batch_run

PROMETHEUS, BOARD = REPOSITORY / "deploy" / "prometheus", REPOSITORY / "deploy" / "grafana" / "board.json"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each scrape reads anew."""
    monkeypatch.setattr(metrics, "MAX_FIGURES_SECONDS", 0.0)


def tell_batch(api: Api, *, done: int = 2, gpu: float = 10.0) -> None:
    """Report a batch as its last step does."""
    outcome = NarrationOutcome(narration="a", version="1", seconds=90.0, takes_made=3, takes_reused=2, doubtful=1)
    outcomes = [outcome.model_copy(update={"narration": f"secret-{number}"}) for number in range(done)]
    failed = [NarrationOutcome(narration="z", version="1", reason="no such voice")]
    postponed = [NarrationOutcome(narration="y", version="1", reason="too much", postponed=True)]
    shard = ShardReport(
        index=0, engine="f5", made={"a": 6}, retakes=2, audio_seconds=gpu * 12, wall_seconds=gpu,
        batches=4, batch_frames=3000, batch_room=4000,
    )  # fmt: skip
    draft = ShardReport(index=1, engine="draft", made={"a": 1}, audio_seconds=8.0, wall_seconds=2.0)
    plan = BatchPlan(launcher="nightly", began=1000.0, versions={}, failed=[*failed, *postponed])
    parts = [BatchPart(index=0, outcomes=outcomes)]
    report = report_of(plan, parts, [shard, draft], run="run", ended=1060.5, waiting=2, gpu_hour_cost=3.6)
    event = dg.AssetMaterialization("batch_report", metadata=report_metadata(report))
    api.instance.report_runless_asset_event(event)


def test_the_queue_is_told_as_the_ledger_has_it(api: Api):
    client = api.client()
    assert scrape(client)["f5_pipeline_queue_oldest_seconds"] == {(): 0.0}
    names = [client.post("/v1/narrations", json=TEXT).json()["id"] for _ in range(5)]
    called(api)
    versions = {name: state.version for name, state in api.ledger.scripts(names).items()}
    api.ledger.record_scripts(
        {
            name: state.model_copy(update={"since": state.since - 100})
            for name, state in api.ledger.scripts(names[3:]).items()
        }
    )
    assert scrape(client)["f5_pipeline_queue_narrations"] == {(): 5}
    run = batch_run(api.instance, *names[:3], status=dg.DagsterRunStatus.STARTED)
    api.ledger.start(versions, run.run_id)
    api.ledger.finish(names[0], versions[names[0]], run.run_id)
    api.ledger.finish(names[1], versions[names[1]], run.run_id, "no such voice")
    api.ledger.postpone(names[3], versions[names[3]], run.run_id, "it would cost too much")
    api.instance.event_log_storage.set_concurrency_slots(GPU_POOL, 2)
    api.instance.event_log_storage.claim_concurrency_slot(GPU_POOL, run.run_id, "synthesize_shard[000]")
    told = scrape(client)
    assert told["f5_pipeline_running_narrations"] == {(): 1} and told["f5_pipeline_failed_narrations"] == {(): 1}
    assert told["f5_pipeline_queue_narrations"] == {(): len(api.ledger.pending(attempts=3))}
    assert 100 <= told["f5_pipeline_queue_oldest_seconds"][()] < 200
    assert (told["f5_pipeline_gpu_slots"][()], told["f5_pipeline_gpu_slots_busy"][()]) == (2, 1)


def test_batches_add_up_and_are_told_once_all_are_read(api: Api, monkeypatch: pytest.MonkeyPatch):
    client = api.client()
    assert scrape(client)["f5_pipeline_batches_total"] == {(): 0}
    tell_batch(api, done=1, gpu=20.0)
    told = scrape(client)
    assert told["f5_pipeline_narrations_total"] == {("done",): 1, ("failed",): 1, ("postponed",): 1}
    assert told["f5_pipeline_synthesis_seconds_total"] == {("gpu",): 20, ("cpu",): 2}
    assert told["f5_pipeline_speech_seconds_total"] == {("gpu",): 240, ("cpu",): 8}
    assert told["f5_pipeline_finished_seconds_total"] == {(): 90} and told["f5_pipeline_cost_total"] == {(): 0.02}
    for _ in range(4):
        tell_batch(api)
    monkeypatch.setattr(figures, "MAX_REPORTS", 3)
    assert "f5_pipeline_batches_total" not in scrape(client), "a part of the sums would look like a burst afterwards"
    told = scrape(client)
    assert told["f5_pipeline_batches_total"] == {(): 5} and told["f5_pipeline_narrations_total"][("done",)] == 9
    assert told["f5_pipeline_takes_total"] == {(): 35} and told["f5_pipeline_retakes_total"] == {(): 10}
    assert told["f5_pipeline_delivered_takes_total"] == {(): 45} and told["f5_pipeline_doubtful_takes_total"] == {(): 9}
    fill = told["f5_pipeline_engine_batch_frames_total"][()] / told["f5_pipeline_engine_batch_room_frames_total"][()]
    assert fill == 0.75 and told["f5_pipeline_engine_batches_total"] == {(): 20}


def test_links_are_counted_as_people_use_them(api: Api):
    client = api.client()
    name = client.post("/v1/narrations", json=TEXT | {"formats": ["mp3"]}).json()["id"]
    api.deliver(name)
    (url,) = (
        file["url"] for file in client.get(f"/v1/narrations/{name}/result").json()["files"] if "mp3" in file["url"]
    )
    size = len(client.get(url).content)
    for value, status in (("bytes=0-99", 206), ("bytes=100-199", 206), (f"bytes={size}-", 416)):
        assert client.get(url, headers={"range": value}).status_code == status
    client.head(url)
    client.get(f"{HERE}/d/nonsense/{name}.mp3")
    told = scrape(client)
    assert told["f5_pipeline_link_downloads_total"] == {(): 2}, "whole, and from the first byte"
    assert told["f5_pipeline_link_sent_bytes_total"][()] - size - 200 in range(1000), "and what was refused"
    answers = {key: value for key, value in told["f5_pipeline_http_responses_total"].items() if key[0] == "link"}
    assert answers == {("link", "200"): 2, ("link", "206"): 2, ("link", "416"): 1, ("link", "403"): 1}
    assert told["f5_pipeline_store_errors_total"] == {(): 0}

    for path in api.store.root.glob(f"narrations/{name}/*/*.mp3"):
        path.chmod(0o600)
        path.write_bytes(b"short")
    assert client.get(url).status_code == 503
    api.store.replace_bytes(layout.narration_state(name, "links"), b"{")
    assert client.get(f"/v1/narrations/{name}/result").status_code == 503
    assert scrape(client)["f5_pipeline_store_errors_total"] == {(): 2}


def test_who_may_read_is_who_has_the_right(api: Api):
    assert api.client().get("/metrics").status_code == 200
    assert api.client(address="192.0.2.1").get("/metrics").status_code == 403
    assert api.client(local=False).get("/metrics").status_code == 403
    assert api.client().get("/metrics", headers={"origin": "https://evil.example"}).status_code == 403
    for scope in SCOPES:
        status = 200 if scope in ("read", "admin") else 403
        assert api.client(api.key(scope), address="192.0.2.1").get("/metrics").status_code == status
    assert api.client().get("/metrics").status_code == 401


def test_no_name_is_a_label_and_openmetrics_is_spoken(api: Api):
    client = api.client(api.key("admin"))
    name = client.post("/v1/narrations", json=TEXT | {"title": "Lamp"}).json()["id"]
    called(api)
    tell_batch(api)
    answer = client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    told = samples_of(text_string_to_metric_families(answer.text))
    for word in (name, "lamp", "ada", "secret", "no such voice", "f5-", str(api.store.root)):
        assert word not in answer.text.lower().replace("lamport", ""), word
    assert sum(map(len, told.values())) < 120


def test_a_scrape_asks_no_store_and_a_database_that_is_away_hides_nothing_else(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    class Unreachable:
        calls = Calls()

    class Away:
        asked = 0

        def figures(self) -> Figures:
            self.asked += 1
            raise ConnectionError("the database is away")

    monkeypatch.setattr(metrics, "MAX_FIGURES_SECONDS", 3600.0)
    monkeypatch.setattr(metrics, "FIGURES_SECONDS", 3600.0)
    api.service.store = Unreachable()  # type: ignore[assignment]
    Unreachable.calls.add("GetObject", 3)
    Unreachable.calls.add("ListObjectsV2")
    api.service.folders = {"home": api.store.root, "gone": Path("/nowhere")}
    collector = StudioCollector(api.service)
    first = samples_of(collector.collect())
    assert first["f5_pipeline_ledger_up"] == {(): 1} and first["f5_pipeline_queue_narrations"] == {(): 0}
    assert first["f5_pipeline_store_calls_total"] == {("A",): 0, ("B",): 3, ("C",): 1}
    assert first["f5_pipeline_disk_size_bytes"] == {("home",): shutil.disk_usage(api.store.root).total}

    api.service.desk = away = Away()  # type: ignore[assignment]
    assert samples_of(collector.collect())["f5_pipeline_ledger_up"] == {(): 1}, "it is remembered"
    collector = StudioCollector(api.service)
    with caplog.at_level(logging.ERROR):
        told = [samples_of(collector.collect()) for _ in range(3)][-1]
    assert told["f5_pipeline_ledger_up"] == {(): 0} and told["f5_pipeline_store_calls_total"] and away.asked == 1
    assert "f5_pipeline_queue_narrations" not in told and "the database is away" in caplog.text


def test_a_database_that_hangs_holds_one_scrape_and_no_other(api: Api, monkeypatch: pytest.MonkeyPatch):
    asked, answer = threading.Event(), threading.Event()

    class Hanging:
        def figures(self) -> Figures:
            asked.set()
            assert answer.wait(60)
            return Figures(running=7)

    monkeypatch.setattr(metrics, "MAX_WAIT_SECONDS", 0.01)
    api.service.desk = Hanging()  # type: ignore[assignment]
    collector = StudioCollector(api.service)
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(lambda: samples_of(collector.collect()))
        assert asked.wait(60)
        assert samples_of(collector.collect())["f5_pipeline_ledger_up"] == {(): 0}
        answer.set()
        assert first.result()["f5_pipeline_running_narrations"] == {(): 7}


# -- rules and board ---------------------------------------------------------------------------------------------------


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def board() -> dict[str, Any]:
    return json.loads(BOARD.read_text())


def board_queries() -> list[str]:
    queries = [target["expr"] for panel in board()["panels"] for target in panel["targets"]]
    return [query.replace("$__rate_interval", "5m") for query in queries]


def test_rules_and_board_name_metrics_that_there_are(api: Api):
    api.service.folders = {"home": api.store.root}
    client = api.client()
    scrape(client)
    told = scrape(client)  # answers are counted once there was one
    tests = yaml.safe_load((PROMETHEUS / "tests.yml").read_text())["tests"]
    queries = [rule["expr"] for rule in rules()] + board_queries()
    queries += [series["series"] for test in tests for series in test["input_series"]]
    assert len(queries) > 60
    for query in queries:
        assert not unknown_metrics(query, told), query
    named = {name for query in queries for name in told if name in query}
    assert len(named) > 20
    # It would be seen.
    assert unknown_metrics("sum(f5_pipeline_queue_narration) / process_cpu_seconds_total", told) == {
        "f5_pipeline_queue_narration"
    }


def test_the_page_names_every_metric(api: Api):
    api.service.folders = {"home": api.store.root}
    client = api.client()
    scrape(client)
    told = {name for name in scrape(client) if name.startswith(metrics.PREFIX)} - {"f5_pipeline_build_info"}
    cells = re.findall(r"^\| (`.*?) \|", (REPOSITORY / "docs" / "metrics.md").read_text(), re.MULTILINE)
    named = re.findall(r"`(\w+)(?:\{[\w,]+\})?`", " ".join(cells))
    assert {metrics.PREFIX + name for name in named} == told and len(named) == len(told)


def test_every_alert_is_tried_and_says_what_to_do():
    alerts = [rule["alert"] for rule in rules()]
    tests = (PROMETHEUS / "tests.yml").read_text()
    assert len(set(alerts)) == len(alerts) and all(f'alertname="{alert}"' in tests for alert in alerts)
    for rule in rules():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert rule["annotations"].keys() == {"summary", "description"}


def test_the_board_is_laid_out():
    panels = board()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for first, second in combinations([panel["gridPos"] for panel in panels], 2):
        apart = any(
            first[at] + first[size] <= second[at] or second[at] + second[size] <= first[at]
            for at, size in (("x", "w"), ("y", "h"))
        )
        assert apart, (first, second)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 and panel["targets"] for panel in panels)
    source = board()["templating"]["list"][0]
    assert {panel["datasource"]["uid"] for panel in panels} == {f"${{{source['name']}}}"}


def promtool(*arguments: object, text: str | None = None) -> str:
    if (program := shutil.which("promtool")) is None:
        pytest.skip("promtool is not installed (Debian's package prometheus)")
    ended = subprocess.run([program, *map(str, arguments)], input=text, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def test_promtool_takes_configuration_rules_and_queries(tmp_path: Path):
    promtool("check", "config", "--syntax-only", PROMETHEUS / "prometheus.yml")
    assert "SUCCESS" in promtool("check", "rules", PROMETHEUS / "rules.yml")
    assert "SUCCESS" in promtool("test", "rules", PROMETHEUS / "tests.yml")
    queries = [{"record": f"board:query:{number}", "expr": query} for number, query in enumerate(board_queries())]
    (tmp_path / "board.yml").write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": queries}]}))
    promtool("check", "rules", tmp_path / "board.yml")


def test_promtool_finds_no_fault_with_the_names(api: Api):
    tell_batch(api)
    assert not promtool("check", "metrics", text=api.client().get("/metrics").text).strip()
