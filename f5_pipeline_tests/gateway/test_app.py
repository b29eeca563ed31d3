from __future__ import annotations

import base64
import hashlib
import json
import logging
from datetime import timedelta
from email.utils import formatdate
from typing import Any

import pytest
from itsdangerous import Signer
from itsdangerous.encoding import base64_encode
from starlette.testclient import TestClient

from f5_pipeline.errors import NotFoundError, StoreError
from f5_pipeline.store import layout
from f5_pipeline.studio.links.tokens import LinkSigner
from f5_pipeline.system.hashing import file_sha256
from f5_pipeline_tests.support.gateway_studio import KEY, NOW, Studio


def client_of(studio: Studio, **options) -> TestClient:
    return TestClient(studio.app(**options), follow_redirects=False)


@pytest.fixture
def client(studio: Studio) -> TestClient:
    return client_of(studio)


def test_a_file_is_downloaded_whole(studio, client):
    content = studio.path("engine.flac").read_bytes()
    answer = client.get(f"/d/{studio.token('engine.flac')}/engine.flac")
    assert answer.status_code == 200 and answer.content == content
    digest = hashlib.sha256(content)
    assert answer.headers["etag"] == f'"{digest.hexdigest()}"'
    assert answer.headers["repr-digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    assert answer.headers["content-length"] == str(len(content))
    assert answer.headers["content-disposition"] == 'attachment; filename="engine.flac"'
    assert answer.headers["accept-ranges"] == "bytes"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("engine.flac", "audio/flac"),
        ("engine.mp3", "audio/mpeg"),
        ("engine.vtt", "text/vtt; charset=utf-8"),
        ("engine.srt", "application/x-subrip; charset=utf-8"),
        ("engine.csv", "text/csv; charset=utf-8"),
        ("engine.json", "application/json"),
    ],
)
def test_types_and_places(studio, client, name, kind):
    """Only what the page plays is ever shown in place."""
    answer = client.get(f"/d/{studio.token()}/{name}?inline=1")
    assert answer.headers["content-type"] == kind
    shown = answer.headers["content-disposition"].startswith("inline")
    assert shown == kind.startswith(("audio/", "text/vtt"))


@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml", "application/xhtml+xml", "text/vtt-like", "text/xml"])
def test_no_file_becomes_a_page_of_ours(studio, client, kind):
    studio.add("evil.html", b"<script>alert(1)</script>", kind)
    answer = client.get(f"/d/{studio.token()}/evil.html?inline=1")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["content-security-policy"]


def test_head_says_what_get_would_and_reads_nothing(studio, client):
    url = f"/d/{studio.token()}/engine.flac"
    head, get = client.head(url), client.get(url)
    assert head.status_code == 200 and head.content == b""
    assert dict(head.headers) == dict(get.headers)


@pytest.mark.parametrize(
    ("header", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=262143-262144", 262143, 262145),  # over the service's own block
        ("bytes=1048575-", 1048575, 1048576),
        ("bytes=-3", 1048573, 1048576),
        ("bytes=5-99999999999", 5, 1048576),
    ],
)
def test_a_range_is_exact(studio, client, header, start, end):
    answer = client.get(f"/d/{studio.token()}/engine.flac", headers={"range": header})
    assert answer.status_code == 206
    assert answer.content == studio.path("engine.flac").read_bytes()[start:end]
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/1048576"
    assert answer.headers["content-length"] == str(end - start)


@pytest.mark.parametrize("header", ["bytes=1048576-", "bytes=-0"])
def test_a_range_behind_the_end(studio, client, header):
    answer = client.get(f"/d/{studio.token()}/engine.flac", headers={"range": header})
    assert (answer.status_code, answer.headers["content-range"]) == (416, "bytes */1048576")


