"""Lexicons: which words an entry is for, and that it changes nothing else."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from f5_pipeline.errors import InputError
from f5_pipeline.speech.chunks import Chunk, iter_chunks
from f5_pipeline.speech.script.model import Passage, Script, parse_script
from f5_pipeline.speech.text.ipa import respelled
from f5_pipeline.speech.text.lexicon import Entry, Lexicon, possible
from f5_pipeline.speech.text.say import Say, spoken_of

NIETZSCHE = Entry(written="Nietzsche", ipa="ˈniːtʃə")


def entry(written: str, said: str, **fields) -> Entry:
    return Entry(written=written, said=said, **fields)


def chunks(text: str, lexicon: Lexicon, language: str = "en", voice: str = "ada") -> list[Chunk]:
    passage = Passage(text=text, voice=voice, line=1)
    return list(
        iter_chunks(Script(name="a", title="a", language=language, voices=[voice], passages=[passage]), lexicon=lexicon)
    )


def spoken(
    text: str, *entries: Entry, language: str = "en", phonemes: bool = False, own: tuple[Entry, ...] = ()
) -> str:
    """What an engine is handed; each written word must have a part of it of its own."""
    found = chunks(text, Lexicon(entries, own, narration="story", phonemes=phonemes), language)
    for chunk in found:
        position = 0
        for word in chunk.words:
            assert position <= word.spoken[0] < word.spoken[1] <= len(chunk.spoken)
            position = word.spoken[1]
    assert "".join(chunk.written + chunk.words[-1].space for chunk in found).rstrip() == text
    return " ".join(chunk.spoken for chunk in found)


@pytest.mark.parametrize(
    ("text", "said", "entries"),
    [
        ("Nietzsche and nietzsche, Nietzsche’s.", "Neecha and Neecha, Neecha's.", [entry("nietzsche", "Neecha")]),
        ("Nietzschean ideas", "Nietzschean ideas", [entry("Nietzsche", "Neecha")]),
        (
            "Nietzschean and unnietzsche9",
            "neechaan and unneecha nine",
            [entry("nietzsche", "neecha", part_of_words=True)],
        ),
        ("Nietzscheans, Nietzsche, Nietz", "Neechaans, Neecha, Nietz", [entry("Nietzsche*", "Neecha*")]),
        ("Nietzsche2 and Nietzschean", "Nietzsche two and Neechist", [entry("Nietzsche*", "Neechist")]),
        ("the Nietzsche-Archive", "the Neecha-Archive", [entry("Nietzsche", "Neecha")]),
        ("NASA is no nasa.", "Nassa is no nasa.", [entry("NASA", "Nassa", match_case=True)]),
        ("In 1984 I read 1985.", "In Orwell I read nineteen eighty-five.", [entry("1984", "Orwell")]),
        (
            "C++ and C and AC/DC",
            "see plus plus and C and ay see dee see",
            [entry("C++", "see plus plus"), entry("AC/DC", "ay see dee see")],
        ),
        (
            ".NET is a net. Yahoo! is it.",
            "dot net is a net. Yahoo is it.",
            [entry(".NET", "dot net"), entry("Yahoo!", "Yahoo")],
        ),
        (
            "New York, New York City. New, York",
            "En Why, the Apple. New, York",
            [entry("New York", "En Why"), entry("New York City", "the Apple")],
        ),
        (
            "Louis XIV and Smith III",
            "Looee the fourteenth and Smyth three",
            [entry("Louis", "Looee"), entry("Smith", "Smyth")],
        ),
        ("On Jan. 5th, 2024", "On January fifth, twenty twenty-four", [entry("Feb", "x")]),
        (
            "Dr. Who is a doctor. He met Dr. No.",
            "Docteur Who is a doctor. He met Docteur No.",
            [entry("Dr.", "Docteur")],
        ),
        (
            "SMITH’S and İSTANBUL'S ",
            "Smyth'S and Constantinople'S",
            [entry("smith", "Smyth"), entry("İstanbul", "Constantinople")],
        ),
    ],
)
def test_words_are_said_as_their_entry_says(text, said, entries):
    assert spoken(text.strip(), *entries) == said


@pytest.mark.parametrize(
    ("language", "text", "letters", "ipa"),
    [
        ("en", "Nietzsche’s", "neecha's", "[[ˈniːtʃəz]]"),
        ("fr", "d’Nietzsche", "d'nitche", "[[dˈniːtʃə]]"),
        ("de", "Nietzsche!", "nietsche!", "[[ˈniːtʃə]]!"),
        ("en", "an anti-Nietzsche", "an anti-neecha", "an anti-neecha"),
    ],
)
def test_ipa_is_for_engines_that_read_it_and_a_respelling_for_others(language, text, letters, ipa):
    assert spoken(text, NIETZSCHE, language=language) == letters
    assert spoken(text, NIETZSCHE, language=language, phonemes=True) == ipa


def test_another_spelling_beside_ipa_is_for_engines_that_read_letters():
    both = Say("Neetcha", "ˈniːtʃə")
    assert [spoken_of(both, "en", phonemes) for phonemes in (False, True)] == ["Neetcha", "[[ˈniːtʃə]]"]
    assert spoken_of(Say("a b"), "en", True) == "a b"


@pytest.mark.parametrize(
    ("ipa", "language", "letters"),
    [
        ("ˈʃɪvɔːn", "en", "shivawn"),
        ("ˈnaɪki", "en", "nighkee"),
        ("bɔ̃ʒuʁ", "en", "bonzhoor"),
        ("ɡaʁsɔ̃", "fr", "garsson"),
        ("ˈbʏçɐ", "de", "bücher"),
        ("ˈniːtʃə", "it", "nice"),
        ("t͡ʃao", "pl", "chao"),
        ("ˈɡɛto", "it", "gheto"),
        ("ˈfʁiːdrɪç ˈniːtʃə", "es", "frridrrij niche"),
    ],
)
def test_a_respelling_is_written_as_the_language_writes(ipa, language, letters):
    assert respelled(ipa, language) == letters


def test_words_without_blanks_divide_what_is_said_among_them():
    assert spoken("我读尼采的书。", entry("尼采", "泥猜"), language="zh") == "我读泥猜的书。"
    [chunk] = chunks("我读尼采。", Lexicon([Entry(written="尼采", ipa="ˈniːtʃə")], phonemes=True), "zh")
    assert chunk.spoken == "我读 [[ˈniːtʃə]]。"
    pieces = [chunk.spoken[slice(*word.spoken)] for word in chunk.words]
    assert pieces == ["我", "读", "[[ˈniː", "tʃə]]。"]


def test_the_most_specific_entry_is_used():
    every, language, voice, story, other = (
        entry("tomato", "one"),
        entry("tomato", "two", language="en"),
        entry("tomato", "three", voice="ada"),
        entry("tomato", "four", narration="story"),
        entry("tomato", "five", narration="other"),
    )
    entries = [every, other, story, voice, language]
    for used, left in ((every, 1), (language, 5), (voice, 4), (story, 3)):
        assert spoken("tomato", *(entries[:1] if left == 1 else entries[:1] + entries[left - 1 :])) == used.said
    own = entry("tomato", "six")
    assert spoken("tomato", *entries, own=(own,)) == "six"
    assert spoken("tomato", every, language, language="de") == "one"
    assert spoken("tomato", every, language, language="en-gb") == "two"
    assert spoken("New tomato", entry("New tomato", "longer"), every).replace(" ", "") == "longer"
    assert spoken("tomatoes", entry("tomato*", "form"), entry("tomatoes", "word")) == "word"


TEXT = """
The lighthouse stood on a rock for 120 years, and Nietzsche never saw it, although he wrote of the sea; nobody knows why
he, who loved the mountains, did so at $5 million a page, and Dr. Smith of 12 Main St. does not know it either. No. Yes.
Nietzsche! “It is,” she said. At 3:45 p.m. he left. A short one. Another one, with 10–20 km more, came late.
"""


def test_an_entry_moves_no_cut_and_changes_no_other_word():
    without = chunks(TEXT, Lexicon([]))
    assert without == chunks(TEXT, Lexicon([entry("absent", "x")]))
    lexicon = Lexicon(
        [entry("Nietzsche", "that most unforgettable and unpronounceable of all the German philosophers")]
    )
    changed = chunks(TEXT, lexicon)
    assert [chunk.written for chunk in changed] == [chunk.written for chunk in without]
    assert len(without) > 4
    touched = [new.written for old, new in zip(without, changed, strict=True) if old.spoken != new.spoken]
    assert touched == [chunk.written for chunk in without if "Nietzsche" in chunk.written]
    assert [(used.written, used.count) for used in lexicon.report()] == [("Nietzsche", 2)]


def test_many_entries_take_no_more_time_than_few():
    many = [entry(f"word{index} two", "x y") for index in range(5000)]
    many += [entry(f"w{index}*end", "x*") for index in range(500)]
    text = "word17 two and word18 three, w3rdend, wrdend."
    assert spoken(text, *many) == "x y and word eighteen three, xrd, wrdend."
    text = "word " * 20_000
    assert len(chunks(text, Lexicon([entry("word " * 23 + "end", "x" * 24)]))) > 100


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"written": " "}, "at least 1 character"),
        ({"written": "..."}, "no letter, digit"),
        ({"written": "a*b*"}, "one *"),
        ({"written": "*"}, "beside the *"),
        ({"written": "New *"}, "one *"),
        ({"written": "a b", "part_of_words": True}, "single word"),
        ({"said": ""}, "not said how"),
        ({"said": "-"}, "no letter or digit"),
        ({"said": "b*"}, "* may stand"),
        ({"said": "[[b]]"}, "double brackets"),
        ({"said": "", "ipa": "n5"}, "no sound of the IPA"),
        ({"said": "", "ipa": "ˈ"}, "has no sound"),
        ({"written": "a b c", "said": "xy"}, "fewer letters"),
        ({"said": "b\nc"}, "line breaks"),
        ({"language": "english!"}, "language tag"),
        ({"voise": "ada"}, "Extra inputs"),
    ],
)
def test_what_is_no_entry_is_refused(fields, problem):
    with pytest.raises(ValidationError) as error:
        Entry.model_validate({"written": "a", "said": "b", **fields})
    assert problem in str(error.value)


def test_possible_finds_every_entry_whose_words_are_in_a_text():
    there = [
        entry("nietzsche", "x"),
        entry("New York", "x y"),
        entry("Lou*", "x"),
        entry("尼采", "x y"),
        entry("C++", "x"),
    ]
    there += [entry("thing", "x", part_of_words=True), entry("O'Brien", "x")]
    absent = [entry("New Haven", "x y"), entry("Nietz", "x"), entry("采尼", "x y"), entry("Louise*", "x")]
    text = "NIETZSCHE, the New York of Louis and O’Brien in C++: everything. 我读尼采。"
    assert possible([*there, *absent], text) == there


def test_a_script_has_a_lexicon_of_its_own():
    header = "---\nvoice: ada\nlexicon:\n  Nietzsche: Neecha\n  1984: /ˈɔːwɛl/\n---\n"
    script = parse_script(f"{header}Nietzsche in 1984.".encode(), "a.md")
    assert script.lexicon == [entry("Nietzsche", "Neecha"), Entry(written="1984", ipa="ˈɔːwɛl")]
    toml = parse_script(
        b'gen_text = "[main] Hi"\n[voices.ada]\n[lexicon]\n"New York" = "En Why"\n', "a.toml", known_voices=["main"]
    )
    assert toml.lexicon == [entry("New York", "En Why")]


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("lexicon: x", 2),
        ("lexicon:\n  a: ''", 3),
        ("lexicon:\n  a: [b]", 3),
        ("lexicon:\n  b: c\n  a: /n5/", 4),
        ("lexicon:\n  a: b\n  a: c", 4),
    ],
)
def test_a_wrong_entry_of_a_script_is_named_with_its_line(header, line):
    with pytest.raises(InputError) as error:
        parse_script(f"---\n{header}\n---\nHi".encode(), "a.md")
    assert str(error.value).startswith(f"a.md:{line}: ")
