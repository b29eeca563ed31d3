"""What tests stand on: an installation of their own (store, Dagster instance, secret), the command line as a process of
its own, and the services as a user starts them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from f5_pipeline.settings import get_settings
from f5_pipeline_tests.support.gateway_studio import Studio, playable_studio
from f5_pipeline_tests.support.installation import Installation, Services, free_port, running_services
from f5_pipeline_tests.support.narrated import BASE_URL, TEXT, Narrated
from f5_pipeline_tests.support.servers.fixtures import moto_server, swift_server  # noqa: F401
from f5_pipeline_tests.support.shared import made_once
from f5_pipeline_tests.support.whisper import memo, tiny  # noqa: F401

SERVICES = ("services", "swift", "postgres")
"""How fixtures begin that start what takes long or what pip does not bring; tests name them, also as a parameter."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        callspec = getattr(item, "callspec", None)
        parameters = callspec.params.values() if callspec else ()
        asked = {*getattr(item, "fixturenames", ()), *(value for value in parameters if isinstance(value, str))}
        if any(name.startswith(SERVICES) for name in asked) or "services" in item.path.parts:
            item.add_marker("service")
        elif "moto_server" in asked:
            item.add_marker("slow")
    # The longest files first, so that no core waits for one of them at the end.
    items.sort(key=lambda item: not {"services", "test_deploy.py"} & {*item.path.parts})


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """An installation whose settings are those of the test's own process."""
    made = Installation(tmp_path)
    for name in list(os.environ):
        if name.startswith(("F5_", "DAGSTER_")):
            monkeypatch.delenv(name)
    for name, value in made.env.items():
        monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    yield made
    get_settings.cache_clear()


@pytest.fixture(scope="session")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of an installation with the two voices of the examples; to be copied."""
    return made_once(tmp_path_factory, "voices", lambda root: Installation(root).add_voices())


@pytest.fixture(scope="session")
def narrated(tmp_path_factory: pytest.TempPathFactory, voices: Path) -> Narrated:
    """An installation with the two voices and a finished narration, which tests leave as it is."""

    def narrate(root: Path) -> None:
        installation = Installation(root, {"F5_PUBLIC_URL": BASE_URL}).copy(voices)
        told = installation.run("narrate", installation.write("story.txt", TEXT), "--voice", "ada", "--json").out
        installation.write("told.json", told.replace(str(root), "ROOT"))

    made = made_once(tmp_path_factory, "narrated", narrate)
    ports = {"F5_PORT": str(free_port()), "F5_UI_PORT": str(free_port())}
    installation = Installation(tmp_path_factory.mktemp("narrated"), {"F5_PUBLIC_URL": BASE_URL, **ports}).copy(made)
    told = (made / "told.json").read_text().replace("ROOT", str(installation.root))
    return Narrated(installation, json.loads(told))


@pytest.fixture
def playable(tmp_path: Path) -> Studio:
    """A delivered revision that a browser can play."""
    return playable_studio(tmp_path / "studio")


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory, voices: Path) -> Iterator[Services]:
    """Services on which a test launches by itself what it wants to see launched."""
    with running_services(tmp_path_factory.mktemp("services"), voices, F5_INBOX="off", F5_NIGHTLY="off") as running:
        yield running
