"""Scripts: every form read, every mistake named with file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script.model import Passage, Script, ScriptOptions, parse_script, toml_voices

VOICES = ("ada", "ben")
EXAMPLES = Path(__file__).parents[3] / "examples" / "scripts"


def parse(text: str | bytes, name: str = "story.md", *, voice: str | None = None, known=VOICES, **options) -> Script:
    data = text if isinstance(text, bytes) else text.encode()
    return parse_script(data, name, ScriptOptions(voice=voice, **options), known_voices=known)


def spoken(script: Script) -> list[tuple[int, str, str]]:
    return [(passage.line, passage.voice, passage.text) for passage in script.passages]


def refused(text: str | bytes, name: str = "story.md", **kwargs) -> InputError:
    with pytest.raises(InputError) as caught:
        parse(text, name, **kwargs)
    assert caught.value.hint is None or caught.value.hint.endswith((".", "?"))
    assert not caught.value.message.endswith(".")
    return caught.value


def test_plain_text_is_parted_by_blank_lines():
    script = parse("One\ntwo.\n\n \t\n\nThree.\n", "a/b/tale.txt", voice="ada")
    assert spoken(script) == [(1, "ada", "One two."), (6, "ada", "Three.")]
    assert (script.name, script.title, script.voices) == ("tale", "tale", ["ada"])


def test_header_is_read_and_options_override_it():
    text = (
        "---\ntitle: 1984\nauthor: Eric\nlanguage: no\nvoice: hero\nvoices: {hero: ben}\nspeed: 1.2\n"
        "pauses: {sentence: 0.1}\nformats: mp3\ncaptions:\n  max_lines: 1\n---\nHello.\n"
    )
    script = parse(text)
    assert (script.title, script.author, script.language) == ("1984", "Eric", "no")  # YAML would say 1984 and False
    assert (script.voices, script.formats, script.passages[0].speed) == (["ben"], ["mp3"], 1.2)
    assert (script.pauses.sentence, script.pauses.paragraph, script.captions.max_lines) == (0.1, 0.7, 1)
    assert script.passages[0].line == 13
    other = parse(text, voice="ada", language="pt_BR", speed=0.8)
    assert (other.voices, other.language, other.passages[0].speed) == (["ada"], "pt-br", 0.8)


def test_markdown_is_spoken_without_its_marks():
    text = (
        "# The *first*\n\nSome **bold** [link](http://x.org/a) and ![picture](p.png)`code`.[^1]\n\n"
        "- one\n- [x] two\n\n> quoted\n> words\n\n---\n\n<!-- not\nspoken -->\n\n| a | b |\n|---|---|\n| c | d |\n\n"
        "```\nnot spoken\n```\n\n    indented\n\n[^1]: A footnote.\n\n***\n\n😀\n\nTom &amp; Jerry."
    )
    script = parse(text, voice="ada")
    assert [passage.text for passage in script.passages] == [
        "The first", "Some bold link and code.", "one", "two", "quoted words", "a, b", "c, d", "indented",
        "Tom & Jerry.",
    ]  # fmt: skip
    assert [passage.kind for passage in script.passages].count("heading") == 1
    assert script.title == "The first"
    assert [passage.line for passage in script.passages] == [1, 3, 5, 6, 8, 16, 18, 24, 32]


def test_tags_switch_the_voice_until_the_next_one():
    script = parse("Hello\n[ben] there. [main] Back\n\nand [sic] on [1].\n\n[Ben] End.", "a.txt", voice="ada")
    assert spoken(script) == [
        (1, "ada", "Hello"),
        (2, "ben", "there."),
        (2, "ada", "Back"),
        (4, "ada", "and [sic] on [1]."),
        (6, "ben", "End."),
    ]
    assert [passage.continues for passage in script.passages] == [True, True, False, False, False]


@pytest.mark.parametrize("name", ["a.txt", "a.md"])
def test_brackets_in_prose_are_text(name):
    script = parse("He wrote a[ben]b, \\[ben] and [maybe](x) [nobody] here.\n", name, voice="ada")
    assert {passage.voice for passage in script.passages} == {"ada"}
    assert "[ben]" in script.passages[0].text and "[nobody]" in script.passages[0].text


def test_without_a_list_of_voices_a_tag_at_the_line_start_is_one():
    script = parse("[zoe] Hello. [1] [zoe] Bye.", "a.txt", known=None)
    assert spoken(script) == [(1, "zoe", "Hello. [1] Bye.")]


def test_only_voice_is_used_when_none_is_named():
    assert parse("Hello.", known=("zoe",)).voices == ["zoe"]
    error = refused("\n\nHello.", known=VOICES)
    assert (error.file, error.place) == ("story.md", 3)
    assert "ada, ben" in str(error)
    assert "voices add" in str(refused("Hello.", known=()))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("---\ntitle: x\nvoyce: ada\n---\nHi", 3, "Did you mean voice"),
        ("---\nvoice: adda\n---\nHi", 2, "Did you mean ada"),
        ("---\nvoices: [ada,\n  zed]\n---\nHi", 3, "zed"),
        ("---\nvoice: ada\nvoice: ben\n---\nHi", 3, "twice"),
        ("---\nvoice: ada\npauses:\n  sentance: 1\n---\nHi", 4, "sentence"),
        ("---\npauses: {chapter: -1}\n---\nHi", 2, "chapter"),
        ("---\npauses: {chapter: .nan}\n---\nHi", 2, "chapter"),
        ("---\nvoice: ada\nspeed: fast\n---\nHi", 3, "speed"),
        ("---\nvoice: ada\nspeed: 9\n---\nHi", 3, "speed"),
        ("---\ncaptions: {max_lines: true}\n---\nHi", 2, "max_lines"),
        ("---\nformats: [mp3, aiff]\n---\nHi", 2, "aiff"),
        ("---\nlanguage: 'e n'\n---\nHi", 2, "language tag"),
        ("---\ntitle: [a\n---\nHi", 2, "YAML"),
        ("---\ntitle: a: b\n---\nHi", 2, "YAML"),
        ("---\n- a\n---\nHi", 2, "mapping"),
        ("---\ntitle: " + "[" * 3000 + "\n---\nHi", None, ""),
        ("---\ntitle: x\nHi", 1, "not closed"),
        ("---\nvoice: ada\n---\n\nHi\n\n[zed] Hello", 7, "unknown voice 'zed'"),
        ("[bob]: Hello", 1, "colon"),
        ("[ada] Hi\n\n<!-- never\nclosed", 3, "not closed"),
        ("---\nvoice: ada\n---\n\n***\n", None, "nothing to speak"),
        ("", None, "nothing to speak"),
        ("﻿ \n", None, "nothing to speak"),
        (b"a\nb\xe9c", 2, "byte 3"),
        (b"a\n\0b", 2, "byte 2"),
        ("Hi".encode("utf-16")[:-1], 1, "UTF-16"),
    ],
)
def test_mistakes_are_named_with_their_line(text, line, words):
    error = refused(text)
    assert error.file == "story.md"
    assert line is None or error.place == line
    assert words in str(error)


def test_options_are_checked_too():
    assert "Did you mean ada" in str(refused("Hi", voice="adaa"))
    assert "language tag" in str(refused("Hi", voice="ada", language="no such language"))
    assert "no form of script" in str(refused("Hi", "story.odt", voice="ada"))


def test_invisible_and_control_characters_do_no_harm():
    script = parse("a\u200bb\ufeff c\xad\u202e \x1b[0m\x07\r\nd\x85e\u2028f", "a.txt", voice="ada")
    assert script.passages[0].text == "ab c [0m d e f"
    assert parse("می\u200cخواهم", "a.txt", voice="ada").passages[0].text == "می\u200cخواهم"  # meaning hangs on it


def test_lines_of_chinese_are_joined_without_a_blank():
    assert parse("灯塔\n矗立", "a.txt", voice="ada").passages[0].text == "灯塔矗立"


STORY = b"""model = "F5TTS_v1_Base"
ref_audio = "main.flac"
ref_text = ""
gen_text = "unused"
gen_file = "story.txt"
nfe_step = 16
[voices.ben]
ref_audio = "ben.flac"
ref_text = "Hello."
speed = 0.8
[voices.unused]
ref_audio = "u.flac"
"""


def test_f5_configuration_is_a_script():
    def load(path: str) -> bytes:
        assert path == "story.txt"
        return b'He broke out with [ben] "My friend!" [main] So it was.'

    script = parse_script(STORY, "story.toml", ScriptOptions(voice="ada"), known_voices=VOICES, gen_file=load)
    assert [(p.voice, p.speed, p.text) for p in script.passages] == [
        ("ada", 1.0, "He broke out with"),
        ("ben", 0.8, '"My friend!"'),
        ("ada", 1.0, "So it was."),
    ]
    assert toml_voices(STORY, "story.toml") == [
        ("main", "main.flac", ""),
        ("ben", "ben.flac", "Hello."),
        ("unused", "u.flac", ""),
    ]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a = 1\nb =", 2, "not TOML"),
        ('\ngen_txt = "x"', 2, "gen_text"),
        ("gen_text = 3", 1, "gen_text must be a text"),
        ('gen_text = "x"\n[voices.ben]\nref_audoi = "x"', 3, "ref_audio"),
        ('gen_text = "x"\n[voices]\nben = 3', 2, "tables"),
        ('gen_text = "x"\nspeed = true', 2, "speed"),
        ('gen_text = "x"\nspeed = 7', 2, "speed"),
        ('gen_file = "x.txt"', 1, "x.txt"),
        ('# one\ngen_text = """\n[ada] Hi.\n[zed] Ho."""', 4, "zed"),
        ('gen_text = ""', None, "nothing to speak"),
        ('gen_text = "x"\nspeed = ' + "9" * 5000, 2, "too many digits"),
        ('gen_text = "x"\n[voices.ben]\nspeed = 0x' + "f" * 5000, 3, "speed cannot be 'inf'"),
    ],
)
def test_mistakes_in_a_configuration_are_named_with_their_line(text, line, words):
    error = refused(text, "story.toml", voice="ada")
    assert words in str(error)
    assert line is None or error.place == line


def test_missing_gen_file_is_an_input_error():
    def load(path: str) -> bytes:
        raise FileNotFoundError(2, "No such file")

    with pytest.raises(InputError, match="No such file"):
        parse_script(STORY, "story.toml", ScriptOptions(voice="ada"), gen_file=load)


def test_escapes_in_toml_are_made_safe():
    script = parse('gen_text = "a\\u0000b\\u202E c"', "a.toml", voice="ada")
    assert script.passages[0].text == "a b c"


@pytest.mark.parametrize("text", ['gen_text = "Hi."\n{}', '{}\ngen_text = "Hi."', 'gen_text = "Hi."\n{}x = 1'])
def test_a_configuration_is_read_in_time_that_grows_with_its_length(text):
    # A pattern that is quadratic in this run of blanks takes minutes.
    script = parse(text.format(" \t" * 100_000), "a.toml", voice="ada")
    assert [passage.text for passage in script.passages] == ["Hi."]


def test_a_configuration_of_many_voices_is_read_in_time_that_grows_with_their_number():
    # Looking for the line of each takes minutes, as it reads the file from its start.
    tables = "".join(f'[voices.v{number}]\nref_audio = "v.flac"\nspeed = 1.1\n' for number in range(20_000))
    data = f'gen_text = "[v19999] Hi."\n{tables}'.encode()
    assert parse_script(data, "a.toml").passages[0].speed == 1.1
    assert len(toml_voices(data, "a.toml")) == 20_000


@pytest.mark.parametrize("extension", ["txt", "md"])
@pytest.mark.parametrize("text", ["word " * 200_000, "a" * 1_000_000, ("Some words, here.\n" * 5 + "\n") * 20_000])
def test_any_size(extension, text):
    script = parse(text, f"a.{extension}", voice="ada")
    assert sum(len(p.text.split()) for p in script.passages) == len(text.split())


def test_examples_are_scripts():
    for path in sorted(EXAMPLES.iterdir()):
        voice = "ada" if path.suffix == ".txt" else None
        script = parse_script(path.read_bytes(), path.name, ScriptOptions(voice=voice), known_voices=VOICES)
        assert script.passages
        assert set(script.voices) <= set(VOICES)
    lighthouse = parse((EXAMPLES / "lighthouse.md").read_bytes(), "lighthouse.md")
    assert lighthouse.voices == ["ada", "ben"]
    assert [p.text for p in lighthouse.passages if p.kind == "heading"] == ["The lamp", "The ledger"]
    assert all(isinstance(p, Passage) and p.voice == "ada" for p in lighthouse.passages if p.kind == "heading")
