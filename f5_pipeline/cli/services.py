"""f5-pipeline serve and up."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.output import complain, say
from f5_pipeline.cli.session import open_store

STOP_SECONDS = 30
"""How long a service may take to stop before it is killed."""


@cli.command()
@click.option("--host", help="Address to listen on. [default: F5_HOST or 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on. [default: F5_PORT or 3080]")
@click.option("--trusted-proxies", help="Addresses whose X-Forwarded-* headers are believed.")
def serve(host: str | None, port: int | None, trusted_proxies: str | None) -> None:
    """Serve the download links until stopped."""
    from f5_pipeline.gateway.app import create_app
    from f5_pipeline.gateway.server import serve as run
    from f5_pipeline.settings import get_settings
    from f5_pipeline.studio.links import delivered_files, open_signer, page_facts

    settings, store = get_settings(), open_store()
    app = create_app(
        store=store,
        signer=open_signer(settings),
        files_of=lambda narration, revision: delivered_files(store, narration, revision),
        page_facts=lambda narration, revision: page_facts(store, narration, revision),
    )
    run(
        app,
        host=host or settings.host,
        port=settings.port if port is None else port,
        trusted_proxies=trusted_proxies,
        on_ready=lambda url: say(f"download service: {url}"),
    )


@cli.command()
@click.option("--host", help="Address to listen on. [default: F5_HOST or 127.0.0.1]")
@click.option("--ui-port", type=int, help="Port of Dagster's UI. [default: F5_UI_PORT or 3000]")
@click.option("--port", type=int, help="Port of the download service. [default: F5_PORT or 3080]")
def up(host: str | None, ui_port: int | None, port: int | None) -> None:
    """Start Dagster's web server and daemon and the download service; stop them together."""
    from f5_pipeline.bundled import bundled
    from f5_pipeline.launch import open_instance
    from f5_pipeline.settings import get_settings

    given = {"F5_HOST": host, "F5_PORT": port, "F5_UI_PORT": ui_port}
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    get_settings.cache_clear()
    settings = get_settings()
    for port, variable in ((settings.port, "F5_PORT"), (settings.ui_port, "F5_UI_PORT")):
        check_free(settings.host, port, variable)
    with open_instance(settings):
        pass  # makes the home folder, and sets what the services read
    services = {
        "Dagster": [
            *(sys.executable, "-m", "dagster", "dev", "--workspace", str(bundled("workspace.yaml"))),
            *("--host", settings.host, "--port", str(settings.ui_port), "--log-level", "warning"),
        ],
        "download service": [sys.executable, "-m", "f5_pipeline", "serve"],
    }
    say(f"Dagster's UI: http://{settings.host}:{settings.ui_port}; Ctrl-C stops it")
    raise click.exceptions.Exit(supervise(services))


def check_free(host: str, port: int, variable: str) -> None:
    """Raise InputError where a port is taken: Dagster's web server would go on without being heard."""
    from f5_pipeline.errors import InputError

    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise InputError(
            f"{host} port {port} cannot be listened on ({error.strerror})",
            mend=f"Stop what uses it, or set {variable} to another port.",
        ) from None


def supervise(services: dict[str, list[str]]) -> int:
    """Run services until one ends or a signal comes, then stop them all. Return the exit code."""
    stopping = False

    def stop(*_) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    # Sessions of their own: a Ctrl-C in the terminal comes to us alone, and we stop them in order.
    running = {name: subprocess.Popen(command, start_new_session=True) for name, command in services.items()}
    code = 0
    try:
        while not stopping:
            for name, process in running.items():
                if process.poll() is not None:
                    complain(f"{name} ended with code {process.returncode}; stopping the others")
                    code, stopping = 1, True
            time.sleep(0.2)
    finally:
        say("stopping")
        _stop(running)
    return code


def _stop(running: dict[str, subprocess.Popen]) -> None:
    for process in running.values():
        if process.poll() is None:
            process.terminate()
    limit = time.monotonic() + STOP_SECONDS
    for process in running.values():
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=max(0.1, limit - time.monotonic()))
        # The service's own children too, should any be left.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
