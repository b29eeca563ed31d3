"""A delivered revision in a real folder, and the service over it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path

from f5_pipeline.errors import NotFoundError
from f5_pipeline.gateway.app import create_app
from f5_pipeline.gateway.delivery import DeliveredFile, media_type_of
from f5_pipeline.gateway.page import PageChapter, PageFacts
from f5_pipeline.speech.audio.waveform import peaks_of
from f5_pipeline.speech.captions.word_files import write_words_json
from f5_pipeline.speech.timeline import TimedWord
from f5_pipeline.store import layout
from f5_pipeline.store.local import LocalStore
from f5_pipeline.studio.links.tokens import LinkClaim, LinkSigner, Permit

NOW = 1_800_000_000.0
KEY = "a secret of the tests that is long enough"

VTT = """WEBVTT

00:00.400 --> 00:02.200
<v Ada>The Analytical Engine weaves
algebraical patterns,

00:02.200 --> 00:04.000
<v Ada>just as the Jacquard loom weaves flowers &amp; leaves.

00:04.600 --> 00:06.900
<v Charles>I wish to God these calculations had been executed by steam.
"""


SPOKEN = [
    ("Ada", 0.4, 2.2, "The Analytical Engine weaves algebraical patterns,"),
    ("Ada", 2.2, 4.0, "just as the Jacquard loom weaves flowers & leaves."),
    ("Charles", 4.6, 6.9, "I wish to God these calculations had been executed by steam."),
]
"""Voice, start and end, s, and text of what a playable revision says."""


def spoken_words(spoken: Iterable[tuple[str, float, float, str]]) -> Iterable[TimedWord]:
    """The words of each text, spread over its time; a change of the voice is a paragraph."""
    voices: list[str] = []
    for chunk, (voice, start, end, text) in enumerate(spoken):
        if voices[-1:] != [voice]:
            voices.append(voice)
        words = text.split()
        length = (end - start) / len(words)
        for n, word in enumerate(words):
            begin = start + n * length
            paragraph = len(voices) - 1
            yield TimedWord(
                text=word, start=begin, end=begin + length, chunk=chunk, paragraph=paragraph, voice=voice, heading=False
            )


def words_json(words: Iterable[TimedWord]) -> bytes:
    """The file of word times that is delivered."""
    out = io.StringIO()
    write_words_json(words, out, {"narration": "engine", "title": '{"a title": 1}'})
    return out.getvalue().encode()


@dataclass
class Studio:
    """A store with one revision of one narration, which tests change as they like."""

    store: LocalStore
    narration: str = "engine"
    revision: str = "5e1f00d5ca1ab1e0"
    files: dict[str, DeliveredFile] = field(default_factory=dict)
    facts: PageFacts = field(
        default_factory=lambda: PageFacts(title="Notes", voices=["ada"], seconds=8.0, engine="draft")
    )
    signer: LinkSigner = field(default_factory=lambda: LinkSigner([KEY]))

    def add(self, name: str, content: bytes, media_type: str | None = None) -> DeliveredFile:
        key = f"narrations/{self.narration}/{self.revision}/{len(self.files)}.bin"
        self.store.put_bytes(key, content)
        digest = hashlib.sha256(content).hexdigest()
        kind = media_type or media_type_of(name)
        self.files[name] = DeliveredFile(name, key, len(content), digest, kind, NOW - 1000.5)
        return self.files[name]

    def path(self, name: str) -> Path:
        return self.store.root / self.files[name].key

    def token(self, file: str = "*", **options) -> str:
        return self.signer.sign(self.narration, self.revision, file, **{"now": NOW, **options})

    def permit(self, claim: LinkClaim) -> Permit:
        """Whatever is signed holds: grants have tests of their own."""
        return Permit(claim.revision or self.revision, claim.expires or NOW + 1000)

    def files_of(self, narration: str, revision: str) -> list[DeliveredFile]:
        if (narration, revision) != (self.narration, self.revision):
            raise NotFoundError("no such revision", file=narration)
        return list(self.files.values())

    def page_facts(self, narration: str, revision: str) -> PageFacts:
        self.files_of(narration, revision)
        return self.facts

    def app(self, **options):
        parts = {"store": self.store, "signer": self.signer, "permit": self.permit, "files_of": self.files_of}
        parts["page_facts"] = self.page_facts
        return create_app(**{"now": lambda: NOW, **parts, **options})


def playable_studio(folder: Path) -> Studio:
    """A revision that a browser can play."""
    import numpy as np
    import soundfile

    made = Studio(LocalStore(folder))
    rate, seconds = 24_000, 8
    time = np.arange(rate * seconds) / rate
    tone = (0.2 * np.sin(2 * np.pi * 220 * time) * (0.5 + 0.5 * np.sin(2 * np.pi * 3 * time))).astype("float32")
    for name, kind, subtype in (("engine.mp3", "MP3", None), ("engine.flac", "FLAC", "PCM_16")):
        buffer = io.BytesIO()
        soundfile.write(buffer, tone, rate, format=kind, subtype=subtype)
        made.add(name, buffer.getvalue())
    made.add("engine.vtt", VTT.encode())
    made.add("engine.srt", b"1\n00:00:00,400 --> 00:00:02,200\nThe Analytical Engine\n")
    made.add("engine.words.csv", b"word,start,end\n" * 400)
    made.add("engine.words.json", words_json(spoken_words(SPOKEN)))
    envelope = peaks_of(tone, 2000, rate=rate).dump()
    made.store.put_bytes(layout.waveform(made.narration, made.revision), envelope)
    made.facts = PageFacts(
        title="Notes on the Analytical Engine",
        author="Ada Lovelace",
        voices=["Ada", "Charles"],
        seconds=8.0,
        engine="draft",
        created=datetime(2026, 5, 4, tzinfo=timezone.utc),
        chapters=[PageChapter("The loom", 0.0), PageChapter("By steam", 4.6)],
    )
    return made


def book_studio(folder: Path) -> Studio:
    """A revision of 4,000 s of silence, 20,000 Arabic words, five a second, and 20 chapters; it has no waveform."""
    import numpy as np
    import soundfile

    made = Studio(LocalStore(folder))
    rate, seconds, per_second = 8000, 4000, 5
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(rate * seconds, "int16"), rate, format="FLAC", subtype="PCM_16")
    made.add("book.flac", buffer.getvalue())
    words = (
        TimedWord(
            text=f"كلمة{n}",
            start=n / per_second,
            end=(n + 1) / per_second,
            chunk=n // 10,
            paragraph=n // 50,
            voice="ada",
        )
        for n in range(seconds * per_second)
    )
    made.add("book.words.json", words_json(words))
    chapters = [PageChapter(f"الفصل {n + 1}", n * seconds / 20) for n in range(20)]
    made.facts = PageFacts("كتاب طويل", ["ada"], seconds, "f5", language="ar", chapters=chapters)
    return made
