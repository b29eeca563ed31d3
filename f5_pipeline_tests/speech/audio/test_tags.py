"""Tags, chapters and covers, read back by ffmpeg and mutagen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mutagen
import numpy as np
import pytest
import soundfile

from f5_pipeline.speech.audio.cover import drawn_cover
from f5_pipeline.speech.audio.encoding import FORMATS, Output, encode
from f5_pipeline.speech.audio.mastering import Master
from f5_pipeline.speech.audio.tags import Mark, Tagging, id3v2
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.script.model import AudioFormat
from f5_pipeline_tests.support.ffmpeg import chapters_of
from f5_pipeline_tests.support.sounds import speechlike

MARKS = [Mark("Der Fuß; = #1", 0.75, 4.5), Mark("中文", 4.5, 12.004), Mark("End", 12.004, 26.0)]
FIELDS = {
    "title": "A = title; of \\ #1",
    "artist": "Zoë",
    "album": "Album",
    "narrator": "ada, ben",
    "language": "pt-br",
    "description": "Two\nlines",
    "tracknumber": "2/3",
    "synthetic_voice": "yes",
    "digital_source_type": "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia",
}


def opened(path: Path) -> Any:
    return mutagen.File(path)  # pyright: ignore[reportPrivateImportUsage]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[AudioFormat, Path]:
    folder = tmp_path_factory.mktemp("tags")
    speechlike(26).astype("<f4").tofile(folder / "a.f32")
    master = Master(folder / "a.f32", 1.0)
    tags = Tagging(FIELDS, MARKS, drawn_cover("Title", "Author"))
    outputs = [Output(name, folder / f"a{FORMATS[name].suffix}", 0, master.samples, tags) for name in FORMATS]
    encode(master, outputs)
    return {output.format: output.path for output in outputs}


@pytest.mark.parametrize("name", FORMATS)
def test_chapters_are_where_they_were_marked(files, name):
    marked = [(mark.title, mark.start) for mark in MARKS]
    if name == "m4b":  # its list of chapters begins with the sound
        marked[0] = marked[0][0], 0.0
    read = chapters_of(files[name])
    assert [title for title, _ in read] == [title for title, _ in marked]
    assert [start for _, start in read] == pytest.approx([start for _, start in marked], abs=0.01)


@pytest.mark.parametrize("name", FORMATS)
def test_programs_can_tell_that_the_voice_is_synthetic(files, name):
    tags = opened(files[name]).tags
    prefix = {"mp3": "TXXX:", "wav": "TXXX:", "m4b": "----:com.apple.iTunes:"}.get(name, "")
    for field in ("synthetic_voice", "digital_source_type", "narrator"):
        key = prefix + (field.upper() if prefix else field)
        value = tags[key][0]
        assert (bytes(value).decode() if name == "m4b" else value) == FIELDS[field]
    title = {"mp3": "TIT2", "wav": "TIT2", "m4b": "\xa9nam"}.get(name, "title")
    assert tags[title][0] == FIELDS["title"]


def test_an_audiobook_has_its_times_language_and_cover(files):
    book = opened(files["m4b"])
    assert [chapter.start for chapter in book.chapters] == pytest.approx([mark.start for mark in MARKS], abs=0.01)
    assert bytes(book.tags["covr"][0])[:2] == b"\xff\xd8" and book.tags["trkn"] == [(2, 3)] and book.tags["stik"] == [2]
    assert opened(files["mp3"]).tags["TLAN"].text == ["por"]
    assert opened(files["mp3"]).tags.getall("APIC")[0].mime == "image/jpeg"
    assert opened(files["flac"]).pictures[0].type == 3


def test_seek_points_of_a_flac_are_frames(files):
    points = opened(files["flac"]).seektable.seekpoints
    assert [point.first_sample // SAMPLE_RATE for point in points] == [0, 10, 20]
    data = files["flac"].read_bytes()
    info = opened(files["flac"])
    begin = data.index(b"\xff\xf8", sum(len(block.write()) + 4 for block in info.metadata_blocks))
    for point in points:
        assert data[begin + point.byte_offset :][:2] == b"\xff\xf8" and point.first_sample % 4096 == 0
    whole, _ = soundfile.read(files["flac"])
    with soundfile.SoundFile(files["flac"]) as file:
        file.seek(21 * SAMPLE_RATE + 5)
        assert np.array_equal(file.read(1000), whole[21 * SAMPLE_RATE + 5 :][:1000])


def test_more_chapters_than_a_table_holds(tmp_path: Path):
    marks = [Mark(str(index), index, index + 1) for index in range(300)]
    (tmp_path / "a.id3").write_bytes(id3v2(Tagging({}, marks)))
    from mutagen.id3 import ID3

    tags = ID3(tmp_path / "a.id3")
    assert len(tags.getall("CHAP")) == 300
    tables = {table.element_id: table.child_element_ids for table in tags.getall("CTOC")}
    assert [child for table in tables["toc"] for child in tables[table]] == [f"chp{index}" for index in range(300)]
