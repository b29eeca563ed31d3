"""f5-pipeline voices: add, list, show, prepare; `tune` is a file of its own."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.output import Progress, print_error, print_info, print_json, print_note, print_table, progress
from f5_pipeline.cli.session import Session, open_session, open_store
from f5_pipeline.errors import InputError

if TYPE_CHECKING:
    from f5_pipeline.studio.recognition import Listener
    from f5_pipeline.studio.records import Voice
    from f5_pipeline.studio.voices import CommercialUse, Hear


@cli.group()
def voices() -> None:
    """Voices: a recording, its transcript, a name."""


@voices.command()
@click.argument("name")
@click.argument("recording", type=click.Path(path_type=Path))
@click.option(
    "--transcript",
    type=click.Path(path_type=Path),
    help="TXT, SRT, VTT, CSV or Whisper JSON; else the file with the recording's name beside it.",
)
@click.option("--language", metavar="TAG", help="Language of the recording, for example en or pt-br. [default: en]")
@click.option("--licence", metavar="TEXT", help="Licence of the recording.")
@click.option(
    "--commercial-use",
    type=click.Choice(["yes", "no", "unknown"]),
    help="Whether the speaker allows it; narrations marked commercial need 'yes'. [default: unknown]",
)
@click.option(
    "--asr-model",
    metavar="MODEL",
    help="Whisper model that writes a missing transcript: a name of `weights list`, or a folder in CTranslate2's form. "
    "[default: F5_ASR_MODEL]",
)
@click.option("--force", is_flag=True, help="Keep the voice although its reference fails a check for good.")
@click.option("--json", "as_json", is_flag=True, help="Print the voice as JSON.")
def add(
    name: str,
    recording: Path,
    transcript: Path | None,
    language: str | None,
    licence: str | None,
    commercial_use: CommercialUse | None,
    asr_model: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Add a voice from a RECORDING (WAV, FLAC, OGG, MP3, …) and prepare its reference.

    A recording of more than 10 s is cut to at most 8 s together with its text. A transcript without times is aligned
    with it first, in every language that the draft engine speaks. Where there is no transcript, Whisper writes one from
    the first three minutes (pip install 'f5-pipeline[asr]').

    A voice whose reference fails a check for good, as with the transcript of another recording, is refused.
    """
    from f5_pipeline.studio.voices import add_voice

    with open_session(quiet=as_json) as session:
        with progress(f"voice {name}", quiet=as_json) as show:
            voice = add_voice(
                session.store,
                name,
                recording,
                transcript,
                language,
                licence=licence,
                commercial_use=commercial_use,
                listener=_listener(session, show, asr_model),
                hear=_hear(session),
                force=force,
                on_progress=show.count,
            )
        prepare_and_show(session, voice, as_json)


@voices.command("import")
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--main", default="main", show_default=True, help="Name for the voice of the configuration's top.")
@click.option("--allow-outside", is_flag=True, help="Recordings may be outside of the CONFIG's folder.")
@click.option("--force", is_flag=True, help="Keep voices although their references fail a check for good.")
def import_(config: Path, main: str, allow_outside: bool, force: bool) -> None:
    """Add the voices of an F5-TTS CONFIG (TOML with ref_audio and ref_text).

    Recordings are looked for beside the CONFIG; with --allow-outside anywhere, and in the present folder too. Where
    ref_text is empty, the transcript beside the recording is taken, or Whisper writes one.
    """
    from f5_pipeline.speech.script.model import toml_voices
    from f5_pipeline.store.layout import slug
    from f5_pipeline.studio.voices import add_voice
    from f5_pipeline.system.reading import path_beside, read_file
    from f5_pipeline.system.scratch import workspace

    with open_session() as session, workspace() as folder:
        for name, ref_audio, ref_text in toml_voices(read_file(config), str(config)):
            beside = path_beside(config, ref_audio, allow_outside=allow_outside)
            if not beside.is_file() and not allow_outside:
                hint = "Paths are those of its folder; with --allow-outside also of the present one."
                raise InputError(f"there is no recording {ref_audio!r} beside it", file=str(config), hint=hint)
            recording = beside if beside.is_file() else Path(ref_audio)
            transcript = None
            if ref_text.strip():
                transcript = folder / f"{slug(name)}.txt"
                transcript.write_text(ref_text, encoding="utf-8")
            own = main if name == "main" else name
            with progress(f"voice {own}", quiet=False) as show:
                voice = add_voice(
                    session.store,
                    own,
                    recording,
                    transcript,
                    listener=_listener(session, show),
                    hear=_hear(session),
                    force=force,
                    on_progress=show.count,
                )
            prepare_and_show(session, voice, as_json=False)


