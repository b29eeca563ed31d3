"""f5-pipeline lexicon: add, list, remove, import, export, test, suggest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from f5_pipeline.cli import cli
from f5_pipeline.cli.output import print_info, print_json, print_note, print_table
from f5_pipeline.cli.session import open_session, open_store
from f5_pipeline.errors import InputError

if TYPE_CHECKING:
    from f5_pipeline.speech.text.lexicon import Entry

Command = Callable[..., Any]


def _scope(command: Command) -> Command:
    """Add the options that say for what an entry is."""
    for name, text in (("narration", "narration"), ("voice", "voice"), ("language", "language (en is for en-gb too)")):
        metavar = "TAG" if name == "language" else "NAME"
        command = click.option(f"--{name}", metavar=metavar, help=f"Only for this {text}.")(command)
    return command


@cli.group()
def lexicon() -> None:
    """How words are said that a voice says wrong: names, acronyms, foreign words."""


@lexicon.command()
@click.argument("word")
@click.argument("said")
@click.option("--ipa", is_flag=True, help="SAID is in the International Phonetic Alphabet, as between two slashes.")
@_scope
@click.option("--match-case", is_flag=True, help="Only where the capitals are the same.")
@click.option("--part-of-words", is_flag=True, help="Also inside longer words.")
@click.option("--note", default="", help="For people.")
def add(word: str, said: str, ipa: bool, **fields: Any) -> None:
    """Say WORD (or several words, or Nietzsche* for all words of this form) as SAID: another spelling, or /IPA/.

    An entry for the same words, language, voice and narration is replaced.
    """
    from f5_pipeline.speech.text.lexicon import checked_entry

    is_ipa = ipa or (len(said) > 2 and said[0] == said[-1] == "/")
    values = {name: value for name, value in fields.items() if value is not None}
    _keep([checked_entry({"written": word, "ipa" if is_ipa else "said": said, **values}, "lexicon")])


def _keep(new: Sequence[Entry], file: str | None = None, *, replace: bool = False) -> None:
    from f5_pipeline.orchestration.reporting.observations import report_lexicon
    from f5_pipeline.studio.lexicon import add_entries, check_scopes

    store = open_store()
    check_scopes(store, new, file)
    with open_session() as session:
        changes = add_entries(store, new, replace=replace)
        report_lexicon(session.instance, changes.entries)
    counts = (
        f"{changes.added} added, {changes.changed} changed, {changes.same} as before, {len(changes.entries)} in all"
    )
    print_info(f"{counts}. To say them so: f5-pipeline narrate NARRATION.")


@lexicon.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def list_(as_json: bool) -> None:
    """List the entries of the store."""
    from f5_pipeline.speech.text.lexicon import scope_of
    from f5_pipeline.studio.lexicon import load_lexicon

    entries = load_lexicon(open_store())
    if as_json:
        for entry in entries:
            print_json(entry.model_dump())
    elif entries:
        print_table(
            ("written", "said", "for", "rules", "note"),
            (
                (
                    entry.written,
                    " ".join(filter(None, (entry.said, entry.ipa and f"/{entry.ipa}/"))),
                    scope_of(entry),
                    ", ".join(name for name in ("match_case", "part_of_words") if getattr(entry, name)),
                    entry.note,
                )
                for entry in entries
            ),
        )
    else:
        print_info("no entries yet; add one: f5-pipeline lexicon add WORD SAID")


@lexicon.command()
@click.argument("word")
@_scope
def remove(word: str, language: str | None, voice: str | None, narration: str | None) -> None:
    """Remove the entries for WORD; with an option, only those for that language, voice or narration."""
    from difflib import get_close_matches

    from f5_pipeline.orchestration.reporting.observations import report_lexicon
    from f5_pipeline.studio.lexicon import change_lexicon, load_lexicon, without

    store = open_store()
    present = load_lexicon(store)
    _, removed = without(present, word, language, voice, narration)
    if not removed:
        close = get_close_matches(word, [entry.written for entry in present], n=3)
        hint = f"Did you mean {' or '.join(close)}?" if close else "See: f5-pipeline lexicon list."
        raise InputError(f"there is no such entry for {word!r}", hint=hint)
    with open_session() as session:
        left = change_lexicon(store, lambda entries: without(entries, word, language, voice, narration)[0])
        report_lexicon(session.instance, left)
    print_info(f"{len(removed)} removed, {len(left)} left")


@lexicon.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Remove all other entries.")
def import_(file: Path, replace: bool) -> None:
    """Add the entries of a FILE: CSV with the columns that `export` writes, or two of them; or PLS (.pls, .xml)."""
    from f5_pipeline.speech.text.lexicon_files import MAX_BYTES, read_lexicon

    try:
        with file.open("rb") as source:
            data = source.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"it cannot be read ({error.strerror})", file=str(file), hint="Give another file.") from None
    _keep(read_lexicon(data, str(file)), str(file), replace=replace)


@lexicon.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--language", metavar="TAG", help="Language of a PLS file, which has one. [default: that of the entries]")
def export(file: Path, language: str | None) -> None:
    """Write the entries into a FILE: CSV, or PLS where its name ends in .pls or .xml."""
    from f5_pipeline.speech.text.lexicon_files import write_csv, write_pls
    from f5_pipeline.studio.lexicon import load_lexicon

    entries = list(load_lexicon(open_store()))
    if file.suffix.lower() in (".pls", ".xml"):
        tags = {entry.language for entry in entries if entry.language}
        if language is None and len(tags) > 1:
            raise InputError(
                f"the entries are of the languages {', '.join(sorted(tags))}, and a PLS file has one",
                hint="Choose one with --language.",
            )
        language = language or next(iter(tags), "en")
        fitting = [
            entry
            for entry in entries
            if entry.language in ("", language.lower()) and not (entry.voice or entry.narration or "*" in entry.written)
        ]
        if len(fitting) < len(entries):
            print_note(
                f"{len(entries) - len(fitting)} entries have no place in it: other languages, voices, narrations, *"
            )
        entries, data = fitting, write_pls(fitting, language)
    else:
        data = write_csv(entries)
    try:
        file.write_bytes(data)
    except OSError as error:
        raise InputError(
            f"it cannot be written ({error.strerror})", file=str(file), hint="Give another file."
        ) from None
    print_info(f"{file}: {len(entries)} entries")


@lexicon.command()
@click.argument("word")
@click.option("--language", metavar="TAG", default="en", show_default=True, help="Language of the text.")
@click.option("--voice", metavar="NAME", default="", help="Voice that says it.")
@click.option("--narration", metavar="NAME", default="", help="Narration that it is in.")
@click.option("--sample", type=click.Path(path_type=Path), help="Write the draft engine's WAV here.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
def test(word: str, language: str, voice: str, narration: str, sample: Path | None, as_json: bool) -> None:
    """Show how WORD (or a sentence) is said: what each engine gets, and the draft engine's IPA. Nothing is kept."""
    from f5_pipeline.speech.engines.draft.engine import espeak_voice
    from f5_pipeline.studio.lexicon import draft_samples, load_lexicon, pronounce

    espeak_voice(language)
    [said] = pronounce([word], load_lexicon(open_store()), language=language, voice=voice, narration=narration)
    if sample is not None:
        _write(sample, draft_samples([said.draft], language, voice)[0])
    if as_json:
        entries = [entry.model_dump() for entry in said.entries]
        print_json({"written": word, "draft": said.draft, "f5": said.others, "draft_ipa": said.ipa, "entries": entries})
        return
    rows = [("draft gets", said.draft), ("draft says", f"/{said.ipa}/"), ("f5 gets", said.others)]
    rows += [("entry", f"{entry.written} is said as {entry.said}") for entry in said.entries]
    print_table(("", word), rows)


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise InputError(
            f"it cannot be written ({error.strerror})", file=str(path), hint="Give another place."
        ) from None


