"""f5-pipeline demo."""

from __future__ import annotations

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.narrate import claim, narrate_all, show_results
from f5_pipeline.cli.output import print_error, print_info
from f5_pipeline.cli.session import open_session

VOICES = {"ada": "ada.flac", "ben": "ben.ogg"}
SCRIPT = "lighthouse.md"


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def demo(as_json: bool) -> None:
    """Add the two example voices, narrate the example script, and show where to look and listen."""
    from f5_pipeline.studio.narrating.scripts import keep_script, read_script
    from f5_pipeline.studio.voices import add_voice, needs_reference
    from f5_pipeline.system.bundled import bundled

    examples = bundled("examples")
    with open_session(quiet=as_json) as session:
        for name, file in VOICES.items():
            voice = add_voice(session.store, name, examples / "voices" / file)
            if needs_reference(session.store, name):
                outcome = session.prepare_voice(voice)
                if not outcome.success:
                    print_error("\n".join(outcome.errors))
                    raise click.exceptions.Exit(1)
        script = read_script(session.store, examples / "scripts" / SCRIPT, replace=True)
        with claim(session, [script]):
            keep_script(session.store, script)
            results = narrate_all(session, [script])
        show_results(results, as_json)
        if any(isinstance(result, str) for result in results.values()):
            raise click.exceptions.Exit(1)
        settings = session.settings
        if not as_json:
            print_info(
                f"\nTo serve the links and show the lineage, run:  f5-pipeline up\n"
                f"Dagster's UI is then at http://{settings.host}:{settings.ui_port}, "
                f"the download service at {settings.base_url}"
            )