def _listener(session: Session, show: Progress, model: str | None = None) -> Listener | None:
    """What writes missing transcripts; its downloads are shown as the rest is."""
    from f5_pipeline.studio.recognition import listener

    made = listener(
        session.store,
        session.options,
        model,
        on_download=lambda file: show.count(f"MB of {file.file} {file.what}", file.done >> 20, file.total >> 20),
        on_wait=print_note,
    )
    if made is None and model:
        raise InputError("Whisper is not installed", file="--asr-model", hint="pip install 'f5-pipeline[asr]'.")
    return made


def _hear(session: Session) -> Hear:
    """Listens to references, as F5_LISTEN says."""
    from functools import partial

    from f5_pipeline.studio.recognition import hear_reference

    return partial(hear_reference, session.store, session.options)


def prepare_and_show(session: Session, voice, as_json: bool) -> None:
    """Materialize a voice's reference and print it."""
    outcome = session.prepare_voice(voice)
    if not outcome.success:
        print_error("\n".join(outcome.errors))
        raise click.exceptions.Exit(1)
    failed = failed_checks(session, voice.name)
    if as_json:
        print_json({**describe(session.store, voice), "failed_checks": failed})
        return
    description = describe(session.store, voice)
    clip = description["reference"]
    print_info(f"voice {voice.name}: {clip['seconds']:.1f} s of reference, {clip['text'].strip()!r}")
    if voice.transcribed_by:
        print_note(
            f"{voice.transcribed_by} wrote this text (language {voice.language}). Read it: a wrong word in it garbles "
            f"speech. To correct it: f5-pipeline voices add {voice.name} RECORDING --transcript FILE"
        )
    for check, why in failed.items():
        print_info(f"  check {check}{' (error)' if check in description['unchecked'] else ''}: {why}")