@lexicon.command()
@click.argument("script", type=click.Path(path_type=Path))
@click.option("--voice", metavar="NAME", help="Voice of all text that names none itself.")
@click.option("--language", metavar="TAG", help="Language of the text.")
@click.option("--samples", type=click.Path(path_type=Path, file_okay=False), help="Folder for a draft WAV of each.")
@click.option("--limit", type=click.IntRange(1, 2000), default=100, show_default=True, help="How many, at most.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per line.")
def suggest(
    script: Path, voice: str | None, language: str | None, samples: Path | None, limit: int, as_json: bool
) -> None:
    """Show the words of a SCRIPT that a voice may say wrong (heard otherwise in earlier narrations, see `measures`;
    names, acronyms, foreign and uncommon words), and how they will be said. Words of the lexicon are left out."""
    from f5_pipeline.speech.script.model import ScriptOptions
    from f5_pipeline.speech.text.uncommon import has_frequencies, uncommon_words
    from f5_pipeline.store import layout
    from f5_pipeline.studio.lexicon import draft_samples, pronounce
    from f5_pipeline.studio.measures import misheard_before
    from f5_pipeline.studio.narrating.scripts import open_script

    given = {name: value for name, value in (("voice", voice), ("language", language)) if value is not None}
    store = open_store()
    loaded = open_script(store, script, options=ScriptOptions.model_validate(given))
    language, voice = loaded.script.language, loaded.script.voices[0]
    texts = ((passage.line, passage.text) for passage in loaded.script.passages)
    words = uncommon_words(texts, language, misheard_before(store, language))
    # Of an entry of several words, none is new.
    parts = {part for entry in (*loaded.lexicon, *loaded.script.lexicon) for part in entry.written.lower().split()}
    said = pronounce(
        [word.written for word in words],
        loaded.lexicon,
        loaded.script.lexicon,
        language=language,
        voice=voice,
        narration=loaded.narration,
    )
    new = [
        (word, how)
        for word, how in zip(words, said, strict=True)
        if not how.entries and word.written.lower() not in parts
    ]
    shown = new[:limit]
    files = [""] * len(shown)
    if samples is not None and shown:
        samples.mkdir(parents=True, exist_ok=True)
        files = [f"{number:03}-{layout.slug(word.written)}.wav" for number, (word, _) in enumerate(shown, 1)]
        for name, data in zip(files, draft_samples([how.draft for _, how in shown], language, voice), strict=True):
            _write(samples / name, data)
    if as_json:
        for (word, how), name in zip(shown, files, strict=True):
            fields = {"written": word.written, "why": word.why, "count": word.count, "line": word.line}
            print_json({**fields, "f5": how.others, "draft_ipa": how.ipa, "sample": name or None})
    elif shown:
        print_table(
            ("word", "why", "count", "line", "read as", "draft says", *(["sample"] if samples else [])),
            (
                (
                    word.written,
                    word.why,
                    word.count,
                    word.line,
                    how.others,
                    f"/{how.ipa}/",
                    *([name] if samples else []),
                )
                for (word, how), name in zip(shown, files, strict=True)
            ),
        )
    if not has_frequencies():
        print_note(
            "only names, capitals and foreign letters were looked for: pip install 'f5-pipeline[lexicon]' for more"
        )
    print_info(
        f"{len(new)} words; {len(words) - len(new)} more are in the lexicon. Say one: f5-pipeline lexicon add WORD SAID"
    )
