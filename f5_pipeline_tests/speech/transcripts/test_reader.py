"""Transcripts of every format that people have at hand, and every way in which they are broken."""

from __future__ import annotations

import json

import pytest

from f5_pipeline.errors import InputError
from f5_pipeline.speech.transcripts.reader import read_transcript
from f5_pipeline_tests.support.some import some

SRT = """1
00:00:00,500 --> 00:00:02,000
<i>Hello</i> there, {\\an8}friend.

2
00:00:02,400 --> 00:00:04,750
- How are you
today?
"""

VTT = """WEBVTT - a title
Kind: captions

NOTE
what the author noted --> not

STYLE
::cue { color: red }

intro
00:00.500 --> 00:02.000 align:start position:0%
<v Anna>Hello <00:00:01.000><c>there</c>, friend &amp; foe.</v>

00:00:02.400 --> 00:00:04.750
How are you
today?
"""


def read(text: str | bytes, name: str):
    return read_transcript(text if isinstance(text, bytes) else text.encode(), name)


def spans(transcript) -> list[tuple[float, float, str]]:
    return [(s.start, s.end, s.text) for s in transcript.segments]


def test_srt_without_tags_and_speaker_hyphens():
    transcript = read(SRT, "a.srt")
    assert spans(transcript) == [(0.5, 2.0, "Hello there, friend."), (2.4, 4.75, "How are you today?")]
    assert transcript.timed
    assert transcript.text == "Hello there, friend. How are you today?"


def test_vtt_with_notes_styles_voices_and_karaoke_stamps():
    assert spans(read(VTT, "a.vtt")) == [(0.5, 2.0, "Hello there, friend & foe."), (2.4, 4.75, "How are you today?")]


def test_content_decides_over_the_extension():
    assert read(SRT, "a.txt").timed
    assert read(VTT, "noextension").timed
    assert spans(read("0.5\t2\tHello.\n2.5\t3\tYou.\n", "labels.txt")) == [(0.5, 2, "Hello."), (2.5, 3, "You.")]


@pytest.mark.parametrize(
    "data",
    [
        "Grüße, 世界!\r\nNoch eine Zeile.\r\n".encode(),
        b"\xef\xbb\xbf" + "Grüße, 世界!\rNoch eine Zeile.".encode(),
        "Grüße, 世界!\nNoch eine Zeile.".encode("utf-16"),
        b"\xfe\xff" + "Grüße, 世界!\nNoch eine Zeile.".encode("utf-16-be"),
        "Grüße, 世界!\nNoch eine Zeile.".encode("utf-32"),
        "Gru\u0308\u00adße, \u200b世界!\u0007\n\nNoch eine\u00a0Zeile.".encode(),
    ],
)
def test_encodings_and_invisible_characters(data):
    transcript = read(data, "a.txt")
    assert transcript.text == "Grüße, 世界! Noch eine Zeile."
    assert not transcript.timed


def test_lines_of_chinese_join_without_a_blank():
    assert read("今天天气\n很好。", "a.txt").text == "今天天气很好。"


def test_hyphens_of_numbers_stay():
    assert read("-5 degrees\n- Cold!\n–Yes.", "a.txt").text == "-5 degrees Cold! Yes."


@pytest.mark.parametrize(
    "table",
    [
        'Start (s),End (s),Segment\n0.5,2,"Hello, you."\n2.5,3.25,"He said ""go""."\n',
        'Begin;Stop;Transcript\n0,5;2;Hello, you.\n2,5;3,25;"He said ""go""."\n',
        'start_time\tend_time\tcaption\n0:00.5\t00:02\tHello, you.\n00:00:02,500\t00:00:03.25\t"He said ""go""."\n',
        'id,speaker,start_ms,end_ms,text\n1,A,500,2000,"Hello, you."\n2,B,2500,3250,"He said ""go""."\n',
        'startTime,duration,Text\n0.5 s,1.5 s,"Hello, you."\n2.5 s,750 ms,"He said ""go""."\n',
        '0.5,2,"Hello, you."\n2.5,3.25,"He said ""go""."\n',
        '0,5;2;Hello, you.\n\n2,5;3,25;"He said ""go""."\n',
        'Segment,Start,End,Text\n1,0.5,2,"Hello, you."\n2,2.5,3.25,"He said ""go""."\n',
        'start\tend\ttext\n500\t2000\tHello, you.\n2500\t3250\t"He said ""go""."\n',
        'start,end,text\n0.5,2,Hello, you.\n2.5,3.25,He said "go".\n',
    ],
)
def test_tables_of_every_custom(table):
    assert spans(read(table, "a.csv")) == [(0.5, 2.0, "Hello, you."), (2.5, 3.25, 'He said "go".')]


