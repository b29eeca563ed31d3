"""From a name to whole files: the lock, and the way of the bytes through cache, store and hub."""

from __future__ import annotations

import hashlib
import logging
import os

import pytest

from f5_pipeline.errors import InputError, StoreError
from f5_pipeline.store import layout
from f5_pipeline.weights.cache import Mismatch
from f5_pipeline.weights.errors import WeightsError
from f5_pipeline.weights.library import Progress
from f5_pipeline.weights.records import ROLES
from f5_pipeline.weights.registry import SpecFile
from f5_pipeline_tests.support.installation import small_file_system
from f5_pipeline_tests.support.some import some
from f5_pipeline_tests.support.weights_place import SIZE, Place, content, contents

CHECKPOINT = "sub/model 1.safetensors"


def test_hub_bytes_fill_store_and_cache(place: Place):
    library = place.library(remote=True)
    seen: list[Progress] = []
    with library.acquire("one", seen.append) as acquired:
        assert acquired.source == "hub"
        assert acquired.received == acquired.record.size
        files = acquired.files
        assert files.checkpoint.read_bytes() == place.files[CHECKPOINT]
        assert files.vocabulary.read_bytes() == place.files["vocab.txt"]
        assert files.vocoder_config.read_bytes() == place.vocoder["config.yaml"]
        assert files.vocoder_weights.read_bytes() == place.vocoder["pytorch_model.bin"]
        assert [getattr(files, role).suffix for role in ROLES] == [".safetensors", ".txt", ".yaml", ".bin"]
        for role in ROLES:
            assert getattr(files, role).is_relative_to(place.root / "cache" / "blobs")
            assert library.store.get_bytes(acquired.record.files[role].key) == getattr(files, role).read_bytes()
    assert {now.what for now in seen} == {"from hub", "to store", "from store"}
    whole = [now for now in seen if now.file == "model 1.safetensors" and now.what == "from hub"]
    assert [now.done for now in whole] == sorted(now.done for now in whole)
    assert whole[-1].done == whole[-1].total == SIZE
    place.hub.forget()
    with library.acquire("one") as again:
        assert (again.source, again.received) == ("cache", 0)
        assert again.files == files
    assert place.hub.requests.total() == 0


def test_a_cold_worker_starts_from_the_store_and_never_asks_the_hub(place: Place):
    place.library(remote=True).acquire("one").release()
    place.hub.forget()
    cold = place.library(cache="elsewhere", remote=True)
    with cold.acquire("one") as acquired:
        assert acquired.source == "store"
        assert acquired.received == sum(blob.size for blob in acquired.record.files.values())
        assert acquired.files.checkpoint.is_relative_to(place.root / "elsewhere")
        assert acquired.files.checkpoint.read_bytes() == place.files[CHECKPOINT]
    assert place.hub.requests.total() == 0


def test_a_store_that_is_a_folder_serves_its_own_files(place: Place):
    library = place.library()
    with library.acquire("one") as acquired:
        assert acquired.source == "hub"
        for role in ROLES:
            assert getattr(acquired.files, role) == library.store.local_path(acquired.record.files[role].key)
    assert contents(place.root / "cache" / "blobs") == {}
    assert contents(place.root / "cache" / "partial") == {}
    place.hub.forget()
    with place.library(cache="elsewhere").acquire("one") as acquired:
        assert acquired.source == "store"
    assert place.hub.requests.total() == 0


def test_what_the_cache_has_fills_a_new_store(place: Place):
    place.library(remote=True).acquire("one").release()
    record = some(place.library().find("one"))
    place.hub.forget()
    for remote, store in ((True, "second"), (False, "third")):
        library = place.library(store=store, remote=remote)
        library.store.put_bytes(layout.model_record("one", "main"), record.model_dump_json().encode())
        with library.acquire("one") as acquired:
            assert acquired.source == "cache"
        assert library.store.get_bytes(record.files["checkpoint"].key) == place.files[CHECKPOINT]
    assert place.hub.requests.total() == 0


def test_the_lock_stays_whatever_becomes_of_the_main_branch(place: Place):
    before = place.library().lock("one")
    assert before.revision == place.hub._repos["a/model"][0]
    assert before.files["checkpoint"].sha256 == hashlib.sha256(place.files[CHECKPOINT]).hexdigest()
    place.hub.put("a/model", {**place.files, CHECKPOINT: content(SIZE, 9)})
    assert place.library(cache="elsewhere").lock("one") == before
    place.hub.forget()
    assert place.library().lock("one").sha256 == before.sha256
    assert place.hub.requests.total() == 0


