"""Importing this module registers every command."""

from f5_pipeline.cli import (
    demo,
    doctor,
    doubts,
    keys,
    lexicon,
    links,
    narrate,
    plan,
    retake,
    scripts,
    services,
    status,
    store,
    verify,
    voices,
    weights,
)

__all__ = [
    "demo",
    "doctor",
    "doubts",
    "keys",
    "lexicon",
    "links",
    "narrate",
    "plan",
    "retake",
    "scripts",
    "services",
    "status",
    "store",
    "verify",
    "voices",
    "weights",
]