def test_whole_seconds_are_not_taken_for_milliseconds():
    assert spans(read("start,end,text\n0,2,Hello there.\n2,4,And again.\n", "a.csv"))[1][:2] == (2, 4)


def test_a_table_of_text_alone_is_untimed():
    transcript = read("text\nHello.\nYou.\n", "a.csv")
    assert not transcript.timed
    assert transcript.text == "Hello. You."


def whisper(**extra):
    words = [(" Hello", 0.5, 0.9), (" there,", 0.9, 1.2), (" friend.", 1.3, 2.0)]
    timed = [{"word": word, "start": start, "end": end, "probability": 0.9} for word, start, end in words]
    return {"id": 0, "seek": 0, "start": 0.5, "end": 2.0, "text": " Hello there, friend.", "words": timed, **extra}


EXPECTED_WORDS = [("Hello", 0.5, 0.9, " "), ("there,", 0.9, 1.2, " "), ("friend.", 1.3, 2.0, "")]


@pytest.mark.parametrize(
    "data",
    [
        {"text": "…", "language": "en", "segments": [whisper()]},
        [whisper()],
        {"segments": [whisper(), {"start": 2.0, "end": 2.0, "text": "", "words": []}]},
        # OpenAI's verbose_json: words stand apart and have no punctuation.
        {
            "duration": 2.1,
            "segments": [whisper(words=None)],
            "words": [
                {"word": "Hello", "start": 0.5, "end": 0.9},
                {"word": "there", "start": 0.9, "end": 1.2},
                {"word": "friend", "start": 1.3, "end": 2.0},
            ],
        },
        {"segments": [whisper(words=None)], "word_segments": whisper()["words"]},
        {"text": "Hello there, friend.", "words": whisper()["words"]},
        whisper()["words"],
    ],
)
def test_whisper_words_keep_the_segments_spelling(data):
    transcript = read(json.dumps(data), "a.json")
    assert [(w.text, w.start, w.end, w.space) for s in transcript.segments for w in some(s.words)] == EXPECTED_WORDS
    assert spans(transcript) == [(0.5, 2.0, "Hello there, friend.")]


def test_segments_without_words_of_other_tools():
    expected = [(0.5, 2.0, "Hello."), (2.0, 3.0, "You.")]
    plain = [{"start": 0.5, "end": 2.0, "text": " Hello."}, {"start": "2.0", "end": 3, "text": "You."}]
    pipeline = {"chunks": [{"timestamp": [0.5, 2.0], "text": " Hello."}, {"timestamp": [2.0, 3.0], "text": " You."}]}
    cpp = {"transcription": [{"offsets": {"from": 500, "to": 2000}, "text": " Hello."}]}
    cpp["transcription"].append({"offsets": {"from": 2000, "to": 3000}, "text": " You."})
    for data in (plain, {"segments": plain}, pipeline, cpp):
        assert spans(read(json.dumps(data), "a.json")) == expected
    assert not read('{"text": "Hello."}', "a.json").timed


def test_words_without_times_join_the_one_before_until_the_next_known_time():
    words = [{"word": "In", "start": 0.0, "end": 0.2}, {"word": "2014,"}, {"word": "“we"}]
    words += [{"word": "left.”", "start": 2.0, "end": 2.4}]
    data = {"segments": [{"start": 0.0, "end": 2.5, "text": "In 2014, “we left.”", "words": words}]}
    got = read(json.dumps(data), "a.json").segments[0].words
    assert [(w.text, w.start, w.end) for w in some(got)] == [("In 2014, “we", 0.0, 2.0), ("left.”", 2.0, 2.4)]


