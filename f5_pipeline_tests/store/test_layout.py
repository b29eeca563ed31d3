"""Keys and how they are read back."""

from __future__ import annotations

import pytest

from f5_pipeline.store import layout
from f5_pipeline_tests.support.some import some

HASH = "0123456789abcdef" * 4
KEYS = {name: kind for name, kind in vars(layout).items() if isinstance(kind, layout.Key)}
VALUES = {
    **dict.fromkeys(("sha256", "samples", "sound", "take", "configuration", "pair"), HASH),
    "revision": HASH[:16],
    "blob": f"{HASH}.safetensors",
    "voice": "ada",
    "narration": "story-1",
    "extension": ".md",
    "model": "F5TTS_v1_Base",
    "commit": "main",
    "recogniser": "whisper-small",
    "step": "plan",
    "file": "story.srt",
    "grant": "g1",
    "day": "2026-05-04",
    "service": "0123abcd",
    "receipt": "20260504T030201-0123ab",
    "run": "0f-1",
    "card": "nvidia-h100",
    "path": "shards/000.jsonl",
    "key": "0123456789ab",
    "month": "2026-05",
    "owner": "local",
    "request": "0123456789abcdef",
    "worker": "0123456789abcdef",
    "voter": "0123456789ab",
}
SHORTENED = {"sha256", "samples", "sound", "configuration", "pair"}


def values_of(kind: layout.Key) -> dict[str, str]:
    return {field: VALUES[field] for field in kind.fields}


@pytest.mark.parametrize("name", KEYS)
def test_what_makes_a_key_reads_it_back(name):
    kind, values = KEYS[name], values_of(KEYS[name])
    key = kind(*values.values())
    assert kind.match(key) == {field: v[:16] if field in SHORTENED else v for field, v in values.items()}
    assert kind(*some(kind.match(key)).values()) == key


@pytest.mark.parametrize("name", KEYS)
def test_a_key_is_of_one_kind(name):
    key = KEYS[name](*values_of(KEYS[name]).values())
    others = {other for other, kind in KEYS.items() if kind.match(key)} - {name}
    assert others <= {"delivered"} if name in ("manifest", "waveform") else not others


@pytest.mark.parametrize(
    "key",
    [
        f"takes/ff/{HASH}.flac",
        f"takes/01/{HASH}.mp3",
        f"takes/01/{HASH[:-1]}.json",
        f"takes/01/{HASH.upper()}.json",
        f"narrations/story/plans/{HASH}.jsonl",
        "narrations/story/0123/story.flac",
        "narrations/story/0123456789abcdef/sub/story.flac",
        "scripts/story.odt",
        "scripts/sub/story.md",
        "scripts/story.md.bak",
        "voices/ada.flac",
        "voices/ada/voice.json/x",
        "models/blobs/README.json",
        "others/README",
        "",
    ],
)
def test_what_is_not_ours_is_of_no_kind(key):
    assert [name for name, kind in KEYS.items() if kind.match(key)] == []


def test_the_names_of_content_are_known():
    kinds = (
        "plan_chunks",
        "narration_takes",
        "voice_recording",
        "voice_transcript",
        "voice_consent",
        "narration_cover",
    )
    named = {name for name, kind in KEYS.items() if layout.content_digits(kind(*values_of(kind).values()))}
    assert named == {*kinds, "model_blob"}
    assert layout.content_digits(layout.plan_chunks("story", HASH)) == HASH[:16]
    assert layout.content_digits(layout.model_blob(f"{HASH}.pt")) == HASH


def test_one_value_of_a_field_is_picked_out():
    plans = layout.narration_state.only(step="plan")
    assert plans.match("narrations/story/plan.json") == {"narration": "story", "step": "plan"}
    assert plans.match("narrations/story/takes.json") is None
