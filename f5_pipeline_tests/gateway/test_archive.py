"""Everything of a narration as one ZIP."""

from __future__ import annotations

import io
import zipfile

import pytest
from starlette.testclient import TestClient

from f5_pipeline_tests.support.gateway_studio import Studio


@pytest.fixture
def client(studio: Studio) -> TestClient:
    return TestClient(studio.app(), follow_redirects=False)


def address(studio: Studio, token: str, client: TestClient) -> str:
    of_page = studio.token()
    assert f"../../d/{of_page}/all.zip" in client.get(f"/n/{of_page}/").text
    return f"/d/{token}/all.zip"


def test_the_page_leads_to_all_files(studio, client):
    answer = client.get(address(studio, studio.token(), client))
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-length"] == str(len(answer.content))
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            name: studio.path(name).read_bytes()
            for name in ("engine.flac", "engine.mp3", "engine.vtt", "engine.srt", "engine.csv", "engine.json")
        }
    head = client.head(address(studio, studio.token(), client))
    assert head.headers["content-length"] == answer.headers["content-length"] and not head.content


def test_a_link_for_one_file_does_not_open_it(studio, client):
    assert client.get(address(studio, studio.token("engine.flac"), client)).status_code == 403


def test_a_damaged_file_is_not_sent(studio, client):
    path = studio.path("engine.flac")
    path.chmod(0o644)
    path.write_bytes(b"x" + path.read_bytes()[1:])
    assert client.get(address(studio, studio.token(), client)).status_code == 503
