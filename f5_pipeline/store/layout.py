"""Every key's name and how it is read back, in one table.

voices/<voice>/voice.json                    what was added: recording, transcript, language
voices/<voice>/{recordings,transcripts}/…    as they were given, by hash
voices/<voice>/reference.json                what F5 is conditioned on; references/<hash>.flac its audio
scripts/<narration>.<ext>                    what a person writes; <narration>.options.json its options
voices/<voice>/bands/<hash>.json             what its takes measure like, by all that decides its sound
models/weights.json                          which engines and weights speak
models/<model>/<revision>.json               which bytes a model is; models/blobs/<hash>.<ext> the bytes
takes/<ab>/<key>.flac|.json                  the audio of a chunk and its record; the record is written last
narrations/<narration>/{plan,takes,audio,timings,links}.json   the newest state of each step
narrations/<narration>/address.json          its permanent address: of which grant, what it shows, until when
narrations/<narration>/{plans,takes}/<hash>.jsonl              one line a chunk
narrations/<narration>/<revision>/…          what is delivered, never changed; manifest.json is written last
grants/<narration>/<grant>.json              a grant of links: until when, and whether it was revoked
batches/<run>.json                           the outcome of a batch
runs/<run>/…                                 what the steps of one run hand each other
logs/…                                       Dagster's compute logs, where they are kept here
"""

from __future__ import annotations

import re
import string
import unicodedata

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script.sources import SOURCES

NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")
"""Names of voices and narrations: part of keys, partition keys, file names and links, on every system."""

SCRIPTS, VOICES = "scripts/", "voices/"

LOGS = "logs"
"""Folder of Dagster's compute logs."""

SCRIPT_EXTENSIONS = tuple(SOURCES)

_PATTERNS = {
    "voice": r"[^/.]+",
    "narration": r"[^/.]+",
    "model": r"(?!blobs/)[^/]+",
    "revision": r"[0-9a-f]{16}",
    "take": r"[0-9a-f]{64}",
    "blob": r"[0-9a-f]{64}[^/]*",
    "extension": r"(?:\.[^/]+)?",
    "path": r".+",
}


class Key:
    """One kind of key: called with its fields it makes a key, and `match` reads the fields back.

    `Key("takes/{take:.2}/{take}.flac")("3f9a…")` is `takes/3f/3f9a….flac`.

    Args:
        template: a format string; `{sha256:.16}` stands for the first 16 digits of a hash.
        patterns: by field, a regular expression where the usual one of `_PATTERNS` is too wide.
    """

    def __init__(self, template: str, **patterns: str) -> None:
        self.template = template
        self.fields: list[str] = []
        expression = ""
        for text, field, digits, _ in string.Formatter().parse(template):
            expression += re.escape(text)
            if field is None:
                continue
            if digits and f"{{{field}}}" in template:  # it stands whole elsewhere
                expression += "." * int(digits[1:])
                continue
            usual = f"[0-9a-f]{{{digits[1:]}}}" if digits else _PATTERNS.get(field, "[^/]+")
            expression += f"(?P<{field}>{patterns.get(field, usual)})"
            self.fields.append(field)
        self._expression = re.compile(expression)

    def __call__(self, *values: str) -> str:
        return self.template.format(**dict(zip(self.fields, values, strict=True)))

    def match(self, key: str) -> dict[str, str] | None:
        """The fields of a key of this kind; None of any other key."""
        found = self._expression.fullmatch(key)
        return found.groupdict() if found and self.template.format(**found.groupdict()) == key else None

    def only(self, **values: str) -> Key:
        """The keys of this kind whose fields have these values."""
        return Key(self.template, **{field: re.escape(value) for field, value in values.items()})


voice = Key("voices/{voice}/voice.json")
voice_recording = Key("voices/{voice}/recordings/{sha256:.16}{extension}")
voice_transcript = Key("voices/{voice}/transcripts/{sha256:.16}{extension}")
reference = Key("voices/{voice}/reference.json")
reference_audio = Key("voices/{voice}/references/{samples:.16}.flac")
band = Key("voices/{voice}/bands/{sound:.16}.json")

script = Key("scripts/{narration}{extension}", extension="|".join(map(re.escape, SCRIPT_EXTENSIONS)))
script_options = Key("scripts/{narration}.options.json")
script_text = Key("scripts/{narration}.gen_file")
"""The text of a TOML script that names a gen_file."""

weights = Key("models/weights.json")
model_record = Key("models/{model}/{commit}.json")
"""The lock of a model; `commit` is the one it is pinned to, `main` or `custom`."""
model_blob = Key("models/blobs/{blob}")
"""A file of a model, by its sha256 and extension."""

take_audio = Key("takes/{take:.2}/{take}.flac")
take_record = Key("takes/{take:.2}/{take}.json")

narration_state = Key("narrations/{narration}/{step}.json")
"""The newest state of a step of a narration: plan, takes, audio, timings, links or address."""
plan_chunks = Key("narrations/{narration}/plans/{sha256:.16}.jsonl")
narration_takes = Key("narrations/{narration}/takes/{sha256:.16}.jsonl")
delivered = Key("narrations/{narration}/{revision}/{file}")
manifest = Key("narrations/{narration}/{revision}/manifest.json")

grant = Key("grants/{narration}/{grant}.json")
batch_report = Key("batches/{run}.json")
handed_on = Key("runs/{run}/{path}")
"""What one step of a run hands to another; see `run_value`."""


def run_value(run_id: str, *names: str) -> str:
    """The key of what one step of a run hands to another."""
    return handed_on(run_id, "/".join(re.sub(r"[^A-Za-z0-9_.-]", "_", name) for name in names))


def content_digits(key: str) -> str | None:
    """The first digits of the sha256 of what lies under a key; None where its name does not say it."""
    for kind in (plan_chunks, narration_takes, voice_recording, voice_transcript):
        if fields := kind.match(key):
            return fields["sha256"]
    fields = model_blob.match(key)
    return fields["blob"][:64] if fields else None


def stem(key: str, folder: str) -> str:
    """The narration or voice that a key below `scripts/` or `voices/` belongs to."""
    return re.split(r"[./]", key.removeprefix(folder), maxsplit=1)[0]


def check_name(name: str, what: str) -> str:
    """Return `name` if it may name a voice or a narration; raise InputError with a better one otherwise."""
    if not NAME.fullmatch(name):
        better = slug(name)
        raise InputError(
            f"{name!r} cannot name a {what}: lower-case letters, digits, '-' and '_' only, 64 at most",
            hint=f"Call it {better!r}." if better else "Choose another name.",
        )
    return name


def slug(text: str) -> str:
    """The nearest sound name to `text`, its letters spelled in Latin ones; empty where it has none."""
    plain = "".join(map(_latin, unicodedata.normalize("NFC", text.casefold()))).lower()
    return re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")[:64].strip("-_")


def _latin(character: str) -> str:
    """A character in ASCII; nothing where it is neither a letter nor a digit."""
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    if plain or not character.isalnum():
        return plain
    from anyascii import anyascii

    return anyascii(character)
