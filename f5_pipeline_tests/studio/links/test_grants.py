"""Links as they are given, extended and taken back, and what the download service makes of them."""

from __future__ import annotations

import time
from datetime import timedelta
from pathlib import Path

import pytest

from f5_pipeline.errors import InputError, StoreError
from f5_pipeline.gateway import deliveries as deliveries_module
from f5_pipeline.store import layout
from f5_pipeline.store.local import LocalStore
from f5_pipeline.store.records import read_record, write_record
from f5_pipeline.studio.links.grants import extend_address, grant_state, grants_of, links_are_valid, revoke
from f5_pipeline.studio.links.tokens import LinkSigner, new_grant, page_url
from f5_pipeline.studio.records import Address, Grant, Links
from f5_pipeline.system.clock import iso_time
from f5_pipeline_tests.support.deliveries import BASE, SIGNER, VTT, deliver, give, say_of_voice, service

FIRST = {"story.flac": b"fLaC first", "story.mp3": b"ID3 first", "story.vtt": VTT}
SECOND = {"story.flac": b"fLaC the second", "story.mp3": b"ID3 the second", "story.vtt": VTT}
ADDRESS = layout.narration_state("story", "address")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    made = LocalStore(tmp_path / "studio")
    deliver(made, "r1", FIRST)
    return made


@pytest.fixture
def client(store):
    return service(store)


def statuses(client, links: Links) -> dict[str, int]:
    urls = {"page": links.page, **links.files, "by page": f"{links.page.replace('/n/', '/d/')}story.mp3"}
    return {name: client.get(url).status_code for name, url in urls.items()}


def all_are(status: int) -> dict[str, int]:
    return dict.fromkeys(["page", *FIRST, "by page"], status)


def expire(store, seconds: float = 1) -> None:
    address = read_record(store, ADDRESS, Address)
    write_record(store, ADDRESS, address.model_copy(update={"expires": iso_time(time.time() - seconds)}))


def test_links_open_what_they_name(store, client):
    links = give(store, "r1")
    assert statuses(client, links) == all_are(200)
    assert {name: client.get(url).content for name, url in links.files.items()} == FIRST
    assert links_are_valid(store, links)


def test_a_revoked_link_ends_at_once_and_says_so(store, client):
    links, others = give(store, "r1"), give(store, "r1")
    assert statuses(client, links) == all_are(200)
    revoke(store, "story", links.grant)
    assert statuses(client, links) == {**all_are(410), "page": 200, "by page": 200}
    assert statuses(client, others) == all_are(200)
    assert not links_are_valid(store, links) and links_are_valid(store, others)
    for url, method in ((links.files["story.mp3"], "GET"), (links.files["story.mp3"], "HEAD")):
        assert client.request(method, url).status_code == 410
    told = client.get(links.files["story.mp3"], headers={"accept": "application/json"}).json()
    assert told["code"] == "revoked" and "taken back" in told["message"]


def test_all_of_a_narration_is_revoked_and_nothing_else(store, client):
    deliver(store, "r1", FIRST, narration="story-2")
    links, other = give(store, "r1"), give(store, "r1", "story-2")
    assert {one.covers for one in revoke(store, "story", note="sold")} == {"r1", "newest"}
    assert statuses(client, links) == all_are(410)
    assert client.get(other.page).status_code == 200
    assert {grant_state(one) for one in grants_of(store, "story")} == {"revoked"}
    assert {one.note for one in grants_of(store, "story")} == {"sold"}
    assert revoke(store, "story") == [], "nothing is left"


def test_an_unknown_grant_is_told(store):
    give(store, "r1")
    for grant in (new_grant(), "../../voices/ada/voice", ""):
        with pytest.raises(InputError, match="has no grant"):
            revoke(store, "story", grant)


def test_a_narration_has_one_address_whatever_its_revision(store, client):
    first = give(store, "r1")
    assert give(store, "r1").page == first.page
    deliver(store, "r2", SECOND)
    assert "Story r1" in client.get(first.page).text, "delivered is what links were given of"
    second = give(store, "r2")
    assert second.page == first.page
    page = client.get(first.page).text
    assert "Story r2" in page and "Story r1" not in page and "always shows the newest revision" in page
    assert client.get(f"{first.page.replace('/n/', '/d/')}story.mp3").content == SECOND["story.mp3"]
    assert client.get(first.files["story.mp3"]).content == FIRST["story.mp3"], "a file's link is bound to its revision"


def test_a_page_of_an_older_revision_plays_no_part_of_the_newer(store, client):
    links = give(store, "r1")
    audio = f"{links.page.replace('/n/', '/d/')}story.mp3?revision=r1&inline=1"
    assert audio.removeprefix(BASE).replace("&", "&amp;") in client.get(links.page).text.replace("../../", "/")
    assert client.get(audio).status_code == 200
    deliver(store, "r2", SECOND)
    give(store, "r2")
    told = client.get(audio, headers={"accept": "text/html", "range": "bytes=4-"})
    assert told.status_code == 410 and "newer revision" in told.text and "Load its page again" in told.text
    assert client.get(audio.replace("revision=r1", "revision=r2")).content == SECOND["story.mp3"]


def test_an_address_that_has_expired_lives_on_when_it_is_extended(store, client):
    links = give(store, "r1")
    expire(store)
    assert statuses(client, links) == {**all_are(200), "page": 410, "by page": 410}
    assert client.get(links.page, headers={"accept": "application/json"}).json()["code"] == "expired"
    assert {(one.covers, grant_state(one)) for one in grants_of(store, "story")} == {
        ("r1", "alive"),
        ("newest", "expired"),
    }
    assert give(store, "r1").page == links.page and client.get(links.page).status_code == 200