def test_what_the_registry_pins_is_locked_without_the_hub(place: Place):
    def known(data: bytes, path: str) -> SpecFile:
        return SpecFile(path=path, sha256=hashlib.sha256(data).hexdigest(), size=len(data))

    model = place.spec(
        "one",
        "a/model",
        revision=place.hub._repos["a/model"][0],
        checkpoint=known(place.files[CHECKPOINT], CHECKPOINT),
        vocabulary=known(place.files["vocab.txt"], "vocab.txt"),
    )
    vocoder = place.vocoders["vocos"].model_copy(
        update={
            "revision": place.hub._repos["c/vocos"][0],
            "config": known(place.vocoder["config.yaml"], "config.yaml"),
            "weights": known(place.vocoder["pytorch_model.bin"], "pytorch_model.bin"),
        }
    )
    library = place.library(models={"one": model}, vocoders={"vocos": vocoder})
    assert library.lock("one").revision == model.revision
    assert place.hub.requests.total() == 0
    with library.acquire("one") as acquired:
        assert acquired.files.checkpoint.read_bytes() == place.files[CHECKPOINT]
        assert acquired.files.vocabulary.read_bytes() == place.files["vocab.txt"]
    assert place.hub.requests["api"] == 0


@pytest.mark.parametrize("path", [CHECKPOINT, "vocab.txt"])
def test_a_hub_with_other_bytes_than_are_pinned_is_refused(place: Place, path: str):
    other = SpecFile(path=path, sha256="0" * 64)
    role = "vocabulary" if path == "vocab.txt" else "checkpoint"
    library = place.library(models={"one": place.spec("one", "a/model", **{role: other})})
    with pytest.raises(WeightsError, match=r"other bytes for a/model/.* than this version of f5_pipeline is pinned to"):
        library.acquire("one")
    assert library.find("one") is None


def test_no_such_model_names_the_nearest(place: Place):
    with pytest.raises(InputError, match=r"no model 'onne'\. Did you mean one"):
        place.library().acquire("onne")
    with pytest.raises(InputError, match="there is no model"):
        place.library().find("../../etc")


def test_a_file_or_commit_that_the_hub_has_not(place: Place):
    models = {"one": place.spec("one", "a/model", vocabulary=SpecFile(path="words.txt"))}
    with pytest.raises(WeightsError, match=r"no a/model/words.txt"):
        place.library(models=models).lock("one")
    with pytest.raises(WeightsError, match=r"has no a/model at 0{40}"):
        place.library(models={"one": place.spec("one", "a/model", revision="0" * 40)}).lock("one")
    with pytest.raises(WeightsError, match="has no no/where at main"):
        place.library(models={"one": place.spec("one", "no/where")}).lock("one")


def test_a_damaged_file_in_the_cache_is_put_aside_and_fetched_from_the_store(place: Place, caplog):
    library = place.library(remote=True)
    with library.acquire("one") as acquired:
        path = acquired.files.checkpoint
    damage(path)
    place.hub.forget()
    with caplog.at_level(logging.WARNING), place.library(remote=True).acquire("one") as again:
        assert again.source == "store"
        assert again.files.checkpoint.read_bytes() == place.files[CHECKPOINT]
    assert "damaged" in caplog.text and "put aside" in caplog.text
    assert len(contents(place.root / "cache" / "aside")) == 1
    assert place.hub.requests.total() == 0


@pytest.mark.parametrize("remote", [False, True])
def test_a_damaged_file_in_the_store_is_replaced_from_the_hub(place: Place, remote: bool):
    library = place.library(remote=remote)
    library.acquire("one").release()
    record = library.lock("one")
    damage(place.root / "store" / record.files["checkpoint"].key)
    with place.library(cache="cold", remote=remote).acquire("one") as acquired:
        assert acquired.source == "hub"
        assert any("in the store" in note and "damaged" in note for note in acquired.notes)
        assert acquired.files.checkpoint.read_bytes() == place.files[CHECKPOINT]
    assert library.store.get_bytes(record.files["checkpoint"].key) == place.files[CHECKPOINT]


