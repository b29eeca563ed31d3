"""The keys of the store, in one table: how they are made and parsed.

lexicon.csv                                  how words are said, for people to edit
voices/<voice>/voice.json                    a voice as added: recording, transcript, language
voices/<voice>/{recordings,transcripts,consents}/…   the original files, by hash
voices/<voice>/reference.json                the reference of F5; references/<hash>.flac its audio
scripts/<narration>.<ext>                    a script; <narration>.options.json its options,
                                             <narration>.choices.json what was chosen for single chunks,
                                             <narration>.cover.jpg its cover
voices/<voice>/bands/<hash>.json             the voice's band of measures, by all that decides its sound
models/weights.json                          the engines and their weights
models/<model>/<revision>.json               the lock of a model; models/blobs/<hash>.<ext> its files
models/recognisers/<name>.json               the lock of a Whisper model, which writes transcripts
takes/<ab>/<key>.flac|.json                  the audio of a chunk and its record; the record is written last
narrations/<narration>/{plan,takes,audio,timings,links}.json   the newest record of each step
narrations/<narration>/address.json          its permanent address: grant, revision, expiry
narrations/<narration>/webhook.json          who is told when it has ended
narrations/<narration>/comparison.json       the pairs of takes of its newest comparison;
                                             votes/<hash>/<key>.json which of two somebody prefers
narrations/<narration>/{plans,takes}/<hash>.jsonl              one line a chunk
narrations/<narration>/<revision>/…          delivered files, never changed; manifest.json is written last;
                                             waveform.bin is drawn from the audio, for pages and metadata
narrations/<narration>/covers/<hash>.jpg                       covers of its files
grants/<narration>/<grant>.json              a grant of links: expiry, and whether it was revoked
fetches/<narration>/<grant>/<day>-<service>.json   who fetched what by a link
receipts/<receipt>.json                      what was removed for good, and when; <receipt>.keys hashes of its keys
speeds/<hash>/<card>.json                    how long an engine with a model and sampler took on a card
batches/<run>.json                           the outcome of a batch
standings.json.gz                            how far narrations are, for the first look of a machine; may be deleted
keys/<key>.json                              a key of the HTTP API, hashed; <key>/<month>.json what it has used
requests/<owner>/<request>.json              a narration that was submitted by HTTP, by the id of its owner's key
requests/<owner>/voices/<voice>              a voice that was added by HTTP
work/<narration>/claims/<worker>.json        who narrates it, of the workers that take from the store
work/<narration>/{attempts,canceled}.json    what they have tried; that nobody wants it any more
runs/<run>/…                                 values that steps of one run pass to others
logs/…                                       Dagster's compute logs, if kept here
"""

from __future__ import annotations

import re
import string
import unicodedata

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script.sources import SOURCES

NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")
"""Names of voices and narrations: part of keys, partition keys, file names and links, on every system."""

SCRIPTS, VOICES, WORK = "scripts/", "voices/", "work/"

LOGS = "logs"
"""Folder of Dagster's compute logs."""

SCRIPT_EXTENSIONS = tuple(SOURCES)

_PATTERNS = {
    "voice": r"[^/.]+",
    "narration": r"[^/.]+",
    "model": r"(?!blobs/|recognisers/)[^/]+",
    "revision": r"[0-9a-f]{16}",
    "take": r"[0-9a-f]{64}",
    "step": r"(?!webhook\b|comparison\b)[^/]+",
    "blob": r"[0-9a-f]{64}[^/]*",
    "extension": r"(?:\.[^/]+)?",
    "path": r".+",
}


class Key:
    """A kind of key: a call with its fields makes a key, and `match` parses one.

    `Key("takes/{take:.2}/{take}.flac")("3f9a…")` is `takes/3f/3f9a….flac`.

    Args:
        template: a format string; `{sha256:.16}` stands for the first 16 digits of a hash.
        patterns: by field, a regular expression in place of that in `_PATTERNS`.
    """

    def __init__(self, template: str, **patterns: str) -> None:
        self.template = template
        self.fields: list[str] = []
        expression = ""
        for text, field, digits, _ in string.Formatter().parse(template):
            expression += re.escape(text)
            if field is None:
                continue
            if digits and f"{{{field}}}" in template:  # the template has the full field too
                expression += "." * int(digits[1:])
                continue
            default = f"[0-9a-f]{{{digits[1:]}}}" if digits else _PATTERNS.get(field, "[^/]+")
            expression += f"(?P<{field}>{patterns.get(field, default)})"
            self.fields.append(field)
        self._expression = re.compile(expression)

    def __call__(self, *values: str) -> str:
        return self.template.format(**dict(zip(self.fields, values, strict=True)))

    def match(self, key: str) -> dict[str, str] | None:
        """The fields of a key of this kind; None for any other key."""
        match = self._expression.fullmatch(key)
        return match.groupdict() if match and self.template.format(**match.groupdict()) == key else None

    def only(self, **values: str) -> Key:
        """The keys of this kind whose fields have these values."""
        return Key(self.template, **{field: re.escape(value) for field, value in values.items()})


voice = Key("voices/{voice}/voice.json")
voice_recording = Key("voices/{voice}/recordings/{sha256:.16}{extension}")
voice_transcript = Key("voices/{voice}/transcripts/{sha256:.16}{extension}")
voice_consent = Key("voices/{voice}/consents/{sha256:.16}{extension}")
"""A file that shows the consent of a speaker."""
reference = Key("voices/{voice}/reference.json")
reference_audio = Key("voices/{voice}/references/{samples:.16}.flac")
band = Key("voices/{voice}/bands/{sound:.16}.json")

