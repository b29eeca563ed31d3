"""Links to files in a bucket: streamed through the service, or sent on to a presigned address.

On moto, and on Swift, which enforces what is signed.
"""

from __future__ import annotations

import logging
import urllib.error
import urllib.request
import uuid
from datetime import timedelta
from hashlib import sha256
from urllib.parse import parse_qs, urlsplit

import pytest

from f5_pipeline.store.base import Store
from f5_pipeline.store.connect import connect
from f5_pipeline.store.local import LocalStore
from f5_pipeline.store.s3.access import Access
from f5_pipeline.studio.links.grants import revoke
from f5_pipeline.studio.links.tokens import LinkSigner
from f5_pipeline_tests.support.deliveries import SIGNER, VTT, deliver, give, service
from f5_pipeline_tests.support.waiting import wait_for

AUDIO = bytes(range(256)) * 4096
NAME = "Grüße & mehr.flac"
FILES = {NAME: AUDIO, "story.mp3": b"ID3" + bytes(1000), "story.vtt": VTT, "story.csv": b"word\n", "empty.csv": b""}


@pytest.fixture(params=["moto_server", "swift_server"])
def server(request):
    return request.getfixturevalue(request.param)


def open_bucket(server) -> Store:
    """A new bucket with a delivered revision."""
    bucket = server.make_bucket(f"secret-bucket-{uuid.uuid4().hex[:12]}")
    made = connect(f"s3://{bucket}/studio", Access(server.key_id, server.key, server.endpoint, server.region))
    deliver(made, "r1", FILES)
    return made


@pytest.fixture
def store(server) -> Store:
    return open_bucket(server)


def short(seconds: float) -> LinkSigner:
    """A signer whose links live for as long; more than the second that it rounds up by."""
    return LinkSigner(["a secret of the tests that is long enough"], lifetime=timedelta(seconds=seconds))


def fetch(url: str, method: str = "GET", **headers: str) -> tuple[int, bytes, dict[str, str]]:
    request = urllib.request.Request(url, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.headers.items()}
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), {}


def test_files_are_streamed(store):
    links, client = give(store, "r1"), service(store)
    url, etag = links.files[NAME], f'"{sha256(AUDIO).hexdigest()}"'
    whole = client.get(url)
    assert (whole.status_code, whole.content, whole.headers["etag"]) == (200, AUDIO, etag)
    assert whole.headers["last-modified"] == "Mon, 04 May 2026 03:02:01 GMT"
    for span, part in (("0-0", AUDIO[:1]), ("262143-262144", AUDIO[262143:262145]), ("-3", AUDIO[-3:])):
        answer = client.get(url, headers={"range": f"bytes={span}", "if-range": etag})
        assert (answer.status_code, answer.content) == (206, part)
    head = client.head(url)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(AUDIO)))
    assert client.get(url, headers={"range": f"bytes={len(AUDIO)}-"}).status_code == 416
    assert client.get(url, headers={"if-none-match": etag}).status_code == 304
    assert client.get(links.files["empty.csv"]).content == b""
    assert client.get(links.page).status_code == 200
    assert client.get("/healthz").text == "ok"


def test_an_object_of_another_size_and_one_that_is_gone_are_not_served(store):
    links, client = give(store, "r1"), service(store)
    store.put_bytes("narrations/story/r1/story.mp3", b"longer than it was" * 100)
    store.delete("narrations/story/r1/story.csv")
    for method in ("GET", "HEAD"):
        assert client.request(method, links.files["story.mp3"]).status_code == 503
        assert client.request(method, links.files["story.csv"]).status_code == 404