@pytest.mark.parametrize("header", ["bytes=5-1", "lines=1-2", "bytes=0-1,4-5", "nonsense"])
def test_what_is_not_one_byte_range_gets_the_whole(studio, client, header):
    answer = client.get(f"/d/{studio.token()}/engine.flac", headers={"range": header})
    assert (answer.status_code, len(answer.content)) == (200, 1048576)


def test_an_interrupted_download_goes_on_only_with_the_same_content(studio, client):
    url = f"/d/{studio.token()}/engine.flac"
    first = client.get(url)
    for value, status in (
        (first.headers["etag"], 206),
        (first.headers["last-modified"], 206),
        ('"other"', 200),
        ("W/" + first.headers["etag"], 200),
        (formatdate(0, usegmt=True), 200),
        ("nonsense", 200),
    ):
        answer = client.get(url, headers={"range": "bytes=10-", "if-range": value})
        assert answer.status_code == status, value
        assert answer.content == first.content[10 if status == 206 else 0 :]


def test_what_has_not_changed_is_not_sent_again(studio, client):
    url = f"/d/{studio.token()}/engine.flac"
    first = client.get(url)
    etag, modified = first.headers["etag"], first.headers["last-modified"]
    for headers, status in (
        ({"if-none-match": etag}, 304),
        ({"if-none-match": f'"x", W/{etag}'}, 304),
        ({"if-none-match": "*"}, 304),
        ({"if-none-match": '"x"'}, 200),
        ({"if-modified-since": modified}, 304),
        ({"if-modified-since": formatdate(0, usegmt=True)}, 200),
        ({"if-modified-since": "yesterday"}, 200),
        ({"if-modified-since": modified, "if-none-match": '"x"'}, 200),
        ({"if-none-match": etag, "range": "bytes=0-1"}, 304),
        ({"if-match": etag}, 200),
        ({"if-match": '"x"'}, 412),
        ({"if-unmodified-since": formatdate(0, usegmt=True)}, 412),
    ):
        answer = client.get(url, headers=headers)
        assert answer.status_code == status, headers
        if status != 200:
            assert answer.content == b"" and answer.headers["etag"] == etag


def test_an_empty_file(studio, client):
    studio.add("empty.csv", b"")
    url = f"/d/{studio.token()}/empty.csv"
    assert (client.get(url).status_code, client.get(url).content) == (200, b"")
    assert client.get(url, headers={"range": "bytes=0-"}).status_code == 416


@pytest.mark.parametrize(
    "name",
    [
        "Grüße & mehr.mp3",
        "旅 の 歌.mp3",
        "100% 'true'; x=\"y\".mp3",
        "👨‍👩‍👧+.mp3",
        "a\u3000b\u00a0.mp3",
        "..mp3",
        "-rf",
    ],
)
def test_names_of_any_script(studio, client, name):
    from f5_pipeline.studio.links.tokens import file_url

    studio.add(name, b"sound")
    for token in (studio.token(name), studio.token()):
        answer = client.get(file_url("", token, name))
        assert answer.content == b"sound"
        assert "\n" not in answer.headers["content-disposition"]
    assert name.partition(".")[0] in _unescape(client.get(f"/n/{studio.token()}/").text)


def _unescape(text: str) -> str:
    import html

    return html.unescape(text)


# Who may have what


def test_forged_expired_and_missing_are_told_apart(studio, client):
    other = LinkSigner(["quite another secret, long enough as well"])
    cases = {
        f"/d/{other.sign('engine', studio.revision, now=NOW)}/engine.mp3": 403,
        "/d/nonsense/engine.mp3": 403,
        "/n/nonsense/": 403,
        "/n/nonsense": 403,
        f"/d/{'x' * 30_000}/engine.mp3": 403,
        f"/d/{studio.token(lifetime=timedelta(seconds=5), now=NOW - 5)}/engine.mp3": 410,
        f"/n/{studio.token(lifetime=timedelta(seconds=5), now=NOW - 5)}/": 410,
        f"/d/{studio.token()}/other.mp3": 404,
        f"/d/{studio.token()}/": 404,
        f"/d/{studio.signer.sign('engine', 'no-such-revision', now=NOW)}/engine.mp3": 404,
        f"/n/{studio.signer.sign('no-such-narration', studio.revision, now=NOW)}/": 404,
        f"/d/{studio.token()}": 404,
        "/d/": 404,
        "/n/": 404,
        "/nowhere": 404,
        "/static/": 404,
        "/static/nothing.js": 404,
    }
    assert {url: client.get(url).status_code for url in cases} == cases


