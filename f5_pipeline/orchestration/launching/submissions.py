"""Jobs that check and keep what people submit: scripts from the UI, voices from files put into the store."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import dagster as dg
from pydantic import Field

from f5_pipeline.errors import InputError
from f5_pipeline.orchestration.reporting.failures import failures
from f5_pipeline.orchestration.reporting.observations import report_voice
from f5_pipeline.orchestration.resources import StoreResource
from f5_pipeline.orchestration.tags import STEP_RETRIES, light_op_tags
from f5_pipeline.speech.engines import choices
from f5_pipeline.speech.script.model import ScriptOptions
from f5_pipeline.store import layout
from f5_pipeline.studio.narrating.scripts import keep_script, list_scripts
from f5_pipeline.studio.narrating.submission import read_submission
from f5_pipeline.studio.voices import add_voice

if TYPE_CHECKING:
    EngineName = str
else:
    EngineName = Literal[tuple(choices())]  # so that the Launchpad offers them


class Submission(dg.Config):
    """A script and its options; an empty option counts as not given."""

    text: str = Field(description="the text, plain or Markdown; [voice] tags change the voice")
    title: str = Field(description="title of the narration; its name is made from it")
    voice: str | None = Field(default=None, description="voice of all text that names none itself")
    language: str | None = Field(default=None, description="BCP 47 tag, for example en or pt-br")
    engine: EngineName = Field(default="auto", description="f5: the cloned voices; draft: to proof-listen")
    preset: Literal["auto", "final", "fast", "rapid"] = Field(default="auto", description="steps of F5: 32, 16 or 7")
    priority: int = Field(
        default=0, description="-9 to 9: the highest comes first; from 1 on it does not wait for a running batch"
    )
    name: str | None = Field(default=None, description="name of the narration; else it is made from the title")
    replace: bool = Field(
        default=False, description="whether this text may replace that of an existing narration with this name"
    )


@dg.op(
    name="submit",
    description="Check a script and put it into the in-box, from where it is narrated.",
    out=dg.Out(dg.Nothing),
    tags=light_op_tags(),
)
def submit_op(context: dg.OpExecutionContext, config: Submission, store: StoreResource) -> None:
    with failures():
        opened = store.open()
        for field in ("title", "text"):
            if not getattr(config, field).strip():
                raise InputError(
                    f"there is no {field}", file="configuration", hint=f"Write a {field} and launch again."
                )
        name = layout.check_name((config.name or "").strip() or layout.slug(config.title), "narration")
        if not config.replace and any(name == known for known, _ in list_scripts(opened)):
            raise InputError(
                f"there is a narration {name!r} already",
                hint="Choose another title or name, or set `replace: true` to replace its text.",
            )
        loaded = read_submission(
            opened,
            config.text.encode(),
            name,
            _options(config),
            header={"title": config.title},
            origin="the job submit_script",
            place_of="`{}:` in the configuration",
        )
        keep_script(opened, loaded)
    context.add_output_metadata(
        {
            "narration": name,
            "title": loaded.script.title,
            "voices": ", ".join(loaded.script.voices),
            "script": loaded.source.key,
        }
    )


def _options(config: Submission) -> ScriptOptions:
    if not -9 <= config.priority <= 9:
        raise InputError(f"priority {config.priority} is out of bounds", hint="Use -9 to 9.")
    options = {
        "voice": (config.voice or "").strip(),
        "language": (config.language or "").strip(),
        "preset": "" if config.preset == "auto" else config.preset,
    }
    values = {name: value for name, value in options.items() if value}
    return ScriptOptions.model_validate({**values, "engine": config.engine, "priority": config.priority})


@dg.job(
    name="submit_script",
    # What the Launchpad opens with.
    config=dg.RunConfig(ops={"submit": Submission(text="", title="", voice="", language="", name="")}),
    description=(
        "Narrate without a shell: write the text and the name of a voice into the configuration and launch; the in-box "
        "does the rest. Errors are shown at once."
    ),
)
def submit_script():
    submit_op()


class DroppedVoice(dg.Config):
    """A recording and its transcript that were put into the store."""

    name: str = Field(description="name of the voice")
    recording: str = Field(description="key of the recording, for example voices/ada.flac")
    transcript: str = Field(description="key of its transcript, for example voices/ada.srt")
    force: bool = Field(default=False, description="keep it although its reference fails a check for good")


@dg.op(
    name="take_in",
    description="Check a recording and its transcript and keep them as a voice.",
    out=dg.Out(dg.Nothing),
    retry_policy=STEP_RETRIES,
    tags=light_op_tags(),
)
def take_in_op(context: dg.OpExecutionContext, config: DroppedVoice, store: StoreResource) -> None:
    with failures(), tempfile.TemporaryDirectory() as folder:
        opened = store.open()
        paths = []
        for key in (config.recording, config.transcript):
            path = Path(folder) / key.rpartition("/")[2]
            opened.download(key, path)
            paths.append(path)
        voice = add_voice(opened, config.name, *paths, force=config.force)
    report_voice(context.instance, voice)
    context.add_output_metadata({"voice": voice.name, "language": voice.language, "recording": voice.recording.key})


@dg.job(
    name="take_in_voice",
    description="Keep a recording and a transcript that were put into voices/ as a voice. The in-box launches it.",
)
def take_in_voice():
    take_in_op()
