"""f5-pipeline worker."""

from __future__ import annotations

import random
import signal
import time
import traceback
from _thread import interrupt_main
from typing import Any

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.narrate import claim, narrate_all
from f5_pipeline.cli.output import print_error, print_info
from f5_pipeline.cli.session import Session, open_session


@cli.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.option("--runpod", is_flag=True, help="Take jobs as a serverless worker of RunPod.")
@click.option("--queue", is_flag=True, help="Take the scripts in the store that are not delivered.")
@click.option("--idle-exit", type=click.FloatRange(min=0), help="With --queue: end after so many seconds without work.")
@click.pass_context
def worker(context: click.Context, runpod: bool, queue: bool, idle_exit: float | None) -> None:
    """Narrate one job after the other, each to its end in this process; a model stays loaded for the next.

    Store, weights and links are those of the settings. Options of RunPod's SDK may follow --runpod.

    \b
    f5-pipeline worker --queue --idle-exit 300
    f5-pipeline worker --runpod --rp_serve_api
    f5-pipeline worker --runpod --test_input '{"input": {"text": "Good day.", "local_voice": "ada"}}'
    """
    if runpod == queue:
        raise click.UsageError("give --runpod or --queue")
    if queue and context.args:
        raise click.UsageError(f"No such option: {context.args[0]}")
    if runpod and idle_exit is not None:
        raise click.UsageError("--idle-exit goes with --queue; RunPod has an idle timeout of its own")
    if runpod:
        _import_runpod()  # before the instance is made
    with open_session(quiet=True) as session:
        _stay_warm()
        if queue:
            _work(session, idle_exit)
        else:
            _serve_runpod(session)


def _stay_warm() -> None:
    """Keep the model of one job loaded for the next: the steps that load it are in this process."""
    from f5_pipeline.orchestration.step_processes import keep_gpu_steps_in_their_run
    from f5_pipeline.speech.engines.f5.engine import keep_models

    keep_gpu_steps_in_their_run()
    keep_models(1)


def _import_runpod() -> Any:
    from f5_pipeline.errors import InputError

    try:
        from runpod import serverless  # pyright: ignore[reportMissingImports] - an extra beside which f5-tts does not install
    except ImportError:
        hint = "Install it: pip install 'f5-pipeline[runpod]'"
        raise InputError("RunPod's SDK is not installed", hint=hint) from None
    return serverless


def _serve_runpod(session: Session) -> None:
    from f5_pipeline.gateway.api.access import LOCAL
    from f5_pipeline.gateway.api.runpod import finished
    from f5_pipeline.speech.engines.f5.engine import device_is_lost

    service = _service(session)

    def handler(job: dict[str, Any]) -> dict[str, Any]:
        answer = finished(job["input"], LOCAL, service)
        return {**answer, "refresh_worker": True} if device_is_lost() else answer

    _import_runpod().start({"handler": handler})  # reads its options from sys.argv


def _work(session: Session, idle_exit: float | None) -> None:
    """Narrate what waits in the store until interrupted, or for `idle_exit` seconds without work."""
    from f5_pipeline.errors import EngineError
    from f5_pipeline.speech.engines.f5.engine import device_is_lost
    from f5_pipeline.studio.queue import Queue

    settings = session.settings
    # A run hears an interrupt, and is told as canceled; its takes are kept.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    queue = Queue(session.store, attempts=settings.attempts, wait=settings.attempt_seconds, on_end=interrupt_main)
    print_info(f"takes scripts from {session.store.url}; Ctrl-C stops it")
    worked = time.monotonic()
    try:
        while True:
            if (claimed := queue.next()) is not None:
                try:
                    _narrate(session, queue, claimed)
                except KeyboardInterrupt:
                    if claimed.ended is None:
                        raise
                    print_info(f"{claimed.narration}: {claimed.ended}")
                worked = time.monotonic()
                if device_is_lost():
                    raise EngineError("the device has failed in this process", hint="Start the worker again.")
                continue
            left = float("inf") if idle_exit is None else worked + idle_exit - time.monotonic()
            if left <= 0:
                print_info(f"there was no work for {idle_exit:g} s")
                return
            # Not all at the same moment: workers that meet at a narration both leave it.
            time.sleep(min(left, settings.inbox_seconds * random.uniform(0.7, 1.3)))
    except KeyboardInterrupt:
        print_info("stopped; what was made is kept")


def _narrate(session: Session, queue: Any, claimed: Any) -> None:
    """Narrate what is claimed, to its end or its failure, which is recorded.

    Raises:
        KeyboardInterrupt: the worker is to stop, or the claim has ended.
    """
    from f5_pipeline.errors import PipelineError
    from f5_pipeline.orchestration.ledger import Ledger
    from f5_pipeline.studio.narrating.scripts import load_script, script_version

    name, started = claimed.narration, time.monotonic()
    with claimed:
        attempt = queue.start(name, script_version(session.store, name))
        reason, retryable = None, False
        try:
            loaded = [load_script(session.store, name)]
            with claim(session, loaded):
                result = narrate_all(session, loaded)[name]
            if isinstance(result, str):
                reason = result
                retryable = (
                    outcome := Ledger(session.instance).outcomes([name]).get(name)
                ) is None or outcome.retryable
        except KeyboardInterrupt:
            if claimed.ended is None:
                queue.leave(name, attempt)
            raise
        except PipelineError as error:
            reason, retryable = str(error), error.retryable
        except Exception as error:  # a fault of ours must not end the worker
            traceback.print_exc()
            reason, retryable = f"{type(error).__name__}: {error}", True
        queue.finish(name, attempt, reason, retryable=retryable)
    if reason is None:
        print_info(f"{name}: narrated in {time.monotonic() - started:.1f} s")
    else:
        print_error(f"{name}: {reason}")


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
