"""f5-pipeline serve and up."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.output import print_info, print_note
from f5_pipeline.cli.ready import address
from f5_pipeline.cli.session import open_store, studio_options
from f5_pipeline.cli.supervisor import STOP_SECONDS, Service, supervise

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from f5_pipeline.settings import Settings
    from f5_pipeline.store.base import Store
    from f5_pipeline.studio.links.tokens import LinkSigner


@cli.command()
@click.option("--host", help="Address to listen on. [default: F5_HOST or 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on. [default: F5_PORT or 3080]")
@click.option("--trusted-proxies", help="Addresses whose X-Forwarded-* headers are believed.")
@click.option("--queue", is_flag=True, help="What is submitted is narrated by `f5-pipeline worker --queue`.")
def serve(host: str | None, port: int | None, trusted_proxies: str | None, queue: bool) -> None:
    """Serve the download links and the HTTP API until stopped."""
    from f5_pipeline.gateway.app import create_app
    from f5_pipeline.gateway.deliveries import Deliveries
    from f5_pipeline.gateway.server import serve as run
    from f5_pipeline.settings import get_settings
    from f5_pipeline.studio.links.fetches import FetchLog
    from f5_pipeline.studio.links.making import open_signer

    settings, store = get_settings(), open_store()
    host = host or settings.host
    deliveries = Deliveries(store)
    signer = open_signer(settings.home_folder, settings.link_secret, settings.link_seconds)
    with ExitStack() as stack:
        local = _is_local(settings, host, trusted_proxies)
        fetches = stack.enter_context(contextlib.closing(FetchLog(store)))
        api, folders, note = _api(settings, store, signer, stack, local=local, queue=queue)

        def announce(url: str) -> None:
            print_info(f"download service: {url}; HTTP API: {url}/docs; retake desk: {url}/desk")
            print_info(note)

        app = create_app(
            store=store,
            signer=signer,
            permit=deliveries.permit,
            files_of=deliveries.files_of,
            page_facts=deliveries.page_facts,
            timing_file=deliveries.timing_file,
            presign_seconds=settings.presign_seconds if settings.downloads == "redirect" else None,
            on_fetch=fetches.note if settings.fetch_records else None,
            api=api,
            api_folders=folders,
        )
        run(
            app,
            host=host,
            port=settings.port if port is None else port,
            trusted_proxies=trusted_proxies,
            on_ready=announce,
        )


def _is_local(settings: Settings, host: str, trusted_proxies: str | None) -> bool:
    """Whether the service is for this machine alone: it listens here, and nothing says that others come to it."""
    from urllib.parse import urlsplit

    from f5_pipeline.gateway.api.access import is_loopback

    public = urlsplit(settings.base_url).hostname or ""
    return is_loopback(host) and is_loopback(public) and trusted_proxies is None


def _api(settings: Settings, store: Store, signer: LinkSigner, stack: ExitStack, *, local: bool, queue: bool):
    """The HTTP API, the folders of its paths, and a sentence about who may use it."""
    from functools import cache

    from f5_pipeline.gateway.api.app import FOLDERS, create_api
    from f5_pipeline.gateway.api.service import Service as ApiService
    from f5_pipeline.studio.keys import has_keys
    from f5_pipeline.studio.queue import QueueDesk

    @cache
    def opened() -> DagsterInstance:
        from f5_pipeline.dagster_host.instance import open_instance

        return stack.enter_context(open_instance(settings))

    @cache
    def desk():
        from f5_pipeline.orchestration.launching.desk import InboxDesk

        return InboxDesk(opened, store, studio_options(), settings)

    class Desk:
        """The in-box's desk, imported with Dagster at the first call."""

        def __getattr__(self, name: str):
            return getattr(desk(), name)

    root = store.local_path("scripts")
    service = ApiService(
        store=store,
        options=studio_options(),
        desk=QueueDesk(store, studio_options(), settings.attempts) if queue else Desk(),  # type: ignore[arg-type]
        signer=signer,
        base_url=settings.base_url,
        gpu_hour_cost=settings.gpu_hour_cost,
        folders={"home": settings.home_folder, **({"store": root.parent} if root else {})},
    )
    threading.Thread(target=service.finish_removals, name="finish-removals", daemon=True).start()
    if has_keys(store):
        note = "the API asks for a key: f5-pipeline keys list"
    elif local:
        note = "the API has no keys: it answers programs on this machine alone; f5-pipeline keys add NAME makes one"
    else:
        note = "the API has no keys and answers nobody, as others can reach it: f5-pipeline keys add NAME"
    return create_api(service, local=local), FOLDERS, note


