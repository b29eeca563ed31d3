"""One installation with a voice and a finished narration, for the commands that look at them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from f5_pipeline_tests.conftest import EXAMPLES, Installation, free_port

TEXT = "The first sentence is here.\n\nA second one follows it.\n\nThe third one ends it.\n"


@dataclass
class Narrated:
    """An installation and what `narrate --json` told of its narration `story`."""

    installation: Installation
    told: dict


@pytest.fixture(scope="package")
def narrated(tmp_path_factory) -> Narrated:
    """Tests leave its narration as it is."""
    ports = {"F5_PORT": str(free_port()), "F5_UI_PORT": str(free_port())}
    made = Installation(tmp_path_factory.mktemp("narrated"), ports)
    made.run("voices", "add", "ada", EXAMPLES / "voices" / "ada.flac")
    return Narrated(made, made.run("narrate", made.write("story.txt", TEXT), "--voice", "ada", "--json").object)


def contents(made: Installation) -> dict[str, bytes]:
    """Every object of the store."""
    return {one.key: made.store.get_bytes(one.key) for one in made.store.list()}
