"""f5-pipeline worker."""

from __future__ import annotations

from typing import Any

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.narrate import claim, narrate_all
from f5_pipeline.cli.session import Session, open_session


@cli.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.option("--runpod", is_flag=True, required=True, help="Take jobs as a serverless worker of RunPod.")
def worker(runpod: bool) -> None:
    """Narrate the jobs that another service hands out, one after the other, each to its end in this process.

    Store, weights and links are those of the settings. Options of RunPod's SDK may follow:

    \b
    f5-pipeline worker --runpod --rp_serve_api
    f5-pipeline worker --runpod --test_input '{"input": {"text": "Good day.", "local_voice": "ada"}}'
    """
    from f5_pipeline.errors import InputError

    try:
        from runpod import serverless  # pyright: ignore[reportMissingImports] - an extra beside which f5-tts does not install
    except ImportError:
        hint = "Install it: pip install 'f5-pipeline[runpod]'"
        raise InputError("RunPod's SDK is not installed", hint=hint) from None
    from f5_pipeline.gateway.api.access import LOCAL
    from f5_pipeline.gateway.api.runpod import finished

    with open_session(quiet=True) as session:
        service = _service(session)

        def handler(job: dict[str, Any]) -> dict[str, Any]:
            return finished(job["input"], LOCAL, service)

        serverless.start({"handler": handler})  # reads its options from sys.argv


def _service(session: Session):
    """The API's service with a desk that narrates at once what is submitted."""
    from f5_pipeline.gateway.api.service import Service
    from f5_pipeline.orchestration.launching.desk import InboxDesk
    from f5_pipeline.studio.links.making import open_signer
    from f5_pipeline.studio.narrating.scripts import load_script

    class WorkerDesk(InboxDesk):
        def call(self, narration: str) -> None:
            loaded = [load_script(session.store, narration)]
            with claim(session, loaded):
                narrate_all(session, loaded)

    settings = session.settings
    return Service(
        store=session.store,
        options=session.options,
        desk=WorkerDesk(lambda: session.instance, session.store, session.options, settings),
        signer=open_signer(settings.home_folder, settings.link_secret, settings.link_seconds),
        base_url=settings.base_url,
        gpu_hour_cost=settings.gpu_hour_cost,
    )
