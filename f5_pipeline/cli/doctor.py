"""f5-pipeline doctor."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.output import print_json, print_table
from f5_pipeline.cli.session import open_store, studio_options
from f5_pipeline.errors import PipelineError
from f5_pipeline.speech.engines import Fact as Finding
from f5_pipeline.speech.engines import all_specs, resolve

if TYPE_CHECKING:
    from f5_pipeline.settings import Settings

MIN_FREE_BYTES = 2 << 30
"""Free space on a disk: an hour of narration takes about 0.3 GB with its takes."""

MIN_MEMORY_BYTES = 8 << 30
"""Memory in which F5 surely loads: the full network's weights twice, torch, and other imports."""


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object per finding, one per line.")
def doctor(as_json: bool) -> None:
    """Check everything a narration needs; show what is wrong and how to fix it. Exits with 1 on an error."""
    findings = list(examine())
    if as_json:
        for finding in findings:
            # "found" since the first version.
            print_json(dict(zip(("what", "state", "found", "hint"), finding, strict=True)))
    else:
        print_table(("", "", "found", "hint"), findings)
    if any(finding.state == "error" for finding in findings):
        raise click.exceptions.Exit(1)


def examine() -> Iterator[Finding]:
    """Every finding, in the order in which things are needed."""
    yield _python()
    for what, check in (
        ("memory", _memory),
        ("settings", _settings),
        ("store", _store),
        ("disk", _disk),
        ("temporary files", _temporary),
        ("Dagster", _dagster),
    ):
        yield _finding(what, check)
    for spec in all_specs():
        yield from spec.examine()
    for what, check in (
        ("weights", _weights),
        ("hub", _hub),
        ("Content Credentials", _credentials),
        ("links", _links),
        ("ports", _ports),
    ):
        yield _finding(what, check)


def get_settings() -> Settings:
    # Imported late: pydantic takes longer than many a command.
    from f5_pipeline import settings

    return settings.get_settings()


def _finding(what: str, check: Callable[[], tuple[str, ...]]) -> Finding:
    try:
        return Finding(what, *check())
    except PipelineError as error:
        place = f"{error.file}: " if error.file else ""
        return Finding(what, "error", f"{place}{error.message}", error.hint or "")


def _python() -> Finding:
    version = platform.python_version()
    if (3, 10) <= sys.version_info[:2] <= (3, 12):
        return Finding("python", "ok", version)
    return Finding("python", "error", version, "Use Python 3.10, 3.11 or 3.12.")


def _memory() -> tuple[str, ...]:
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return "ok", "this system does not report it"
    text = f"{memory / 2**30:.0f} GiB"
    if memory >= MIN_MEMORY_BYTES:
        return "ok", text
    return "warning", text, "Enough for drafts; F5 takes about 6 GiB to load."


def _settings() -> tuple[str, ...]:
    changed = {name: getattr(get_settings(), name) for name in sorted(get_settings().model_fields_set)}
    spec, note = resolve(get_settings().engine, studio_options())
    text = ", ".join(f"{name} = {value}" for name, value in changed.items()) or "all as by default"
    return "ok", f"{text}; narrations are spoken by {spec.name}: {note}"


def _store() -> tuple[str, ...]:
    store = open_store()
    store.check()
    return "ok", store.url


def _disk() -> tuple[str, ...]:
    scheme, _, folder = get_settings().store_url.partition(":")
    # Where the store is a bucket, the weights are what takes space on this machine.
    return _free(Path(folder) if scheme == "file" else get_settings().cache_folder)


def _temporary() -> tuple[str, ...]:
    return _free(Path(tempfile.gettempdir()))


def _free(place: Path) -> tuple[str, ...]:
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    text = f"{free / 1e9:.1f} GB free at {place}"
    return ("ok", text) if free > MIN_FREE_BYTES else ("warning", text, "Free space there before a long narration.")


def _dagster() -> tuple[str, ...]:
    import dagster

    from f5_pipeline.dagster_host.instance import open_instance

    try:
        with open_instance(get_settings()) as instance:
            instance.get_runs_count()
    except PipelineError:
        raise
    except Exception as error:  # whatever Dagster raises: a config error, a database error
        return "error", f"{get_settings().home_folder}: {error}", "Correct dagster.yaml there, or set DAGSTER_HOME."
    return "ok", f"{dagster.__version__}, instance in {get_settings().home_folder}"


def _weights() -> tuple[str, ...]:
    from f5_pipeline.studio.weights import open_library

    settings = get_settings()
    library = open_library(open_store(), studio_options())
    record = library.find(settings.model)
    cache = f"cache {settings.cache_folder}, at most {settings.cache_gb:g} GB"
    if record is None:
        hint = f"To pull it before it is needed: f5-pipeline weights pull {settings.model}"
        return "ok", f"{settings.model} was never pulled; {cache}", hint
    return "ok", f"{settings.model} {record.sha256[:12]}, {record.licence}; {cache}"


def _hub() -> tuple[str, ...]:
    import httpx

    settings = get_settings()
    if settings.offline:
        return "ok", "not asked: F5_OFFLINE is set"
    try:
        httpx.head(settings.hub, timeout=5, follow_redirects=True)
    except httpx.HTTPError as error:
        return (
            "warning",
            f"{settings.hub}: {error}",
            "New models cannot be pulled; those in cache or store work.",
        )
    return "ok", settings.hub


def _credentials() -> tuple[str, ...]:
    from f5_pipeline.orchestration.configured import content_credentials

    credentials = content_credentials(get_settings())
    return ("ok", str(credentials.certificate)) if credentials else ("ok", "files are not signed")


def _links() -> tuple[str, ...]:
    from f5_pipeline.studio.links.making import open_signer

    settings = get_settings()
    open_signer(settings.home_folder, settings.link_secret, settings.link_seconds)
    if settings.public_url is None:
        return "ok", f"{settings.base_url}, on this machine only", "Set F5_PUBLIC_URL to give links to others."
    return "ok", settings.base_url


def _ports() -> tuple[str, ...]:
    from f5_pipeline.cli.services import instance_lock
    from f5_pipeline.system.locks import holder

    settings = get_settings()
    used = []
    for port in (settings.ui_port, settings.port):
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex((settings.host, port)) == 0:
                used.append(str(port))
    if not used:
        return "ok", f"{settings.ui_port} and {settings.port} are free"
    text = f"{' and '.join(used)} in use"
    if (process := holder(instance_lock(settings))) is not None:
        return "ok", f"{text}; `f5-pipeline up` runs on this instance as process {process}"
    return (
        "warning",
        f"{text}, not by an `f5-pipeline up` of this instance",
        "Set F5_UI_PORT, F5_PORT to free ports.",
    )
