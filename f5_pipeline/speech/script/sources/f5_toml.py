"""The configuration file of F5-TTS's own command line (`f5-tts_infer-cli -c story.toml`), read as a script.

The text, the voices and their speeds are used, and `nfe_step` where a preset has as many steps. A default of F5-TTS
itself is taken as not set; any other value that has no effect here is refused by its name. Model, files and devices are
left to the settings of the installation, and a note says so.
Keys as in f5_tts 1.1.22, infer/infer_cli.py; `title`, `author`, `language` and `lexicon` are ours.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from typing import Any

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script.decoding import decode, language_tag, listed, near, safe
from f5_pipeline.speech.script.front_matter import Header, spoken_as, validated
from f5_pipeline.speech.script.markup import Markup
from f5_pipeline.speech.script.model import Preset, ScriptOptions
from f5_pipeline.speech.script.sources import ScriptText
from f5_pipeline.speech.script.sources.text import paragraphs
from f5_pipeline.speech.text.languages import word_set
from f5_pipeline.speech.text.lexicon import Entry

_OURS = ("title", "author", "language")
_KEYS = frozenset(_OURS) | word_set(
    "lexicon model model_cfg ckpt_file vocab_file ref_audio ref_text gen_text gen_file voices output_dir output_file "
    "save_chunk no_legacy_text remove_silence load_vocoder_from_local vocoder_name mel_spec_type target_rms "
    "cross_fade_duration nfe_step cfg_strength sway_sampling_coef speed fix_duration device seed"
)
_USED = frozenset(_OURS) | word_set("ref_audio ref_text gen_text gen_file voices speed lexicon nfe_step remove_silence")
_PRESETS: dict[int, Preset | None] = {32: None, 16: "fast", 7: "rapid"}
_DEFAULTS: dict[str, tuple[float, str]] = {
    "cfg_strength": (2.0, "The setting F5_CFG_STRENGTH does it."),
    "sway_sampling_coef": (-1.0, "The setting F5_SWAY does it."),
    "target_rms": (0.1, "The setting F5_LOUDNESS gives the loudness of narrations, LUFS."),
    "cross_fade_duration": (
        0.15,
        "Sentences are joined by pauses: [pause 0.2s], or `pauses` in the header of a .md script.",
    ),
    "fix_duration": (0, "Set speed, of the text or of a voice."),
    "seed": (-1, "Each take has a seed of its own, and the same text gives the same take."),
}
"""Values of F5-TTS's own, and what does it here."""
_VOICE_KEYS = ("ref_audio", "ref_text", "speed")


def read(data: bytes, file: str, gen_file: Callable[[str], bytes] | None) -> ScriptText:
    """See `sources.read_source`. `gen_file` reads the file that the configuration names under this key.

    Raises:
        InputError: not TOML, values of the wrong kind, or a `gen_file` that cannot be read.
    """
    config = _Configuration(data, file)
    # Voices that the text does not use need not be there: each is checked where it speaks.
    header = Header(voices_checked=False)
    for key in _OURS:
        value = " ".join(safe(config.string(key)).split())
        if value:
            header.lines[key] = config.line(key) or 1
            setattr(header, key, language_tag(value, file, header.lines[key]) if key == "language" else value)
    header.speed = config.speed()
    header.preset = config.preset()
    config.check_defaults()
    for name, voice in config.voices().items():
        if name == "main":
            continue  # F5-TTS puts the one from the top in its place
        header.voices[name] = name
        speed = config.speed(voice, name)
        if speed is not None:
            header.voice_speeds[name] = speed
    header.lexicon = config.lexicon()
    path = config.string("gen_file").strip()
    markup = Markup(path or file)
    if path:
        text, before = config.gen_file(path, gen_file), 0
    else:
        text, line = config.string("gen_text"), config.line("gen_text") or 1
        opens_below = re.search(r"=\s*(?:\"\"\"|''')\s*$", config.lines[line - 1])
        before = line if opens_below else line - 1
    blocks = paragraphs(markup.scan(markup.clean(text), before + 1), before)
    markup.end()
    return ScriptText(header, blocks, path or file, notes=[*config.notes, *markup.notes()], markup=markup)


def voices(data: bytes, file: str) -> list[tuple[str, str, str]]:
    """Name, recording and transcript of each voice; see `model.toml_voices`."""
    config = _Configuration(data, file)
    entries = {"main": config.table, **{name: voice for name, voice in config.voices().items() if name != "main"}}
    return [
        (name, audio, config.string("ref_text", voice, "" if name == "main" else name))
        for name, voice in entries.items()
        if (audio := config.string("ref_audio", voice, "" if name == "main" else name))
    ]


