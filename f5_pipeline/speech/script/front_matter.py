"""The YAML header of a Markdown script, read with the line of every key."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script.decoding import language_tag, listed, near, safe
from f5_pipeline.speech.script.model import AudioFormat, CaptionStyle, MasterName, Pauses, Preset, ScriptOptions
from f5_pipeline.speech.text.languages import word_set
from f5_pipeline.speech.text.lexicon import Entry, checked_entry

KEYS = (
    "title", "author", "language", "voice", "voices", "speed", "pauses", "formats", "captions", "model", "preset",
    "commercial", "lexicon", "master", "chapter_files", "cover", "description",
)  # fmt: skip
_FOREIGN = word_set(
    "tags tag date draft layout aliases alias format categories category cover slug description summary keywords "
    "permalink image images series weight updated created modified lastmod publishdate expirydate toc comments share "
    "bibliography csl execute editor theme subtitle abstract affiliation params type url id cssclass cssclasses "
    "publish excerpt sidebar math mathjax published status created_at updated_at versions vocabulary"
)
"""Keys of Hugo, Jekyll, Obsidian and Quarto, some of which resemble ours."""
_OPTIONS = ("speed", "model", "preset", "commercial", "master", "chapter_files")
_EXAMPLES = {
    "model": "F5TTS_v1_Base", "preset": "fast", "commercial": "true", "master": "podcast", "chapter_files": "true",
    "formats": "[srt, ass]",
}  # fmt: skip
_SHARED = ("cover", "description")
"""Keys that other programs use too, with values of other kinds; those have no effect."""
MAX_HEADER_CHARS = 64 * 1024
_FENCE = re.compile(r"(?:---|\.\.\.)[ \t]*")
_KEY_LINE = re.compile(r"[A-Za-z_][\w-]*[ \t]*:(?:\s|$)")


@dataclass
class Header:
    """Values of a script's header.

    Attributes:
        voices: label -> voice.
        voice_speeds: voice -> its own speed, if any.
        voices_checked: whether each of `voices` must be known even where it does not speak.
        lexicon: how words are said in this script.
        lines: the line of each key, from 1; of a voice under "voices.LABEL".
        notes: for people: keys that have no effect here.
    """

    title: str | None = None
    author: str | None = None
    language: str | None = None
    voice: str | None = None
    voices: dict[str, str] = field(default_factory=dict)
    voice_speeds: dict[str, float] = field(default_factory=dict)
    voices_checked: bool = True
    speed: float | None = None
    model: str | None = None
    preset: Preset | None = None
    commercial: bool | None = None
    pauses: Pauses = field(default_factory=Pauses)
    formats: list[AudioFormat] | None = None
    master: MasterName | None = None
    chapter_files: bool | None = None
    cover: str | None = None
    description: str | None = None
    captions: CaptionStyle = field(default_factory=CaptionStyle)
    lexicon: list[Entry] = field(default_factory=list)
    lines: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def split(text: str, file: str) -> tuple[str, str]:
    """Split a Markdown file into its header and its body.

    The header's lines are blank in the body, which keeps line numbers.

    Raises:
        InputError: the header is not closed.
    """
    lines = text.split("\n")
    if not re.fullmatch(r"---[ \t]*", lines[0]):
        return "", text
    for index in range(1, len(lines)):
        if _FENCE.fullmatch(lines[index]):
            return "\n".join(lines[1:index]), "\n" * (index + 1) + "\n".join(lines[index + 1 :])
    if len(lines) > 1 and _KEY_LINE.match(lines[1]):
        raise InputError("the header is not closed", file=file, place=1, hint="Write a line --- below the last key.")
    return "", text


def parse_header(text: str, file: str) -> Header:
    """Read a header.

    Args:
        text: between the fences, starting on line 2 of the file.
        file: for error messages.

    Raises:
        InputError: with the line: not YAML, an unknown or doubled key, a value of the wrong kind or size.
    """
    header = Header()
    node = _compose(text, file)
    if node is None:
        return header
    ignored: list[str] = []
    for key, value, line in _items(node, file, KEYS, "the header", ignored):
        header.lines[key] = line
        if _is_null(value):
            continue
        if key in _SHARED and not isinstance(getattr(value, "value", None), str):
            ignored.append(key)
        elif key in ("title", "author", "voice", *_SHARED):
            setattr(header, key, _string(value, key, file, line))
        elif key == "language":
            header.language = language_tag(_string(value, key, file, line), file, line)
        elif key == "voices":
            header.voices = _voices(value, file, header)
        elif key in _OPTIONS:
            setattr(header, key, getattr(_model(ScriptOptions, {key: value}, {key: line}, file), key))
        elif key == "lexicon":
            items = _items(value, file, None, "lexicon")
            said = [(word, _string(item, f"'{word}'", file, at), at) for word, item, at in items]
            header.lexicon = [spoken_as(word, text, file, at) for word, text, at in said]
        elif key == "formats":
            header.formats = _formats(value, file, line)
        else:
            model = Pauses if key == "pauses" else CaptionStyle
            fields = {name: (item, at) for name, item, at in _items(value, file, tuple(model.model_fields), key)}
            if key == "captions" and "formats" in fields:
                item, at = fields["formats"]
                header.lines["captions.formats"] = at
                fields["formats"] = (_joined(item), at)
            values, lines = ({name: pair[part] for name, pair in fields.items()} for part in (0, 1))
            setattr(header, key, _model(model, values, lines, file))
    if ignored:
        header.notes.append(f"keys of the header that other programs use have no effect: {listed(ignored)}")
    return header


def _compose(text: str, file: str) -> Any:
    import yaml

    if len(text) > MAX_HEADER_CHARS:
        raise InputError("the header is larger than 64 KiB", file=file, place=1, hint="Keep the text below the header.")
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or "not readable"
        raise InputError(
            f"the header is not YAML: {problem}",
            file=file,
            place=_line(mark) if mark else 1,
            hint="Put values with special characters in quotes.",
        ) from None
    except yaml.YAMLError as error:
        raise InputError(f"the header is not YAML: {error}", file=file, place=1, hint="Correct the header.") from None
    except RecursionError:
        raise InputError("the header is nested too deeply", file=file, place=1, hint="Correct the header.") from None


def _line(mark: Any) -> int:
    return mark.line + 2  # marks count from 0, after the fence


def _items(
    node: Any, file: str, allowed: tuple[str, ...] | None, owner: str, ignored: list[str] | None = None
) -> list[tuple[str, Any, int]]:
    """Keys, value nodes and lines of a mapping.

    Args:
        ignored: receives keys that are not allowed and are no slip of the pen; without it they are errors.
    """
    import yaml

    if not isinstance(node, yaml.MappingNode):
        what = ", ".join(f"{key}: …" for key in (allowed or ("label",))[:3])
        raise InputError(f"{owner} is no mapping", file=file, place=_line(node.start_mark), hint=f"Write it as {what}.")
    out: list[tuple[str, Any, int]] = []
    seen: set[str] = set()
    for key_node, value in node.value:
        line = _line(key_node.start_mark)
        key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
        if not isinstance(key, str) or (allowed is not None and key not in allowed):
            shown = key if isinstance(key, str) else "?"
            hint = near(shown, allowed or ())
            if ignored is not None and isinstance(key, str) and (not hint or key.lower() in _FOREIGN):
                ignored.append(safe(key)[:40])
                continue
            hint = hint or f"The keys are {listed(allowed or ())}."
            raise InputError(f"unknown key '{shown}' in {owner}", file=file, place=line, hint=hint)
        if key in seen:
            raise InputError(f"key '{key}' stands twice", file=file, place=line, hint="Remove one of the two.")
        seen.add(key)
        out.append((key, value, line))
    return out


def _is_null(node: Any) -> bool:
    return getattr(node, "tag", "") == "tag:yaml.org,2002:null"


def _string(node: Any, key: str, file: str, line: int) -> str:
    """A scalar as written: `no` is Norwegian here, and 1984 a title."""
    import yaml

    if not isinstance(node, yaml.ScalarNode):
        raise InputError(f"{key} must be a text", file=file, place=line, hint=f"Write it as {key}: text.")
    text = " ".join(safe(node.value).split())
    if not text:
        raise InputError(f"{key} is empty", file=file, place=line, hint="Give a value or remove the key.")
    return text


def _voices(node: Any, file: str, header: Header) -> dict[str, str]:
    """Labels to voices; in a list, each voice is its own label. A mapping of voice and speed sets the voice's speed.

    Keeps the lines and speeds in `header`.
    """
    import yaml

    out: dict[str, str] = {}
    if isinstance(node, yaml.MappingNode):
        entries = _items(node, file, None, "voices")
    elif isinstance(node, yaml.SequenceNode):
        entries = [(None, item, _line(item.start_mark)) for item in node.value]
    else:
        raise InputError(
            "voices must be a list or a mapping",
            file=file,
            place=_line(node.start_mark),
            hint="Write voices: [ada, ben], or voices: {narrator: ada, hero: ben}.",
        )
    for label, item, line in entries:
        speed = None
        if isinstance(item, yaml.MappingNode):
            fields = {key: (value, at) for key, value, at in _items(item, file, ("voice", "speed"), "a voice")}
            if "speed" in fields:
                value, at = fields["speed"]
                speed = _model(ScriptOptions, {"speed": value}, {"speed": at}, file).speed
            if "voice" not in fields and label is None:
                raise InputError("a voice has no name", file=file, place=line, hint="Write voice: NAME beside it.")
            item = fields["voice"][0] if "voice" in fields else None
        voice = _string(item, "a voice", file, line) if item is not None else str(label)
        if speed is not None:
            header.voice_speeds[voice] = speed
        label = label or voice
        if label in out:
            raise InputError(f"voice '{label}' stands twice", file=file, place=line, hint="Remove one of the two.")
        out[label] = voice
        header.lines[f"voices.{label}"] = line
    return out


def spoken_as(word: str, said: str, file: str, line: int | None) -> Entry:
    """An entry of a script's own lexicon: another spelling, or IPA between two slashes.

    Raises:
        InputError: with the line: it is no entry.
    """
    is_ipa = len(said) > 2 and said[0] == said[-1] == "/"
    return checked_entry({"written": word, "ipa" if is_ipa else "said": said}, file, line)


def _formats(node: Any, file: str, line: int) -> list[AudioFormat]:
    import yaml

    nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
    out: list[AudioFormat] = []
    for item in nodes:
        at = _line(item.start_mark)
        value = _string(item, "formats", file, at).lower()
        if value not in get_args(AudioFormat):
            raise InputError(
                f"unknown format '{value}'",
                file=file,
                place=at,
                hint=f"The formats are {listed(get_args(AudioFormat))}.",
            )
        if value not in out:
            out.append(value)  # pyright: ignore[reportArgumentType]
    if not out:
        raise InputError("formats is empty", file=file, place=line, hint="Name a format or remove the key.")
    return out


def _joined(node: Any) -> Any:
    """A list of scalars as one scalar, "srt, ass"."""
    import yaml

    if not isinstance(node, yaml.SequenceNode) or not all(isinstance(item, yaml.ScalarNode) for item in node.value):
        return node
    return yaml.ScalarNode(node.tag, ", ".join(item.value for item in node.value), node.start_mark, node.end_mark)


def _model(model: type[BaseModel], nodes: dict[str, Any], lines: dict[str, int], file: str) -> Any:
    """Validate scalars with a pydantic model; an error names the line of its key."""
    import yaml

    values: dict[str, str] = {}
    for key, node in nodes.items():
        if not isinstance(node, yaml.ScalarNode):
            raise InputError(
                f"{key} must be one value",
                file=file,
                place=lines[key],
                hint=f"Write it as {key}: {_EXAMPLES.get(key, 1.0)}.",
            )
        if not _is_null(node):
            values[key] = node.value
    return validated(model, values, file, lines)


def validated(model: type[BaseModel], values: dict[str, Any], file: str, lines: dict[str, int]) -> Any:
    """A model from values; a validation error becomes an InputError with the line of the field."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][-1]) if first["loc"] else ""
        raise InputError(
            f"{key} cannot be '{first.get('input')}': {first['msg'].lower()}",
            file=file,
            place=lines.get(key),
            hint="Correct the value.",
        ) from None
