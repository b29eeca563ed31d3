"""f5-pipeline links."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from f5_pipeline.store import layout
from f5_pipeline.store.records import read_record, write_record
from f5_pipeline.studio.records import Address, Links
from f5_pipeline_tests.support.narrated import BASE_URL
from f5_pipeline_tests.support.quick import quick

pytestmark = pytest.mark.slow

KEY, ADDRESS = layout.narration_state("story", "links"), layout.narration_state("story", "address")


@pytest.fixture
def studio(narrated):
    """The installation; the links of its narration are put back."""
    made = narrated.installation
    keys = [KEY, ADDRESS, *(one.key for one in made.store.list("grants/"))]
    before = {key: made.store.get_bytes(key) for key in keys}
    yield made
    for one in list(made.store.list("grants/")):
        made.store.delete(one.key)
    for key, data in before.items():
        made.store.put_bytes(key, data)


def test_links_are_those_that_narrate_printed(studio, narrated):
    told = quick(studio, "links", "story", "--json").object
    assert set(told) == {"narration", "revision", "page", "files", "expires", "grant"}
    assert {"listen": told["page"], **told["files"]} == narrated.told["links"]
    assert told["revision"] == narrated.told["revision"]
    lines = quick(studio, "links", "story").out.splitlines()
    assert dict(line.split("\t") for line in lines) == narrated.told["links"]
    assert all(url.startswith(f"{BASE_URL}/") for url in narrated.told["links"].values())


@pytest.mark.parametrize("call", [["--json", "story"], ["show", "story", "--json"]])
def test_options_may_stand_first_and_the_command_may_be_named(studio, narrated, call):
    assert quick(studio, "links", *call).object["page"] == narrated.told["links"]["listen"]


def test_what_there_is_not_is_told(studio):
    for call in (["nothing"], ["show", "list"]):
        assert "is delivered yet" in quick(studio, "links", *call, code=2).err
    assert "NARRATION" in quick(studio, "links", "revoke", code=2).err
    assert "cannot name a narration" in quick(studio, "links", "list", "../story", code=2).err
    assert "no links of 'nothing'" in quick(studio, "links", "list", "nothing").err
    assert "nothing of 'nothing'" in quick(studio, "links", "revoke", "nothing").err
    assert "has no grant" in quick(studio, "links", "revoke", "story", "--grant", "../x", code=2).err


def test_fresh_links_have_other_tokens_and_the_address_stays(studio, narrated):
    address = read_record(studio.store, ADDRESS, Address)
    write_record(studio.store, ADDRESS, address.model_copy(update={"expires": "2026-01-01T00:00:00+00:00"}))
    told = studio.run("links", "story", "--fresh", "--json").object
    assert set(told["files"]) == set(narrated.told["files"])
    assert not set(told["files"].values()) & set(narrated.told["links"].values())
    assert told["page"] == narrated.told["links"]["listen"]
    assert read_record(studio.store, ADDRESS, Address) == address.model_copy(update={"expires": told["expires"]})
    assert quick(studio, "links", "story", "--json").object == told, "and stand until the next"


def test_expired_links_are_renewed_for_as_long_as_is_set(studio, narrated):
    now = datetime.now(timezone.utc)
    links = read_record(studio.store, KEY, Links)
    expired = (now - timedelta(seconds=1)).isoformat(timespec="seconds")
    write_record(studio.store, KEY, links.model_copy(update={"expires": expired}))
    studio.env["F5_LINK_SECONDS"] = "60"
    try:
        told = studio.run("links", "story", "--json").object
    finally:
        del studio.env["F5_LINK_SECONDS"]
    assert told["files"] != links.files and told["page"] == links.page
    lives = datetime.fromisoformat(told["expires"]) - now
    assert timedelta(seconds=59) <= lives < timedelta(days=1)
    assert read_record(studio.store, ADDRESS, Address).expires == told["expires"]


def test_what_was_given_is_listed_and_revoked_and_given_anew(studio, narrated):
    known = quick(studio, "links", "story", "--json").object
    address = read_record(studio.store, ADDRESS, Address).grant
    listed = {one["grant"]: one for one in quick(studio, "links", "list", "story", "--json").objects}
    assert {grant: (one["covers"], one["state"]) for grant, one in listed.items()} == {
        known["grant"]: (known["revision"], "alive"),
        address: ("newest", "alive"),
    }
    assert all(one["expires"] == known["expires"] and one["made"] for one in listed.values())

    told = quick(studio, "links", "revoke", "story", "--grant", known["grant"], "--note", "to the wrong one").out
    assert told == f"{known['grant']}\t{known['revision']}\trevoked\n"
    table = quick(studio, "links", "list", "story").out
    assert table.count("revoked") == 1 and table.count("alive") == 1 and "to the wrong one" in table
    assert quick(studio, "links", "revoke", "story").out == f"{address}\tnewest\trevoked\n", "the rest"
    ended = quick(studio, "links", "revoke", "story", F5_DOWNLOADS="redirect")
    assert (ended.out, ended.err) == ("", "nothing of 'story' was left to revoke\n")

    anew = studio.run("links", "story", "--json").object
    assert anew["page"] != known["page"] and not set(anew["files"].values()) & set(known["files"].values())
    told = quick(studio, "links", "revoke", "story", F5_DOWNLOADS="redirect", F5_PRESIGN_SECONDS="20")
    assert len(told.out.splitlines()) == 2 and "up to 20 s" in told.err


def test_a_draft_has_no_doubts_and_says_why(narrated):
    assert "story: not measured" in quick(narrated.installation, "doubts", "story").err
