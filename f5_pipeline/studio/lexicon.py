"""The store's lexicon: how words are said, in one small CSV file that people may edit too."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from f5_pipeline.errors import EngineError, InputError, NotFoundError
from f5_pipeline.speech.chunks import iter_chunks
from f5_pipeline.speech.engine import SAMPLE_RATE, Failed, Request, speaking
from f5_pipeline.speech.engines.draft.engine import DraftEngine, espeak_voice, transcribe
from f5_pipeline.speech.script.model import Passage, Script
from f5_pipeline.speech.text.lexicon import MAX_ENTRIES, Entry, Lexicon, UsedEntry, possible
from f5_pipeline.speech.text.lexicon_files import read_csv, write_csv
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.studio.records import digest_of
from f5_pipeline.studio.voices import unknown_voice, voice_names

_CHANGING = threading.Lock()
"""Held from the reading to the writing of a change: the store has no conditional writes."""


def load_lexicon(store: Store) -> Sequence[Entry]:
    """The entries of the store; none where it has no lexicon.

    Raises:
        InputError: it cannot be read; names the line.
    """
    try:
        return _parsed(store.get_bytes(layout.lexicon()))
    except NotFoundError:
        return ()


@lru_cache(maxsize=4)
def _parsed(data: bytes) -> tuple[Entry, ...]:
    return tuple(read_csv(data, layout.lexicon()))


def save_lexicon(store: Store, entries: Sequence[Entry]) -> None:
    """Replace the lexicon of the store as a whole."""
    if len(entries) > MAX_ENTRIES:
        raise InputError(
            f"{len(entries)} entries are more than {MAX_ENTRIES}", file=layout.lexicon(), hint="Leave some out."
        )
    store.replace_bytes(layout.lexicon(), write_csv(entries))


def change_lexicon(store: Store, change: Callable[[Sequence[Entry]], Sequence[Entry]]) -> Sequence[Entry]:
    """Replace the entries by what `change` makes of them; return those. Changes of this process come one after another;
    of two processes that change the lexicon in the same moment, one may lose its entries.

    Raises:
        InputError: the lexicon cannot be read, or has too many entries. What `change` raises: nothing is changed.
    """
    with _CHANGING:
        entries = change(load_lexicon(store))
        save_lexicon(store, entries)
    return entries


@dataclass(frozen=True)
class Changes:
    """What became of a lexicon: entries that are new, that replaced another, and that were the same already."""

    entries: list[Entry]
    added: int = 0
    changed: int = 0
    same: int = 0


def with_entries(present: Iterable[Entry], new: Iterable[Entry]) -> Changes:
    """A lexicon with further entries; one for the same words, language, voice and narration is replaced."""
    merged = {entry.identity: entry for entry in present}
    added = changed = same = 0
    for entry in new:
        before = merged.get(entry.identity)
        added, changed, same = (
            added + (before is None),
            changed + (before not in (None, entry)),
            same + (before == entry),
        )
        merged[entry.identity] = entry
    return Changes(list(merged.values()), added, changed, same)


def add_entries(store: Store, new: Sequence[Entry], *, replace: bool = False) -> Changes:
    """Add entries to the store's lexicon, or `replace` all others; see `with_entries` and `change_lexicon`."""
    made: list[Changes] = []

    def change(present: Sequence[Entry]) -> Sequence[Entry]:
        made.append(with_entries(() if replace else present, new))
        return made[0].entries

    change_lexicon(store, change)
    return made[0]


def without(
    present: Sequence[Entry], written: str, language: str | None, voice: str | None, narration: str | None
) -> tuple[list[Entry], list[Entry]]:
    """The lexicon without the entries for `written`, and those: of every language, voice and narration where None."""

    def is_meant(entry: Entry) -> bool:
        scopes = ((entry.language, language), (entry.voice, voice), (entry.narration, narration))
        same = entry.written == written if entry.match_case else entry.written.lower() == written.lower()
        return same and all(wanted is None or scope == wanted.lower() for scope, wanted in scopes)

    return [entry for entry in present if not is_meant(entry)], [entry for entry in present if is_meant(entry)]


