"""The settings, the store and Dagster's instance for a command."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import dagster as dg

    from f5_pipeline.dagster_host.runs import RunOutcome
    from f5_pipeline.settings import Settings
    from f5_pipeline.store.base import Store
    from f5_pipeline.studio.narrating.scripts import LoadedScript
    from f5_pipeline.studio.options import StudioOptions
    from f5_pipeline.studio.records import Voice


def open_store() -> Store:
    """The store of the settings."""
    from f5_pipeline.orchestration import configured
    from f5_pipeline.settings import get_settings

    return configured.open_store(get_settings())


def studio_options() -> StudioOptions:
    """The studio's options from the settings."""
    from f5_pipeline.orchestration import configured
    from f5_pipeline.settings import get_settings

    return configured.studio_options(get_settings())


@dataclass
class Session:
    """The store and the instance of a command.

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
    ) -> RunOutcome:
        """Run a job with a progress bar."""
        from f5_pipeline.cli.output import progress
        from f5_pipeline.dagster_host.runs import run_job

        with progress(label, quiet=self.quiet) as show:
            return run_job(self.instance, job, partition=partition, config=config, on_step=show, verbose=self.verbose)

    def report_script(self, loaded: LoadedScript) -> None:
        """Report a narration, the present version of its script and the lexicon to Dagster."""
        from f5_pipeline.orchestration.reporting.observations import report_lexicon, report_script

        metadata = {
            "title": loaded.script.title,
            "file": loaded.source.name,
            "bytes": loaded.source.size,
            "voices": ", ".join(loaded.script.voices),
        }
        report_script(self.instance, loaded.narration, loaded.version, metadata)
        if loaded.lexicon:
            report_lexicon(self.instance, loaded.lexicon)

    def prepare_voice(self, voice: Voice) -> RunOutcome:
        """Materialize the reference of a voice."""
        from f5_pipeline.orchestration.reporting.observations import report_voice

        report_voice(self.instance, voice)
        return self.run(f"voice {voice.name}", "prepare_voice", partition=voice.name)


@contextmanager
def open_session(*, quiet: bool = False, verbose: bool = False) -> Iterator[Session]:
    """Open the store and the instance for a command."""
    from f5_pipeline.dagster_host.quick_import import import_dagster

    import_dagster()
    from f5_pipeline.dagster_host.instance import open_instance
    from f5_pipeline.settings import get_settings

    settings = get_settings()
    store, options = open_store(), studio_options()
    with open_instance(settings) as instance:
        yield Session(settings, store, instance, options, quiet, verbose)
