"""What a store holds, what it lacks, what it no longer needs, and that nothing else is removed."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import shutil
import time
from datetime import timedelta
from pathlib import Path

import pytest

from f5_pipeline.errors import StoreError
from f5_pipeline.settings import Settings
from f5_pipeline.speech.engines.f5.architecture import Architecture
from f5_pipeline.speech.quality.gate import PRIOR
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.connect import Access, connect
from f5_pipeline.store.records import read_lines, read_record, write_record
from f5_pipeline.studio.links.grants import revoke
from f5_pipeline.studio.links.making import make_links, read_manifest
from f5_pipeline.studio.links.tokens import LinkSigner
from f5_pipeline.studio.narrating.gate import keys_of
from f5_pipeline.studio.narrating.gathering import gather_takes
from f5_pipeline.studio.narrating.planning import make_plan, missing_takes
from f5_pipeline.studio.narrating.production import make_audio, make_timings
from f5_pipeline.studio.narrating.scripts import load_script
from f5_pipeline.studio.narrating.votes import Pair, Pairs, keep_pairs
from f5_pipeline.studio.records import Address, Audio, Grant, Plan, PlannedChunk, digest_of
from f5_pipeline.studio.upkeep import inventory as inventory_module
from f5_pipeline.studio.upkeep.collection import collect
from f5_pipeline.studio.upkeep.inventory import GRACE_SECONDS, Finding, Inventory
from f5_pipeline.studio.upkeep.pointers import MAX_RETAKES, Lines, takes_of
from f5_pipeline.studio.upkeep.take_index import AUDIO, RECORD, TakeIndex
from f5_pipeline.system.clock import iso_time
from f5_pipeline.weights.records import Blob, ModelRecord
from f5_pipeline_tests.support.small_studio import Studio, levels

TEXT = "The first sentence is here. A second one follows it.\n\nThe third one ends it."
EDITED = TEXT.replace("A second one follows it", "Another one stands here now")
LATER = GRACE_SECONDS + 24 * 3600
SIGNER = LinkSigner(["a secret that is long enough for a test"], lifetime=timedelta(days=365))


def deliver(studio: Studio, text: str = TEXT, name: str = "story.txt") -> Audio:
    """A narration with the states of all its steps, as its assets leave them; the steps' own values are cleared."""
    plan = studio.plan(text, name)
    takes, audio, timings = studio.produce(plan)
    links = make_links(studio.store, read_manifest(studio.store, plan.narration, audio.revision), SIGNER, base_url="h:")
    steps = {"plan": plan, "takes": takes, "audio": audio, "timings": timings, "links": links}
    for step, record in steps.items():
        write_record(studio.store, layout.narration_state(plan.narration, step), record)
    for one in list(studio.store.list("runs/")):
        studio.store.delete(one.key)
    return audio