script = Key("scripts/{narration}{extension}", extension="|".join(map(re.escape, SCRIPT_EXTENSIONS)))
script_options = Key("scripts/{narration}.options.json")
script_choices = Key("scripts/{narration}.choices.json")
"""What a person chose for single chunks: attempts, speed."""
script_text = Key("scripts/{narration}.gen_file")
"""The text of a TOML script that names a gen_file."""
script_cover = Key("scripts/{narration}.cover.jpg")
"""The cover that a script or its options name."""

lexicon = Key("lexicon.csv")

weights = Key("models/weights.json")
model_record = Key("models/{model}/{commit}.json")
"""The lock of a model; `commit` is its pinned commit, `main` or `custom`."""
recogniser = Key("models/recognisers/{recogniser}.json")
"""The lock of a Whisper model."""
model_blob = Key("models/blobs/{blob}")
"""A file of a model, by its sha256 and extension."""

take_audio = Key("takes/{take:.2}/{take}.flac")
take_record = Key("takes/{take:.2}/{take}.json")

narration_state = Key("narrations/{narration}/{step}.json")
"""The newest record of a step of a narration: plan, takes, audio, timings, links or address."""
plan_chunks = Key("narrations/{narration}/plans/{sha256:.16}.jsonl")
narration_cover = Key("narrations/{narration}/covers/{sha256:.16}.jpg")
narration_takes = Key("narrations/{narration}/takes/{sha256:.16}.jsonl")
delivered = Key("narrations/{narration}/{revision}/{file}")
manifest = Key("narrations/{narration}/{revision}/manifest.json")
waveform = Key("narrations/{narration}/{revision}/waveform.bin")
"""The envelope of a revision's audio (`speech.audio.waveform.Peaks`)."""

comparison = Key("narrations/{narration}/comparison.json")
vote = Key("narrations/{narration}/votes/{pair:.16}/{voter}.json")
"""What one person prefers of two takes."""

grant = Key("grants/{narration}/{grant}.json")
fetches = Key("fetches/{narration}/{grant}/{day}-{service}.json", day=r"\d{4}-\d{2}-\d{2}", service="[0-9a-f]+")
"""Who fetched what by the links of a grant, as one service saw it on one day."""
receipt = Key("receipts/{receipt}.json")
receipt_keys = Key("receipts/{receipt}.keys")
"""sha256 of each key that a receipt counts, one a line."""
speed = Key("speeds/{configuration:.16}/{card}.json")
batch_report = Key("batches/{run}.json")
standings = Key("standings.json.gz")
"""How far narrations are, by the marks of their records (`studio.overview`)."""
measures = Key("measures/{month}.parquet", month=r"\d{4}-\d{2}")
"""What was measured and heard of the takes of narrations that were made in a month."""
api_key = Key("keys/{key}.json")
api_usage = Key("keys/{key}/{month}.json")
webhook = Key("narrations/{narration}/webhook.json")
api_request = Key("requests/{owner}/{request}.json")
api_voice = Key("requests/{owner}/voices/{voice}")
work_claim = Key("work/{narration}/claims/{worker}.json")
work_attempts = Key("work/{narration}/attempts.json")
work_canceled = Key("work/{narration}/canceled.json")
step_value = Key("runs/{run}/{path}")
"""A value that one step of a run passes to another; see `run_value`."""


def work_of(narration: str) -> str:
    """The prefix of what workers write about a narration."""
    return f"{WORK}{narration}/"


def votes_of(narration: str) -> str:
    """The prefix of the votes on pairs of a narration's takes."""
    return f"narrations/{narration}/votes/"


def run_value(run_id: str, *names: str) -> str:
    """The key of a value that one step of a run passes to another."""
    return step_value(run_id, "/".join(re.sub(r"[^A-Za-z0-9_.-]", "_", name) for name in names))


def content_digits(key: str) -> str | None:
    """The first digits of the sha256 of an object, from its key; None where the key has none."""
    for kind in (plan_chunks, narration_cover, narration_takes, voice_recording, voice_transcript, voice_consent):
        if fields := kind.match(key):
            return fields["sha256"]
    fields = model_blob.match(key)
    return fields["blob"][:64] if fields else None


def stem(key: str, folder: str) -> str:
    """The narration or voice that a key below `scripts/` or `voices/` belongs to."""
    return re.split(r"[./]", key.removeprefix(folder), maxsplit=1)[0]


def check_name(name: str, what: str) -> str:
    """Return `name` if it is valid for a voice or a narration; raise InputError with a suggestion otherwise."""
    if not NAME.fullmatch(name):
        better = slug(name)
        raise InputError(
            f"{name!r} cannot name a {what}: lower-case letters, digits, '-' and '_' only, 64 at most",
            hint=f"Call it {better!r}." if better else "Choose another name.",
        )
    return name


def slug(text: str) -> str:
    """The nearest valid name to `text`, transliterated to Latin letters; empty where `text` has no letter or digit."""
    plain = "".join(map(_latin, unicodedata.normalize("NFC", text.casefold()))).lower()
    return re.sub(r"[^a-z0-9_]+", "-", plain).strip("-_")[:64].strip("-_")


def _latin(character: str) -> str:
    """A character in ASCII; nothing where it is neither a letter nor a digit."""
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    if plain or not character.isalnum():
        return plain
    from anyascii import anyascii

    return anyascii(character)
