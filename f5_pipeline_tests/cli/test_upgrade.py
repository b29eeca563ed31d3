"""A store and a DAGSTER_HOME that an older version made: they open and go on, and nothing is made anew.

data/before_the_rooms.tar.xz was made by commit 7feb419: `voices add ada` and `narrate story.md --voice ada`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import pytest

from f5_pipeline.gateway.deliveries import Deliveries
from f5_pipeline.store import layout
from f5_pipeline.store.records import read_record
from f5_pipeline.studio.links.grants import check_grant
from f5_pipeline.studio.links.making import open_signer
from f5_pipeline.studio.records import Links
from f5_pipeline_tests.support.installation import Installation

pytestmark = pytest.mark.slow

ARCHIVE = Path(__file__).parents[1] / "data" / "before_the_rooms.tar.xz"


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    root = tmp_path_factory.mktemp("old")
    shutil.unpack_archive(ARCHIVE, root)
    return Installation(root)


@pytest.fixture(scope="module")
def links(old: Installation) -> Links:
    """The links as the older version gave them."""
    return read_record(old.store, layout.narration_state("story", "links"), Links)


def test_the_links_it_gave_open_its_files(old, links):
    signer, deliveries = open_signer(old.root / "dagster", None, 60), Deliveries(old.store)
    moment = datetime.fromisoformat(links.expires).timestamp() - 1
    for url in [links.page, *links.files.values()]:
        claim = signer.verify(urlsplit(url).path.split("/")[2], moment)
        permit = check_grant(old.store, claim, moment)
        assert (claim.narration, permit.revision) == ("story", links.revision)
        assert {file.name for file in deliveries.files_of("story", permit.revision)} == set(links.files)


def test_its_runs_are_in_the_history(old):
    with dg.DagsterInstance.from_config(old.env["DAGSTER_HOME"]) as instance:
        runs = instance.get_runs()
        assert len(runs) == 2 and all(run.status == dg.DagsterRunStatus.SUCCESS for run in runs)
        assert instance.fetch_materializations(dg.AssetKey("download_links"), limit=5).records


def test_the_name_its_users_type_still_starts_the_command_line(old):
    command = [sys.executable, "-m", "f5_pipeline", "status"]
    assert "story" in subprocess.run(command, check=True, env=old.env, capture_output=True, text=True).stdout


def test_nothing_is_made_anew(old, links):
    (status,) = old.run("status", "--json").objects
    assert (status["narration"], status["state"]) == ("story", "delivered")
    before = old.take_records()
    told = old.run("narrate", "story.md", "--voice", "ada", "--json").object
    assert told["takes"] == {"total": 2, "synthesized": 0, "reused": 2, "retaken": 0, "doubtful": 0}
    assert told["revision"] == links.revision and told["links"]["listen"] == links.page
    assert old.take_records() == before
    old.run("store", "check", "--deep")
    assert json.loads(old.run("status", "--json").out)["state"] == "delivered"