def lexicon_digest(entries: Iterable[Entry]) -> str:
    """Changes whenever an entry does; notes do not count."""
    return digest_of(sorted(entry.model_dump_json(exclude={"note"}) for entry in entries))


def touched(entries: Sequence[Entry], narration: str, data: bytes, text: bytes | None) -> list[str]:
    """What of the lexicon may change how a script is spoken, for the script's version: empty where no entry's words are
    in it. A script that is no plain text may hold every word."""
    here = [entry for entry in entries if entry.applies_to(narration)]
    if here and b"\0" not in data and not data.startswith(b"PK"):
        here = possible(here, b"\n".join((data, text or b"")).decode("utf-8", "replace"))
    return sorted(entry.model_dump_json(exclude={"note"}) for entry in here)


def check_scopes(store: Store, entries: Iterable[Entry], file: str | None = None) -> None:
    """Check that voices exist, that languages are spoken, and that narrations have possible names.

    Raises:
        InputError: for the first that does not.
    """
    voices = set(voice_names(store))
    seen: set[tuple[str, str, str]] = set()
    for entry in entries:
        scope = entry.language, entry.voice, entry.narration
        if scope in seen:
            continue
        seen.add(scope)
        try:
            if entry.voice and entry.voice not in voices:
                raise unknown_voice(store, entry.voice)
            if entry.language:
                espeak_voice(entry.language)
            if entry.narration:
                layout.check_name(entry.narration, "narration")
        except InputError as error:
            message = f"{error.message}, in the entry for {entry.written!r}"
            raise InputError(message, file=file or error.file, place=error.place, hint=error.hint) from None


@dataclass(frozen=True)
class Pronunciation:
    """How a text is said.

    Attributes:
        draft, others: what the draft engine gets, and what engines get that read letters only.
        ipa: how the draft engine says it; empty where it does not speak the language.
        entries: those used.
    """

    draft: str
    others: str
    ipa: str
    entries: list[UsedEntry]


def pronounce(
    texts: Sequence[str],
    entries: Sequence[Entry],
    own: Sequence[Entry] = (),
    *,
    language: str,
    voice: str = "",
    narration: str = "",
) -> list[Pronunciation]:
    """How texts of a sentence or less are said.

    Raises:
        InputError: one has nothing to speak.
    """
    said: dict[bool, list[str]] = {True: [], False: []}
    used: list[list[UsedEntry]] = []
    for phonemes, spoken in said.items():
        lexicon = Lexicon(entries, own, narration=narration, phonemes=phonemes)
        for text in texts:
            lexicon.used.clear()
            passage = Passage(text=text, voice=voice, line=1)
            script = Script(name="word", title="word", language=language, voices=[voice], passages=[passage])
            chunks = list(iter_chunks(script, lexicon=lexicon))
            if not chunks:
                raise InputError(f"there is nothing to speak in {text[:40]!r}", hint="Give a word.")
            spoken.append(" ".join(chunk.spoken for chunk in chunks))
            if phonemes:
                used.append(lexicon.report())
    try:
        heard = transcribe(said[True], language)
    except InputError:
        heard = [""] * len(texts)
    return [Pronunciation(*fields) for fields in zip(said[True], said[False], heard, used, strict=True)]


def draft_samples(texts: Sequence[str], language: str, voice: str = "") -> list[bytes]:
    """WAV files (mono, 24 kHz, 16 bit) of texts as `Pronunciation.draft` has them.

    Raises:
        EngineError: a text cannot be spoken.
    """
    from f5_pipeline.speech.libsndfile import soundfile

    engine = DraftEngine()
    try:
        requests = (Request(str(index), text, language, voice) for index, text in enumerate(texts))
        heard = {}
        with speaking(engine, requests) as results:
            for result in results:
                if isinstance(result, Failed):
                    raise EngineError(result.reason)
                out = io.BytesIO()
                soundfile.write(out, result.samples, SAMPLE_RATE, format="WAV", subtype="PCM_16")
                heard[int(result.key)] = out.getvalue()
        return [heard[index] for index in range(len(texts))]
    finally:
        engine.close()
