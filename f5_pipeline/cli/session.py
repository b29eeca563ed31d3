"""What commands work on: the settings, the store, Dagster's instance, and the two kept in step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from f5_pipeline.settings import Settings, get_settings
from f5_pipeline.store.base import Store
from f5_pipeline.store.connect import connect

if TYPE_CHECKING:
    import dagster as dg

    from f5_pipeline.launch import Outcome
    from f5_pipeline.studio.records import Voice
    from f5_pipeline.studio.scripts import LoadedScript


def open_store() -> Store:
    """The store of the settings."""
    return connect(get_settings().store_url)


@dataclass
class Session:
    """A command at work on store and instance.

    Attributes:
        quiet: show nothing but errors.
        verbose: show Dagster's own log.
    """

    settings: Settings
    store: Store
    instance: dg.DagsterInstance
    quiet: bool = False
    verbose: bool = False

    def run(
        self,
        label: str,
        job: str,
        *,
        partition: str | None = None,
        partitions: tuple[str, str] | None = None,
    ) -> Outcome:
        """Run a job with a progress bar."""
        from f5_pipeline.cli.output import progress
        from f5_pipeline.launch import run_job

        with progress(label, quiet=self.quiet) as show:
            return run_job(
                self.instance, job, partition=partition, partitions=partitions, on_step=show, verbose=self.verbose
            )

    def tell_voice(self, voice: Voice) -> None:
        """Let Dagster know of a voice and of its present recording."""
        from f5_pipeline.launch import register, report_source
        from f5_pipeline.partitions import VOICES
        from f5_pipeline.studio.records import digest_of

        register(self.instance, VOICES, voice.name)
        transcript = voice.transcript.sha256 if voice.transcript else None
        report_source(
            self.instance,
            "voice_recording",
            voice.name,
            digest_of([voice.recording.sha256, transcript, voice.language]),
            {
                "recording": voice.recording.name,
                "transcript": voice.transcript.name if voice.transcript else "none",
                "language": voice.language,
                "bytes": voice.recording.size,
            },
        )

    def tell_script(self, loaded: LoadedScript) -> None:
        """Let Dagster know of a narration and of the present state of its script."""
        from f5_pipeline.launch import register, report_source
        from f5_pipeline.partitions import NARRATIONS
        from f5_pipeline.studio.records import digest_of

        register(self.instance, NARRATIONS, loaded.narration)
        report_source(
            self.instance,
            "script",
            loaded.narration,
            digest_of([loaded.source.sha256, loaded.options.model_dump()]),
            {
                "title": loaded.script.title,
                "file": loaded.source.name,
                "bytes": loaded.source.size,
                "voices": ", ".join(loaded.script.voices),
            },
        )

    def prepare_voice(self, voice: Voice) -> Outcome:
        """Materialize the reference of a voice."""
        self.tell_voice(voice)
        return self.run(f"voice {voice.name}", "prepare_voice", partition=voice.name)


@contextmanager
def open_session(*, quiet: bool = False, verbose: bool = False) -> Iterator[Session]:
    """Settings, store and instance for the time of a command."""
    from f5_pipeline.launch import open_instance

    settings = get_settings()
    store = open_store()
    with open_instance(settings) as instance:
        yield Session(settings, store, instance, quiet, verbose)
