"""Scripts in the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script.model import ScriptOptions
from f5_pipeline.studio.narrating.scripts import (
    add_script,
    find_script,
    list_scripts,
    load_script,
    read_options,
    read_script,
)

VOICE = ScriptOptions(voice="ada")


def write(studio, name: str, text: str) -> Path:
    path = studio.store.root.parent / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_script_is_kept_as_it_was_written(studio):
    data = b"---\r\nvoice: ada\r\n---\r\nTwo  blanks,\ttabs,\r\nand Windows lines.\r\n"
    path = write(studio, "My Story.md", "")
    path.write_bytes(data)
    added = add_script(studio.store, path)
    assert (added.narration, added.source.key) == ("my-story", "scripts/my-story.md")
    assert studio.store.get_bytes("scripts/my-story.md") == data
    loaded = load_script(studio.store, "my-story")
    assert loaded.script.passages == added.script.passages and loaded.source.sha256 == added.source.sha256


def test_reading_keeps_nothing(studio):
    read_script(studio.store, write(studio, "a.txt", "Text."), options=VOICE)
    assert list(studio.store.list("scripts/")) == []


def test_what_was_said_stands_until_something_else_is_said(studio):
    path = write(studio, "a.txt", "Text.")
    add_script(studio.store, path, options=VOICE)
    assert add_script(studio.store, path).options == VOICE
    slower = ScriptOptions(voice="ada", speed=0.8)
    assert add_script(studio.store, path, options=slower).script.passages[0].speed == 0.8
    assert read_options(studio.store, "a") == slower


def test_the_same_script_again_is_not_written(studio):
    path = write(studio, "a.txt", "Text.")
    add_script(studio.store, path, options=VOICE)
    before = studio.store.stat("scripts/a.txt").modified
    add_script(studio.store, path)
    assert studio.store.stat("scripts/a.txt").modified == before


def test_two_kinds_of_script_cannot_be_one_narration(studio):
    add_script(studio.store, write(studio, "a.txt", "Text."), options=VOICE)
    markdown = write(studio, "a.md", "Text.")
    with pytest.raises(InputError, match="exists already, from another kind of script") as told:
        add_script(studio.store, markdown, options=VOICE)
    assert "--name" in str(told.value)
    assert add_script(studio.store, markdown, "other", VOICE).narration == "other"


def test_a_gen_file_comes_along(studio):
    write(studio, "sub/text.txt", "The text of another file.")
    toml = write(studio, "sub/a.toml", 'gen_file = "text.txt"\n')
    add_script(studio.store, toml, options=VOICE)
    Path(toml).unlink()
    (toml.parent / "text.txt").unlink()
    assert load_script(studio.store, "a").script.passages[0].text == "The text of another file."


def test_scripts_are_listed_without_what_stands_beside_them(studio):
    for name in ("b.txt", "a.md"):
        add_script(studio.store, write(studio, name, "Text."), options=VOICE)
    studio.store.put_bytes("scripts/README", b"x")
    studio.store.put_bytes("scripts/Not a name.txt", b"x")
    assert list(list_scripts(studio.store)) == [("a", "scripts/a.md"), ("b", "scripts/b.txt")]


def test_near_names_are_offered(studio):
    add_script(studio.store, write(studio, "lighthouse.txt", "Text."), options=VOICE)
    with pytest.raises(InputError, match="Did you mean lighthouse"):
        find_script(studio.store, "lighthose")
    with pytest.raises(InputError, match="cannot name a narration"):
        find_script(studio.store, "../lighthouse")


def test_a_script_that_is_too_large_is_refused_unread(studio):
    path = write(studio, "huge.txt", "")
    with path.open("wb") as out:
        out.truncate(65 << 20)
    with pytest.raises(InputError, match="65 MiB, more than 64") as told:
        add_script(studio.store, path, options=VOICE)
    assert "Split it" in str(told.value)


def test_what_is_said_now_is_added_to_what_was_said_before(studio):
    path = write(studio, "said.txt", "Text.")
    add_script(studio.store, path, options=ScriptOptions(voice="ada", speed=0.8))
    assert add_script(studio.store, path, options=ScriptOptions(speed=1.2)).options.voice == "ada"
    assert load_script(studio.store, "said").options == ScriptOptions(voice="ada", speed=1.2)
    assert load_script(studio.store, "said", ScriptOptions(engine="draft")).script.passages[0].speed == 1.2


def test_a_script_is_called_by_the_name_of_its_file(studio):
    path = write(studio, "My Größe.txt", "Text.")
    assert add_script(studio.store, path, options=VOICE).script.title == "My Größe"
    loaded = load_script(studio.store, "my-grosse")
    assert (loaded.script.title, loaded.source.name) == ("My Größe", "My Größe.txt")
