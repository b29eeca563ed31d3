"""One installation with a voice and a finished narration, for the commands that look at them."""

from __future__ import annotations

from dataclasses import dataclass

from f5_pipeline_tests.support.installation import Installation

BASE_URL = "https://narrations.example"
TEXT = "The first sentence is here.\n\nA second one follows it.\n\nThe third one ends it.\n"


@dataclass
class Narrated:
    """An installation and what `narrate --json` told of its narration `story`."""

    installation: Installation
    told: dict


def contents(made: Installation) -> dict[str, bytes]:
    """Every object of the store."""
    return {one.key: made.store.get_bytes(one.key) for one in made.store.list()}
