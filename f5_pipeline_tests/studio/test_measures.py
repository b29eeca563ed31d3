"""The tables of what was measured and heard."""

from __future__ import annotations

import shutil

import dagster as dg
import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.orchestration.assets.measures import measures
from f5_pipeline.orchestration.resources import StoreResource
from f5_pipeline.settings import get_settings
from f5_pipeline.speech.listening.listener import Hearing
from f5_pipeline.speech.listening.words import compare
from f5_pipeline.store import layout
from f5_pipeline.store.records import put_lines, read_record
from f5_pipeline.studio.measures import frame, measured_rows, misheard_words, read_month, summary, write_month
from f5_pipeline.studio.narrating.gathering import read_takes
from f5_pipeline.studio.records import ChosenTake, Manifest
from f5_pipeline.studio.removal import find_removal, remove
from f5_pipeline.studio.state import write_state
from f5_pipeline_tests.support.small_studio import Studio
from f5_pipeline_tests.support.some import some

pytest.importorskip("pandas", reason="the extra tables is not installed")

TEXT = "# One\n\nThe lamp was lit at dusk.\n\nThe lights flickered twice.\n\n# Two\n\nNobody asked by whom.\n"
MEASURES = {"words": 5, "seconds": 1.9, "failure": None, "cost": 0.5, "margin": None, "pause": 0.0}


@pytest.fixture
def heard(studio: Studio) -> Studio:
    """A narration of the draft, its takes as if a gate had measured them and a listener had heard them."""
    plan = studio.plan(TEXT, name="story.md")
    takes, audio, _ = studio.produce(plan)
    write_state(studio.store, audio, "story")

    def lines():
        for planned, chosen in read_takes(studio.store, plan, takes):
            said = planned.chunk.spoken
            what = said.replace("flickered", "went").replace("asked by", "asked")
            hearing = Hearing(
                by="a test",
                text=what,
                certainty=-0.1,
                gains={},
                doubled=None,
                weakest=None,
                unheard=None,
                differences=compare(said, what, "en"),
                similarity=0.9,
            )
            take = chosen.take.model_copy(update={"measures": MEASURES, "heard": hearing.model_dump()})
            doubts = ["“by” is missing."] if "asked" in said else []
            yield ChosenTake(key=chosen.key, take=take, attempts=3 if doubts else 1, doubts=doubts)

    key, _ = put_lines(studio.store, lambda digest: layout.narration_takes("story", digest), lines())
    write_state(studio.store, takes.model_copy(update={"takes_key": key}), "story")
    return studio


def test_a_narration_by_chapter(heard: Studio):
    _, rows = measured_rows(heard.store, "story")
    table = frame(rows)
    by_chapter = summary(table, "chapter")
    assert [(row["chapter"], row["heading"], row["chunks"]) for row in by_chapter] == [(1, "One", 3), (2, "Two", 2)]
    assert [row["word_error_rate"] for row in by_chapter] == [round(100 / 11, 2), 20.0]
    assert [row["doubtful"] for row in by_chapter] == [0, 50] == [row["made_again"] for row in by_chapter]
    assert summary(table)[0]["similarity"] == 0.9
    assert table["cost"].tolist() == [0.5] * 5 and "margin" not in table


def test_a_month_is_kept_and_names_words_that_are_misheard(heard: Studio):
    month, rows = measured_rows(heard.store, "story")
    assert not len(write_month(heard.store, "2001-01"))
    write_month(heard.store, month)
    table = some(read_month(heard.store, month))
    assert table["narration"].unique().tolist() == ["story"] and len(table) == len(rows) == 5
    assert misheard_words(table, least=1) == [("flickered", 1), ("by", 1)]
    remove(heard.store, find_removal(heard.store, "narration", "story"))
    assert read_month(heard.store, month) is None, "it names what was removed"


def test_the_asset_of_a_month_tells_the_rates_and_the_worst(heard: Studio, here):
    shutil.copytree(heard.store.root, here.root / "studio", dirs_exist_ok=True)
    month, _ = measured_rows(heard.store, "story")
    made = dg.materialize(
        [measures],
        partition_key=month,
        resources={"store": StoreResource(url=get_settings().store_url)},
        raise_on_error=True,
    )
    (event,) = made.asset_materializations_for_node("measures")
    told = {name: value.value for name, value in event.metadata.items()}
    assert (told["chunks"], told["narrations"], told["doubtful"]) == (5, 1, 20.0)
    assert told["word_error_rate"] == round(100 * 2 / 16, 2)
    worst = event.metadata["worst_voices"]
    assert isinstance(worst, dg.TableMetadataValue) and [row.data["voice"] for row in worst.records] == ["ada"]
    assert (here.root / "studio" / str(told["file"])).is_file()


def test_drafts_are_not_in_it(studio: Studio):
    takes, audio, _ = studio.produce(plan := studio.plan("Nothing is measured here."))
    write_state(studio.store, takes, plan.narration)
    write_state(studio.store, audio, plan.narration)
    month, rows = measured_rows(studio.store, plan.narration)
    assert rows == [] == summary(frame(rows)) and len(frame(rows)) == 0
    manifest = read_record(studio.store, layout.manifest(plan.narration, audio.revision), Manifest)
    assert month == manifest.created[:7]


def test_what_is_not_delivered_has_none(studio: Studio):
    studio.plan("It is only planned.")
    with pytest.raises(InputError, match="nothing is delivered"):
        measured_rows(studio.store, "story")
