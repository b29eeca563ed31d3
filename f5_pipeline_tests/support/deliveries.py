"""A delivered revision as the studio leaves it in a store, without a narration: bytes are bytes to links."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256

from starlette.testclient import TestClient

from f5_pipeline.gateway.app import create_app
from f5_pipeline.gateway.deliveries import Deliveries
from f5_pipeline.speech.audio.assembly import AssemblySettings
from f5_pipeline.speech.script.model import CaptionStyle, Pauses
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.records import write_record
from f5_pipeline.studio.links.making import make_links, read_manifest
from f5_pipeline.studio.links.tokens import LinkSigner
from f5_pipeline.studio.records import Audio, EngineWeights, File, Links, Manifest, Plan, Source, Voice

BASE = "http://testserver"
SIGNER = LinkSigner(["a secret of the tests that is long enough"], lifetime=timedelta(hours=1))

VTT = b"WEBVTT\n\n00:00.400 --> 00:02.200\n<v ada>The Analytical Engine\n"


def deliver(
    store: Store, revision: str, files: dict[str, bytes], *, narration: str = "story", commercial: bool = False
) -> Manifest:
    """Put a revision and its manifest into the store."""
    kept = []
    for name, content in files.items():
        key = layout.delivered(narration, revision, name)
        store.put_bytes(key, content)
        kept.append(File(name=name, key=key, size=len(content), sha256=sha256(content).hexdigest()))
    weights = EngineWeights(
        engine="draft", name="espeak-ng", version="1", sha256="0", size=1, licence="none", commercial_use="yes",
        source="here",
    )  # fmt: skip
    plan = Plan(
        narration=narration, title=f"Story {revision}", author=None, language="en", engine="draft",
        engine_asked="draft", engine_note="", commercial=commercial, voices=["ada"], sounds={}, references={},
        weights=weights, script=Source(key=f"scripts/{narration}.txt", sha256="0", name="story.txt", size=1),
        options={}, pauses=Pauses(), captions=CaptionStyle(), formats=[], chunks_key="", chunks=1, words=1,
        characters=1, expected_seconds=1, takes=1, digest="0",
    )  # fmt: skip
    audio = Audio(
        narration=narration, revision=revision, plan=plan, takes="0", assembly=AssemblySettings(), seconds=8.0, words=1,
        loudness_lufs=None, true_peak_dbtp=None, gain_db=0, limited_by_peak=False, chapters=[], timeline_key="",
        files=kept,
    )  # fmt: skip
    manifest = Manifest(
        narration=narration, revision=revision, created="2026-05-04T03:02:01+00:00", pipeline="0", audio=audio,
        timings=[],
    )  # fmt: skip
    write_record(store, layout.manifest(narration, revision), manifest)
    return manifest


def give(store: Store, revision: str, narration: str = "story", signer: LinkSigner = SIGNER) -> Links:
    """What the asset `download_links` does."""
    return make_links(store, read_manifest(store, narration, revision), signer, base_url=BASE)


def say_of_voice(store: Store, commercial_use: str) -> None:
    """Let the voice `ada` have said this."""
    recording = Source(key="voices/ada/recordings/0", sha256="0", name="ada.flac", size=1)
    voice = {"name": "ada", "language": "en", "recording": recording, "commercial_use": commercial_use, "added": ""}
    write_record(store, layout.voice("ada"), Voice.model_validate(voice))


def service(store: Store, **options) -> TestClient:
    """The download service on a store, as `f5-pipeline serve` makes it."""
    deliveries = Deliveries(store)
    app = create_app(
        store=store,
        signer=SIGNER,
        permit=deliveries.permit,
        files_of=deliveries.files_of,
        page_facts=deliveries.page_facts,
        **options,
    )
    return TestClient(app, base_url=BASE, follow_redirects=False)