def test_after_a_revocation_there_is_another_address(store, client):
    links = give(store, "r1")
    expire(store)
    revoke(store, "story")
    again = give(store, "r1")
    assert again.page != links.page
    assert client.get(again.page).status_code == 200
    assert client.get(links.page).status_code == 410, "what was expired and is revoked stays dead"


def test_a_revocation_in_the_middle_of_an_extension_holds(store, client):
    links = give(store, "r1")

    class Meanwhile(LocalStore):
        def replace_bytes(self, key: str, data: bytes) -> bool:
            if key == ADDRESS:
                revoke(store, "story")
            return super().replace_bytes(key, data)

    extend_address(Meanwhile(store.root), "story", "r1", time.time() + 100)
    assert client.get(links.page).status_code == 410
    assert give(store, "r1").page != links.page


def test_the_records_decide_about_expiry_too(store, client):
    links = give(store, "r1")
    key = layout.grant("story", links.grant)
    grant = read_record(store, key, Grant)
    write_record(store, key, grant.model_copy(update={"expires": iso_time(time.time() - 1)}))
    assert client.get(links.files["story.mp3"]).status_code == 410


def test_a_signed_token_without_its_record_opens_nothing(store, client):
    links = give(store, "r1")
    grants = [one.grant for one in grants_of(store, "story")]
    own = SIGNER.sign("story", "r1", grant=new_grant())
    assert client.get(page_url(BASE, own)).status_code == 410, "it was given, and removed since"
    # nor with the record of something else
    assert client.get(page_url(BASE, SIGNER.sign("story", "r2", grant=links.grant))).status_code == 403
    assert client.get(page_url(BASE, SIGNER.sign_address("story", links.grant))).status_code == 403
    store.put_bytes(layout.grant("story-2", links.grant), store.get_bytes(layout.grant("story", links.grant)))
    assert client.get(page_url(BASE, SIGNER.sign("story-2", "r1", grant=links.grant))).status_code == 403
    for grant in grants:
        store.delete(layout.grant("story", grant))
    assert statuses(client, links) == all_are(410) and not links_are_valid(store, links)
    assert give(store, "r1").page != links.page


@pytest.mark.parametrize("content", [b"", b"{}", b"not JSON"])
def test_a_damaged_record_opens_nothing(store, client, content):
    links = give(store, "r1")
    for grant in grants_of(store, "story"):
        store.put_bytes(layout.grant("story", grant.grant), content)
    assert statuses(client, links) == all_are(503)


def test_without_the_store_nothing_is_open(store):
    class Down(LocalStore):
        def get_bytes(self, key: str) -> bytes:
            if key.startswith("grants/"):
                raise StoreError("bucket secret-bucket does not answer")
            return super().get_bytes(key)

    links, client = give(store, "r1"), service(Down(store.root))
    assert statuses(client, links) == all_are(503)
    told = client.get(links.page)
    assert "secret-bucket" not in told.text and "retry-after" in told.headers


def test_another_secret_gives_another_address_and_ends_the_old(store, client):
    links = give(store, "r1")
    other = give(store, "r1", signer=LinkSigner(["quite another secret, long enough as well"]))
    assert other.page != links.page
    assert client.get(links.page).status_code == 200 and client.get(other.page).status_code == 403


def test_what_has_expired_by_the_token_needs_no_record(store, client):
    token = SIGNER.sign("story", "r1", lifetime=timedelta(seconds=1), now=time.time() - 2)
    assert client.get(page_url(BASE, token)).status_code == 410


def test_a_revision_made_again_is_served_anew(store, client, monkeypatch):
    monkeypatch.setattr(deliveries_module, "MANIFEST_SECONDS", 1e9)
    links = give(store, "r1")
    assert client.get(links.files["story.mp3"]).content == FIRST["story.mp3"]
    deliver(store, "r1", SECOND)
    assert client.get(links.files["story.mp3"]).status_code == 503, "not what the manifest says, which is kept a while"
    monkeypatch.setattr(deliveries_module, "MANIFEST_SECONDS", 1e-9)
    assert client.get(links.files["story.mp3"]).content == SECOND["story.mp3"]


def test_a_commercial_narration_is_withheld_once_its_voice_has_withdrawn(store, client, monkeypatch):
    monkeypatch.setattr(deliveries_module, "RIGHTS_SECONDS", 1e-9)
    say_of_voice(store, "yes")
    deliver(store, "sold", FIRST, commercial=True)
    free, sold = give(store, "r1"), give(store, "sold")
    assert statuses(client, sold) == all_are(200)
    say_of_voice(store, "no")
    assert statuses(client, sold) == all_are(403)
    told = client.get(sold.page, headers={"accept": "application/json"}).json()
    assert told["code"] == "withheld" and "commercially" in told["hint"]
    assert client.get(free.files["story.mp3"]).status_code == 200, "of a revision that is not marked"
    say_of_voice(store, "yes")
    assert statuses(client, sold) == all_are(200)


def test_rights_are_looked_up_once_in_a_while(store, monkeypatch):
    say_of_voice(store, "yes")
    deliver(store, "sold", FIRST, commercial=True)
    for kept in ("RIGHTS_SECONDS", "MANIFEST_SECONDS"):
        monkeypatch.setattr(deliveries_module, kept, 1e9)
    read: list[str] = []

    class Counted(LocalStore):
        def get_bytes(self, key: str) -> bytes:
            read.append(key.partition("/")[0])
            return super().get_bytes(key)

    links, client = give(store, "sold"), service(Counted(store.root))
    for _ in range(3):
        assert client.get(links.files["story.mp3"]).status_code == 200
    assert sorted(read) == ["grants", "grants", "grants", "narrations", "voices"]