def test_damage_that_keeps_size_and_time_is_found_by_verify(place: Place):
    library = place.library(remote=True)
    with library.acquire("one") as acquired:
        path = acquired.files.checkpoint
    assert {one.state for one in library.verify("one")} == {"ok"}
    before = path.stat()
    damage(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    states = {(one.place, one.role): one.state for one in library.verify("one")}
    assert states.pop(("cache", "checkpoint")) == "corrupt"
    assert set(states.values()) == {"ok"}
    library.store.delete(acquired.record.files["vocabulary"].key)
    states = {(one.place, one.role): one.state for one in library.verify("one")}
    assert states["store", "vocabulary"] == "missing"
    assert library.verify("two") == []


def test_offline_with_everything_here_it_works(place: Place):
    place.library(remote=True).acquire("one").release()
    place.hub.forget()
    with place.library(remote=True, offline=True).acquire("one") as acquired:
        assert acquired.source == "cache"
    with place.library(remote=True, cache="cold", offline=True).acquire("one") as acquired:
        assert acquired.source == "store"
    assert place.hub.requests.total() == 0


def test_offline_without_it_says_what_is_missing_and_how_to_bring_it(place: Place):
    with pytest.raises(WeightsError, match=r"a/model is neither in the cache nor in the store.*F5_OFFLINE") as caught:
        place.library(offline=True).acquire("one")
    assert not caught.value.retryable
    library = place.library()
    record = library.lock("one")
    with pytest.raises(WeightsError, match=r"a/model/sub/model 1.safetensors is neither.*weights pull"):
        place.library(offline=True).acquire("one")
    assert record == library.lock("one")
    assert place.hub.requests["cdn"] == 0


@pytest.fixture
def small_disk(place: Place):
    yield from small_file_system(place.root / "disk", "65m")


def test_no_room_is_told_before_a_byte_is_fetched(place: Place, small_disk):
    library = place.library(cache="disk/cache", remote=True)
    (small_disk / "full").write_bytes(b"0" * (SIZE // 2))
    words = r"no room for model 1\.safetensors: it needs 68\.2 MB and .* are missing.*F5_CACHE"
    with pytest.raises(WeightsError, match=words):
        library.acquire("one")
    assert place.hub.requests["cdn"] == 0


def test_a_disk_that_becomes_full_keeps_what_has_come(place: Place, small_disk, monkeypatch):
    monkeypatch.setattr("f5_pipeline.weights.cache.MIN_FREE_BYTES", -(1 << 30))  # as if others took the room meanwhile
    (small_disk / "full").write_bytes(b"0" * ((65 << 20) - SIZE // 2 - (64 << 10)))
    library = place.library(cache="disk/cache", remote=True)
    with pytest.raises(WeightsError, match=r"the disk became full while model 1\.safetensors was fetched"):
        library.acquire("one")
    assert not any((small_disk / "cache" / "blobs").iterdir())
    (part,) = (small_disk / "cache" / "partial").iterdir()
    come = part.stat().st_size
    assert 0 < come < SIZE
    (small_disk / "full").unlink()
    place.hub.forget()
    with library.acquire("one") as acquired:
        assert acquired.files.checkpoint.read_bytes() == place.files[CHECKPOINT]
    assert place.hub.sent == SIZE - come + SIZE // 8


def test_a_store_without_room_keeps_the_file_in_the_cache(place: Place, small_disk):
    (small_disk / "full").write_bytes(b"0" * ((65 << 20) - SIZE // 2))
    library = place.library(store="disk/store")
    with pytest.raises(StoreError, match=r"no room for model 1.safetensors"):
        library.acquire("one")
    (small_disk / "full").unlink()
    place.hub.forget()
    with library.acquire("one") as acquired:
        assert acquired.files.checkpoint.read_bytes() == place.files[CHECKPOINT]
    assert place.hub.sent == SIZE // 8


def test_models_lists_what_is_where(place: Place):
    library = place.library(remote=True)
    library.acquire("one").release()
    one, two = library.models()
    assert (one.name, one.cached, one.stored) == ("one", one.record.size, one.record.size)  # type: ignore[union-attr]
    assert (two.name, two.record, two.cached, two.stored) == ("two", None, 0, 0)
    assert [record.name for record in library.locked()] == ["one"]


def test_wrong_bytes_of_the_right_size_get_no_name(place: Place):
    place.hub.faults.damage = True
    library = place.library(remote=True)
    with pytest.raises(Mismatch, match=r"what came as model 1.safetensors is not what is locked") as caught:
        library.acquire("one")
    assert not caught.value.retryable
    small = {len(place.files["vocab.txt"]), len(place.vocoder["config.yaml"])}
    assert {len(data) for data in contents(place.root / "cache" / "blobs").values()} <= small
    assert contents(place.root / "cache" / "partial") == {}
    assert not library.store.exists(library.lock("one").files["checkpoint"].key)
    place.hub.faults.damage = False
    library.acquire("one").release()


def test_wrong_bytes_of_a_small_file_are_not_locked(place: Place):
    place.hub.faults.damage_small = True
    library = place.library()
    with pytest.raises(Mismatch, match=r"what came as a/model/vocab\.txt at .* is not what the hub said it is"):
        library.acquire("one")
    assert library.find("one") is None
    assert list(library.store.list()) == []


def damage(path) -> None:
    """Change one byte."""
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(100)
        byte = file.read(1)
        file.seek(100)
        file.write(bytes([byte[0] ^ 1]))
    path.chmod(0o444)