def failed_checks(session: Session, name: str) -> dict[str, str]:
    """The failed checks of a voice's reference, with their reasons."""
    import dagster as dg

    failed: dict[str, str] = {}
    records = session.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=dg.AssetKey("reference_audio"), asset_partitions=[name]), limit=1
    ).records
    for record in records:
        logs = session.instance.all_logs(record.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        for entry in logs:
            result = entry.dagster_event and entry.dagster_event.asset_check_evaluation_data
            if result and not result.passed:
                failed[result.check_name] = result.description or "failed"
    return failed


def describe(store, voice) -> dict:
    """A voice and its reference as JSON values; `unchecked` are the checks that it failed for good."""
    from f5_pipeline.studio.voices import errors_of, is_current, prepared_reference

    clip = prepared_reference(store, voice.name)
    return {
        **voice.model_dump(),
        "reference": clip.model_dump() if clip else None,
        "current": clip is not None and is_current(clip, voice),
        "unchecked": list(errors_of(clip)) if clip else [],
    }


@voices.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def list_(as_json: bool) -> None:
    """List the voices."""
    from f5_pipeline.studio.voices import list_voices

    store = open_store()
    descriptions = [describe(store, voice) for voice in list_voices(store)]
    if as_json:
        for voice in descriptions:
            print_json(voice)
        return
    if not descriptions:
        print_info("no voices yet; add one: f5-pipeline voices add NAME RECORDING")
        return
    print_table(
        ("voice", "language", "recording", "transcript", "reference", "text"),
        (
            (
                voice["name"],
                voice["language"],
                voice["recording"]["name"],
                f"by {voice['transcribed_by']}" if voice["transcribed_by"] else (voice["transcript"] or {}).get("name"),
                _state(voice),
                (voice["reference"] or {}).get("text", "").strip(),
            )
            for voice in descriptions
        ),
    )


def _consent(voice: Voice) -> str:
    consent = voice.consent
    if consent is None:
        return "not recorded"
    if consent.withdrawn:
        return f"withdrawn on {consent.withdrawn[:10]}"
    scope = [f"for {', '.join(consent.narrations)}"] if consent.narrations else []
    scope += [f"in {', '.join(consent.languages)}"] if consent.languages else []
    scope += [f"until {consent.until}"] if consent.until else []
    return ", ".join([f"of {consent.speaker}", *scope])


def _tunings(voice: Voice) -> list[str]:
    """A line for each tuning, the one in force first."""
    lines = [f"{tuning}; {tuning.made[:10]}, {tuning.by}: {tuning.why}" for tuning in reversed(voice.tunings)]
    return lines[:1] + [f"before: {line}" for line in lines[1:]]


def _state(voice: dict) -> str:
    if not voice["current"]:
        return "to be prepared"
    seconds = f"{voice['reference']['seconds']:.1f} s"
    return f"{seconds}, unchecked: {', '.join(voice['unchecked'])}" if voice["unchecked"] else seconds


@voices.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def show(name: str, as_json: bool) -> None:
    """Show a voice, its reference and the reference's measures."""
    from f5_pipeline.studio.voices import find_voice, unknown_voice

    store = open_store()
    voice = find_voice(store, name)
    if voice is None:
        raise unknown_voice(store, name)
    description = describe(store, voice)
    if as_json:
        print_json(description)
        return
    rows: list[tuple[str, object]] = [
        ("voice", voice.name),
        ("language", voice.language),
        ("recording", voice.recording.name),
        ("transcript", voice.transcript.name if voice.transcript else "none"),
        ("written by", voice.transcribed_by or "a person"),
        ("licence", voice.licence or "unknown"),
        ("commercial use", voice.commercial_use),
        ("consent", _consent(voice)),
        ("added", voice.added),
    ]
    clip = description["reference"]
    if clip:
        rows += [
            ("reference", f"{clip['seconds']:.2f} s, from {clip['start']:.2f} s to {clip['end']:.2f} s"),
            ("text", clip["text"].strip()),
            ("audio", store.local_path(clip["audio"]) or clip["audio"]),
            *((key, round(value, 3) if isinstance(value, float) else value) for key, value in clip["measures"].items()),
        ]
    rows += [("tuned", line) for line in _tunings(voice)]
    if description["unchecked"]:
        rows.append(("unchecked", f"it failed {', '.join(description['unchecked'])}"))
    if not description["current"]:
        rows.append(("state", f"to be prepared: f5-pipeline voices prepare {name}"))
    print_table(("", ""), rows)


@voices.command()
@click.argument("name")
@click.option("--speaker", metavar="TEXT", help="Who agrees.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="The last day. [default: until it is withdrawn]")
@click.option("--for", "narrations", metavar="NAME", multiple=True, help="Only for this narration, or book-*.")
@click.option("--language", "languages", metavar="TAG", multiple=True, help="Only in this language; repeatable.")
@click.option("--evidence", type=click.Path(path_type=Path), help="A file that shows it, such as a signed letter.")
@click.option("--note", default="", help="For people.")
@click.option("--withdraw", is_flag=True, help="The speaker does not agree any more.")
def consent(name: str, speaker: str | None, until: datetime | None, withdraw: bool, **scope: Any) -> None:
    """Record what the speaker of a voice agrees to, or show it. What lies outside is neither narrated nor delivered.

    \b
    f5-pipeline voices consent ada --speaker "Ada L." --until 2028-12-31 --for 'book-*' --evidence letter.pdf
    f5-pipeline voices consent ada --withdraw
    """
    from f5_pipeline.studio.voices import find_voice, give_consent, unknown_voice, withdraw_consent

    store = open_store()
    given = until is not None or any(scope.values())
    if withdraw and (speaker or given):
        raise click.UsageError("--withdraw goes alone")
    if given and not speaker:
        raise click.UsageError("a consent needs --speaker")
    if withdraw:
        voice = withdraw_consent(store, name)
    elif speaker:
        voice = give_consent(store, name, speaker=speaker, until=until.date() if until else None, **scope)
    elif (voice := find_voice(store, name)) is None:
        raise unknown_voice(store, name)
    print_info(f"{name}: consent {_consent(voice)}")


@voices.command()
@click.argument("name")
def prepare(name: str) -> None:
    """Prepare the reference of a voice again."""
    from f5_pipeline.studio.voices import find_voice, unknown_voice

    with open_session() as session:
        voice = find_voice(session.store, name)
        if voice is None:
            raise unknown_voice(session.store, name)
        prepare_and_show(session, voice, as_json=False)
