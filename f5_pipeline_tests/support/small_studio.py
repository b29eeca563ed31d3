"""A store with a prepared voice, and every step from a script to its timings, without Dagster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from f5_pipeline.orchestration.configured import studio_options
from f5_pipeline.settings import get_settings
from f5_pipeline.speech.script.model import ScriptOptions
from f5_pipeline.store import layout
from f5_pipeline.store.base import Store
from f5_pipeline.store.local import LocalStore
from f5_pipeline.store.records import write_record
from f5_pipeline.studio.narrating.gathering import gather_takes
from f5_pipeline.studio.narrating.planning import make_plan
from f5_pipeline.studio.narrating.production import make_audio, make_timings
from f5_pipeline.studio.narrating.scripts import add_script
from f5_pipeline.studio.narrating.shards import plan_shards
from f5_pipeline.studio.narrating.synthesis import synthesize_shard
from f5_pipeline.studio.options import StudioOptions
from f5_pipeline.studio.records import Audio, Plan, ShardReport, Takes, Timings, Weights
from f5_pipeline.studio.voices import add_voice, make_reference


class Levels(TypedDict):
    loudness: float
    peak: float


def levels() -> Levels:
    """Loudness and peak of the settings, as the assets hand them to `make_audio`."""
    settings = get_settings()
    return Levels(loudness=settings.loudness, peak=settings.peak)


def prepare_voice(store: Store, name: str, recording: Path) -> None:
    add_voice(store, name, recording)
    write_record(store, layout.reference(name), make_reference(store, name)[0])


@dataclass
class Studio:
    """A store and what the assets do with it."""

    store: LocalStore
    weights: Weights

    @property
    def options(self) -> StudioOptions:
        """Those of the settings as they are now."""
        return studio_options(get_settings())

    def plan(self, text: str, name: str = "story.txt", **options) -> Plan:
        path = self.store.root.parent / name
        path.write_text(text, encoding="utf-8")
        options = {"voice": "ada", **options}
        # A test may go on with a copy of a store whose scripts came from another folder.
        loaded = add_script(self.store, path, options=ScriptOptions(**options), replace=True)
        return make_plan(self.store, loaded, self.weights, self.options)

    def synthesize(self, *plans: Plan, run: str = "run") -> list[ShardReport]:
        shards = plan_shards(self.store, plans, run, self.options)
        return [synthesize_shard(self.store, shard, self.options) for shard in shards]

    def takes(self, plan: Plan, run: str = "run") -> Takes:
        return gather_takes(self.store, plan, self.options, self.synthesize(plan, run=run))

    def produce(self, plan: Plan) -> tuple[Takes, Audio, Timings]:
        takes = self.takes(plan)
        audio = make_audio(self.store, plan, takes, **levels())
        return takes, audio, make_timings(self.store, audio)
