"""Markup: the same in every kind of script, and an error where it is not understood."""

from __future__ import annotations

from html import escape

import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.speech.chunks import Chunk, iter_chunks
from f5_pipeline.speech.script.footnotes import without_footnotes
from f5_pipeline.speech.script.model import Script, ScriptOptions, parse_script

SUFFIXES = (".txt", ".md", ".toml", ".ssml")
VOICES = ("ada", "ben")


def parse(text: str, suffix: str, **options) -> Script:
    if suffix == ".toml":
        text = f"gen_text = '''\n{text}'''"
    elif suffix == ".ssml":
        text = f"<speak>\n{text}</speak>"
    return parse_script(text.encode(), f"a{suffix}", ScriptOptions(voice="ada", **options), known_voices=VOICES)


def chunks(text: str, suffix: str = ".txt", **options) -> list[Chunk]:
    return list(iter_chunks(parse(text, suffix, **options)))


def refused(text: str, suffix: str) -> InputError:
    with pytest.raises(InputError) as caught:
        list(iter_chunks(parse(text, suffix)))
    assert caught.value.file == f"a{suffix}" and caught.value.hint and caught.value.hint.endswith((".", "?"))
    assert not caught.value.message.endswith(".")
    return caught.value


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("text", "silences"),
    [
        ("Well, [pause 2s] no.", [2.0, None]),
        ("Well, [pause: 1.5] no.", [1.5, None]),
        ("Well, [Pause 500 ms] no.", [0.5, None]),
        ('Well, <break time="2s"/> no.', [2.0, None]),
        ('Well, <break strength="strong"/> no.', [0.7, None]),
        ("Well, <break/> no.", [0.35, None]),
        ('Well, <break time="2s"/>[pause 1s] no.', [3.0, None]),
        ("Well, it is so. [pause 2s]\n\nNo.", [2.0, None]),
        ("Well, it is so.\n\n[pause 2s]\n\n[pause 1s] No.", [3.0, None]),
        ("Well, it is so.\n\nNo. [pause 4s]", [None, 4.0]),
        ("Well, it is so. [pause 0s]\n\nNo.", [0.0, None]),
    ],
)
def test_pauses_take_the_place_of_the_usual_ones(suffix, text, silences):
    made = chunks(text, suffix)
    assert [chunk.silence for chunk in made] == silences
    assert " ".join(chunk.written for chunk in made).replace("it is so. ", "").split() in (
        ["Well,", "no."],
        ["Well,", "No."],
    )
    assert made[0].touches == (silences[0] == 0)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_pause_before_the_first_word_is_kept(suffix):
    assert [(chunk.lead, chunk.written) for chunk in chunks("[pause 3s]\n\nHello.", suffix)] == [(3.0, "Hello.")]


def test_a_paragraph_with_a_pause_stays_one_and_its_words_stay_apart():
    first, second = chunks("I wait for you. [pause 2s] And I wait.")
    assert first.paragraph == second.paragraph == 0 and first.words[-1].space == " "
    assert "silence" not in second.model_dump() and "lead" not in first.model_dump(), "old plans have no such field"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_words_are_said_as_asked_and_shown_as_written(suffix):
    text = (
        'The <sub alias="World Wide Web Consortium">W3C</sub>\'s (<say-as interpret-as="characters">B2B</say-as>) '
        'and <phoneme alphabet="ipa" ph="ˈniːtʃə">Nietzsche</phoneme>, <sub alias="Doctor">Dr.</sub> No.'
    )
    (chunk,) = chunks(text, suffix)
    assert chunk.written == "The W3C's (B2B) and Nietzsche, Dr. No."
    assert chunk.spoken.startswith("The World Wide Web Consortium's B two B and ne") and "Doctor No." in chunk.spoken
    spoken = {word.text: chunk.spoken[slice(*word.spoken)] for word in chunk.words}
    assert spoken["W3C's"] == "World Wide Web Consortium's" and spoken["Dr."] == "Doctor"


