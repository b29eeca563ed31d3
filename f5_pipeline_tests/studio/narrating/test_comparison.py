"""Two models on the same chunks: one that says every word, and one that leaves some out; the real Whisper listens."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.settings import get_settings
from f5_pipeline.speech import engines
from f5_pipeline.speech.engine import Failed, ReferenceVoice, Request, Speech
from f5_pipeline.speech.engines import Configuration, EngineSpec
from f5_pipeline.speech.engines.draft.engine import DraftEngine
from f5_pipeline.speech.script.model import ScriptOptions
from f5_pipeline.studio.narrating.comparison import Variant, compare
from f5_pipeline.studio.narrating.scripts import add_script
from f5_pipeline.studio.narrating.votes import find_pairs, vote
from f5_pipeline_tests.support.some import some

SENTENCES = (
    "The harbour was quiet when the first boats came home.",
    "Nobody had seen the captain since the storm on Tuesday.",
    "A letter lay on the table, and it was not addressed to him.",
    "She closed the window and listened to the rain for a while.",
    "The children waited at the corner until the bus had gone.",
    "Every morning the baker opened his shop before the church bells rang.",
)


class Reader(DraftEngine):
    """The draft engine, its times hidden; the model `hasty` reads only every second word, and so does every model in a
    voice whose reference begins with `hasty_from`, or whose pace is above its recording's."""

    name = "reader"

    def __init__(self, model: str | None, references: Mapping[str, ReferenceVoice] = {}, hasty_from: str = "-") -> None:
        super().__init__(workers=1)
        self._model, self._references, self._hasty_from = model, references, hasty_from

    def sound(self, voice: str) -> dict[str, Any]:
        sound = {**super().sound(voice), "engine": self.name, "model": self._model}
        reference = self._references.get(voice)
        return {**sound, "reference": reference.sha256, "speed": reference.speed} if reference else sound

    def speak(
        self, requests: Iterable[Request], *, cancelled: Callable[[], bool] = lambda: False
    ) -> Generator[Speech | Failed, None, None]:
        asked = (replace(request, text=self._read(request)) for request in requests)
        for result in super().speak(asked, cancelled=cancelled):
            yield Speech(result.key, result.samples) if isinstance(result, Speech) else result

    def _read(self, request: Request) -> str:
        reference = self._references.get(request.voice)
        is_hasty = reference and (reference.text.startswith(self._hasty_from) or reference.speed > 1)
        return " ".join(request.text.split()[::2]) if self._model == "hasty" or is_hasty else request.text


@pytest.fixture
def reader(monkeypatch, tiny: Path, tmp_path: Path, studio) -> None:
    spec = EngineSpec(
        "reader",
        "a reader",
        make=lambda context: Reader(context.model),
        retakes=True,
        configure=lambda options, model, preset: Configuration(model=model, preset=preset),
    )
    monkeypatch.setitem(engines._specs(), "reader", spec)
    monkeypatch.setenv("F5_ENGINE", "reader")
    monkeypatch.setenv("F5_ASR_MODEL", str(tiny))
    get_settings.cache_clear()
    path = tmp_path / "story.txt"
    path.write_text("\n\n".join(SENTENCES))
    add_script(studio.store, path, options=ScriptOptions(voice="ada"))


@pytest.mark.slow
def test_the_one_that_leaves_words_out_is_worse(studio, reader):
    result = compare(studio.store, "story", (Variant("careful"), Variant("hasty")), studio.options)
    errors, faulty, *_ = result.figures
    assert len(result.chunks) == len(SENTENCES) and result.left_out == 0
    assert errors.differs and some(errors.first) < 30 < some(errors.second), result
    assert some(faulty.first) < some(faulty.second)
    assert result.verdict().startswith("careful ")
    assert any("missing" in reason for chunk in result.chunks for reason in chunk.second.why)
    assert not list(studio.store.list("runs/"))

    for pair in some(find_pairs(studio.store, "story")).pairs:
        vote(studio.store, "story", pair, "eve", pair.takes[1])  # who votes likes it short
    voted = compare(studio.store, "story", (Variant("hasty"), Variant("careful")), studio.options)
    votes = some(voted.votes)
    assert voted.voted == len(SENTENCES) and (votes.first, votes.second) == (100, 0) and votes.differs
    assert "careful is heard" in voted.verdict() and "hasty is preferred" in voted.verdict()


def test_what_cannot_be_compared_is_refused(studio, reader):
    with pytest.raises(InputError, match="the same"):
        compare(studio.store, "story", (Variant("careful"), Variant("careful")), studio.options, sample=2)
    drafts = studio.options.model_copy(update={"engine": "draft"})
    with pytest.raises(InputError, match="not measured"):
        compare(studio.store, "story", (Variant("a"), Variant("b")), drafts)
