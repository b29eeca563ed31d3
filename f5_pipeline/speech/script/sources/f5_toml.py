"""The configuration file of F5-TTS's own command line (`f5-tts_infer-cli -c story.toml`), read as a script.

What concerns the model and the sampler is left to our own settings; the text, the voices and their speeds are used.
Keys as in f5_tts 1.1.22, infer/infer_cli.py; `title`, `author` and `language` are ours.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import Any

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script.decoding import decode, language_tag, near, safe
from f5_pipeline.speech.script.front_matter import Header, validated
from f5_pipeline.speech.script.model import ScriptOptions
from f5_pipeline.speech.text.languages import word_set

_OURS = ("title", "author", "language")
_KEYS = frozenset(_OURS) | word_set(
    "model model_cfg ckpt_file vocab_file ref_audio ref_text gen_text gen_file voices output_dir output_file "
    "save_chunk no_legacy_text remove_silence load_vocoder_from_local vocoder_name mel_spec_type target_rms "
    "cross_fade_duration nfe_step cfg_strength sway_sampling_coef speed fix_duration device"
)
_VOICE_KEYS = ("ref_audio", "ref_text", "speed")


def _load(data: bytes, file: str) -> tuple[dict[str, Any], str]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    text = decode(data, file)
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"at line (\d+)", str(error))
        line = int(found[1]) if found else text.count("\n") + 1
        problem = re.sub(r"\s*\(at .*\)$", "", str(error))
        raise InputError(f"not TOML: {problem}", file=file, place=line, hint="Mend the line.") from None
    except RecursionError:
        raise InputError("nested too deeply", file=file, place=1, hint="Mend the file.") from None
    for key in table:
        # F5-TTS ignores what it does not know, and newer ones know more: only a slip of the pen is an error.
        if key not in _KEYS and (hint := near(key, _KEYS)):
            raise InputError(f"unknown key '{key}'", file=file, place=_line(text, key), hint=hint)
    return table, text


def _line(text: str, key: str, table: str = "") -> int | None:
    """The line of a key; tables are looked for by their header."""
    start = 0
    if table:
        header = re.search(rf"^[ \t]*\[[ \t]*{re.escape(table)}[ \t]*\]", text, re.MULTILINE)
        start = header.end() if header else 0
    match = re.compile(rf"^[ \t]*\[?[ \t]*\"?{re.escape(key)}\"?[ \t]*[=.\]]", re.MULTILINE).search(text, start)
    found = match.start() if match else start
    return text.count("\n", 0, found) + 1 if match or table else None


def _string(table: dict[str, Any], key: str, file: str, line: int | None) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise InputError(f"{key} must be a text", file=file, place=line, hint=f'Write it as {key} = "…".')
    return value


def _voice_tables(table: dict[str, Any], text: str, file: str) -> dict[str, dict[str, Any]]:
    found = table.get("voices", {})
    if not isinstance(found, dict) or not all(isinstance(value, dict) for value in found.values()):
        raise InputError(
            "voices must be tables", file=file, place=_line(text, "voices"), hint="Write each as [voices.NAME]."
        )
    for name, voice in found.items():
        for key in voice:
            if key not in _VOICE_KEYS and (hint := near(key, _VOICE_KEYS)):
                line = _line(text, key, f"voices.{name}")
                raise InputError(f"unknown key '{key}' in voice '{name}'", file=file, place=line, hint=hint)
    return found


def read(data: bytes, file: str, gen_file: Callable[[str], bytes] | None) -> tuple[Header, str, str, int]:
    """Header, text, the file that the text stands in, and the lines before it there.

    Raises:
        InputError: not TOML, values of the wrong kind, no text, or a `gen_file` that cannot be read.
    """
    table, text = _load(data, file)
    header = Header()
    for key in ("title", "author", "language"):
        value = " ".join(safe(_string(table, key, file, _line(text, key))).split())
        if value:
            header.lines[key] = _line(text, key) or 1
            setattr(header, key, language_tag(value, file, header.lines[key]) if key == "language" else value)
    if "speed" in table:
        header.speed = _speed(table["speed"], file, _line(text, "speed"))
    for name, voice in _voice_tables(table, text, file).items():
        if name == "main":
            continue  # F5-TTS puts the one from the top in its place
        line = _line(text, "ref_audio", f"voices.{name}")
        header.voices[name] = name
        header.lines[f"voices.{name}"] = line or 1
        if "speed" in voice:
            header.voice_speeds[name] = _speed(voice["speed"], file, _line(text, "speed", f"voices.{name}"))
    path = _string(table, "gen_file", file, _line(text, "gen_file")).strip()
    if path:
        return header, _gen_file(path, file, _line(text, "gen_file"), gen_file), path, 0
    body = _string(table, "gen_text", file, _line(text, "gen_text"))
    at = (_line(text, "gen_text") or 1) - 1
    lines = text.split("\n")
    multi = re.search(r"=\s*(?:\"\"\"|''')\s*$", lines[at]) if at < len(lines) else None
    return header, body, file, at + (1 if multi else 0)


def _speed(value: Any, file: str, line: int | None) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InputError("speed must be a number", file=file, place=line, hint="Write it as speed = 1.0.")
    return validated(ScriptOptions, {"speed": value}, file, {"speed": line} if line else {}).speed


def _gen_file(path: str, file: str, line: int | None, load: Callable[[str], bytes] | None) -> str:
    if load is None:
        raise InputError(
            f"gen_file '{path}' cannot be read from here", file=file, place=line, hint="Put the text into gen_text."
        )
    try:
        data = load(path)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise InputError(
            f"gen_file '{path}' cannot be read: {reason}", file=file, place=line, hint="Correct the path."
        ) from error
    return decode(data, path)


def voices(data: bytes, file: str) -> list[tuple[str, str, str]]:
    """Name, recording and transcript of each voice; see `script.toml_voices`."""
    table, text = _load(data, file)
    out: list[tuple[str, str, str]] = []
    main = _string(table, "ref_audio", file, _line(text, "ref_audio"))
    if main:
        out.append(("main", main, _string(table, "ref_text", file, _line(text, "ref_text"))))
    for name, voice in _voice_tables(table, text, file).items():
        owner = f"voices.{name}"
        audio = _string(voice, "ref_audio", file, _line(text, "ref_audio", owner))
        if audio and name != "main":
            out.append((name, audio, _string(voice, "ref_text", file, _line(text, "ref_text", owner))))
    return out
