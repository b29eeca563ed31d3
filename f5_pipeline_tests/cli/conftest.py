"""One installation with a voice and a finished narration, for the commands that look at them."""

from __future__ import annotations

import pytest

from f5_pipeline_tests.support.installation import EXAMPLES, Installation, free_port
from f5_pipeline_tests.support.narrated import TEXT, Narrated


@pytest.fixture(scope="package")
def narrated(tmp_path_factory) -> Narrated:
    """Tests leave its narration as it is."""
    ports = {"F5_PORT": str(free_port()), "F5_UI_PORT": str(free_port())}
    made = Installation(tmp_path_factory.mktemp("narrated"), ports)
    made.run("voices", "add", "ada", EXAMPLES / "voices" / "ada.flac")
    return Narrated(made, made.run("narrate", made.write("story.txt", TEXT), "--voice", "ada", "--json").object)
