"""What the UI shows of a narration with chapters."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from f5_pipeline.orchestration.assets.download_links import _chapters
from f5_pipeline.orchestration.assets.narration_audio import _metadata
from f5_pipeline.speech.audio.waveform import peaks_of
from f5_pipeline.store import layout
from f5_pipeline.store.local import LocalStore
from f5_pipeline.studio.records import Chapter
from f5_pipeline_tests.support.deliveries import deliver


def drawn(picture) -> np.ndarray:
    """Where a picture in Markdown has any ink."""
    png = base64.b64decode(picture.value.partition("base64,")[2].rstrip(")"))
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))[:, :, 3] > 100


def test_the_first_chapter_has_its_waveform_and_each_its_times(tmp_path):
    store = LocalStore(tmp_path / "studio")
    audio = deliver(store, "r1", {"story.flac": b""}).audio
    loud_then_quiet = np.repeat(np.array([0.5, 0.01], np.float32), 4 * 24_000) * np.sin(np.arange(8 * 24_000))
    store.put_bytes(layout.waveform("story", "r1"), peaks_of(loud_then_quiet, 1000).dump())
    assert "waveform_of_first_chapter" not in _metadata(store, audio)

    chapters = [Chapter(title="One", start=0.5), Chapter(title="Two [of 2]", start=4.0)]
    metadata = _metadata(store, audio.model_copy(update={"chapters": chapters}))
    assert [record.data for record in metadata["chapters"].records] == [
        {"start": "0.5 s", "length": "3.5 s", "title": "One"},
        {"start": "4.0 s", "length": "4.0 s", "title": "Two [of 2]"},
    ]
    whole, first = (drawn(metadata[name]) for name in ("waveform", "waveform_of_first_chapter"))
    right = slice(whole.shape[1] * 3 // 4, None)
    assert whole[:, right].mean() < 0.1 < 0.5 < first[:, right].mean()

    links = _chapters("http://x/n/token/", chapters)["chapters"].value.splitlines()
    assert links[2:] == [
        "| 0.5 s | [One](http://x/n/token/#t=0.5) |",
        "| 4.0 s | [Two \\[of 2\\]](http://x/n/token/#t=4.0) |",
    ]
