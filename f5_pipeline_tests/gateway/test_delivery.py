from __future__ import annotations

from email.message import Message

import pytest

from f5_pipeline.gateway.delivery import byte_range, content_disposition, media_type_of


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-", (0, 100)),
        ("bytes=99-", (99, 100)),
        ("bytes=10-1000", (10, 100)),
        ("bytes=-1", (99, 100)),
        ("bytes=-1000", (0, 100)),
        ("Bytes= 5-9 ", (5, 10)),
        ("bytes=100-", (100, 100)),  # behind the end: empty, 416
        ("bytes=100-200", (100, 100)),
        ("bytes=9999999999999999999-", (9999999999999999999,) * 2),
        ("bytes=-0", (100, 100)),
        ("bytes=5-4", None),
        ("bytes=-", None),
        ("bytes=", None),
        ("bytes", None),
        ("", None),
        ("items=0-5", None),
        ("bytes=0-1,5-6", None),
        ("bytes=a-b", None),
        ("bytes=+1-2", None),
        ("bytes=1--2", None),
        ("bytes=٠-٥", None),
        ("bytes=" + "9" * 5000 + "-", None),
    ],
)
def test_byte_range(header, span):
    assert byte_range(header, 100) == span


def test_nothing_of_an_empty_file_can_be_ranged():
    assert byte_range("bytes=0-", 0) == (0, 0)
    assert byte_range("bytes=-5", 0) == (0, 0)


@pytest.mark.parametrize(
    "name",
    [
        "plain.mp3",
        "two words.mp3",
        'quo"te.mp3',
        "back\\slash.mp3",
        "100%.mp3",
        "Grüße aus Köln.mp3",
        "旅の歌.flac",
        "صوت.mp3",
        "😀.vtt",
        "semi;colon=x.mp3",
        "it's*odd'.mp3",
        "line\r\nSet-Cookie: a=b.mp3",
        "\0nul.mp3",
        "...",
        "lone\ud800.mp3",
    ],
)
@pytest.mark.parametrize("inline", [False, True])
def test_a_name_survives_the_header_and_nothing_else_gets_in(name, inline):
    value = content_disposition(name, inline=inline)
    assert value.isascii() and value.isprintable()
    parsed = Message()
    parsed["Content-Disposition"] = value
    assert parsed.get_content_disposition() == ("inline" if inline else "attachment")
    if "filename*" in value:  # browsers prefer it to the plain one
        kind, _, encoded = value.partition("filename*=UTF-8''")
        assert encoded and all(c.isalnum() or c in "%-._~" for c in encoded)
        plain = kind.partition('filename="')[2].partition('"')[0]
        assert plain and not set(plain) & set('"\\/%\r\n')
        from urllib.parse import unquote

        assert unquote(encoded) == name.encode("utf-8", "replace").decode()
    else:
        assert value.endswith(f'filename="{name}"')


def test_the_plain_name_stays_readable():
    assert 'filename="Gru_e aus Koln.mp3"' in content_disposition("Grüße aus Köln.mp3")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.flac", "audio/flac"),
        ("a.MP3", "audio/mpeg"),
        ("a.words.vtt", "text/vtt; charset=utf-8"),
        ("a.srt", "application/x-subrip; charset=utf-8"),
        ("a.csv", "text/csv; charset=utf-8"),
        ("a.json", "application/json"),
        ("a.html", "application/octet-stream"),
        ("a.svg", "application/octet-stream"),
        ("noending", "application/octet-stream"),
    ],
)
def test_media_types(name, kind):
    assert media_type_of(name) == kind
