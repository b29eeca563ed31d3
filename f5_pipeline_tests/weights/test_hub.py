"""The hub: transfers that are cut, refused or slow; tokens that stay where they belong."""

from __future__ import annotations

import logging
import socket

import pytest

from f5_pipeline.weights.errors import RetryableWeightsError, WeightsError
from f5_pipeline.weights.hub import MAX_TRIES, Hub
from f5_pipeline_tests.support.weights_place import SIZE, Place, contents

PATH = "sub/model 1.safetensors"


def download(place: Place, hub: Hub, part, size: int = SIZE) -> list[int]:
    seen: list[int] = []
    commit = place.hub._repos["a/model"][0]
    hub.download("a/model", commit, PATH, size, part, seen.append)
    return seen


@pytest.fixture
def hub(place: Place) -> Hub:
    return Hub(place.hub.url, pause=0.01)


def test_a_listing_tells_commit_sizes_and_hashes(place: Place, hub: Hub):
    listing = hub.listing("a/model", None)
    assert listing.revision == place.hub._repos["a/model"][0]
    assert listing.files[PATH].size == SIZE and listing.files[PATH].sha256
    assert listing.files["vocab.txt"].sha256 is None and listing.files["vocab.txt"].git_oid
    assert hub.listing("a/model", listing.revision) == listing


def test_a_cut_in_mid_file_fetches_only_the_rest(place: Place, hub: Hub, tmp_path):
    place.hub.faults.cut = [300_000, 1, 500_000]
    seen = download(place, hub, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == place.files[PATH]
    assert place.hub.sent == SIZE
    assert place.hub.requests["cdn"] == place.hub.requests["resolve"] == 4  # each try asks for a fresh address
    assert seen == sorted(seen) and seen[-1] == SIZE


def test_what_an_earlier_process_has_left_is_not_fetched_again(place: Place, hub: Hub, tmp_path):
    (tmp_path / "part").write_bytes(place.files[PATH][:700_001])
    download(place, hub, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == place.files[PATH]
    assert place.hub.sent == SIZE - 700_001
    download(place, hub, tmp_path / "part")
    assert place.hub.requests["cdn"] == 1


def test_a_server_without_ranges_is_read_from_the_beginning(place: Place, hub: Hub, tmp_path):
    place.hub.faults.no_ranges = True
    (tmp_path / "part").write_bytes(b"?" * 1000)
    download(place, hub, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == place.files[PATH]


def test_a_part_that_is_too_long_begins_anew(place: Place, hub: Hub, tmp_path):
    (tmp_path / "part").write_bytes(b"?" * (SIZE + 1))
    download(place, hub, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == place.files[PATH]


def test_a_file_that_is_longer_than_it_was_said_to_be(place: Place, hub: Hub, tmp_path):
    with pytest.raises(WeightsError, match="sends more of"):
        download(place, hub, tmp_path / "part", SIZE // 2)


def test_an_overloaded_hub_is_asked_again(place: Place, hub: Hub, tmp_path):
    place.hub.faults.statuses = [429, 503, 500]
    download(place, hub, tmp_path / "part")
    place.hub.faults.statuses = [429, 503]
    assert hub.listing("a/model", None).files


def test_a_hub_that_stays_overloaded_is_a_passing_failure(place: Place, hub: Hub, tmp_path):
    place.hub.faults.statuses = [503] * MAX_TRIES
    with pytest.raises(RetryableWeightsError, match=r"could not be had from the hub: answered 503.*is kept"):
        download(place, hub, tmp_path / "part")
    place.hub.faults.statuses = [429] * MAX_TRIES
    with pytest.raises(RetryableWeightsError, match="answered 429"):
        hub.listing("a/model", None)
    assert place.hub.faults.statuses == []


@pytest.mark.parametrize(("status", "words"), [(401, "gated or private"), (403, "gated or private"), (404, "has no")])
def test_a_refusal_is_final(place: Place, hub: Hub, tmp_path, status: int, words: str):
    for ask in (lambda: download(place, hub, tmp_path / "part"), lambda: hub.listing("a/model", None)):
        place.hub.faults.statuses = [status]
        with pytest.raises(WeightsError, match=words) as caught:
            ask()
        assert not caught.value.retryable
        assert place.hub.faults.statuses == []
    assert not (tmp_path / "part").exists()


def test_no_connection_is_a_passing_failure(place: Place, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        hub = Hub(f"http://127.0.0.1:{taken.getsockname()[1]}", pause=0.001)
        with pytest.raises(RetryableWeightsError, match="no connection"):
            hub.listing("a/model", None)
        with pytest.raises(RetryableWeightsError, match="no connection"):
            download(place, hub, tmp_path / "part")


def test_a_token_opens_gated_models_and_goes_to_the_hub_alone(place: Place, caplog):
    place.hub.faults.token = "hf_sesame"
    with caplog.at_level(logging.DEBUG):
        with pytest.raises(WeightsError, match="set F5_HUB_TOKEN") as without:
            place.library().acquire("one")
        with pytest.raises(WeightsError, match="token in F5_HUB_TOKEN has no access") as wrong:
            place.library(token="hf_secret").acquire("one")
        with place.library(token="hf_sesame").acquire("one") as acquired:
            assert acquired.files.checkpoint.read_bytes() == place.files[PATH]
    assert place.hub.tokens["cdn"] == {None}
    assert "Bearer hf_sesame" in place.hub.tokens["api"] & place.hub.tokens["resolve"]
    assert "hf_secret" not in f"{without.value}{wrong.value}{wrong.value.__cause__}"
    assert "hf_se" not in caplog.text
    assert not any(b"hf_se" in data for data in contents(place.root).values())


def test_a_token_of_the_environment_is_not_sent_unasked(place: Place, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    place.library().acquire("one").release()
    assert place.hub.tokens == {"api": {None}, "resolve": {None}, "cdn": {None}}


def test_a_signed_address_is_in_no_message(place: Place, hub: Hub, tmp_path, caplog):
    place.hub.faults.cut = [0] * MAX_TRIES
    with pytest.raises(RetryableWeightsError, match="the connection was cut") as caught:
        download(place, hub, tmp_path / "part")
    assert "Signature" not in str(caught.value)
    assert "Signature" not in caplog.text


def test_bytes_that_come_again_and_again_are_no_progress(place: Place, hub: Hub, tmp_path):
    place.hub.faults.no_ranges = True
    place.hub.faults.cut = [500_000] * (MAX_TRIES + 1)
    with pytest.raises(RetryableWeightsError, match="the connection was cut"):
        download(place, hub, tmp_path / "part")
    assert place.hub.faults.cut == []


def test_what_answers_in_the_hub_s_place_is_told(place: Place, hub: Hub):
    place.hub.faults.statuses = [200]
    with pytest.raises(WeightsError, match="no hub that speaks"):
        hub.listing("a/model", None)
    with pytest.raises(WeightsError, match="no name of a repository"):
        hub.listing("a/..", None)
