"""f5-pipeline links."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from f5_pipeline.store import layout
from f5_pipeline.studio.records import Links
from f5_pipeline.studio.state import read_record, write_record
from f5_pipeline_tests.cli.quick import quick

KEY = layout.narration_state("story", "links")


@pytest.fixture
def studio(narrated):
    """The installation; the links of its narration are put back."""
    made = narrated.installation
    before = made.store.get_bytes(KEY)
    yield made
    made.store.put_bytes(KEY, before)


def test_links_are_those_that_narrate_printed(studio, narrated):
    told = quick(studio, "links", "story", "--json").object
    assert set(told) == {"narration", "revision", "page", "files", "expires"}
    assert {"listen": told["page"], **told["files"]} == narrated.told["links"]
    assert told["revision"] == narrated.told["revision"]
    lines = quick(studio, "links", "story").out.splitlines()
    assert dict(line.split("\t") for line in lines) == narrated.told["links"]
    base = f"http://127.0.0.1:{studio.env['F5_PORT']}/"
    assert all(url.startswith(base) for url in narrated.told["links"].values())


def test_fresh_links_have_other_tokens(studio, narrated):
    told = studio.run("links", "story", "--fresh", "--json").object
    assert set(told["files"]) == set(narrated.told["files"])
    assert not set(told["files"].values()) & set(narrated.told["links"].values())
    assert told["page"] != narrated.told["links"]["listen"]
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
    assert told["page"] != narrated.told["links"]["listen"]
    lives = datetime.fromisoformat(told["expires"]) - now
    assert timedelta(seconds=59) <= lives < timedelta(days=1)