@pytest.mark.parametrize(
    ("language", "markup", "text", "spoken"),
    [
        ("en", 'interpret-as="date" format="dmy"', "3.4.2024", "April third, twenty twenty-four"),
        ("en", 'interpret-as="date" format="mdy"', "3/4/2024", "March fourth, twenty twenty-four"),
        ("de", 'interpret-as="ordinal"', "4", "vierte"),
        ("en", 'interpret-as="ordinal"', "XIV", "fourteenth"),
        ("en", 'interpret-as="cardinal"', "1984", "one thousand nine hundred and eighty-four"),
        ("en", 'interpret-as="digits"', "1984", "one nine eight four"),
        ("en", 'interpret-as="telephone"', "555-0187", "five five five, zero one eight seven"),
        ("en", 'interpret-as="time"', "2:30pm", "two thirty P M"),
        ("fr", 'interpret-as="spell-out"', "SNCF", "S N C F"),
    ],
)
def test_say_as(language, markup, text, spoken):
    (chunk,) = chunks(f"<say-as {markup}>{text}</say-as> x", language=language)
    assert chunk.spoken == f"{spoken} x"


def test_a_sentence_end_does_not_cut_what_is_said_as_one():
    (chunk,) = chunks('We met <sub alias="the band">All. Of. The. Sudden. Things</sub> in the town of Leeds.')
    assert chunk.spoken == "We met the band in the town of Leeds."


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_voices_rates_and_languages_hold_until_their_element_ends(suffix):
    text = (
        '<prosody rate="slow">Slow now.\n\n<voice name="ben">Ben is <prosody rate="50%">slower</prosody>.</voice>'
        "</prosody>"
        ' <lang xml:lang="de">Das sind 5.</lang> Back.'
    )
    script = parse(text, suffix, speed=1.0)
    assert [(p.voice, p.speed, p.language, p.text) for p in script.passages] == [
        ("ada", 0.8, None, "Slow now."),
        ("ben", 0.8, None, "Ben is"),
        ("ben", 0.4, None, "slower"),
        ("ada", 1.0, "de", "Das sind 5."),
        ("ada", 1.0, None, "Back."),
    ]
    assert "fünf" in list(iter_chunks(script))[-2].spoken


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[puase 2s] b", "'[puase 2s]' looks like a pause"),
        ("[break]", "looks like a pause"),
        ("[pause]", "looks like a pause"),
        ("[pause 61s] b", "longer than 60 s"),
        ("[pause 40s] [pause 40s] b", "longer than 60 s"),
        ('<break time="soon"/> b', "no length of a break"),
        ('<break strength="big"/> b', "no strength 'big'"),
        ('<prosody pitch="high">b</prosody>', "pitch of <prosody>"),
        ('<prosody rate="5%">b</prosody>', "speed cannot be"),
        ('<prosody rate="quick">b</prosody>', "no rate"),
        ('<voice name="zed">b</voice>', "unknown voice 'zed'"),
        ('<voice name="ben">[ada] b</voice>', "stands in a <voice>"),
        ('<say-as interpret-as="date">soon</say-as>', "cannot be read as date"),
        ('<say-as interpret-as="colour">b</say-as>', "interpret-as='colour'"),
        ('<phoneme ph="4#">b</phoneme>', "no sound of the IPA"),
        ('<phoneme alphabet="x-sampa" ph="b">b</phoneme>', "x-sampa"),
        ('<sub alias="star">*</sub> b', "holds no words"),
        ('<sub alias="ab">one two three</sub>', "fewer letters"),
        ('<sub alias="x">a <break/> b</sub>', "holds words alone"),
        ('<lang xml:lang="!">b</lang>', "no language tag"),
        ("<emphasis>b</emphasis>", "emphasis"),
        ("<sigh/> b", "sigh"),
    ],
)
def test_what_is_not_understood_is_an_error_with_its_line(suffix, text, words):
    error = refused(f"One.\n\n{text}", suffix)
    assert words in error.message
    assert error.place == 3 + (suffix in (".toml", ".ssml"))


