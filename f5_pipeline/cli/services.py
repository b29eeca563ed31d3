"""f5-pipeline serve and up."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.output import complain, say, warn
from f5_pipeline.cli.session import open_store

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from f5_pipeline.settings import Settings

STOP_SECONDS = 30
"""How long services, and runs, may take to stop before they are killed."""

SETTLED = 10.0
"""Seconds after which a service that listens nowhere is called up."""

MAX_DEATHS = 3
"""Starts of a service that has never been up, before it is given up."""

MAX_DELAY = 30.0
"""Seconds between two starts of a service at most."""

PR_SET_PDEATHSIG = 1
"""prctl(2): the signal that a process gets when its parent ends."""


@cli.command()
@click.option("--host", help="Address to listen on. [default: F5_HOST or 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on. [default: F5_PORT or 3080]")
@click.option("--trusted-proxies", help="Addresses whose X-Forwarded-* headers are believed.")
def serve(host: str | None, port: int | None, trusted_proxies: str | None) -> None:
    """Serve the download links until stopped."""
    from f5_pipeline.gateway.app import create_app
    from f5_pipeline.gateway.deliveries import Deliveries
    from f5_pipeline.gateway.server import serve as run
    from f5_pipeline.settings import get_settings
    from f5_pipeline.studio.links.making import open_signer

    settings, store = get_settings(), open_store()
    deliveries = Deliveries(store)
    app = create_app(
        store=store,
        signer=open_signer(settings.home_folder, settings.link_secret, settings.link_seconds),
        permit=deliveries.permit,
        files_of=deliveries.files_of,
        page_facts=deliveries.page_facts,
        presign_seconds=settings.presign_seconds if settings.downloads == "redirect" else None,
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
    """Start Dagster's UI, daemon and code server and the download service; stop them together.

    One that dies is started again, and the others and the runs in progress go on. When this is stopped, the runs in
    progress are interrupted at their next batch and keep their takes; the next `up` continues them, and starts those
    that were queued.
    """
    from f5_pipeline.dagster_host.runs import LOCATION, MODULE, open_instance
    from f5_pipeline.settings import get_settings

    given = {"F5_HOST": host, "F5_PORT": port, "F5_UI_PORT": ui_port}
    os.environ.update({name: str(value) for name, value in given.items() if value is not None})
    get_settings.cache_clear()
    settings = get_settings()
    for port, variable in ((settings.port, "F5_PORT"), (settings.ui_port, "F5_UI_PORT")):
        check_free(settings.host, port, variable)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="f5-pipeline-up-"))
        with configured(settings):  # makes the home folder, and sets what the services read
            instance = stack.enter_context(open_instance(settings))
        socket_path = code_socket(settings)
        check_alone(socket_path.with_suffix(".lock"), settings)
        set_pool(instance, settings)
        workspace = Path(folder) / "workspace.json"  # JSON is YAML
        server = {"socket": str(socket_path), "location_name": LOCATION}
        workspace.write_text(json.dumps({"load_from": [{"grpc_server": server}]}), encoding="utf-8")
        python = (sys.executable, "-m")
        code_server = Service(
            "code server",
            # Not `dagster code-server`: that is two processes, of which it watches but one.
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
                    *(*python, "dagster_webserver", "--workspace", str(workspace), "--dagster-log-level", "warning"),
                    *("--host", settings.host, "--port", str(settings.ui_port), "--uvicorn-log-level", "warning"),
                ],
                listens=(settings.host, settings.ui_port),
                after=code_server,
            ),
            Service(
                "daemon",
                [*python, "dagster._daemon", "run", "--workspace", str(workspace), "--log-level", "warning"],
                after=code_server,
            ),
            Service("download service", [*python, "f5_pipeline", "serve"], listens=(settings.host, settings.port)),
        ]
        say(f"Dagster's UI: http://{settings.host}:{settings.ui_port}; Ctrl-C stops it")
        code = supervise(services, before_stop=lambda: stop_runs(instance, str(socket_path)))
    raise click.exceptions.Exit(code)


@contextmanager
def configured(settings: Settings) -> Iterator[None]:
    """Turn what Dagster says of a dagster.yaml that it cannot use into an error that names the file."""
    from dagster import DagsterError
    from yaml import YAMLError

    from f5_pipeline.errors import InputError

    try:
        yield
    except (DagsterError, YAMLError) as error:
        raise InputError(
            f"Dagster cannot use it: {error}",
            file=str(settings.home_folder / "dagster.yaml"),
            hint="Mend it, or remove it: the one that comes with f5-pipeline takes its place.",
        ) from error


def set_pool(instance: DagsterInstance, settings: Settings) -> None:
    """Tell the GPUs and let as many steps work at once as there are: one where there is none, on the processor."""
    from f5_pipeline.orchestration.tags import BATCH_TAG, GPU_POOL
    from f5_pipeline.system.gpus import usable_gpus

    gpus = usable_gpus(settings.gpus)
    instance.event_log_storage.set_concurrency_slots(GPU_POOL, max(1, len(gpus)))
    told = "; ".join(map(str, gpus)) if gpus else "none"
    say(f"GPUs: {told}")
    limits = instance.get_concurrency_config().run_queue_config
    if limits is None or instance.get_concurrency_config().pool_config.pool_granularity is None:
        warn(
            f"{settings.home_folder / 'dagster.yaml'} is of an earlier version and limits neither runs nor the pool "
            f"{GPU_POOL!r}. Remove it, unless you have changed it: the one that comes with f5-pipeline takes its place."
        )
        return
    for limit in limits.tag_concurrency_limits or ():
        if limit["key"] == BATCH_TAG and limit["limit"] < len(gpus):
            warn(f"dagster.yaml allows {limit['limit']} runs with the tag {BATCH_TAG} at once, fewer than GPUs")


def code_socket(settings: Settings) -> Path:
    """Where the code server of an instance listens: the same at every start, and nobody else's."""
    from f5_pipeline.system.gpus import machine_folder

    return machine_folder() / f"code-{hashlib.sha256(str(settings.home_folder).encode()).hexdigest()[:16]}.sock"