@cli.command()
@click.option("--host", help="Address to listen on. [default: F5_HOST or 127.0.0.1]")
@click.option("--ui-port", type=int, help="Port of Dagster's UI. [default: F5_UI_PORT or 3000]")
@click.option("--port", type=int, help="Port of the download service. [default: F5_PORT or 3080]")
def up(host: str | None, ui_port: int | None, port: int | None) -> None:
    """Start Dagster's UI, daemon and code server and the download service; stop them together.

    A service that dies is started again, while the others and the runs in progress go on. Stopping this interrupts the
    runs in progress at their next batch and keeps their takes; the next `up` continues them, and starts queued ones.
    """
    from f5_pipeline.dagster_host.instance import open_instance
    from f5_pipeline.dagster_host.runs import LOCATION, MODULE
    from f5_pipeline.orchestration.internals import DAEMON_MODULE
    from f5_pipeline.settings import get_settings

    ready = address(os.environ, str(Path.cwd()))
    overrides = {"F5_HOST": host, "F5_PORT": port, "F5_UI_PORT": ui_port}
    os.environ.update({name: str(value) for name, value in overrides.items() if value is not None})
    get_settings.cache_clear()
    settings = get_settings()
    for port, variable in ((settings.port, "F5_PORT"), (settings.ui_port, "F5_UI_PORT")):
        check_port_free(settings.host, port, variable)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="f5-pipeline-up-"))
        with dagster_config_errors(settings):  # makes the home folder, and sets what the services read
            instance = stack.enter_context(open_instance(settings))
        socket_path = code_socket(settings)
        lock_instance(settings)
        set_gpu_pool(instance, settings)
        set_retry_cursors(instance)
        workspace = Path(folder) / "workspace.json"  # JSON is YAML
        server = {"socket": str(socket_path), "location_name": LOCATION}
        workspace.write_text(json.dumps({"load_from": [{"grpc_server": server}]}), encoding="utf-8")
        python = (sys.executable, "-m")
        code_server = Service(
            "code server",
            # Not `dagster code-server`, which is two processes and watches only one of them.
            [
                *(*python, "dagster", "api", "grpc", "--module-name", MODULE, "--location-name", LOCATION),
                *("--socket", str(socket_path), "--log-level", "warning", "--use-python-environment-entry-point"),
                "--inject-env-vars-from-instance",
            ],
            listens=str(socket_path),
        )
        services = [
            code_server,
            Service(
                "web server",
                [
                    *(*python, "f5_pipeline.dagster_host.web_server", "--workspace", str(workspace)),
                    *("--dagster-log-level", "warning"),
                    *("--host", settings.host, "--port", str(settings.ui_port), "--uvicorn-log-level", "warning"),
                ],
                listens=(settings.host, settings.ui_port),
                after=code_server,
            ),
            Service(
                "daemon",
                [*python, DAEMON_MODULE, "run", "--workspace", str(workspace), "--log-level", "warning"],
                after=code_server,
            ),
            Service("download service", [*python, "f5_pipeline.cli", "serve"], listens=(settings.host, settings.port)),
        ]
        if sys.platform == "linux" and not any(
            overrides.values()
        ):  # with them, commands have other settings than these
            command = [*python, "f5_pipeline.cli.ready_server", str(ready)]
            services.append(Service("process for commands", command, listens=str(ready), after=code_server))
        print_info(f"Dagster's UI: http://{settings.host}:{settings.ui_port}; Ctrl-C stops it")
        print_info("links of a finished narration: f5-pipeline links NARRATION")
        code = supervise(services, before_stop=lambda: stop_runs(instance, str(socket_path)))
        ready.unlink(missing_ok=True)
    raise click.exceptions.Exit(code)


@contextmanager
def dagster_config_errors(settings: Settings) -> Iterator[None]:
    """Turn Dagster's errors about a dagster.yaml into one that names the file."""
    from dagster import DagsterError
    from yaml import YAMLError

    from f5_pipeline.errors import InputError

    try:
        yield
    except (DagsterError, YAMLError) as error:
        raise InputError(
            f"Dagster cannot use it: {error}",
            file=str(settings.home_folder / "dagster.yaml"),
            hint="Correct it, or remove it: the one that comes with f5-pipeline takes its place.",
        ) from error