@pytest.mark.parametrize("suffix", [".txt", ".md"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('<prosody rate="slow">b', "is not closed"),
        ("b</prosody>", "closes no element"),
        ('a <break time="2s" b', "the tag <break is not closed"),
        ('<sub alias="x">a\n\nb</sub>', "goes on over the end of a paragraph"),
    ],
)
def test_elements_are_closed_where_they_began(suffix, text, words):
    assert words in refused(text, suffix).message


PLAIN = "a < b, <3, x <- y, x<y and y>z, 2 > 1, <me@example.org>, <https://example.org/a>, [sic] and [a pause]"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_comparisons_and_addresses_are_text(suffix):
    (passage,) = parse(escape(PLAIN) if suffix == ".ssml" else PLAIN, suffix).passages
    shown = PLAIN.replace("<me@example.org>", "me@example.org").replace(
        "<https://example.org/a>", "https://example.org/a"
    )
    assert passage.text == (shown if suffix == ".md" else PLAIN)


@pytest.mark.parametrize("suffix", [".txt", ".md"])
def test_markup_that_is_escaped_is_text(suffix):
    (passage,) = parse("A \\[pause 2s] and &lt;break/> and \\<sigh>.", suffix).passages
    assert passage.text == "A [pause 2s] and <break/> and <sigh>."


@pytest.mark.parametrize("suffix", [".txt", ".md"])
def test_html_is_left_out_and_its_words_are_spoken(suffix):
    (passage,) = parse(
        "It is <b>bold</b>, H<sub>2</sub>O and 3 m<sup>2</sup> <span class='x'>here</span>.", suffix
    ).passages
    assert passage.text == "It is bold, H2O and 3 m² here."


def test_markup_in_code_is_shown_and_not_obeyed():
    script = parse('Write `<break time="1s"/>`.\n\n```\n<voice name="zed">\n```\n', ".md")
    assert [passage.text for passage in script.passages] == ['Write <break time="1s"/>.']


def test_formulas_are_noted_and_money_is_spoken():
    script = parse("So $E=mc^2$ costs $5 to $10.\n\n$$\n\\int_0^1 x\n$$\n\nEnd.", ".md")
    assert [passage.text for passage in script.passages] == ["So costs $5 to $10.", "End."]
    assert script.notes == ["formulas are not spoken (lines 1, 3)"]


def test_a_title_is_without_markup():
    assert parse('# The end [pause 2s] <break time="1s"/> so\n\nHello.', ".md").title == "The end so"


def test_a_pause_that_markdown_takes_for_a_link_is_told():
    assert "target of a link" in refused("[pause 2s]: Hello", ".md").message


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("Also text.12 And more.", "Also text. And more."),
        ("And more.”3", "And more.”"),
        ("See here[3], and there[5–7] or [5, 7].", "See here, and there or."),
        ("A¹ note.² So³ it goes onwards³.", None),
        ("Word[a] and [b]racket, dog[s], a list[note 3].", "Word and [b]racket, dog[s], a list."),
        ("m², x³, 10⁴, Ca²⁺, 12 meter², mc², sin²x.", None),
        ("He knew why³ and left.", "He knew why and left."),
        ("Version 3.12 The end. Fig.3 The 0.7.0-beta.2 A. v.2 The $4.50 Off", None),
        ("In [1] and [1984]. [2] stays", None),
    ],
)
def test_marks_of_footnotes(text, spoken):
    expected = {"A¹ note.² So³ it goes onwards³.": "A note. So³ it goes onwards."}.get(text, spoken or text)
    assert without_footnotes(text) == expected


def test_marks_of_footnotes_are_noted():
    assert "marks of footnotes are not spoken (line 3)" in parse("One.\n\nTwo here[3].", ".txt").notes