def test_words_of_chinese_and_of_letters_that_fold_to_two():
    words = [{"word": "今天", "start": 0, "end": 0.4}, {"word": "很好", "start": 0.5, "end": 1}]
    got = read(json.dumps([{"start": 0, "end": 1, "text": "今天，很好。", "words": words}]), "a.json").segments[0].words
    assert [(w.text, w.space) for w in some(got)] == [("今天，", ""), ("很好。", "")]
    words = [{"word": "Straße", "start": 0, "end": 0.4}, {"word": "10%", "start": 0.5, "end": 1}]
    got = (
        read(json.dumps([{"start": 0, "end": 1, "text": "Straße «10%»!", "words": words}]), "a.json").segments[0].words
    )
    assert [w.text for w in some(got)] == ["Straße", "«10%»!"]


def test_overlap_by_rounding_is_closed():
    text = SRT.replace("00:00:02,400", "00:00:01,980")
    assert [s[:2] for s in spans(read(text, "a.srt"))] == [(0.5, 1.98), (1.98, 4.75)]


YOUTUBE = """WEBVTT
Kind: captions
Language: en

00:00:00.080 --> 00:00:02.000 align:start position:0%
{blank}
we<00:00:00.320><c> like</c><00:00:00.800><c> to</c>

00:00:02.000 --> 00:00:02.010 align:start position:0%
we like to
{blank}

00:00:02.010 --> 00:00:04.000 align:start position:0%
we like to
read<00:00:02.500><c> aloud</c>

00:00:04.000 --> 00:00:06.000 align:start position:0%
read aloud
[Music]
""".replace("{blank}", " ")


def test_rolling_captions_are_unrolled_with_the_times_of_their_words():
    transcript = read(YOUTUBE, "a.vtt")
    assert spans(transcript) == [(0.08, 2.0, "we like to"), (2.01, 4.0, "read aloud")]
    words = [(word.text, word.start, word.end) for word in some(transcript.segments[1].words)]
    assert words == [("read", 2.01, 2.5), ("aloud", 2.5, 4.0)]


def srt(*texts: str) -> str:
    return "\n\n".join(f"{n}\n00:00:0{n},000 --> 00:00:0{n},900\n{text}" for n, text in enumerate(texts))


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["ADA: I like to read,", "ADA: while the street", "is quiet."], "I like to read, while the street is quiet."),
        (["[SPEAKER_01]: Hello.", ">> And you?", "[door slams]", "♪ la la ♪", "Yes."], "Hello. And you? Yes."),
        (["Ada: Hello.", "Ada: Again."], "Hello. Again."),
        (["Note this: it is here.", "One.", "Two."], "Note this: it is here. One. Two."),
        (["One.", "...", "", "Two."], "One. Two."),
    ],
)
def test_what_nobody_says_is_left_out(texts, said):
    assert read(srt(*texts), "a.srt").text == said


def test_a_cue_of_signs_is_read_in_time_that_grows_with_its_length():
    assert read(srt("#" * 200_000, "Yes."), "a.srt").text == "Yes."


def test_small_overlaps_of_subtitles_are_closed_and_doubles_dropped():
    text = SRT.replace("00:00:02,400", "00:00:01,700")
    assert [s[:2] for s in spans(read(text, "a.srt"))] == [(0.5, 1.7), (1.7, 4.75)]
    first = SRT.split("\n\n")[0]
    assert len(read(f"{first}\n\n{SRT}", "a.srt").segments) == 2