class _Configuration:
    """A parsed configuration. The line of a key is looked for only where it is needed, since this reads the whole file.

    Attributes:
        file: for messages.
        lines: of the file.
        table: the top table.
        notes: for people: keys without an effect.
    """

    def __init__(self, data: bytes, file: str) -> None:
        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib

        self.file = file
        text = decode(data, file)
        self.lines = text.split("\n")
        try:
            self.table: dict[str, Any] = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            at = re.search(r"at line (\d+)", str(error))
            line = int(at[1]) if at else len(self.lines)
            problem = re.sub(r"\s*\(at .*\)$", "", str(error))
            raise InputError(f"not TOML: {problem}", file=file, place=line, hint="Correct the line.") from None
        except RecursionError:
            raise InputError("nested too deeply", file=file, place=1, hint="Write fewer brackets.") from None
        except ValueError:  # of Python's int(), which refuses thousands of digits
            digits = re.compile(r"[\d_]{1000}")
            line = next((number for number, line in enumerate(self.lines, 1) if digits.search(line)), None)
            raise InputError(
                "a number has too many digits", file=file, place=line, hint="Write a smaller number."
            ) from None
        self.notes: list[str] = []
        for key in self.table:
            # F5-TTS ignores keys that it does not know, and newer ones know more: only a slip of the pen is an error.
            if key not in _KEYS and (hint := near(key, _KEYS)):
                raise self.error(f"unknown key '{key}'", key, hint=hint)

    def line(self, key: str, voice: str = "") -> int | None:
        """The first line with a key, from 1; in the table of a voice, at least the line of its header."""
        start = 0
        if voice:
            header = re.compile(rf"[ \t]*\[[ \t]*voices\.{re.escape(voice)}[ \t]*\]")
            start = next((index for index, line in enumerate(self.lines) if header.match(line)), 0)
        pattern = re.compile(rf"[ \t]*(?:\[[ \t]*)?\"?{re.escape(key)}\"?[ \t]*[=.\]]")
        numbers = range(start, len(self.lines))
        return next((at + 1 for at in numbers if pattern.match(self.lines[at])), start + 1 if voice else None)

    def error(self, message: str, key: str, voice: str = "", *, hint: str) -> InputError:
        return InputError(message, file=self.file, place=self.line(key, voice), hint=hint)

    def string(self, key: str, table: dict[str, Any] | None = None, voice: str = "") -> str:
        """A text of the top table or of a voice's; empty where it is not there."""
        value = (self.table if table is None else table).get(key, "")
        if not isinstance(value, str):
            raise self.error(f"{key} must be a text", key, voice, hint=f'Write it as {key} = "…".')
        return value

    def speed(self, table: dict[str, Any] | None = None, voice: str = "") -> float | None:
        """The speed in the top table or in a voice's, or None."""
        value = (self.table if table is None else table).get("speed")
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self.error("speed must be a number", "speed", voice, hint="Write it as speed = 1.0.")
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        try:
            return validated(ScriptOptions, {"speed": number}, self.file, {}).speed
        except InputError as error:
            raise self.error(error.message, "speed", voice, hint="Correct the value.") from None

    def number(self, key: str) -> float | None:
        """A number of the top table, or None."""
        value = self.table.get(key)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise self.error(f"{key} must be a number", key, hint="Correct the value or remove the key.")
        return value

    def preset(self) -> Preset | None:
        """The preset with as many steps as the configuration asks for; None: the installation's."""
        steps = self.number("nfe_step")
        if steps is None:
            return None
        if steps not in _PRESETS:
            message = f"nfe_step cannot be {str(steps)[:20]}"
            raise self.error(
                message,
                "nfe_step",
                hint="Write 32, 16 or 7, as the presets final, fast and rapid; the setting F5_NFE takes any.",
            )
        return _PRESETS[int(steps)]

    def check_defaults(self) -> None:
        """Refuse values that have no effect here, and note the keys that have none."""
        for key, (usual, hint) in _DEFAULTS.items():
            value = self.number(key)
            if value is not None and value != usual:
                message = f"{key} = {str(value)[:20]} has no effect here"
                raise self.error(message, key, hint=f"{hint} Remove the key.")
        silence = self.table.get("remove_silence", False)
        if not isinstance(silence, bool):
            raise self.error("remove_silence must be true or false", "remove_silence", hint="Correct the value.")
        if silence:
            self.notes.append("remove_silence: silence is cut at both ends of each take; pauses are the script's")
        ignored = [safe(key)[:40] for key in self.table if key not in _USED and key not in _DEFAULTS]
        if ignored:
            self.notes.append(f"keys that are left to the settings of the installation: {listed(ignored)}")

    def voices(self) -> dict[str, dict[str, Any]]:
        """The tables of the voices, by name."""
        tables = self.table.get("voices", {})
        if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
            raise self.error("voices must be tables", "voices", hint="Write each as [voices.NAME].")
        for name, table in tables.items():
            for key in table:
                if key not in _VOICE_KEYS and (hint := near(key, _VOICE_KEYS)):
                    raise self.error(f"unknown key '{key}' in voice '{name}'", key, name, hint=hint)
        return tables

    def lexicon(self) -> list[Entry]:
        """The entries of the table `lexicon`: a word and how it is said each."""
        table = self.table.get("lexicon", {})
        if not isinstance(table, dict) or not all(isinstance(said, str) for said in table.values()):
            raise self.error("lexicon must be a table of texts", "lexicon", hint='Write [lexicon], then word = "…".')
        return [spoken_as(word, said, self.file, self.line(word)) for word, said in table.items()]

    def gen_file(self, path: str, load: Callable[[str], bytes] | None) -> str:
        """The text of the file that `gen_file` names."""
        if load is None:
            message = f"gen_file '{path}' cannot be read from here"
            raise self.error(message, "gen_file", hint="Put the text into gen_text.")
        try:
            data = load(path)
        except InputError as error:
            raise self.error(error.message, "gen_file", hint=error.hint or "Correct the path.") from None
        except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
            reason = getattr(error, "strerror", None) or type(error).__name__
            message = f"gen_file '{path}' cannot be read: {reason}"
            raise self.error(message, "gen_file", hint="Correct the path.") from error
        return decode(data, path)