def test_each_request_asks_the_bucket_as_little_as_can_be(store):
    links, client = give(store, "r1"), service(store)
    by_page = f"{links.page.replace('/n/', '/d/')}story.mp3"
    assert client.get(by_page).status_code == 200  # reads the manifest, which is kept

    def once(method: str, url: str, headers: dict[str, str]) -> dict[str, int]:
        before = store.calls.by_class
        client.request(method, url, headers=headers)
        return {name: times - before[name] for name, times in store.calls.by_class.items()}

    def asked(method: str, url: str, **headers: str) -> dict[str, int]:
        """Of two: a call that a busy server answers with an error is made, and counted, again."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return min((once(method, url, sent) for _ in range(2)), key=lambda calls: sum(calls.values()))

    assert asked("GET", links.files["story.mp3"]) == {"A": 0, "B": 2, "C": 0}, "the grant, and the bytes"
    assert asked("GET", links.files[NAME], range="bytes=900000-900001") == {"A": 0, "B": 2, "C": 0}
    assert asked("HEAD", links.files["story.mp3"]) == {"A": 0, "B": 2, "C": 0}
    assert asked("GET", links.files["story.mp3"], if_none_match="*") == {"A": 0, "B": 1, "C": 0}
    assert asked("GET", by_page) == {"A": 0, "B": 3, "C": 0}, "the grant, the address, and the bytes"
    assert asked("GET", links.page) == {"A": 0, "B": 2, "C": 0}
    assert asked("GET", f"{links.page.replace('/n/', '/d/')}x/y") == {"A": 0, "B": 2, "C": 0}
    client = service(store, presign_seconds=60)
    client.get(links.files["story.mp3"])
    assert asked("GET", links.files["story.mp3"]) == {"A": 0, "B": 1, "C": 0}


def test_downloads_are_sent_to_an_address_of_minutes(store, server):
    links, client = give(store, "r1"), service(store, presign_seconds=120)
    for url in (links.files[NAME], f"{links.page.replace('/n/', '/d/')}{NAME}"):
        answer = client.get(url)
        assert (answer.status_code, answer.content) == (307, b"")
        assert answer.headers["cache-control"] == "no-store" and answer.headers["referrer-policy"] == "no-referrer"
        address = answer.headers["location"]
        query = parse_qs(urlsplit(address).query)
        assert address.startswith(server.endpoint) and query["X-Amz-Expires"] == ["120"]
        assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"] and server.key not in address
        status, body, headers = fetch(address)
        assert (status, body, headers["content-type"]) == (200, AUDIO, "audio/flac")
        assert headers["content-disposition"] == (
            "attachment; filename=\"Gru_e & mehr.flac\"; filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%26%20mehr.flac"
        )
        assert "public" not in headers.get("cache-control", "")
        assert fetch(address, Range="bytes=5-9")[:2] == (206, AUDIO[5:10])


def test_what_the_page_plays_and_what_is_conditional_comes_from_here(store):
    links, client = give(store, "r1"), service(store, presign_seconds=120)
    url, etag = links.files[NAME], f'"{sha256(AUDIO).hexdigest()}"'
    assert client.get(f"{url}?inline=1").content == AUDIO
    assert client.get(f"{links.files['story.vtt']}?inline=1").content == VTT
    assert client.get(f"{links.files['story.csv']}?inline=1").status_code == 307, "which nothing shows in place"
    assert client.head(url).headers["content-length"] == str(len(AUDIO)), "a GET's address answers no HEAD"
    assert client.get(url, headers={"if-none-match": etag}).status_code == 304
    resumed = client.get(url, headers={"if-range": etag, "range": "bytes=9-"})
    assert (resumed.status_code, resumed.content) == (206, AUDIO[9:])
    assert client.get(url, headers={"if-range": '"of the bucket"', "range": "bytes=9-"}).status_code == 307


def test_an_address_never_outlives_its_link(store):
    client = service(store, presign_seconds=120)
    for signer, least in ((short(60), 40), (short(3), 1)):
        links = give(store, "r1", signer=signer)
        for url in (links.files[NAME], f"{links.page.replace('/n/', '/d/')}{NAME}"):
            (seconds,) = parse_qs(urlsplit(client.get(url).headers["location"]).query)["X-Amz-Expires"]
            assert least <= int(seconds) <= signer.lifetime.total_seconds()
    give(store, "r1", signer=SIGNER)


def test_an_address_ends_when_it_should_and_opens_nothing_else(swift_server):
    store = open_bucket(swift_server)
    client = service(store, presign_seconds=120)
    address = client.get(give(store, "r1").files["story.mp3"]).headers["location"]
    assert fetch(address)[0] == 200
    for changed in (
        address.replace("story.mp3", "manifest.json"),
        address.replace("X-Amz-Expires=120", "X-Amz-Expires=604800"),
        address.replace("attachment", "inline"),
    ):
        assert changed != address and fetch(changed)[0] == 403, changed
    assert fetch(address.partition("?")[0])[0] in (400, 401, 403), "unsigned"
    assert fetch(address, "HEAD")[0] == 403
    soon = client.get(give(store, "r1", signer=short(2)).files["story.mp3"]).headers["location"]
    wait_for("end of the address", lambda: fetch(soon)[0] == 403)
    assert fetch(address)[0] == 200


@pytest.mark.parametrize("presign_seconds", [None, 60])
def test_a_revoked_link_gives_no_more_addresses(store, presign_seconds):
    links, client = give(store, "r1"), service(store, presign_seconds=presign_seconds)
    urls = [links.page, *links.files.values()]
    assert {client.get(url).status_code for url in urls} <= {200, 307}
    revoke(store, "story")
    assert {client.get(url).status_code for url in urls} == {410}
    assert {client.head(url).status_code for url in urls} == {410}


def test_no_answer_and_no_log_line_tells_of_the_bucket(store, server, caplog):
    caplog.set_level(logging.INFO)
    links, client = give(store, "r1"), service(store, presign_seconds=60)
    other, _ = give(store, "r1"), revoke(store, "story", links.grant)
    missing = other.files["story.csv"]
    store.delete("narrations/story/r1/story.csv")
    urls = [other.page, links.page, *links.files.values(), *other.files.values(), f"{missing}?inline=1", "/healthz"]
    told = ""
    for url in urls:
        for method in ("GET", "HEAD"):
            answer = client.request(method, url)
            if answer.status_code == 307:
                assert server.endpoint in answer.headers.pop("location")
            told += answer.text + str(answer.headers)
    assert client.head(missing).status_code == 404
    ours = "".join(one.getMessage() for one in caplog.records if one.name.startswith("f5_pipeline"))
    for secret in ("secret-bucket", "narrations/", server.endpoint, server.key_id, server.key, "X-Amz"):
        assert secret not in told and secret not in ours


def test_a_folder_has_no_addresses_and_is_streamed(tmp_path):
    store = LocalStore(tmp_path / "studio")
    deliver(store, "r1", FILES)
    client = service(store, presign_seconds=60)
    assert client.get(give(store, "r1").files[NAME]).content == AUDIO


def test_a_bucket_that_cannot_be_read_opens_nothing(swift_server):
    store = open_bucket(swift_server)
    links = give(store, "r1")
    wrong = Access(swift_server.key_id, "another key", swift_server.endpoint, swift_server.region)
    client = service(connect(store.url, wrong), presign_seconds=60)
    for url in (links.page, links.files["story.mp3"]):
        answer = client.get(url)
        assert answer.status_code == 503 and "secret-bucket" not in answer.text and "key" not in answer.text