HEARD = [("Hello,", 0.5, 0.9), ("Ada.", 0.9, 1.3)]
DEEPGRAM_WORDS = [
    {"word": "hello", "start": 0.5, "end": 0.9, "confidence": 0.99, "punctuated_word": "Hello,"},
    {"word": "ada", "start": 0.9, "end": 1.3, "confidence": 0.98, "punctuated_word": "Ada."},
]
DEEPGRAM = {"results": {"channels": [{"alternatives": [{"transcript": "hello ada", "words": DEEPGRAM_WORDS}]}]}}
AWS_ITEMS = [
    {"type": "pronunciation", "alternatives": [{"content": "Hello"}], "start_time": "0.5", "end_time": "0.9"},
    {"type": "punctuation", "alternatives": [{"content": ","}]},
    {"type": "pronunciation", "alternatives": [{"content": "Ada"}], "start_time": "0.9", "end_time": "1.3"},
    {"type": "punctuation", "alternatives": [{"content": "."}]},
]
AWS = {"jobName": "memo", "results": {"transcripts": [{"transcript": "Hello, Ada."}], "items": AWS_ITEMS}}
GOOGLE_WORDS = [
    {"word": "Hello,", "startTime": "0.500s", "endTime": "0.900s"},
    {"word": "Ada.", "startTime": "0.900s", "endTime": "1.300s"},
]
GOOGLE = {"results": [{"alternatives": [{"transcript": "Hello, Ada.", "words": GOOGLE_WORDS}]}, {"alternatives": [{}]}]}
ELEVENLABS = {
    "audio_base64": "",
    "alignment": {
        "characters": list("Hello, Ada."),
        "character_start_times_seconds": [0.5, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 1.0, 1.1, 1.2],
        "character_end_times_seconds": [0.6, 0.65, 0.7, 0.75, 0.8, 0.9, 0.9, 1.0, 1.1, 1.2, 1.3],
    },
}
PLAIN = [{"word": "Hello", "start": 0.5, "end": 0.9, "conf": 1.0}, {"word": "Ada", "start": 0.9, "end": 1.3, "conf": 1}]
GENTLE = {"transcript": "Hello, Ada.", "words": PLAIN}


@pytest.mark.parametrize("data", [DEEPGRAM, AWS, GOOGLE, ELEVENLABS, GENTLE])
def test_words_of_services_keep_their_punctuation_and_times(data):
    (segment,) = read(json.dumps(data), "a.json").segments
    assert segment.text == "Hello, Ada."
    assert [(word.text, word.start, word.end) for word in some(segment.words)] == HEARD


@pytest.mark.parametrize("data", [{"result": PLAIN, "text": "hello ada"}, [{"result": PLAIN, "text": "hello ada"}]])
def test_vosk_is_timed(data):
    assert spans(read(json.dumps(data), "a.json")) == [(0.5, 1.3, "hello ada")]


def test_captions_of_youtube_end_where_the_next_begins():
    events = [
        {"tStartMs": 0, "dDurationMs": 9000, "id": 1},
        {"tStartMs": 80, "dDurationMs": 3000, "segs": [{"utf8": "we"}, {"utf8": " like", "tOffsetMs": 240}]},
        {"tStartMs": 2000, "dDurationMs": 1000, "aAppend": 1, "segs": [{"utf8": "\n"}]},
        {"tStartMs": 2010, "dDurationMs": 2000, "segs": [{"utf8": "it", "tOffsetMs": 0}]},
        {"tStartMs": 5000, "dDurationMs": 2000, "segs": [{"utf8": "[Music]"}]},
    ]
    transcript = read(json.dumps({"wireMagic": "pb3", "events": events}), "a.json")
    assert spans(transcript) == [(0.08, 2.01, "we like"), (2.01, 4.01, "it")]
    words = [(word.text, word.start, word.end) for word in some(transcript.segments[0].words)]
    assert words == [("we", 0.08, 0.32), ("like", 0.32, 2.01)]
    api = [{"text": "we\nlike", "start": 0.08, "duration": 3.0}, {"text": "it", "start": 2.01, "duration": 2}]
    assert spans(read(json.dumps(api), "a.json")) == spans(transcript)


