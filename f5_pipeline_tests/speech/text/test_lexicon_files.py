"""Lexicons as CSV and PLS files."""

from __future__ import annotations

import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.speech.text.lexicon import Entry
from f5_pipeline.speech.text.lexicon_files import read_csv, read_lexicon, read_pls, write_csv, write_pls

ENTRIES = [
    Entry(written="Nietzsche", said="Neecha", note='a "philosopher", dead'),
    Entry(written="Zarathustra", ipa="ˌzærəˈθuːstrə", language="en", voice="ada", narration="story"),
    Entry(written="AT&T", said="ay tee <and> tee", ipa="eɪ", match_case=True),
    Entry(written="尼采", said="泥猜", language="zh", part_of_words=False),
    Entry(written="nasa", said="Nassa", part_of_words=True),
]


def test_csv_gives_back_what_was_written():
    assert read_csv(write_csv(ENTRIES), "a.csv") == ENTRIES


def test_a_table_of_two_columns_is_enough():
    expected = [Entry(written="Nietzsche", said="Neecha"), Entry(written="New York", said="En, Why")]
    assert read_csv(b'Nietzsche,Neecha\r\n\r\nNew York,"En, Why"\r\n', "a.csv") == expected
    assert read_csv(b"\xef\xbb\xbfSaid,Written,Note\nNeecha,Nietzsche\n", "a.csv") == expected[:1]


def test_pls_gives_back_what_it_can_hold():
    written = [ENTRIES[0], ENTRIES[2]]
    again = read_pls(write_pls(written, "en-US"), "a.pls")
    assert [(one.written, one.said, one.ipa) for one in again] == [(one.written, one.said, one.ipa) for one in written]
    assert {one.language for one in again} == {"en-us"}


def test_pls_of_others_is_read():
    data = """<?xml version="1.0" encoding="UTF-8"?>
<lexicon version="1.0" xmlns="http://www.w3.org/2005/01/pronunciation-lexicon" alphabet="x-sampa" xml:lang="en-GB">
  <meta name="x" content="y"/>
  <lexeme role="x">
    <grapheme>colour</grapheme><grapheme>color</grapheme>
    <phoneme alphabet="ipa">ˈkɒlə</phoneme><phoneme alphabet="ipa" prefer="true">ˈkʌlə</phoneme>
    <example>The colour <alias/> red</example>
  </lexeme>
  <lexeme><grapheme>W3C</grapheme><alias>World Wide Web Consortium</alias></lexeme>
</lexeme-x>"""
    data = data.replace("</lexeme-x>", "</lexicon>")
    assert read_lexicon(data.encode(), "a.PLS") == [
        Entry(written="colour", ipa="ˈkʌlə", language="en-gb"),
        Entry(written="color", ipa="ˈkʌlə", language="en-gb"),
        Entry(written="W3C", said="World Wide Web Consortium", language="en-gb"),
    ]


HEAD = '<lexicon version="1.0" xmlns="http://www.w3.org/2005/01/pronunciation-lexicon" alphabet="{}" xml:lang="en">\n'


@pytest.mark.parametrize(
    ("name", "data", "line", "problem"),
    [
        ("a.csv", "written,sayd\na,b\n", 1, "'sayd' is unknown"),
        ("a.csv", "written,said,said\n", 1, "stands twice"),
        ("a.csv", "a,b,c\n", 1, "no column 'written'"),
        ("a.csv", "written,said\na,b\nc,d,e\n", 3, "3 values"),
        ("a.csv", 'written,said\na,"b\n', 2, "not CSV"),
        ("a.csv", "written,said\na,b\nA,c\n", 3, "on line 2 already"),
        ("a.csv", "written,said,match_case\na,b,perhaps\n", 2, "match_case cannot be 'perhaps'"),
        ("a.csv", "written,ipa\na,b\nc,n5\n", 3, "no sound of the IPA"),
        ("a.csv", b"written,said\na,\xff\n", 2, "not UTF-8"),
        ("a.pls", "<lexicon>", 1, "not XML"),
        ("a.pls", "<lexicon/>", 1, "not a lexicon of PLS"),
        ("a.pls", '<!DOCTYPE x [<!ENTITY a "b">]>\n' + HEAD.format("ipa") + "</lexicon>", 1, "document type"),
        ("a.pls", HEAD.format("x-sampa") + "<lexeme><phoneme>b</phoneme></lexeme></lexicon>", 2, "x-sampa"),
        ("a.pls", HEAD.format("ipa") + "\n<lexeme><grapheme>a</grapheme></lexeme></lexicon>", 3, "not said how"),
        ("a.xml", HEAD.format("ipa").replace("<", '<?xml version="1.0" encoding="x-no"?><', 1), 1, "not XML"),
        ("a.csv", "written,said\n" + "a" * (9 << 20), None, "larger than 8 MiB"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named_with_its_line(name, data, line, problem):
    with pytest.raises(InputError) as error:
        read_lexicon(data if isinstance(data, bytes) else data.encode(), name)
    assert problem in error.value.message
    assert (error.value.file, error.value.place) == (name, line)
