"""The options that every command with a script shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from f5_pipeline.errors import InputError

if TYPE_CHECKING:
    from f5_pipeline.speech.script.model import ScriptOptions

Command = TypeVar("Command", bound=Callable[..., Any])


class EngineChoice(click.Choice):
    """The engines of this installation. Looking for those of other packages takes longer than many a command."""

    def __init__(self) -> None:
        super().__init__(())

    @property
    def choices(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        from f5_pipeline.speech.engines import choices

        return tuple(choices())

    @choices.setter
    def choices(self, _: object) -> None:  # pyright: ignore[reportIncompatibleVariableOverride]
        """click's own constructor sets them."""


_OPTIONS = (
    click.option("--voice", help="Voice of all text that names none itself."),
    click.option("--language", metavar="TAG", help="Language of the text."),
    click.option("--speed", type=float, help="1.0 is the voice's own pace."),
    click.option(
        "--engine",
        type=EngineChoice(),
        help="auto: f5 where it is installed and has a GPU, else draft.",
    ),
    click.option("--model", metavar="NAME", help="Model of the f5 engine; see: f5-pipeline weights list."),
    click.option(
        "--preset", type=click.Choice(["final", "fast", "rapid"]), help="Steps of the f5 engine: 32, 16 or 7."
    ),
    click.option("--seed", type=int, help="Of the f5 engine: another one is another reading.", metavar="NUMBER"),
    click.option("--chapters", metavar="NUMBERS", help="Chapters to narrate, as 1-3,5; all: all again."),
    click.option("--captions", metavar="NAMES", help="Caption files, as srt,vtt,ass,ttml; see docs/captions.md."),
    click.option("--words-per-cue", type=int, help="Words of a caption: 1 for each its own; 0: by the norms."),
    click.option("--formats", metavar="NAMES", help="Audio files, as flac,mp3,wav,opus,m4b."),
    click.option(
        "--master",
        type=click.Choice(["podcast", "ebu", "acx", "retail"]),
        help="What the audio files must meet: docs/audio.md.",
    ),
    click.option("--chapter-files/--no-chapter-files", default=None, help="One audio file for each chapter."),
    click.option("--cover", metavar="FILE", help="A picture, or: drawn, none. Else the book's own."),
    click.option("--priority", type=int, help="-9 to 9: the in-box takes the highest first; from 1 on, at once."),
    click.option("--commercial/--not-commercial", default=None, help="Refuse models and voices that do not allow it."),
    click.option("--allow-outside", is_flag=True, help="A .toml script may name a gen_file outside of its own folder."),
    click.option("--replace", is_flag=True, help="Replace the script of a narration with this name."),
)


def script_options(command: Command) -> Command:
    """Add the options of a script to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def parse_options(values: dict[str, Any]) -> ScriptOptions | None:
    """The options given on the command line; None where none are, so that the kept ones stay.

    Raises:
        InputError: a value is not valid; names the option.
    """
    from pydantic import ValidationError

    from f5_pipeline.speech.script.model import ScriptOptions

    values = {name: value for name, value in values.items() if value is not None}
    try:
        return ScriptOptions(**values) if values else None
    except ValidationError as error:
        first = error.errors()[0]
        message = first["msg"].lower().removeprefix("value error, ")
        option = str(first["loc"][0]).replace("_", "-")
        raise InputError(f"--{option} {first['input']}: {message}") from None


def same_name_error(first: object, second: object, narration: str) -> InputError:
    """The error for two scripts of one call with the same narration."""
    return InputError(
        f"{first} and {second} are both the narration {narration!r}",
        hint="Give them one by one, each with a --name of its own.",
    )