def test_a_link_of_an_earlier_version_says_what_to_do(studio, client):
    signer = Signer([KEY], salt="f5-pipeline.gateway.link", key_derivation="hmac", digest_method=hashlib.sha256)
    payload = [1, "grant-id", studio.narration, studio.revision, "*", int(NOW) + 60]  # as commit f5445aa made them
    token = signer.sign(base64_encode(json.dumps(payload))).decode()
    for path in (f"/n/{token}/", f"/n/{token}", f"/d/{token}/engine.mp3"):
        answer = client.get(path, headers={"accept": "text/html"})
        assert answer.status_code == 403
        assert "made by an earlier version" in answer.text and "for a new one" in answer.text
        assert client.get(path, headers={"accept": "application/json"}).json()["code"] == "outdated"


def test_a_link_to_one_file_opens_neither_another_nor_the_page(studio, client):
    token = studio.token("engine.mp3")
    assert client.get(f"/d/{token}/engine.mp3").status_code == 200
    # the same answer for what is there and what is not: it tells nothing about other files
    assert client.get(f"/d/{token}/engine.flac").status_code == 403
    assert client.get(f"/d/{token}/never.flac").status_code == 403
    assert client.get(f"/n/{token}/").status_code == 403


def test_the_page_reads_its_text_and_its_waveform(playable):
    client = client_of(playable)
    page = f"/n/{playable.token()}/"
    assert client.get(page + "text").json() == [[400, 6900, 26]]
    assert [row["voice"] for row in client.get(page + "text/0").json()] == ["Ada", "Charles"]
    levels = client.get(page + "waveform").content
    assert len(levels) == 2000 and max(levels) == 255
    assert client.get(page + "text?revision=" + playable.revision).status_code == 200

    for name in ("text", "text/0", "waveform"):
        assert client.get(f"/n/{playable.token('engine.mp3')}/{name}").status_code == 403
        assert client.get(f"{page}{name}?revision=0123456789abcdef").status_code == 410
    assert client.get(page + "text/1").status_code == client.get(page + "text/x").status_code == 404
    key = layout.waveform(playable.narration, playable.revision)
    playable.store.put_bytes(key, b"123")
    assert client.get(page + "waveform").status_code == 204
    playable.store.delete(key)
    assert client.get(page + "waveform").status_code == 204
    path = playable.path("engine.words.json")
    path.write_bytes(path.read_bytes().replace(b"steam", b"smoke"))
    assert client.get(page + "text/0").status_code == 503
    del playable.files["engine.words.json"]
    assert client.get(page + "text").status_code == 404


def test_a_link_to_one_narration_opens_no_other(studio, client):
    other = Studio(studio.store, narration="secret")
    other.add("secret.mp3", b"hidden")
    answer = client.get(f"/d/{studio.token()}/secret.mp3")
    assert answer.status_code == 404 and b"hidden" not in answer.content


def test_a_deleted_object_is_missing_and_a_damaged_one_is_not_served(studio, client):
    url = f"/d/{studio.token()}/engine.flac"
    studio.path("engine.flac").write_bytes(b"half")
    answer = client.get(url)
    assert answer.status_code == 503 and "etag" not in answer.headers
    studio.path("engine.flac").unlink()
    assert client.get(url).status_code == 404
    assert client.head(url).status_code == 404


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_file_that_rotted_at_its_size_is_not_served(studio, client, method):
    url, path = f"/d/{studio.token()}/engine.flac", studio.path("engine.flac")
    whole = path.read_bytes()
    path.write_bytes(whole[:-5] + b"rot" + whole[-2:])
    for headers in ({}, {"range": "bytes=0-9"}, {}):
        answer = client.request(method, url, headers=headers)
        assert answer.status_code == 503 and "etag" not in answer.headers and "retry-after" in answer.headers
    path.write_bytes(whole)
    assert client.get(url).content == whole, "as soon as it is made again"