def check_alone(lock: Path, settings: Settings) -> None:
    """Hold a lock as long as this process lives; raise InputError where another `up` works on the instance."""
    from f5_pipeline.errors import InputError
    from f5_pipeline.system.gpus import try_lock

    if try_lock(lock) is None:
        raise InputError(
            f"f5-pipeline up runs there already, as process {lock.read_text().strip()}",
            file=str(settings.home_folder),
            hint="Stop it first, or set DAGSTER_HOME to another folder.",
        )


def stop_runs(instance: DagsterInstance, socket_path: str) -> None:
    """Interrupt the runs that our code server has started, and wait for their end, which they tell Dagster."""
    from dagster import DagsterRunStatus, RunsFilter
    from dagster._core.storage.tags import GRPC_INFO_TAG

    from f5_pipeline.dagster_host.run_launcher import process_of

    limit = time.monotonic() + STOP_SECONDS
    asked: set[int] = set()
    unfinished = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]
    while time.monotonic() < limit:
        left = False
        for run in instance.get_runs(filters=RunsFilter(statuses=unfinished)):
            process = process_of(instance, run)
            if socket_path not in run.tags.get(GRPC_INFO_TAG, "") or process is None or not process.living:
                continue
            left = True
            if process.pid not in asked:
                say(f"interrupting run {run.run_id[:8]} ({run.job_name}); it is continued after the next start")
                asked.add(process.pid)
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGINT)
        if not left:
            return
        time.sleep(0.5)


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
            hint=f"Stop what uses it, or set {variable} to another port.",
        ) from None


@dataclass
class Service:
    """A process that is kept alive.

    Attributes:
        name: for people.
        command: that it is started by.
        listens: host and port, or the path of a socket, that tells that it is up; where None, it is when it lives on.
        after: that must be up before it is started at first.
    """

    name: str
    command: list[str]
    listens: tuple[str, int] | str | None = None
    after: Service | None = None

    process: subprocess.Popen | None = None
    up: bool = False
    ever_up: bool = False
    deaths: int = 0
    """In a row, without having been up."""
    started: float = 0.0
    next_start: float = 0.0
    groups: list[int] = field(default_factory=list)
    """Process groups of its starts: those of its children too, that may live on."""

    def start(self) -> None:
        if isinstance(self.listens, str):
            Path(self.listens).unlink(missing_ok=True)
        # A session of its own: a Ctrl-C in the terminal comes to us alone, and we stop all in order.
        self.process = subprocess.Popen(self.command, start_new_session=True, preexec_fn=_end_with_parent)
        self.groups.append(self.process.pid)
        self.started, self.up = time.monotonic(), False

    def look(self) -> None:
        """Note whether it is up."""
        if not self.up and (time.monotonic() - self.started > SETTLED if self.listens is None else self._answers()):
            self.up = self.ever_up = True
            self.deaths = 0

    def _answers(self) -> bool:
        try:
            if isinstance(self.listens, str):
                with socket.socket(socket.AF_UNIX) as probe:
                    probe.connect(self.listens)
            elif self.listens is not None:
                socket.create_connection(self.listens, timeout=1).close()
        except OSError:
            return False
        return True


def _end_with_parent() -> None:
    """In a service, before its program begins: let the kernel end it with us, also where we are killed (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def supervise(services: list[Service], *, before_stop: Callable[[], object] = lambda: None) -> int:
    """Keep services alive until a signal comes, then stop them all. Return the exit code.

    A service that dies is started again, at once and then after growing delays. One that has never been up and died
    `MAX_DEATHS` times ends them all.

    Args:
        services: the first is stopped last.
        before_stop: called when the others have been stopped, so that nothing new begins.
    """
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    code = 0
    try:
        while not stopping:
            for service in services:
                code = max(code, _keep(service))
            if code:
                break
            time.sleep(0.2)
    finally:
        say("stopping")
        first, *others = services
        _stop(others)
        before_stop()
        _stop([first])
    return code


def _keep(service: Service) -> int:
    """Start a service that is due; 1 where it has died too often."""
    now = time.monotonic()
    if service.process is None:
        if now >= service.next_start and (service.after is None or service.after.up or service.ever_up):
            service.start()
        return 0
    ended = service.process.poll()
    if ended is None:
        service.look()
        return 0
    service.process = None
    service.groups = [group for group in service.groups if _has_members(group)]
    service.deaths += 1
    if not service.ever_up and service.deaths >= MAX_DEATHS:
        complain(f"the {service.name} does not come up: it ended with code {ended}, {service.deaths} times; see above")
        return 1
    delay = 0.0 if service.up else min(MAX_DELAY, 2.0 ** (service.deaths - 1))
    when = f"in {delay:g} s" if delay else "now"
    warn(f"the {service.name} ended with code {ended}; starting it again {when}")
    service.up, service.next_start = False, now + delay
    return 0


def _stop(services: list[Service]) -> None:
    running = [service.process for service in services if service.process is not None]
    for process in running:
        if process.poll() is None:
            process.terminate()
    limit = time.monotonic() + STOP_SECONDS
    for process in running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=max(0.1, limit - time.monotonic()))
    # The services' own children too, should any be left, also of those that died.
    for group in (group for service in services for group in service.groups):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


def _has_members(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