def test_fragments_of_aeneas():
    fragments = [{"begin": "0.500", "end": "2.000", "id": "f1", "language": "eng", "lines": ["Hello."]}]
    assert spans(read(json.dumps({"fragments": fragments}), "a.json")) == [(0.5, 2, "Hello.")]


def test_stamps_in_plain_text_are_times_and_never_spoken():
    printed = "Detecting language\n[00:00.100 --> 00:02.200]  Hello, Ada.\n[00:00:02.200 --> 00:00:03.000] [Music]\n"
    assert spans(read(printed, "a.txt")) == [(0.1, 2.2, "Hello, Ada.")]
    for copied in (
        "[00:00:05] Ada: Hello.\n\n[00:00:09] Ada:\nIs it 10:30?",  # Descript
        "Ada Lee  0:05\nHello.\n\nAda Lee  0:09\nIs it 10:30?",  # Otter
        "0:05\nHello.\n0:09\nIs it 10:30?",  # YouTube's panel
        "(0:05) Hello.\n(0:09) Is it 10:30?",
    ):
        transcript = read(copied, "a.txt")
        assert (transcript.text, transcript.timed) == ("Hello. Is it 10:30?", False), copied
    assert read("10:30 is the time.\nAt 11:00 she left.", "a.txt").text == "10:30 is the time. At 11:00 she left."
    assert read("[ar:Nobody]\n[00:12.30]Hello.\n[00:15.00]Again.", "a.lrc").text == "Hello. Again."
    audacity = "0.5\t2.0\tHello.\n\\\t100.0\t2000.0\n2.5\t3.0\tYou.\n\\\t-1\t200\n"
    assert spans(read(audacity, "labels.txt")) == [(0.5, 2, "Hello."), (2.5, 3, "You.")]


ASS = r"""[Script Info]
ScriptType: v4.00+

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:09.00,Default,,0,0,0,,a note
Dialogue: 0,0:00:02.40,0:00:04.75,Default,,0,0,0,,How are you\Ntoday?
Dialogue: 0,0:00:00.50,0:00:02.00,Default,,0,0,0,,{\i1}Hello{\i0} there, friend.
"""
TTML = """<?xml version="1.0"?>
<tt xmlns="http://www.w3.org/ns/ttml"><body><div>
<p begin="0.5s" end="00:00:02.000">Hello there, friend.</p><p begin="2.4s" end="4.75s">How are you<br/>today?</p>
</div></body></tt>"""
SBV = "0:00:00.500,0:00:02.000\nHello there, friend.\n\n0:00:02.400,0:00:04.750\nHow are you\ntoday?\n"


@pytest.mark.parametrize(("text", "name"), [(ASS, "a.ass"), (ASS, "a.txt"), (TTML, "a.ttml"), (SBV, "a.sbv")])
def test_other_subtitles(text, name):
    assert spans(read(text, name)) == [(0.5, 2.0, "Hello there, friend."), (2.4, 4.75, "How are you today?")]


def test_the_words_of_a_textgrid():
    def tier(name: str, *intervals: tuple[float, float, str]) -> str:
        rows = (f'xmin = {start}\n   xmax = {end} \n  text = "{text}" ' for start, end, text in intervals)
        return f'class = "IntervalTier" \n name = "{name}" \n xmin = 0 \n xmax = 2 \n' + "\n".join(rows) + "\n"

    head = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = 2\n'
    words = tier("ada - words", (0, 0.5, ""), (0.5, 0.9, "hello"), (0.9, 1.3, "ada"))
    transcript = read(head + words + tier("phones", (0.5, 0.7, "HH")), "a.TextGrid")
    got = [(word.text, word.start, word.end) for word in some(transcript.segments[0].words)]
    assert (transcript.text, got) == ("hello ada", [("hello", 0.5, 0.9), ("ada", 0.9, 1.3)])