def add_model(store: Store, content: bytes = b"weights") -> str:
    """A model's lock with its blob; the blob's key."""
    blob = Blob(name="model.safetensors", sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    store.put_bytes(blob.key, content)
    record = ModelRecord(
        name="tiny",
        architecture=Architecture(),
        vocoder="custom",
        languages=("en",),
        licence="MIT",
        commercial_use="yes",
        files=dict.fromkeys(("checkpoint", "vocabulary", "vocoder_config", "vocoder_weights"), blob),
        locked="2030-01-01T00:00:00+00:00",
    )
    store.put_bytes(layout.model_record("tiny", "custom"), record.model_dump_json().encode())
    return blob.key


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """Where the first test keeps what `kept` begins with."""
    return tmp_path_factory.mktemp("finished") / "studio"


@pytest.fixture
def kept(studio: Studio, finished: Path) -> Studio:
    """A store with a delivered narration, a model, and a band of the voice."""
    if not finished.exists():
        fill(studio)
        shutil.copytree(studio.store.root, finished)
    shutil.copytree(finished, studio.store.root, dirs_exist_ok=True)
    return studio


def fill(studio: Studio) -> None:
    deliver(studio)
    add_model(studio.store)
    plan = plan_of(studio)
    write_record(studio.store, layout.band("ada", digest_of(plan.sounds["ada"])), PRIOR)


def plan_of(studio: Studio) -> Plan:
    return read_record(studio.store, layout.narration_state("story", "plan"), Plan)


def keys(store: Store) -> set[str]:
    return {one.key for one in store.list()}


def look(store: Store, *, later: float = LATER, alive=lambda run: False, **options) -> Inventory:
    """An inventory as it is taken `later`, s."""
    return Inventory(store, alive=alive, now=time.time() + later, **options)


def unused(store: Store, **options) -> dict[str, int]:
    return {kind: one.count for kind, one in collect(look(store, **options), delete=False).items()}


def damage_of(store: Store) -> list[Finding]:
    return list(look(store).damage())


def flip(store: Store, key: str) -> None:
    """Other content of the same size."""
    data = store.get_bytes(key)
    store.put_bytes(key, data[:-1] + bytes([data[-1] ^ 1]))


def assert_whole(studio: Studio) -> None:
    """Nothing is missing or damaged, and the newest plan comes out as it was without a take being made."""
    inventory = look(studio.store)
    assert [*inventory.findings(), *inventory.damage()] == []
    plan = plan_of(studio)
    assert list(missing_takes(studio.store, plan, studio.options)) == []
    takes = gather_takes(studio.store, plan, studio.options)
    audio = make_audio(studio.store, plan, takes, **levels())
    assert audio == read_record(studio.store, layout.narration_state("story", "audio"), Audio)
    make_timings(studio.store, audio)


# What is wrong


def test_a_whole_store_has_no_findings_and_nothing_unused(kept):
    before = keys(kept.store)
    assert_whole(kept)
    assert unused(kept.store) == {}
    assert keys(kept.store) == before
    there = look(kept.store).listed
    assert sum(one.objects for one in there.values()) == len(before)
    assert there["takes"].objects == 2 * plan_of(kept).takes
    assert "others" not in there


def first_take(studio: Studio) -> str:
    return next(read_lines(studio.store, plan_of(studio).chunks_key, PlannedChunk)).key


def delivered(studio: Studio, name: str) -> str:
    audio = read_record(studio.store, layout.narration_state("story", "audio"), Audio)
    return layout.delivered("story", audio.revision, name)


def below(studio: Studio, prefix: str) -> str:
    return next(one.key for one in studio.store.list(prefix))


OBJECTS = {
    "take record": (lambda s: layout.take_record(first_take(s)), "narrate story"),
    "take audio": (lambda s: layout.take_audio(first_take(s)), "Delete takes/"),
    "chunks": (lambda s: plan_of(s).chunks_key, "narrate story"),
    "takes": (lambda s: below(s, "narrations/story/takes/"), "narrate story"),
    "master": (lambda s: delivered(s, "story.flac"), "narrate story"),
    "captions": (lambda s: delivered(s, "story.vtt"), "narrate story"),
    "timeline": (lambda s: delivered(s, "timeline.jsonl"), "narrate story"),
    "audio record": (lambda s: delivered(s, "audio.json"), "narrate story"),
    "manifest": (lambda s: delivered(s, "manifest.json"), "narrate story"),
    "recording": (lambda s: below(s, "voices/ada/recordings/"), "voices add ada"),
    "transcript": (lambda s: below(s, "voices/ada/transcripts/"), "voices add ada"),
    "reference": (lambda s: below(s, "voices/ada/references/"), "voices prepare ada"),
    "model": (lambda s: below(s, "models/blobs/"), "weights pull tiny"),
    "grant": (
        lambda s: layout.grant(
            "story", read_record(s.store, layout.narration_state("story", "address"), Address).grant
        ),
        "links show story --fresh",
    ),
}


@pytest.mark.parametrize("what", OBJECTS)
def test_what_is_missing_is_told_with_its_mend(kept, what):
    find, hint = OBJECTS[what]
    key = find(kept)
    kept.store.delete(key)
    (finding,) = look(kept.store).findings()
    assert (finding.state, finding.key) == ("missing", key)
    assert kept.store.exists(finding.by)
    assert hint in finding.hint


def test_a_take_of_which_nothing_is_left_is_one_finding(kept):
    take = first_take(kept)
    kept.store.delete(layout.take_audio(take))
    kept.store.delete(layout.take_record(take))
    (finding,) = look(kept.store).findings()
    assert (finding.key, "narrate story" in finding.hint) == (layout.take_record(take), True)


def test_the_mend_of_a_lost_audio_makes_this_take_alone(kept):
    kept.store.delete(layout.take_audio(first_take(kept)))
    (finding,) = look(kept.store).findings()
    assert finding.hint.startswith(f"Delete {finding.by} and narrate again")
    kept.store.delete(finding.by)
    (report,) = kept.synthesize(plan_of(kept))
    assert report.made == {"story": 1}
    assert_whole(kept)


def test_takes_that_are_planned_and_not_made_are_not_missing(kept):
    plan = kept.plan("Nobody has spoken this one yet.", "other.txt")
    write_record(kept.store, layout.narration_state("other", "plan"), plan)
    assert list(look(kept.store).findings()) == []


def test_what_was_made_after_the_listing_is_not_missing(kept):
    key = delivered(kept, "story.flac")
    data = kept.store.get_bytes(key)
    kept.store.delete(key)
    inventory = look(kept.store)
    kept.store.put_bytes(key, data)
    assert list(inventory.findings()) == []


RECORDS = {
    **{step: lambda s, step=step: layout.narration_state("story", step) for step in ("plan", "takes", "audio")},
    **{step: lambda s, step=step: layout.narration_state("story", step) for step in ("timings", "links", "address")},
    "manifest": lambda s: delivered(s, "manifest.json"),
    "chunks": lambda s: plan_of(s).chunks_key,
    "list of takes": lambda s: below(s, "narrations/story/takes/"),
    "voice": lambda s: layout.voice("ada"),
    "reference": lambda s: layout.reference("ada"),
    "band": lambda s: below(s, "voices/ada/bands/"),
    "model": lambda s: layout.model_record("tiny", "custom"),
    "options": lambda s: layout.script_options("story"),
    "grant": lambda s: below(s, "grants/story/"),
}


@pytest.mark.parametrize("what", RECORDS)
def test_what_cannot_be_read_is_told_and_holds_back_what_it_could_refer_to(kept, what):
    """Without the record its targets would be unused: nothing of them may go."""
    key = RECORDS[what](kept)
    whole = kept.store.get_bytes(key)
    for broken in (b"{", b"\xff" + whole, b'{"a": 1}\n'):
        kept.store.put_bytes(key, broken)
        before = keys(kept.store)
        inventory = look(kept.store, old_revisions=True)
        if what != "options" or broken == b"{":  # options may all be left out
            assert [(one.state, one.key) for one in inventory.findings() if one.state != "missing"] == [
                ("unreadable", key)
            ]
            assert all(one.hint for one in inventory.findings())
        assert collect(inventory, delete=True) == {}
        assert keys(kept.store) == before
    kept.store.put_bytes(key, whole)
    assert_whole(kept)


def test_a_list_that_is_missing_holds_back_takes_and_says_so(kept):
    chunks = plan_of(kept).chunks_key
    for key in (chunks, layout.narration_state("story", "takes"), layout.narration_state("story", "audio")):
        kept.store.delete(key)
    kept.store.delete(delivered_manifest(kept))
    inventory = look(kept.store)
    collect(inventory, delete=True)
    assert inventory.blocked_by == [chunks]
    assert inventory.held_back["takes"].count == plan_of(kept).takes
    assert len(list(kept.store.list("takes/"))) == 2 * plan_of(kept).takes


def delivered_manifest(studio: Studio) -> str:
    return next(one.key for one in studio.store.list("narrations/story/") if one.key.endswith("/manifest.json"))


def test_other_sizes_are_found_by_listing_and_other_content_by_reading(kept):
    store = kept.store
    cut = [delivered(kept, "story.mp3"), below(kept, "models/blobs/"), below(kept, "voices/ada/recordings/")]
    wholes = {key: store.get_bytes(key) for key in cut}
    for key, whole in wholes.items():
        store.put_bytes(key, whole[:-1])
    found = list(look(store).findings())
    assert {(one.state, one.key) for one in found} == {("damaged", key) for key in cut}
    assert all(f"{len(wholes[one.key])}" in one.problem and one.hint.startswith("Delete it.") for one in found)
    for key, whole in wholes.items():
        store.put_bytes(key, whole)
    assert damage_of(store) == []

    reference = below(kept, "voices/ada/references/")
    changed = [*cut, delivered(kept, "story.words.csv"), reference]
    for key in changed:
        flip(store, key)
    assert list(look(store).findings()) == []
    assert {(one.state, one.key) for one in damage_of(store)} == {("damaged", key) for key in changed}


def test_a_list_that_lost_a_line_is_found_and_planning_again_mends_it(kept):
    store, chunks, takes = kept.store, plan_of(kept).chunks_key, below(kept, "narrations/story/takes/")
    for key in (chunks, takes):
        whole = store.get_bytes(key)
        store.put_bytes(key, b"".join(whole.splitlines(keepends=True)[1:]))
        (finding,) = look(store).findings()
        assert (finding.state, finding.key, finding.hint) == (
            "unreadable",
            key,
            "Plan it again: f5-pipeline narrate story.",
        )
        assert damage_of(store) == []
        plan = make_plan(store, load_script(store, "story"), kept.weights, kept.options)
        gather_takes(store, plan, kept.options)
        assert store.get_bytes(key) == whole
    assert_whole(kept)


# What is unused


def litter(studio: Studio) -> dict[str, set[str]]:
    """Unused things of each kind; their keys."""
    store = studio.store
    made: dict[str, set[str]] = {}
    before = keys(store)

    def since(kind: str) -> None:
        nonlocal before
        after = keys(store)
        made.setdefault(kind, set()).update(after - before)
        before = after

    plan = studio.plan("This was planned and edited away. So was this.", "gone.txt")
    store.delete("scripts/gone.txt")
    store.delete("scripts/gone.options.json")
    since("plans")
    takes = studio.takes(plan, run="old-run")
    made["runs"] = {one.key for one in store.list("runs/")}
    made["plans"].add(takes.takes_key)
    made["takes"] = keys(store) - before - made["runs"] - {takes.takes_key}
    store.delete(layout.take_record(first := next(read_lines(store, plan.chunks_key, PlannedChunk)).key))
    made["takes"].discard(layout.take_record(first))
    before = keys(store)
    for name in ("audio.json", "gone.flac"):
        store.put_bytes(layout.delivered("gone", "0123456789abcdef", name), b"cut off")
    since("revisions")
    write_record(store, layout.band("ada", "f" * 64), PRIOR)
    since("bands")
    store.put_bytes(layout.reference_audio("ada", "e" * 64), b"fLaC")
    since("references")
    store.put_bytes(layout.model_blob(f"{'d' * 64}.pt"), b"weights")
    since("models")
    for name, expires, revoked in (("expired-1", time.time(), None), ("revoked-1", time.time() + 1e8, "2030-01-01")):
        grant = Grant(grant=name, narration="gone", covers="x", made="", expires=iso_time(expires), revoked=revoked)
        write_record(store, layout.grant("gone", name), grant)
    since("grants")
    return made


def kept_though_old(studio: Studio) -> set[str]:
    """What looks unused and is not to be removed."""
    before = keys(studio.store)
    store = studio.store
    store.put_bytes("voices/ada/recordings/0123456789abcdef.wav", b"what a person gave")
    store.put_bytes("logs/storage/run/compute_logs/step.out", b"Dagster's")
    store.put_bytes("somebody-elses/file", b"not ours")
    store.put_bytes("takes/zz/notes.txt", b"not ours")
    store.put_bytes("scripts/retired.txt", b"Not narrated yet.")
    never = Grant(grant="forever-1", narration="gone", covers="x", made="", expires=iso_time(time.time() + 1e8))
    write_record(store, layout.grant("gone", "forever-1"), never)
    return keys(store) - before


def test_what_is_unused_is_counted_then_removed_and_nothing_else(kept):
    stays = keys(kept.store) | kept_though_old(kept)
    made = litter(kept)
    everything = keys(kept.store)
    assert everything == stays.union(*made.values())
    sizes = {one.key: one.size for one in kept.store.list()}

    counted = collect(look(kept.store), delete=False)
    assert keys(kept.store) == everything
    assert {kind: one.objects for kind, one in counted.items()} == {kind: len(one) for kind, one in made.items()}
    assert {kind: one.size for kind, one in counted.items()} == {
        kind: sum(sizes[key] for key in one) for kind, one in made.items()
    }

    assert unused(kept.store, later=0) == {}, "nothing is older than the grace time"
    assert collect(look(kept.store, later=0), delete=True) == {}
    assert keys(kept.store) == everything

    inventory = look(kept.store)
    assert collect(inventory, delete=True) == counted
    assert keys(kept.store) == stays
    assert (inventory.replaced_originals().count, inventory.listed["others"].objects) == (1, 2)
    assert collect(look(kept.store), delete=True) == {}
    assert_whole(kept)


def test_an_edited_narration_keeps_what_its_delivered_revisions_are_made_of(kept):
    before = keys(kept.store)
    first = read_record(kept.store, layout.narration_state("story", "audio"), Audio)
    second = deliver(kept, EDITED)
    assert second.revision != first.revision
    collect(look(kept.store), delete=True)
    assert before < keys(kept.store), "the first revision is there as it was, its links and its takes with it"
    assert_whole(kept)


def test_old_revisions_go_when_no_grant_opens_them(kept):
    store = kept.store
    first = read_record(store, layout.narration_state("story", "audio"), Audio)
    first_lists = {first.takes_key, first.plan.chunks_key}
    only_first = takes_named(store, first.takes_key)
    second = deliver(kept, EDITED)
    only_first -= takes_named(store, second.takes_key)
    assert len(only_first) == 1
    assert unused(store, old_revisions=True) == {}, "its grant lives for a year"

    before = keys(store)
    assert len(revoke(store, "story")) == 3
    assert unused(store) == {"grants": 1}, "the newest links and the address name theirs"
    counted = unused(store, old_revisions=True)
    assert (counted["revisions"], counted["plans"], counted["takes"]) == (1, 2, 1)
    assert unused(store, old_revisions=True, later=0) == {}, "it is younger than the grace time"

    collect(look(store, old_revisions=True), delete=True)
    gone = before - keys(store)
    assert {key for key in gone if key.startswith("narrations/")} == {
        key for key in before if key.startswith(f"narrations/story/{first.revision}/")
    } | first_lists
    assert {key for key in gone if key.startswith("takes/")} == {
        part for take in only_first for part in (layout.take_audio(take), layout.take_record(take))
    }
    assert_whole(kept)


def takes_named(store: Store, takes_key: str) -> set[str]:
    return set(takes_of(store, Lines(takes_key, chosen=True)))


def test_going_back_to_an_older_text_makes_it_the_newest(kept):
    first = read_record(kept.store, layout.narration_state("story", "audio"), Audio)
    second = deliver(kept, EDITED)
    assert deliver(kept, TEXT).revision == first.revision
    revoke(kept.store, "story")
    collect(look(kept.store, old_revisions=True), delete=True)
    left = {one.key.split("/")[2] for one in kept.store.list("narrations/story/") if one.key.count("/") == 3}
    assert first.revision in left and second.revision not in left
    assert_whole(kept)


def test_without_states_the_revision_made_last_stays(kept):
    first = read_record(kept.store, layout.narration_state("story", "audio"), Audio)
    second = deliver(kept, EDITED)
    manifest = read_manifest(kept.store, "story", first.revision)
    older = manifest.model_copy(update={"created": "2020-01-01T00:00:00+00:00"})
    write_record(kept.store, layout.manifest("story", first.revision), older)
    revoke(kept.store, "story")
    for step in ("plan", "takes", "audio", "timings", "links", "address"):
        kept.store.delete(layout.narration_state("story", step))
    collect(look(kept.store, old_revisions=True), delete=True)
    assert not kept.store.exists(layout.manifest("story", first.revision))
    assert kept.store.exists(layout.manifest("story", second.revision))
    assert list(look(kept.store).findings()) == []


def test_an_audio_without_timings_yet_is_no_cut_off_delivery(studio):
    plan = studio.plan(TEXT)
    takes = studio.takes(plan)
    for step, record in {
        "plan": plan,
        "takes": takes,
        "audio": make_audio(studio.store, plan, takes, **levels()),
    }.items():
        write_record(studio.store, layout.narration_state("story", step), record)
    assert unused(studio.store) == {"runs": 1}
    studio.store.delete(layout.narration_state("story", "audio"))
    assert unused(studio.store) == {"runs": 1, "revisions": 1}


def test_every_attempt_that_a_plan_may_choose_is_kept(kept):
    """Of an engine that is not exact: whatever F5_RETAKES is set to here."""
    store, plan = kept.store, plan_of(kept)
    chunk = next(read_lines(store, plan.chunks_key, PlannedChunk)).chunk
    key = keys_of(chunk, plan.sounds["ada"])
    assert key(0) == first_take(kept)
    for attempt in (2, 10, 11):
        for name in (layout.take_audio, layout.take_record):
            store.put_bytes(name(key(attempt)), store.get_bytes(name(key(0))))
    assert unused(store) == {"takes": 3}, "the draft engine has one attempt"
    f5 = plan.model_copy(update={"engine": "f5", "model": "tiny"})
    write_record(store, layout.narration_state("story", "plan"), f5)
    collect(look(store), delete=True)
    left = [attempt for attempt in (2, 10, 11) if store.exists(layout.take_record(key(attempt)))]
    assert left == [2, 10]


def test_the_pairs_of_the_newest_comparison_are_kept(kept):
    """Nobody has voted on them yet."""
    store, first = kept.store, first_take(kept)
    for other in ("b" * 64, "c" * 64):
        for name in (layout.take_audio, layout.take_record):
            store.put_bytes(name(other), store.get_bytes(name(first)))
    pair = Pair(chunk=0, line=1, language="en", text="One.", takes=(first, "b" * 64))
    keep_pairs(store, "story", Pairs(variants=("one", "other"), pairs=[pair]))
    collect(look(store), delete=True)
    assert [store.exists(layout.take_record(take)) for take in (first, "b" * 64, "c" * 64)] == [True, True, False]


def test_no_worker_may_make_more_attempts_than_are_kept():
    bounds = [one.le for one in Settings.model_fields["retakes"].metadata if hasattr(one, "le")]
    assert bounds == [MAX_RETAKES]


def test_runs_at_work_are_kept_however_old(kept):
    plan = kept.plan("Another one.", "other.txt")
    write_record(kept.store, layout.narration_state("other", "plan"), plan)
    kept.synthesize(plan, run="works")
    kept.synthesize(kept.plan("And another.", "third.txt"), run="done")
    inventory = look(kept.store, alive=lambda run: run == "works")
    assert collect(inventory, delete=True)["runs"].count == 1
    assert list(kept.store.folders("runs/")) == ["works"]


# Beside running work


def test_a_plan_made_after_the_references_were_read_keeps_the_takes_it_reuses(kept, monkeypatch):
    plan = kept.plan("This was edited away and comes back.", "other.txt")
    takes = kept.takes(plan)
    old = look(kept.store)
    assert {one.kind for one in old.unused()} == {"takes", "plans", "runs"}
    write_record(kept.store, layout.narration_state("other", "plan"), plan)
    monkeypatch.setattr(inventory_module, "FRESH_SECONDS", 0.0)
    collect(old, delete=True)
    assert list(missing_takes(kept.store, plan, kept.options)) == []
    assert kept.store.exists(plan.chunks_key) and not kept.store.exists(takes.takes_key)


def test_a_delivery_or_grant_of_meanwhile_keeps_an_old_revision(kept, monkeypatch):
    first = read_record(kept.store, layout.narration_state("story", "audio"), Audio)
    deliver(kept, EDITED)
    revoke(kept.store, "story")
    before = {key for key in keys(kept.store) if not key.startswith("grants/")}
    old = look(kept.store, old_revisions=True)
    grant = Grant(
        grant="fresh-1", narration="story", covers=first.revision, made="", expires=iso_time(time.time() + 1e8)
    )
    write_record(kept.store, layout.grant("story", "fresh-1"), grant)
    monkeypatch.setattr(inventory_module, "FRESH_SECONDS", 0.0)
    collect(old, delete=True)
    assert before <= keys(kept.store)


def age(studio: Studio, key: str) -> None:
    """Let an object be two hours old."""
    then = time.time() - 7200
    os.utime(studio.store.root / key, (then, then))


def test_what_is_written_anew_before_its_removal_stays(kept):
    """As a take that a run of this moment makes."""
    plan = kept.plan("This was edited away.", "gone.txt")
    kept.takes(plan)
    take = next(read_lines(kept.store, plan.chunks_key, PlannedChunk)).key
    for one in list(kept.store.list()):
        age(kept, one.key)
    inventory = look(kept.store, later=0, grace=3600.0)
    for key in (layout.take_audio(take), "runs/run/new.json"):
        kept.store.put_bytes(key, b"new")
    removed = collect(inventory, delete=True)
    assert set(removed) == {"plans"}
    assert kept.store.exists(layout.take_record(take)) and list(kept.store.list("runs/"))


def test_lists_that_are_not_named_yet_protect_their_takes(kept):
    """A plan's record is written after its chunks."""
    plan = kept.plan("Its record is to come.", "other.txt")
    takes = kept.takes(plan)
    for one in list(kept.store.list()):
        if one.key not in (plan.chunks_key, takes.takes_key):
            age(kept, one.key)
    assert set(collect(look(kept.store, later=0, grace=3600.0), delete=True)) == {"runs"}
    assert list(missing_takes(kept.store, plan, kept.options)) == []


def test_a_removal_that_was_cut_off_is_finished_by_the_next(kept, monkeypatch):
    stays = keys(kept.store)
    litter(kept)
    delete, deleted = kept.store.delete, []

    def cut_off(key: str) -> None:
        if len(deleted) == 5:
            raise StoreError("killed")
        deleted.append(key)
        delete(key)

    monkeypatch.setattr(kept.store, "delete", cut_off)
    for _ in range(20):
        deleted.clear()
        try:
            collect(look(kept.store), delete=True)
            break
        except StoreError:
            assert list(look(kept.store).findings()) == []
    assert keys(kept.store) == stays


# The index


def test_the_index_of_takes_against_a_dictionary():
    chance = random.Random(4)
    plain: dict[str, int] = {}
    for _ in range(500):
        plain[chance.randbytes(32).hex()] = chance.choice((AUDIO, RECORD, AUDIO | RECORD))
    index = TakeIndex()
    for key, parts in sorted(plain.items()):
        for part in (AUDIO, RECORD):
            if parts & part:
                index.add(key, part, 10 * part, float(part))
    marked = set(chance.sample(sorted(plain), 100))
    for key in [*marked, "0" * 64, "f" * 64, chance.randbytes(32).hex()]:
        index.mark(key)
    assert {one.key: (one.parts, one.size, one.modified) for one in index} == {
        key: (parts, 10 * parts, float(max(part for part in (AUDIO, RECORD) if parts & part)))
        for key, parts in plain.items()
    }
    assert {key for key in plain if index.is_used(key)} == marked
    assert {key: index.parts(key) for key in plain} == plain
    assert (index.parts("0" * 64), index.is_used("f" * 64)) == (0, False)
    with pytest.raises(StoreError, match="order"):
        index.add("0" * 64, AUDIO, 1, 1.0)


# A bucket

_numbers = itertools.count()


@pytest.fixture
def bucket(kept, moto_server, tmp_path):
    """A bucket with versions that holds what `kept` does."""
    name = moto_server.make_bucket(f"inventory-{os.getpid()}-{next(_numbers)}", versioned=True)
    access = Access(moto_server.key_id, moto_server.key, moto_server.endpoint, moto_server.region)
    store = connect(f"b2://{name}/a/prefix", access, transfers=4, state=tmp_path / "uploads")
    for one in kept.store.list():
        store.put_bytes(one.key, kept.store.get_bytes(one.key))
    return store, moto_server.client(), name


def test_a_bucket(kept, bucket):
    store, client, name = bucket
    stays = keys(store)
    assert list(look(store).findings()) == [] and damage_of(store) == []
    assert unused(store) == {}

    made = litter(kept)
    for key in {key for one in made.values() for key in one}:
        store.put_bytes(key, kept.store.get_bytes(key))
    again = {"Bucket": name, "Key": "a/prefix/scripts/story.txt"}
    client.put_object(**again, Body=client.get_object(**again)["Body"].read())
    hidden = {"Bucket": name, "Key": "a/prefix/narrations/hidden.json"}
    for body in (b"first", b"second"):
        client.put_object(**hidden, Body=body)
    client.delete_object(**hidden)
    client.put_object(Bucket=name, Key="not/ours", Body=b"first")
    client.put_object(Bucket=name, Key="not/ours", Body=b"second")

    assert collect(look(store, later=0), delete=True) == {}, "nothing is older than the grace time"
    # Last: to this server every upload began in 2010.
    client.create_multipart_upload(Bucket=name, Key="a/prefix/models/blobs/cut-off")
    client.create_multipart_upload(Bucket=name, Key="not/ours")

    expected = {**{kind: len(one) for kind, one in made.items()}, "uploads": 1, "old versions": 4}
    counted = collect(look(store), delete=False)
    assert {kind: max(one.count, one.objects) for kind, one in counted.items()} == expected
    assert collect(look(store), delete=True) == counted
    assert keys(store) == stays, "and what was hidden has not come back"
    assert collect(look(store), delete=False) == {}
    versions = client.list_object_versions(Bucket=name, Prefix="a/prefix/")
    assert len(versions["Versions"]) == len(stays) and "DeleteMarkers" not in versions
    assert len(client.list_object_versions(Bucket=name, Prefix="not/")["Versions"]) == 2
    (upload,) = client.list_multipart_uploads(Bucket=name)["Uploads"]
    assert upload["Key"] == "not/ours"
    assert list(look(store).findings()) == []

    master = next(one.key for one in store.list("narrations/story/") if one.key.endswith(".flac"))
    store.delete(master)
    (finding,) = look(store).findings()
    assert (finding.state, finding.key) == ("missing", master)


def test_a_key_that_may_only_read_counts_and_removes_nothing(kept, bucket, monkeypatch):
    """The first refusal ends the removal, and says so."""
    store, _, _ = bucket
    store.put_bytes(layout.take_audio("0" * 64), b"fLaC")
    before = keys(store)

    def refused(key: str) -> None:
        raise StoreError("the key may not delete", file=key, hint="Give it deleteFiles.")

    monkeypatch.setattr(store, "delete", refused)
    assert unused(store) == {"takes": 1}
    with pytest.raises(StoreError, match="deleteFiles"):
        collect(look(store), delete=True)
    assert keys(store) == before
