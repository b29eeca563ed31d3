"""Removing a narration or a voice for good. Takes stay: others may share them; `store gc` removes what nobody uses."""

from __future__ import annotations

from f5_pipeline.store import layout
from f5_pipeline.store.base import Store


def remove_narration(store: Store, narration: str) -> int:
    """Remove a narration's script, deliveries and links; return the number of objects. Its links end at once."""
    layout.check_name(narration, "narration")
    keys = [stat.key for prefix in ("grants", "narrations", "work") for stat in store.list(f"{prefix}/{narration}/")]
    # The script first, so that nobody narrates it anew meanwhile.
    return _remove(store, [stat.key for stat in store.list(f"{layout.SCRIPTS}{narration}.")] + keys)


def remove_voice(store: Store, voice: str) -> int:
    """Remove a voice's recordings, transcripts and references; return the number of objects."""
    layout.check_name(voice, "voice")
    # Its record first: without it, there is no voice.
    return _remove(store, [layout.voice(voice), *(stat.key for stat in store.list(f"{layout.VOICES}{voice}/"))])


def _remove(store: Store, keys: list[str]) -> int:
    for key in keys:
        store.delete(key)
    return len(keys)
