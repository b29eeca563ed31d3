"""f5-pipeline voices remove, scripts remove, narrations remove, receipts."""

from __future__ import annotations

import dagster as dg
import pytest

from f5_pipeline.dagster_host.instance import open_instance
from f5_pipeline.orchestration.ledger import Ledger
from f5_pipeline.settings import get_settings
from f5_pipeline.store.records import write_record
from f5_pipeline.studio.removal import begin_removal
from f5_pipeline_tests.support.installation import EXAMPLES, Installation
from f5_pipeline_tests.support.narrated import contents
from f5_pipeline_tests.support.quick import quick
from f5_pipeline_tests.support.ticks import batch_run

pytestmark = pytest.mark.slow


@pytest.fixture
def studio(here: Installation, narrated) -> Installation:
    return here.copy(narrated.installation.root)


def observed(instance: dg.DagsterInstance, asset: str, partition: str) -> dict[str, object]:
    """The metadata of the newest observation."""
    records = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[partition])
    (newest,) = instance.fetch_observations(records, limit=1).records
    observation = newest.event_log_entry.asset_observation
    assert observation is not None
    return {name: value.value for name, value in observation.metadata.items()}


def test_a_voice_is_shown_first_and_goes_with_its_narrations(studio):
    quick(studio, "lexicon", "add", "first", "fast", "--voice", "ada")
    before = contents(studio)
    shown = quick(studio, "voices", "remove", "ada", "--json").object
    assert (shown["deleted"], shown["narrations"], shown["entries"]) == (False, ["story"], 1)
    assert shown["removed"]["recordings"]["objects"] == 1 and shown["removed"]["takes"]["bytes"] > 1000
    told = quick(studio, "voices", "remove", "ada")
    assert "story" in told.err and "add --with-narrations --delete" in told.err and "recordings" in told.out
    assert "--with-narrations" in quick(studio, "voices", "remove", "ada", "--delete", code=2).err
    assert contents(studio) == before
    with open_instance(get_settings()) as instance:
        run = batch_run(instance, "story")
        refused = quick(studio, "voices", "remove", "ada", "--with-narrations", "--delete", code=2).err
        assert "'story' is being narrated" in refused and contents(studio) == before
        instance.delete_run(run.run_id)

        done = quick(studio, "voices", "remove", "ada", "--with-narrations", "--delete", "--json").object
        assert done["finished"] and done["removed"] == shown["removed"] and done["links"] == 2
        assert quick(studio, "receipts", "--json").objects == [done] and "voice ada" in quick(studio, "receipts").out
        left = "".join(contents(studio))
        assert "voices/ada" not in left and "narrations/story" not in left and "scripts/story" in left
        assert observed(instance, "voice_recording", "ada")["state"] == "removed"
        assert observed(instance, "narration_audio", "story")["receipt"] == done["receipt"]
        assert Ledger(instance).outcomes(["story"])["story"].canceled, "the in-box leaves it"
    assert f"removed on {done['finished']}" in quick(studio, "voices", "remove", "ada", code=2).err
    assert "there is no voice 'ada'" in quick(studio, "voices", "show", "ada", code=2).err

    studio.run("voices", "add", "ada", EXAMPLES / "voices" / "ada.flac")
    assert studio.run("narrate", "story", "--json").object["takes"]["synthesized"] > 0, "it may come back"


def test_what_was_cut_off_is_finished(studio):
    begun = begin_removal(studio.store, "script", "story")
    assert "unfinished" in quick(studio, "receipts").out
    done = quick(studio, "receipts", "--finish", "--json").object
    assert (done["receipt"], done["narrations"], done["links"]) == (begun.receipt, ["story"], 2) and done["finished"]
    assert [key for key in contents(studio) if "story" in key or key.startswith("takes/")] == []
    assert "nothing of the script" in quick(studio, "scripts", "remove", "story", code=2).err
    assert quick(studio, "receipts", "--finish").out == ""
    with open_instance(get_settings()) as instance:
        assert "retired" in str(observed(instance, "script", "story")["state"])
        write_record(studio.store, "scripts/story.txt", begun)
        assert not Ledger(instance).scripts(["story"]) or Ledger(instance).scripts(["story"])["story"].retired