BROKEN = {
    "empty": (b"", "a.txt", None, "is empty"),
    "blank": (b" \n\t\n", "a.srt", None, "is empty"),
    "blanks of Unicode": ("\ufeff\u00a0\n\u2028\x85\x1c\n", "a.txt", None, "is empty"),
    "blanks of Unicode as srt": ("\u00a0\n", "a.srt", None, "is empty"),
    "blanks of Unicode as csv": ("\u2028\n", "a.csv", None, "is empty"),
    "only a mark": (b"\xef\xbb\xbf", "a.txt", None, "is empty"),
    "latin-1": ("One.\nGrüße.".encode("latin-1"), "a.txt", 2, "byte 8 (0xfc) is not UTF-8"),
    "utf-16 without mark": ("Hello".encode("utf-16-le"), "a.txt", 1, "NUL"),
    "odd utf-16": ("Hello\nyou".encode("utf-16") + b"\x00", "a.txt", 2, "is not UTF-16"),
    "no words": (b"... --- !!", "a.txt", 1, "no text"),
    "unknown extension": (b"Hello", "a.xyz", None, "extension .xyz"),
    "other subtitles": (b"[Script Info]\nTitle: x", "a.ass", None, "no cue is in the file"),
    "entities": (b"<!DOCTYPE tt [<!ENTITY a 'b'>]><tt/>", "a.ttml", None, "declares entities"),
    "no xml": (b"hello", "a.ttml", None, "cannot be read as TTML"),
    "a word processor's": (b"hello", "a.docx", None, ".docx is not read"),
    "sbv without times": (b"0:00:01.000,0:00:02.000\nHello.\n\nYou.\n", "a.sbv", 4, "time line cannot be read"),
    "a data set": (b"LJ001-0001|Printing, in the|Printing, in the\n", "metadata.csv", 1, "LJSpeech"),
    "two people on two channels": (
        '{"results": {"channels": [%s, %s]}}' % (('{"alternatives": [{"transcript": "a", "words": []}]}',) * 2),
        "a.json",
        None,
        "looks like the JSON of Deepgram",
    ),
    "half a service": ('{"alignment": {"characters": ["a"]}}', "a.json", None, "looks like the JSON of ElevenLabs"),
    "tiers": (
        'File type = "ooTextFile"\nObject class = "TextGrid"\n' + 'class = "IntervalTier"\nname = "a"\n' * 2,
        "a.TextGrid",
        None,
        "2 tiers of intervals",
    ),
    "not srt": (b"Hello there", "a.srt", 1, "no time line"),
    "end before start": (SRT.replace("04,750", "02,100"), "a.srt", 6, "before it starts"),
    "no length": (SRT.replace("04,750", "02,400"), "a.srt", 6, "when it starts"),
    "overlap": (SRT.replace("02,400", "01,400"), "a.srt", 6, "before the one at 2 ends"),
    "out of order": (SRT.replace("02,400", "00,100"), "a.srt", 6, "before the one at 2 ends"),
    "negative": (SRT.replace("00:00:00,500", "-00:00:00,500"), "a.srt", 2, "negative"),
    "bad minutes": (SRT.replace("00:00:02,400", "00:61:02,400"), "a.srt", 6, "cannot be read"),
    "bad arrow": (SRT.replace("00:00:02,400 -->", "00:00:02,400 ->"), "a.srt", 5, "belongs to no cue"),
    "no text in any cue": ("1\n00:00:00,500 --> 00:00:02,000\n♪ la la ♪\n", "a.srt", None, "no cue holds text"),
    "blank line inside": (SRT.replace("you\n", "you\n\n"), "a.srt", 9, "belongs to no cue"),
    "no blank line between": (SRT.replace("friend.\n\n2\n", "friend.\n"), "a.srt", 4, "inside a cue's text"),
    "header alone": ("WEBVTT\n\nNOTE nothing\n", "a.vtt", None, "no cue"),
    "not a time": ("start,end,text\n0,1,Hello\n1,two,You\n", "a.csv", 3, "'two' is not a time"),
    "multi-line cell": ('start,end,text\n0,1,"Hel\nlo"\n5,4,You\n', "a.csv", 4, "before it starts"),
    "no text column": ("start,end,speaker\n0,1,A\n", "a.csv", 1, "no column holds the text"),
    "no end column": ("start,text\n0,Hello\n", "a.csv", 1, "no column gives an end"),
    "unknown column": ("start,end,text,mood\n0,1,Hello,glad\n", "a.csv", 1, "'mood' is not known"),
    "two starts": ("start,begin,end,text\n0,0,1,Hello\n", "a.csv", 1, "both give the start"),
    "short row": ("start,end,text\n0,1\n", "a.csv", 2, "2 cells instead of 3"),
    "decimal commas": ("0,5,2,0,Hello\n2,5,3,0,You\n", "a.csv", 1, "decimal commas"),
    "no rows": ("start,end,text\n", "a.csv", 1, "no rows"),
    "empty cell": ("start,end,text\n0,1,Hello\n1,2,\n", "a.csv", 3, "no text"),
    "open quote": ('start,end,text\n0,1,"Hello\n', "a.csv", 2, "cannot be read"),
    "negative row": ("start,end,text\n-1,1,Hello\n", "a.csv", 2, "negative"),
    # Takes minutes where the pattern for a column's unit is quadratic in the brackets.
    "brackets in a header": ('start,end,"mm:ss' + "]" * 130_000 + '\nx"\n0,1,a\n', "a.csv", 1, "is not known"),
    "endless number": (SRT.replace("00:00:02,400", "9" * 400 + ":00:02,400"), "a.srt", 6, "cannot be read"),
    "delimiters alone": (b";\n;;\n", "a.csv", 1, "no rows"),
    "negative word": (
        '[{"text": "a", "words": [{"word": "a", "start": 0, "end": -1}]}]',
        "a.json",
        "segment 1",
        "negative",
    ),
    "not json": ('{"segments": [\n{"start": 0,}]}', "a.json", 2, "not valid JSON"),
    "deep json": ("[" * 100_000, "a.json", None, "nested too deeply"),
    "json of something else": ('{"name": "x"}', "a.json", None, "holds no segments"),
    "json number": ("[1, 2]", "a.json", "segment 1", "a int stands where"),
    "json without text": ('[{"start": 0, "end": 1}]', "a.json", "segment 1", 'no "text"'),
    "json without end": ('[{"start": 0, "end": null, "text": "a"}]', "a.json", "segment 1", "no end"),
    "json nan": ('[{"start": NaN, "end": 1, "text": "a"}]', "a.json", "segment 1", "not a time"),
    "json bool": ('[{"start": true, "end": 1, "text": "a"}]', "a.json", "segment 1", "not a time"),
    "json partly timed": ('[{"start": 0, "end": 1, "text": "a"}, {"text": "b"}]', "a.json", "segment 2", "no times"),
    "json reversed": ('[{"start": 2, "end": 1, "text": "a"}]', "a.json", "segment 1", "before it starts"),
    "json other words": (json.dumps([whisper(text="Something else.")]), "a.json", "segment 1", "do not spell"),
    "json words elsewhere": (json.dumps([whisper(start=7, end=9)]), "a.json", "segment 1", "outside its own times"),
    "rolling": (
        "WEBVTT\n\n"
        + "\n\n".join(f"00:0{i}.000 --> 00:0{i + 1}.000\nthe same words again" + " and on" * i for i in range(5)),
        "a.vtt",
        None,
        "rolling captions",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files_are_refused_with_place_and_mend(case):
    data, name, place, message = BROKEN[case]
    with pytest.raises(InputError) as caught:
        read(data, name)
    assert message in caught.value.message
    assert caught.value.file == name
    assert caught.value.place == place
    assert caught.value.hint and caught.value.hint.endswith(".")


def test_a_long_transcript_is_read_whole():
    cues = "\n".join(
        f"{n}\n{n // 60:02}:{n % 60:02}:00,000 --> {n // 60:02}:{n % 60:02}:05,000\nCue {n}.\n" for n in range(5000)
    )
    transcript = read(cues, "a.srt")
    assert len(transcript.segments) == 5000
    assert transcript.segments[-1].start == 4999 * 60
