"""Every key's name, in one place.

voices/<voice>/voice.json                    what was added: recording, transcript, language
voices/<voice>/{recordings,transcripts}/…    as they were given, by hash
voices/<voice>/reference.json                what F5 is conditioned on; references/<hash>.flac its audio
scripts/<narration>.<ext>                    what a person writes; <narration>.options.json what was said beside it
voices/<voice>/bands/<hash>.json             what its takes measure like, by all that decides its sound
models/weights.json                          which engines and weights speak
models/<model>/<revision>.json               which bytes a model is; models/blobs/<hash>.<ext> the bytes
takes/<ab>/<key>.flac|.json                  the audio of a chunk and its record; the record is written last
narrations/<narration>/{plan,takes,audio,timings,links}.json   the newest state of each step
narrations/<narration>/address.json          its permanent address: of which grant, what it shows, until when
narrations/<narration>/{plans,takes}/<hash>.jsonl              one line a chunk
narrations/<narration>/<revision>/…          what is delivered, never changed; manifest.json is written last
grants/<narration>/<grant>.json              a grant of links: until when, and whether it was revoked
batches/<run>.json                           what a batch has come to
runs/<run>/…                                 what the steps of one run hand each other
logs/…                                       Dagster's compute logs, where they are kept here
"""

from __future__ import annotations

import re

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script.sources import SOURCES

NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")
"""Names of voices and narrations: part of keys, partition keys, file names and links, on every system."""

LOGS = "logs"
"""Folder of Dagster's compute logs."""

SCRIPT_EXTENSIONS = tuple(SOURCES)


def check_name(name: str, what: str) -> str:
    """Return `name` if it may name a voice or a narration; raise InputError with the mend otherwise."""
    if not NAME.fullmatch(name):
        better = slug(name)
        raise InputError(
            f"{name!r} cannot name a {what}: lower-case letters, digits, '-' and '_' only, 64 at most",
            hint=f"Call it {better!r}." if better else "Choose another name.",
        )
    return name


def slug(text: str) -> str:
    """The nearest sound name to `text`; empty where nothing is left of it."""
    import unicodedata

    plain = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")[:64].strip("-_")


def voice(name: str) -> str:
    return f"voices/{name}/voice.json"


def voice_recording(name: str, sha256: str, extension: str) -> str:
    return f"voices/{name}/recordings/{sha256[:16]}{extension}"


def voice_transcript(name: str, sha256: str, extension: str) -> str:
    return f"voices/{name}/transcripts/{sha256[:16]}{extension}"


def reference(name: str) -> str:
    return f"voices/{name}/reference.json"


def reference_audio(name: str, sha256: str) -> str:
    return f"voices/{name}/references/{sha256[:16]}.flac"


def band(name: str, sha256: str) -> str:
    return f"voices/{name}/bands/{sha256[:16]}.json"


def script(narration: str, extension: str) -> str:
    return f"scripts/{narration}{extension}"


def script_options(narration: str) -> str:
    return f"scripts/{narration}.options.json"


def script_text(narration: str) -> str:
    """The text of a TOML script that names a gen_file."""
    return f"scripts/{narration}.gen_file"


def weights() -> str:
    return "models/weights.json"


def model_record(model: str, revision: str) -> str:
    """The lock of a model; `revision` is the commit it is pinned to, `main` or `custom`."""
    return f"models/{model}/{revision}.json"


def model_blob(file_name: str) -> str:
    """A file of a model, by its sha256 and extension."""
    return f"models/blobs/{file_name}"


def take_audio(key: str) -> str:
    return f"takes/{key[:2]}/{key}.flac"


def take_record(key: str) -> str:
    return f"takes/{key[:2]}/{key}.json"


def narration_state(narration: str, step: str) -> str:
    """The newest state of a step of a narration: plan, takes, audio, timings or links."""
    return f"narrations/{narration}/{step}.json"


def plan_chunks(narration: str, sha256: str) -> str:
    return f"narrations/{narration}/plans/{sha256[:16]}.jsonl"


def narration_takes(narration: str, sha256: str) -> str:
    return f"narrations/{narration}/takes/{sha256[:16]}.jsonl"


def delivered(narration: str, revision: str, name: str) -> str:
    return f"narrations/{narration}/{revision}/{name}"


def manifest(narration: str, revision: str) -> str:
    return delivered(narration, revision, "manifest.json")


def grant(narration: str, grant_id: str) -> str:
    return f"grants/{narration}/{grant_id}.json"


def batch_report(run_id: str) -> str:
    return f"batches/{run_id}.json"


def run_value(run_id: str, *names: str) -> str:
    """What one step of a run hands to another."""
    return "/".join(["runs", run_id, *(re.sub(r"[^A-Za-z0-9_.-]", "_", name) for name in names)])