def test_a_file_is_hashed_when_it_is_first_served_and_when_it_was_written_again(studio, client, monkeypatch):
    from f5_pipeline.gateway import verification

    hashed = []
    monkeypatch.setattr(verification, "file_sha256", lambda path: hashed.append(path.name) or file_sha256(path))
    url = f"/d/{studio.token()}/engine.flac"
    for _ in range(3):
        assert client.get(url).status_code == 200
        assert client.get(url, headers={"range": "bytes=0-9"}).status_code == 206
    assert len(hashed) == 1
    studio.store.put_bytes(studio.files["engine.flac"].key, studio.path("engine.flac").read_bytes())
    assert client.get(url).status_code == 200 and len(hashed) == 2


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_it_is_read_only(studio, client, method):
    for url in (f"/d/{studio.token()}/engine.mp3", f"/n/{studio.token()}/", "/", "/static/page.css"):
        answer = client.request(method, url)
        assert answer.status_code == 405
    assert studio.path("engine.mp3").exists()


# What the answers carry


def test_every_answer_is_closed_up(studio, client):
    for url in (
        f"/d/{studio.token()}/engine.mp3",
        f"/n/{studio.token()}/",
        "/d/x/y",
        "/",
        "/healthz",
        "/static/page.js",
        "/nowhere",
    ):
        headers = client.get(url).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "noindex" in headers["x-robots-tag"]
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "unsafe-inline" not in headers["content-security-policy"].partition("script-src")[2].partition(";")[0]
        assert headers["permissions-policy"]
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "set-cookie" not in headers
        assert "public" not in headers["cache-control"]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("application/json", "application/json"),
        ("*/*", "text/plain"),
        ("", "text/plain"),
    ],
)
def test_an_error_says_what_to_do_in_the_form_asked_for(studio, client, accept, kind):
    expired = studio.token(lifetime=timedelta(seconds=5), now=NOW - 5)
    answer = client.get(f"/d/{expired}/engine.mp3", headers={"accept": accept})
    assert answer.status_code == 410 and answer.headers["content-type"].startswith(kind)
    assert "new link" in answer.text and expired not in answer.text
    if kind == "application/json":
        assert answer.json()["code"] == "expired"


def test_nothing_of_the_request_comes_back(client):
    answer = client.get("/d/x/<script>alert(1)</script>", headers={"accept": "text/html", "host": "evil.example"})
    assert answer.status_code == 403
    assert "script>alert" not in answer.text and "evil" not in answer.text + str(answer.headers)


def test_an_address_without_its_slash_goes_to_the_page(studio, client):
    token = studio.token()
    answer = client.get(f"/n/{token}", headers={"host": "evil.example"})
    assert (answer.status_code, answer.headers["location"]) == (308, f"{token}/")
    followed = TestClient(client.app).get(f"/n/{token}")
    assert followed.status_code == 200 and "<audio" in followed.text


# Trouble


