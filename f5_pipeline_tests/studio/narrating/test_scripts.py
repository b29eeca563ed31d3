"""Scripts in the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script.model import ScriptOptions
from f5_pipeline.store.local import LocalStore
from f5_pipeline.studio.narrating.scripts import (
    add_script,
    find_script,
    list_scripts,
    load_script,
    open_script,
    read_options,
    read_script,
    script_version,
)
from f5_pipeline_tests.support.books import PANDOC
from f5_pipeline_tests.support.installation import EXAMPLES
from f5_pipeline_tests.support.small_studio import prepare_voice

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


def test_a_gen_file_stays_in_the_folder_of_its_script(studio):
    write(studio, "text.txt", "The text of another file.")
    toml = write(studio, "sub/b.toml", '\ngen_file = "../text.txt"\n')
    with pytest.raises(InputError, match="outside of the folder") as told:
        add_script(studio.store, toml, options=VOICE)
    assert told.value.place == 2
    kept = add_script(studio.store, toml, options=VOICE, allow_outside=True)
    assert kept.script.passages[0].text == "The text of another file."
    toml.write_text('gen_file = "/dev/zero"')
    with pytest.raises(InputError, match="no regular file"):
        add_script(studio.store, toml, options=VOICE, allow_outside=True)


def test_languages_of_a_text_are_checked_with_their_line(studio):
    path = write(studio, "c.txt", 'One.\n\n<lang xml:lang="qqq">Two.</lang>')
    with pytest.raises(InputError, match="there is no language 'qqq'") as told:
        add_script(studio.store, path, options=VOICE)
    assert told.value.place == 3


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


def test_a_name_remembers_where_its_script_came_from(studio, monkeypatch):
    first = write(studio, "book1/chapter-01.txt", "The first book.")
    second = write(studio, "book2/chapter-01.txt", "The second book.")
    add_script(studio.store, first, options=VOICE)
    with pytest.raises(InputError, match=r"'chapter-01' has its script from .*book1/chapter-01\.txt") as caught:
        add_script(studio.store, second, options=VOICE)
    assert caught.value.file == str(second) and "--name" in str(caught.value) and "--replace" in str(caught.value)
    assert studio.store.get_bytes("scripts/chapter-01.txt") == b"The first book."
    first.write_text("The first book, edited.")
    monkeypatch.chdir(first.parent.parent)
    for spelling in (Path("book1/chapter-01.txt"), Path("book2/../book1/chapter-01.txt"), first):
        assert add_script(studio.store, spelling).narration == "chapter-01", "the same file, however it is spelled"
    assert add_script(studio.store, second, "other", VOICE).narration == "other"
    add_script(studio.store, second, replace=True)
    assert studio.store.get_bytes("scripts/chapter-01.txt") == b"The second book."
    with pytest.raises(InputError, match="has its script from"):
        add_script(studio.store, first)
    moved = write(studio, "moved/chapter-01.txt", "The second book.")
    add_script(studio.store, moved)  # the same text from elsewhere replaces nothing
    moved.write_text("The second book, edited.")
    add_script(studio.store, moved)


def test_a_script_without_an_origin_belongs_to_the_first_that_is_added(studio):
    studio.store.put_bytes("scripts/a.txt", b"Put here by hand, or by an older version.")
    studio.store.put_bytes("scripts/a.options.json", b'{"voice": "ada", "engine": "auto", "priority": 0}')
    add_script(studio.store, write(studio, "a.txt", "From a file."))
    assert read_options(studio.store, "a") == VOICE
    with pytest.raises(InputError, match="has its script from"):
        add_script(studio.store, write(studio, "elsewhere/a.txt", "From another file."))


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("北京.txt", "beijing"),
        ("Война и мир.txt", "voyna-i-mir"),
        ("Łódź.txt", "lodz"),
        ("第1章.txt", "di1zhang"),
        ("My Größe.txt", "my-grosse"),
        ("a—b’s café.txt", "abs-cafe"),
    ],
)
def test_letters_of_every_script_make_a_name(studio, file, name):
    assert add_script(studio.store, write(studio, file, "Text."), options=VOICE).narration == name


def test_where_no_name_can_be_made_the_option_is_named(studio):
    with pytest.raises(InputError, match="no name can be made") as caught:
        add_script(studio.store, write(studio, "🎉.txt", "Text."), options=VOICE)
    assert caught.value.hint == "Give it one with --name."


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"language": "xx"}, "--language xx: there is no language 'xx'"),
        ({"language": "english"}, "--language english: there is no language 'english'. Did you mean en"),
        ({"language": "not a tag"}, "--language not a tag: 'not a tag' is no language tag"),
        ({"model": "F5TTS_v1_Bass"}, "--model F5TTS_v1_Bass: there is no model 'F5TTS_v1_Bass'. Did you mean F5TTS_v1"),
        ({"voice": "adda"}, "--voice adda: unknown voice 'adda'. Did you mean ada?"),
    ],
)
def test_an_option_that_cannot_be_used_is_named_and_not_kept(studio, options, message):
    path = write(studio, "a.txt", "Text.")
    add_script(studio.store, path, options=VOICE)
    before = {stat.key: studio.store.get_bytes(stat.key) for stat in studio.store.list()}
    for script in (path, Path("a")):
        with pytest.raises(InputError) as caught:
            open_script(studio.store, script, options=ScriptOptions(**options))
        assert str(caught.value).startswith(message)
    assert {stat.key: studio.store.get_bytes(stat.key) for stat in studio.store.list()} == before


def test_a_bad_option_that_an_older_version_kept_is_named_and_can_be_given_anew(studio):
    path = write(studio, "a.txt", "Text.")
    studio.store.put_bytes("scripts/a.options.json", b'{"voice": "ada", "language": "xx"}')
    with pytest.raises(InputError, match=r"scripts/a\.options\.json:language: there is no language 'xx'.*--language"):
        add_script(studio.store, path)
    assert add_script(studio.store, path, options=ScriptOptions(language="de")).script.language == "de"


@pytest.mark.parametrize("key", ["language: xx", "model: nope"])
def test_a_header_that_asks_for_what_there_is_not_is_told_with_its_line(studio, key):
    with pytest.raises(InputError, match=r"a\.md:3: there is no"):
        add_script(studio.store, write(studio, "a.md", f"---\nvoice: ada\n{key}\n---\nText.\n"))


def test_options_that_change_nothing_of_what_is_heard_are_no_new_version(studio):
    path = write(studio, "a.txt", "Text.")
    version = add_script(studio.store, path, options=VOICE).version
    for options in (ScriptOptions(priority=3), ScriptOptions(priority=-1)):
        assert add_script(studio.store, path, options=options).version == version
        assert script_version(studio.store, "a") == version
    assert add_script(studio.store, path, options=ScriptOptions(speed=0.9)).version != version


def test_a_store_without_voices_is_named(tmp_path):
    store = LocalStore(tmp_path / "studio")
    (tmp_path / "a.txt").write_text("Text.")
    with pytest.raises(InputError, match=f"there is no voice in file:{tmp_path}/studio .F5_STORE."):
        add_script(store, tmp_path / "a.txt", options=VOICE)
    assert not (tmp_path / "studio").exists()


def test_a_book_is_kept_as_it_was_given_with_its_chosen_chapters(studio):
    data = (PANDOC / "pandoc.epub").read_bytes()
    path = write(studio, "book.epub", "")
    path.write_bytes(data)
    whole = add_script(studio.store, path, options=VOICE)
    assert studio.store.get_bytes("scripts/book.epub") == data
    chosen = add_script(studio.store, path, options=ScriptOptions(chapters="2-3"))
    assert chosen.version != whole.version
    kept = load_script(studio.store, "book")
    assert (kept.version, kept.options.chapters, kept.script.title) == (chosen.version, "2-3", "The Lamp of Penhallow")
    assert [passage.line for passage in kept.script.passages] == [5, 6, 7, 8, 9, 10]
    assert add_script(studio.store, path, options=ScriptOptions(chapters="all")).version == whole.version
    with pytest.raises(InputError, match=r"--chapters 9: there is no chapter 9.*1 The storm; 2 Below deck; 3 The calm"):
        add_script(studio.store, path, options=ScriptOptions(chapters="9"))


def test_a_book_may_be_larger_than_a_text(studio, monkeypatch):
    monkeypatch.setattr("f5_pipeline.studio.narrating.scripts.MAX_TEXT_BYTES", 1000)
    path = write(studio, "book.epub", "")
    path.write_bytes((PANDOC / "pandoc.epub").read_bytes())
    add_script(studio.store, path, options=VOICE)
    monkeypatch.setattr("f5_pipeline.studio.narrating.scripts.MAX_BOOK_BYTES", 1000)
    with pytest.raises(InputError, match=r"book\.epub has 0 MiB, more than 0"):
        add_script(studio.store, path, options=VOICE)


def test_other_kinds_of_texts_have_a_way_out(studio):
    with pytest.raises(InputError, match=r"\.odt is not a kind of script.*pandoc .*a\.odt -t markdown -o .*a\.md"):
        add_script(studio.store, write(studio, "a.odt", "PK"))
    with pytest.raises(InputError, match=r"\.azw3 is not a kind of script.*ebook-convert .*a\.azw3 .*a\.epub"):
        add_script(studio.store, write(studio, "a.azw3", "PK"))


def test_what_is_not_spoken_and_voices_that_run_on_are_noted(studio):
    prepare_voice(studio.store, "ben", EXAMPLES / "voices" / "ben.ogg")
    text = (
        "---\nvoice: ada\n---\n# One\n\nText.[^1]\n\n[ben] He speaks.\n\n```\ncode\n```\n\n# Two\n\nHe goes on.\n\n"
        "![A picture](x.png)\n\n[^1]: The footnote.\n"
    )
    script = read_script(studio.store, write(studio, "a.md", text)).script
    assert script.notes == [
        "code blocks are not spoken (line 10)",
        "pictures are not spoken (line 18)",
        "footnotes are not spoken (line 20)",
        "[ben] of line 8 speaks on over the heading in line 14",
    ]
    assert script.passages[-1].voice == "ben"
    plain = read_script(studio.store, write(studio, "b.md", text.replace("# Two", "# [ada] Two"))).script
    assert not any("speaks on" in note for note in plain.notes)
