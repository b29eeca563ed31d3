"""Captions, videos and audiograms of a delivered narration, by the real ffmpeg."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from f5_pipeline.cli import main
from f5_pipeline.errors import InputError, PipelineError
from f5_pipeline.speech.audio.ffmpeg import find_ffmpeg
from f5_pipeline.speech.video.audiogram import SHAPES
from f5_pipeline.speech.video.process import probe
from f5_pipeline.store import layout
from f5_pipeline.store.local import LocalStore
from f5_pipeline.store.records import write_record
from f5_pipeline.studio.records import Manifest
from f5_pipeline.studio.videos import caption_video, newest_delivery, write_audiogram, write_book, write_captions
from f5_pipeline_tests.support.ffmpeg import ffmpeg
from f5_pipeline_tests.support.shared import made_once
from f5_pipeline_tests.support.small_studio import Studio

TEXT = "---\nvoice: ada\ntitle: A {title}, with marks\nauthor: A. Reed\n---\nThe lamp burned. Nobody came.\n"


@pytest.fixture(scope="session")
def delivered(tmp_path_factory, voices, weights) -> Path:
    """A store with a narration of 3 s; not to be changed."""

    def make(root: Path) -> None:
        shutil.copytree(voices, root / "studio")
        studio = Studio(LocalStore(root / "studio"), weights)
        _, _, timings = studio.produce(studio.plan(TEXT, "story.md", engine="draft"))
        write_record(studio.store, layout.narration_state("story", "timings"), timings)

    return made_once(tmp_path_factory, "delivered", make) / "studio"


@pytest.fixture
def store(delivered) -> LocalStore:
    return LocalStore(delivered)


@pytest.fixture
def manifest(store) -> Manifest:
    return newest_delivery(store, "story")


@pytest.fixture(scope="session")
def video(tmp_path_factory) -> Path:
    """2 s of 160 x 90 with a tone and captions of its own, in a folder that filters would not take as it is."""
    folder = tmp_path_factory.mktemp("it's, a: [folder]; 100%")
    (folder / "own.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nIts own\n")
    path = folder / "fi lm's.mkv"
    ffmpeg(
        "-v", "error", "-f", "lavfi", "-i", "testsrc=s=160x90:r=10:d=2", "-f", "lavfi", "-i", "sine=d=2",
        "-i", folder / "own.srt", "-map", "0", "-map", "1", "-map", "2", "-pix_fmt", "yuv420p", "-c:s", "srt", path,
    )  # fmt: skip
    return path


def frame(path: Path, at: float) -> np.ndarray:
    """The grey picture at a time, s."""
    media, program = probe(path), find_ffmpeg()
    assert program
    call = [program, "-v", "error", "-i", path, "-ss", str(at), "-frames:v", "1", "-pix_fmt", "gray", "-f", "rawvideo"]
    data = subprocess.run([*call, "-"], capture_output=True, check=True).stdout
    return np.frombuffer(data, np.uint8).reshape(media.height, media.width).astype(int)


def streams(path: Path) -> list[tuple[str, str]]:
    """Kind and codec of each stream, with its language."""
    found = re.findall(r"Stream #0:\d+(?:\[\w+\])?(?:\((\w+)\))?: (Video|Audio|Subtitle): (\w+)", ffmpeg("-i", path))
    return [(f"{kind} {codec}", language) for language, kind, codec in found]


def test_captions_are_written_in_another_format_and_length(store, manifest, tmp_path):
    write_captions(store, manifest, "srt", tmp_path / "by-word.srt", words_per_cue=1)
    assert (tmp_path / "by-word.srt").read_text().count("-->") == 5
    write_captions(store, manifest, "vtt", tmp_path / "story.vtt")
    kept = next(file for file in manifest.timings if file.name.endswith(".vtt"))
    assert (tmp_path / "story.vtt").read_bytes() == store.get_bytes(kept.key)


def test_burnt_captions_are_where_text_is_expected(store, manifest, video, tmp_path):
    output, reports = tmp_path / "burnt.mp4", []
    notes = caption_video(
        store, manifest, video, output, burnt=True, use="replace", on_progress=lambda done, total: reports.append(total)
    )
    assert len(notes) == 1 and "longer than the video" in notes[0]
    assert set(reports) == {round(manifest.audio.seconds)}
    assert streams(output) == [("Video h264", "und"), ("Audio aac", "eng")]
    assert "Synthetic voice" in ffmpeg("-i", output)
    difference = np.abs(frame(output, 0.9) - frame(video, 0.9)) > 60
    assert difference[55:88].sum() > 50
    assert difference[:45].sum() < 20
    assert list(tmp_path.iterdir()) == [output]


def test_captions_are_a_stream_beside_those_of_the_video(store, manifest, video, tmp_path):
    output = tmp_path / "muxed.mp4"
    caption_video(store, manifest, video, output, burnt=False, use="add")
    assert streams(output) == [
        ("Video h264", "und"), ("Audio vorbis", "und"), ("Audio aac", "eng"), ("Subtitle mov_text", "eng"),
        ("Subtitle mov_text", "und"),
    ]  # fmt: skip
    output = tmp_path / "muxed.mkv"
    caption_video(store, manifest, video, output, burnt=False, name="ass")
    assert [stream for stream, _ in streams(output)] == [
        "Video h264",
        "Audio vorbis",
        "Subtitle ass",
        "Subtitle subrip",
    ]
    program = find_ffmpeg()
    assert program
    call = [program, "-v", "error", "-i", output, "-map", "0:s:0", "-f", "srt", "-"]
    assert "Nobody came" in subprocess.run(call, capture_output=True, text=True, check=True).stdout.replace(
        "</font>", ""
    )


def test_webm_takes_what_is_made_for_it(store, manifest, video, tmp_path):
    with pytest.raises(InputError, match=r"a \.webm cannot hold h264"):
        caption_video(store, manifest, video, tmp_path / "out.webm", burnt=False)
    small, output = tmp_path / "small.webm", tmp_path / "out.webm"
    ffmpeg("-v", "error", "-f", "lavfi", "-i", "testsrc=s=64x36:r=5:d=1", "-c:v", "libvpx", small)
    caption_video(store, manifest, small, output, burnt=False, use="replace")
    assert [stream for stream, _ in streams(output)] == ["Video vp8", "Audio opus", "Subtitle webvtt"]
    assert streams(output)[2][1] == "eng"


def test_a_picture_that_is_turned_has_captions_that_fit(store, manifest, video, tmp_path):
    turned = tmp_path / "turned.mp4"
    ffmpeg("-v", "error", "-display_rotation", "90", "-i", video, "-map", "0:v", "-c", "copy", turned)
    assert (probe(turned).width, probe(turned).height) == (90, 160)
    caption_video(store, manifest, turned, tmp_path / "burnt.mp4", burnt=True)
    media = probe(tmp_path / "burnt.mp4")
    assert (media.width, media.height, media.of_kind("Audio")) == (90, 160, [])


@pytest.mark.parametrize(
    ("name", "content", "output", "problem"),
    [
        ("gone.mp4", None, "out.mp4", "there is no such video"),
        ("text.mp4", b"no video", "out.mp4", "ffmpeg cannot read it"),
        ("sound.wav", b"", "out.mp4", "it has no picture"),
        ("gone.mp4", None, "out.avi", "cannot be .avi"),
        ("gone.mp4", None, "out.webm", "cannot be .webm"),
        ("gone.mp4", None, "there.mp4", "this file is there already"),
        ("gone.mp4", None, "no/out.mp4", "there is no such folder"),
    ],
)
def test_bad_input_is_refused_before_anything_is_written(store, manifest, tmp_path, name, content, output, problem):
    (tmp_path / "there.mp4").write_bytes(b"kept")
    path = tmp_path / name
    if content:
        path.write_bytes(content)
    elif content is not None:
        import soundfile

        soundfile.write(path, np.zeros(800), 8000)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=re.escape(problem)):
        caption_video(store, manifest, path, tmp_path / output, burnt=True)
    assert sorted(tmp_path.iterdir()) == before and (tmp_path / "there.mp4").read_bytes() == b"kept"


def test_a_failure_of_ffmpeg_is_told_in_a_sentence_and_leaves_nothing(store, manifest, video, tmp_path):
    data, cut = video.read_bytes(), tmp_path / "cut.mkv"
    cut.write_bytes(data[: data.index(b"\x1f\x43\xb6\x75") + 40])  # a cluster of Matroska, without a whole picture
    with pytest.raises(PipelineError, match=r"^ffmpeg could not make the video: [^\n\[]+$"):
        caption_video(store, manifest, cut, tmp_path / "out.mp4", burnt=True)
    assert list(tmp_path.iterdir()) == [cut]


@pytest.mark.slow
@pytest.mark.parametrize("shape", SHAPES)
def test_audiograms_are_as_long_as_the_narration_and_light_the_words(store, manifest, tmp_path, shape):
    output = tmp_path / "story.mp4"
    write_audiogram(store, manifest, shape, output)
    media, layout_ = probe(output), SHAPES[shape]
    assert (media.width, media.height) == (layout_.width, layout_.height)
    assert abs(media.seconds - manifest.audio.seconds) <= 0.1
    told = ffmpeg("-i", output)
    assert "yuv420p" in told and "aac" in told and "A {title}, with marks" in told
    early, late = frame(output, 0.2), frame(output, manifest.audio.seconds - 0.2)
    left, top, width, height = layout_.wave
    lit = late[top : top + height, left : left + width // 2]
    dim = early[top : top + height, left : left + width // 2]
    assert lit.max() > dim[:, width // 4 :].max() + 50, "the waveform is lit as it is played"
    middle = layout_.words[0]
    assert frame(output, 0.9)[middle - 100 : middle + 100].max() > 200, "there are words"


def test_a_book_has_a_part_of_the_sound_for_each_sentence(store, manifest, tmp_path):
    path = tmp_path / "story.epub"
    assert write_book(store, manifest, path) == 1
    with zipfile.ZipFile(path) as archive:
        assert archive.infolist()[0].filename == "mimetype" and not archive.infolist()[0].compress_type
        parsed = {name: archive.read(name) for name in archive.namelist() if name.endswith(("html", "smil", "opf"))}
        roots = {name: ElementTree.fromstring(data) for name, data in parsed.items()}
        sound = next(file for file in manifest.files if file.name.endswith(".mp3"))
        assert archive.read("EPUB/audio.mp3") == store.get_bytes(sound.key)
    html, smil = "{http://www.w3.org/1999/xhtml}", "{http://www.w3.org/ns/SMIL}"
    spans = {span.get("id"): span.text for span in roots["EPUB/chapter00001.xhtml"].iter(f"{html}span")}
    assert list(spans.values()) == ["The lamp burned.", "Nobody came."]
    pars = list(roots["EPUB/chapter00001.smil"].iter(f"{smil}par"))
    texts = [text.get("src", "") for par in pars for text in par.iter(f"{smil}text")]
    assert texts == [f"chapter00001.xhtml#{name}" for name in spans]
    clips = [(clip.get("clipBegin"), clip.get("clipEnd")) for par in pars for clip in par.iter(f"{smil}audio")]
    assert clips[0][0] == "0.000s" and clips[0][1] == clips[1][0] and clips[1][1] == f"{manifest.audio.seconds:.3f}s"
    package = "".join(roots["EPUB/package.opf"].itertext())
    assert "A {title}, with marks" in package and f"{manifest.audio.seconds:.3f}s" in package


def test_the_command_says_what_is_wrong_and_writes_files(here, delivered, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("F5_STORE", f"file:{delivered}")
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["f5-pipeline", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return int(str(ended.value.code))

    assert command("captions", "story", "--format", "docx") == 2
    assert "there is no caption format 'docx'" in capsys.readouterr().err
    assert command("captions", "another") == 2
    assert "nothing of 'another' is delivered yet" in capsys.readouterr().err
    assert command("captions", "story", "--audio") == 2
    assert command("captions", "story", "--burn", "film.mp4", "--mux", "film.mp4") == 2
    assert not list(tmp_path.glob("*.srt"))
    assert command("captions", "story", "--words-per-cue", "2") == 0
    assert (tmp_path / "story.srt").read_text().startswith("1\n00:00:0")
    assert command("captions", "story", "--output", "x.words.csv") == 0
    assert (tmp_path / "x.words.csv").read_text().startswith("index,word")
    assert command("captions", "story") == 2
    assert "--force" in capsys.readouterr().err
    assert command("captions", "story", "--force", "--format", "ttml", "--output", "story.srt") == 0
    assert "<tt " in (tmp_path / "story.srt").read_text()
    assert command("audiogram", "story", "--output", "story.mov") == 2
