"""What commands work on: the settings, the store, Dagster's instance, and the two kept in step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from f5_pipeline.orchestration import configured
from f5_pipeline.settings import Settings, get_settings
from f5_pipeline.store.base import Store

if TYPE_CHECKING:
    import dagster as dg

    from f5_pipeline.dagster_host.runs import Outcome
    from f5_pipeline.studio.narrating.scripts import LoadedScript
    from f5_pipeline.studio.options import StudioOptions
    from f5_pipeline.studio.records import Voice


def open_store() -> Store:
    """The store of the settings."""
    return configured.open_store(get_settings())


def studio_options() -> StudioOptions:
    """What the settings say of the studio's work."""
    return configured.studio_options(get_settings())


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
    options: StudioOptions
    quiet: bool = False
    verbose: bool = False

    def run(
        self,
        label: str,
        job: str,
        *,
        partition: str | None = None,
        config: Mapping[str, Any] | None = None,
    ) -> Outcome:
        """Run a job with a progress bar."""
        from f5_pipeline.cli.output import progress
        from f5_pipeline.dagster_host.runs import run_job

        with progress(label, quiet=self.quiet) as show:
            return run_job(self.instance, job, partition=partition, config=config, on_step=show, verbose=self.verbose)

    def report_script(self, loaded: LoadedScript) -> None:
        """Let Dagster know of a narration and of the present state of its script."""
        from f5_pipeline.orchestration.reporting.observations import report_script

        metadata = {
            "title": loaded.script.title,
            "file": loaded.source.name,
            "bytes": loaded.source.size,
            "voices": ", ".join(loaded.script.voices),
        }
        report_script(self.instance, loaded.narration, loaded.version, metadata)

    def prepare_voice(self, voice: Voice) -> Outcome:
        """Materialize the reference of a voice."""
        from f5_pipeline.orchestration.reporting.observations import report_voice

        report_voice(self.instance, voice)
        return self.run(f"voice {voice.name}", "prepare_voice", partition=voice.name)


@contextmanager
def open_session(*, quiet: bool = False, verbose: bool = False) -> Iterator[Session]:
    """Settings, store and instance for the time of a command."""
    from f5_pipeline.dagster_host.instance import open_instance

    settings = get_settings()
    store, options = open_store(), studio_options()
    with open_instance(settings) as instance:
        yield Session(settings, store, instance, options, quiet, verbose)