SPEAK = (
    '<?xml version="1.0"?>\n<speak version="1.1" xmlns="http://www.w3.org/2001/10/synthesis" xml:lang="de">\n{}</speak>'
)


def test_ssml_has_paragraphs_sentences_and_a_language():
    text = SPEAK.format("<p><s>Zwei &amp; mehr</s>\n<s>Und Schluss</s></p><p>Neu\nhier</p>Ende")
    script = parse_script(text.encode(), "a.ssml", ScriptOptions(voice="ada"))
    assert script.language == "de"
    assert [(p.line, p.text, p.continues) for p in script.passages] == [
        (3, "Zwei & mehr", True),
        (4, "Und Schluss", False),
        (4, "Neu hier", False),
        (5, "Ende", False),
    ]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("<speak>\n<p>x</speak>", 2, "not SSML: mismatched tag"),
        ("<p>x</p>", 1, "no <speak>"),
        ("<speak>\n<speak>x</speak></speak>", 2, "in another"),
        ('<!DOCTYPE speak [<!ENTITY a "b">]>\n<speak>&a;</speak>', 1, "document type"),
        ('<!DOCTYPE speak SYSTEM "file:///etc/passwd">\n<speak>&a;</speak>', 2, "&a; is unknown"),
        ("<speak>\n<?php x ?>x</speak>", 2, "instruction"),
        ("<speak><p></p></speak>", None, "nothing to speak"),
        ("<speak>" + "<p>" * 5000, 1, "nested too deeply"),
    ],
)
def test_an_ssml_file_that_is_none(text, line, words):
    with pytest.raises(InputError, match=words) as caught:
        parse_script(text.encode(), "a.ssml", ScriptOptions(voice="ada"))
    assert caught.value.place == line


@pytest.mark.parametrize("suffix", [".txt", ".md"])
@pytest.mark.parametrize(
    "atom", ["<", "[pause 1", "$", "$$", "a[1]", "text.12 ", "x¹", "<b a='", "</x", "&lt;", "<!-", "[1, "]
)
def test_markup_is_read_in_time_that_grows_with_its_length(suffix, atom):
    # Minutes where a pattern begins its search anew at every sign.
    parse("x" + atom * 5_000, suffix)


def test_keys_of_other_programs_are_noted_and_a_slip_is_an_error():
    head = "---\ntags: [a, b]\ndate: 2020-01-01\nformat: html\naliases: x\nmyown: 3\n{}---\nHello."
    script = parse(head.format(""), ".md")
    assert script.notes == [
        "keys of the header that other programs use have no effect: tags, date, format, aliases, myown"
    ]
    assert "Did you mean title" in (refused(head.format("titel: x\n"), ".md").hint or "")


TOML = 'model = "F5TTS_v1_Base"\n{}\ngen_text = "Hello."'


def test_defaults_of_f5_tts_are_accepted_and_others_refused_by_name():
    usual = "remove_silence = true\nnfe_step = 32\ncfg_strength = 2\nsway_sampling_coef = -1.0\ntarget_rms = 0.1\n"
    data = TOML.format(usual + "cross_fade_duration = 0.15\nspeed = 1.0").encode()
    script = parse_script(data, "a.toml", ScriptOptions(voice="ada"))
    assert script.preset is None and any("remove_silence" in note for note in script.notes)
    assert any(note.endswith("installation: model") for note in script.notes)
    assert parse_script(TOML.format("nfe_step = 16").encode(), "a.toml", ScriptOptions(voice="ada")).preset == "fast"
    for line in ("nfe_step = 20", "cfg_strength = 3.0", "target_rms = 1", "fix_duration = 9.5", "seed = 5",
                 "cross_fade_duration = 0", 'remove_silence = "no"', "seed = true"):  # fmt: skip
        with pytest.raises(InputError, match=line.split()[0]) as caught:
            parse_script(TOML.format(line).encode(), "a.toml", ScriptOptions(voice="ada"))
        assert caught.value.place == 2