def set_gpu_pool(instance: DagsterInstance, settings: Settings) -> None:
    """Show the GPUs and set the pool's limit to their number; without a GPU to one, on the processor."""
    from f5_pipeline.orchestration.tags import BATCH_TAG, GPU_POOL
    from f5_pipeline.system.gpus import usable_gpus

    gpus = usable_gpus(settings.gpus)
    instance.event_log_storage.set_concurrency_slots(GPU_POOL, max(1, len(gpus)))
    print_info(f"GPUs: {'; '.join(map(str, gpus)) or 'none'}")
    limits = instance.get_concurrency_config().run_queue_config
    if limits is None or instance.get_concurrency_config().pool_config.pool_granularity is None:
        print_note(
            f"{settings.home_folder / 'dagster.yaml'} is of an earlier version and limits neither runs nor the pool "
            f"{GPU_POOL!r}. Remove it, unless you have changed it: the one that comes with f5-pipeline takes its place."
        )
        return
    for limit in limits.tag_concurrency_limits or ():
        if limit["key"] == BATCH_TAG and limit["limit"] < len(gpus):
            print_note(f"dagster.yaml allows {limit['limit']} runs with the tag {BATCH_TAG} at once, fewer than GPUs")


def set_retry_cursors(instance: DagsterInstance) -> None:
    """Let the daemon's retries of runs begin with the events from now on. In a new instance it does so by itself, but
    with a warning for each kind of event."""
    from f5_pipeline.orchestration.internals import RETRY_EVENTS, retry_cursor_key

    keys = {retry_cursor_key(event) for event in RETRY_EVENTS}
    missing = keys - instance.daemon_cursor_storage.get_cursor_values(keys).keys()
    if missing:
        newest = instance.event_log_storage.get_maximum_record_id() or 0
        instance.daemon_cursor_storage.set_cursor_values(dict.fromkeys(missing, str(newest)))


def code_socket(settings: Settings) -> Path:
    """The socket of an instance's code server: the same at every start, and its own."""
    from f5_pipeline.system.locks import machine_folder

    return machine_folder() / f"code-{hashlib.sha256(str(settings.home_folder).encode()).hexdigest()[:16]}.sock"


def instance_lock(settings: Settings) -> Path:
    """The lock that `up` holds on its instance for as long as it lives."""
    return code_socket(settings).with_suffix(".lock")


def lock_instance(settings: Settings) -> None:
    """Hold the instance's lock as long as this process lives; raise InputError where another `up` holds it."""
    from f5_pipeline.errors import InputError
    from f5_pipeline.system.locks import hold

    lock = instance_lock(settings)
    if hold(lock) is None:
        raise InputError(
            f"f5-pipeline up runs there already, as process {lock.read_text().strip()}",
            file=str(settings.home_folder),
            hint="Stop it first, or set DAGSTER_HOME to another folder.",
        )


def stop_runs(instance: DagsterInstance, socket_path: str) -> None:
    """Interrupt the runs that our code server has started, and wait for their processes to end."""
    from dagster import DagsterRunStatus, RunsFilter

    from f5_pipeline.dagster_host.run_launcher import process_of
    from f5_pipeline.orchestration.internals import GRPC_INFO_TAG

    deadline = time.monotonic() + STOP_SECONDS
    interrupted: set[int] = set()
    unfinished = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
    while time.monotonic() < deadline:
        running = False
        for run in instance.get_runs(filters=RunsFilter(statuses=unfinished)):
            process = process_of(instance, run)
            if socket_path not in run.tags.get(GRPC_INFO_TAG, "") or process is None or not process.living:
                continue
            running = True
            if process.pid not in interrupted:
                print_info(f"interrupting run {run.run_id[:8]} ({run.job_name}); it is continued after the next start")
                interrupted.add(process.pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGINT)
        if not running:
            return
        time.sleep(0.5)


def check_port_free(host: str, port: int, variable: str) -> None:
    """Raise InputError where a port is taken: Dagster's web server would run on without it."""
    from f5_pipeline.errors import InputError

    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise InputError(
            f"{host} port {port} cannot be listened on ({error.strerror})",
            hint=f"Stop what uses it, or set {variable} to another port.",
        ) from None