class Broken:
    """A store that fails in the way given."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def local_path(self, key: str):
        return None

    def stat(self, key: str):
        raise self.error

    def open(self, key: str, start: int, end: int) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StoreError("bucket secret-bucket does not answer"), 503),
        (PermissionError(13, "Permission denied: /secret-bucket"), 503),
        (TimeoutError("secret-bucket"), 503),
        (NotFoundError("gone from secret-bucket"), 404),
        (KeyError("secret-bucket"), 500),
    ],
)
@pytest.mark.parametrize("part", ["GET", "HEAD", "permit"])
def test_trouble_with_the_store_is_told_without_its_inside(studio, error, status, part):
    def fails(*_):
        raise error

    client = client_of(studio, permit=fails) if part == "permit" else client_of(studio, store=Broken(error))
    answer = client.request("HEAD" if part == "HEAD" else "GET", f"/d/{studio.token()}/engine.mp3")
    assert answer.status_code == status
    assert "secret-bucket" not in answer.text and "Traceback" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert ("retry-after" in answer.headers) == (status == 503)


def test_trouble_in_the_first_read_is_still_an_answer(studio):
    class Stream:
        closed = False

        def seek(self, place, whence=0):
            return 1003

        def read(self, count):
            raise StoreError("the connection broke")

        def close(self):
            Stream.closed = True

    class Store(Broken):
        def open(self, key, start, end):
            return Stream()

    client = client_of(studio, store=Store(StoreError("")))
    assert client.get(f"/d/{studio.token()}/engine.mp3").status_code == 503
    assert Stream.closed


def test_an_object_cut_in_the_middle_is_not_passed_off_as_whole(studio):
    class Store(Broken):
        def open(self, key, start, end):
            import io

            class Cut(io.BytesIO):
                def seek(self, place, whence=0):
                    return 1048576 if whence == io.SEEK_END else super().seek(place, whence)

            return Cut(bytes(600_000))

    client = client_of(studio, store=Store(StoreError("")))
    with pytest.raises(Exception, match=r"response already started|ended before"):
        client.get(f"/d/{studio.token()}/engine.flac")


def test_files_and_pages_from_a_failing_manifest(studio):
    def fails(narration, revision):
        raise StoreError("no manifest")

    client = client_of(studio, files_of=fails)
    assert client.get(f"/d/{studio.token()}/engine.mp3").status_code == 503
    assert client.get(f"/n/{studio.token()}/").status_code == 503
    assert client_of(studio, page_facts=fails).get(f"/n/{studio.token()}/").status_code == 503


def test_health_is_that_of_the_store(studio):
    assert client_of(studio).get("/healthz").text == "ok"
    broken = client_of(studio, store=Broken(StoreError("down")))
    assert broken.get("/healthz").status_code == 503 and "down" not in broken.get("/healthz").text


def test_health_is_not_asked_for_more_often_than_need_be(studio):
    asked = []
    client = client_of(studio, probe=lambda: asked.append(1), health_seconds=3600)
    assert [client.get("/healthz").status_code for _ in range(3)] == [200] * 3 and len(asked) == 1
    client = client_of(studio, probe=lambda: asked.append(1), health_seconds=0)
    assert [client.get("/healthz").status_code for _ in range(3)] == [200] * 3 and len(asked) == 4


def test_log_lines_tell_what_was_served_and_hold_no_token(studio, client, caplog):
    caplog.set_level(logging.DEBUG)
    good, gone = studio.token(), studio.token(lifetime=timedelta(seconds=5), now=NOW - 5)
    client.get(f"/d/{good}/engine.mp3", headers={"range": "bytes=0-9"})
    client.get(f"/d/{good}/no%22such.mp3")
    client.get(f"/d/{gone}/engine.mp3")
    client.get("/d/forged/engine.mp3")
    client.get(f"/n/{good}/")
    client.head(f"/d/{good}/engine.mp3")
    ours = [r for r in caplog.records if r.name.startswith("f5_pipeline")]
    lines = [json.loads(record.getMessage()) for record in ours]
    assert [(x["status"], x.get("narration"), x.get("file")) for x in lines] == [
        (206, "engine", "engine.mp3"),
        (404, "engine", None),
        (410, "engine", None),
        (403, None, None),
        (200, "engine", "page"),
        (200, "engine", "engine.mp3"),
    ]
    assert lines[0]["bytes"] == 10 and lines[5]["bytes"] == 0
    everything = "".join(record.getMessage() for record in ours)
    assert good not in everything and gone not in everything and KEY not in everything
