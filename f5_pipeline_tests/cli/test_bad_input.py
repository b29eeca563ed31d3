"""What people give that cannot be used, by the real command line: a clear error with the hint, nothing half-written."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest

from f5_pipeline.speech.chunks import ChunkLimits, iter_chunks
from f5_pipeline.speech.script.model import parse_script
from f5_pipeline.store import layout
from f5_pipeline.store.connect import connect
from f5_pipeline_tests.support.installation import EXAMPLES, Ended, Installation, small_file_system
from f5_pipeline_tests.support.quick import quick
from f5_pipeline_tests.support.some import some

pytestmark = pytest.mark.slow

ADA, BEN = EXAMPLES / "voices" / "ada.flac", EXAMPLES / "voices" / "ben.ogg"

SCRIPTS = {
    "arabic.md": """---
language: ar
voice: ada
---
كان البيت هادئا في الصباح. قالت أمي: «صباح الخير»، وابتسمت.

في عام ٢٠٢٤ اشترى أحمد ٣ كتب بسعر ٥٫٢٠ دولار!
""",
    "chinese.md": """---
language: zh
voice: ada
---
早上，房子很安静。妈妈说：“早上好！”然后她笑了。

2024年，小明买了3本书，花了5.20元。
""",
    "damaged.md": "---\nvoice: ada\n---\nThe first sentence is here.\n\nThe second sentence is there.\n",
    "odd.md": "---\nvoice: ada\n---\nA 😀 smile. 👨‍👩‍👧 Family here 🎉🎉🎉\n\n🙂\n\n"
    "Bell\x07 and escape\x1b[31m red\x1b[0m, a zero\u200bwidth, a bidi \u202emark\u202c, soft\u00adhyphen.\x0c "
    "Page two.\tTab here. A BOM \ufeff inside, a line\u2028separator, a private \U000f0000 sign, a lone e\u0301.\n",
}


@pytest.fixture(scope="module")
def studio(tmp_path_factory, voices: Path) -> Installation:
    """An installation with two voices; tests add narrations of their own."""
    return Installation(tmp_path_factory.mktemp("studio")).copy(voices)


def listing(store: Path) -> dict[str, tuple[int, int]]:
    """Every file of a store, temporary ones too, with size and time of change."""
    found = {path: path.stat() for path in sorted(store.rglob("*")) if path.is_file()}
    return {str(path.relative_to(store)): (stat.st_size, stat.st_mtime_ns) for path, stat in found.items()}


def refused(made: Installation, *arguments: object, code: int = 2, **env: str) -> Ended:
    """Run a command that must end with an error, a message instead of a traceback, and a store as it was."""
    store = Path(made.env["F5_STORE"].removeprefix("file:"))
    before = listing(store) if store.is_dir() else None
    ended = quick(made, *arguments, code=code, **env)
    assert "Traceback" not in ended.out + ended.err
    assert "error: " in ended.err or "Error: " in ended.err
    assert (listing(store) if store.is_dir() else None) == before
    return ended


# Recordings and transcripts


@pytest.fixture(scope="module")
def recordings(studio) -> Path:
    """Recordings that cannot be used, each with a transcript where that is not what is wrong."""
    folder = studio.root / "recordings"
    folder.mkdir()
    whole, said = ADA.read_bytes(), ADA.with_suffix(".txt").read_bytes()
    for name, data in {
        "corrupt.flac": whole[10_000:40_000],
        "cut-off.flac": whole[:100_000],
        "empty.wav": b"",
        "text.wav": b"this is no audio, whatever its name says\n",
        "silent-transcript.flac": whole,
    }.items():
        (folder / name).write_bytes(data)
        (folder / name).with_suffix(".txt").write_bytes(said)
    (folder / "silent-transcript.txt").write_bytes(b" \n")
    (folder / "mute.flac").write_bytes(whole)
    (folder / "long.ogg").write_bytes(BEN.read_bytes())
    (folder / "long.txt").write_text("Nothing of this is said in the recording, which is too long to be kept whole.")
    (folder / "other.flac").write_bytes(whole)
    (folder / "other.srt").write_bytes(BEN.with_suffix(".srt").read_bytes())
    (folder / "latin.flac").write_bytes(whole)
    (folder / "latin.txt").write_bytes(b"caf\xe9 au lait\n")
    return folder


@pytest.mark.parametrize(
    ("recording", "wrong", "hint"),
    [
        ("corrupt.flac", "not audio that can be read", "Convert it"),
        ("cut-off.flac", "damaged or cut off", "Copy, record or export it again"),
        ("empty.wav", "an empty file", "Record or export it again"),
        ("text.wav", "not audio that can be read", "Convert it"),
        ("mute.flac", "no transcript", "Put a transcript"),
        ("silent-transcript.flac", "", "transcript"),
        ("latin.flac", "UTF-8", ""),
        ("long.ogg", "long.txt: the transcript cannot be aligned", "Give its transcript with times"),
        ("other.flac", "the transcript runs to 15.92 s, the recording only to 8.95 s", "Give the transcript"),
        ("nowhere.flac", "no such recording", ""),
    ],
)
def test_a_recording_that_cannot_be_used_is_refused(studio, recordings, recording, wrong, hint):
    ended = refused(studio, "voices", "add", "new", recordings / recording)
    assert Path(recording).stem in ended.err and wrong in ended.err and hint in ended.err
    assert not list(studio.store.list("voices/new/"))


@pytest.mark.parametrize(
    ("name", "better"),
    [("../../etc", "etc"), ("Ada Lovelace", "ada-lovelace"), ("a/b", "a-b"), ("", ""), ("é" * 99, "e")],
)
def test_a_name_that_cannot_be_one_is_refused_with_a_better(studio, name, better):
    assert "cannot name a voice" in refused(studio, "voices", "add", name, ADA).err
    assert better in refused(studio, "voices", "show", name).err


def test_other_mistakes_about_voices(studio):
    assert "no such transcript" in refused(studio, "voices", "add", "new", ADA, "--transcript", "nowhere.srt").err
    assert "no language tag" in refused(studio, "voices", "add", "new", ADA, "--language", "not a tag!").err
    assert "Did you mean ada?" in refused(studio, "voices", "show", "adda").err


def test_a_transcript_of_another_recording_is_refused(studio):
    lines = BEN.with_suffix(".srt").read_text().splitlines()
    said = studio.write("wrong.txt", " ".join(line for line in lines if line and not line[0].isdigit()))
    ended = refused(studio, "voices", "add", "wrong", ADA, "--transcript", said)
    assert "wrong/ada.flac" in ended.err
    assert "something else than the recording" in ended.err and "--force" in ended.err


# Scripts


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("empty.txt", b"", ["empty.txt", "nothing to speak", "Write some text"]),
        ("blank.txt", b" \n\n\t\n", ["nothing to speak"]),
        ("header.md", b"---\ntitle: Only a header\n---\n", ["header.md", "nothing to speak"]),
        ("latin.txt", "Un café.\n\nEt encore".encode("latin-1"), ["latin.txt:1:", "0xe9", "UTF-8"]),
        ("second.txt", b"Right.\n\nWr\xffng.\n", ["second.txt:3:", "0xff", "Save the script in"]),
        ("wide.txt", "Hello there.".encode("utf-16")[:-1], ["wide.txt", "UTF-16", "Save it as UTF-8"]),
        ("zero.txt", b"A zero\0byte.\n", ["zero.txt:1:", "zero"]),
        ("yaml.md", b"---\nvoice: ada\ntitle: [x\n---\nText.\n", ["yaml.md:", "not YAML", "quotes"]),
        ("key.md", b"---\nvoice: ada\ntitel: x\n---\nText.\n", ["key.md:3:", "'titel'", "Did you mean title?"]),
        ("speed.md", b"---\nvoice: ada\nspeed: 99\n---\nText.\n", ["speed.md:3:", "speed", "99"]),
        ("pause.md", b"---\nvoice: ada\npauses: {word: 1}\n---\nText.\n", ["pause.md:3:", "word"]),
        ("voice.md", b"---\nvoice: adda\n---\nText.\n", ["voice.md:2:", "'adda'", "Did you mean ada?"]),
        ("tag.txt", b"[ada] Text.\n\n[aba] More.\n", ["tag.txt:3:", "'aba'", "Did you mean ada?"]),
        ("none.txt", b"Text without a voice.\n", ["none.txt:1:", "--voice", "ada"]),
        ("broken.toml", b'gen_text = "Text.\n', ["broken.toml:1:", "not TOML"]),
        ("lost.toml", b'gen_file = "nowhere.txt"\n', ["lost.toml", "nowhere.txt", "cannot be read"]),
        ("script.odt", b"Text.", ["script.odt", ".odt is not a kind of script", "-t markdown"]),
        ("book.epub", b"Text.", ["book.epub", "damaged", "download it again"]),
        ("ending", b"Text.", ["ending", "without an ending", ".txt, .md, .toml"]),
        ("language.md", b"---\nvoice: ada\nlanguage: q\n---\nText.\n", ["language.md:3:", "no language tag"]),
    ],
)
def test_a_script_that_cannot_be_used_is_refused_with_file_and_line(studio, name, data, told):
    path = studio.write(name, data)
    ended = refused(studio, "plan", path)
    for part in told:
        assert part in ended.err
    assert ended.out == ""


def test_what_plan_refuses_narrate_and_scripts_refuse_too(studio):
    studio.write("latin2.txt", b"caf\xe9\n")
    studio.write("fine.txt", "In order.\n")
    assert "latin2.txt:1:" in refused(studio, "narrate", "fine.txt", "latin2.txt", "--voice", "ada").err
    assert "latin2.txt:1:" in refused(studio, "scripts", "add", "latin2.txt").err


def test_what_would_cost_too_much_is_refused_before_it_is_kept(studio):
    studio.write("dear.txt", "This would cost a lot.")
    ended = refused(studio, "narrate", "dear.txt", "--voice", "ada", "--engine", "draft", "--max-cost", "1")
    assert "F5_GPU_HOUR_COST, which is not set" in ended.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["plan", "nowhere.txt"], "nowhere.txt cannot be read"),
        (["plan", "nowhere"], "no script for the narration 'nowhere'"),
        (["plan", "../../../etc/nowhere"], "cannot name a narration"),
        (["narrate", "nowhere.txt"], "nowhere.txt cannot be read"),
        (["narrate", "../x"], "cannot name a narration"),
        (["narrate", "fine.txt", "--name", "../x", "--voice", "ada"], "Call it 'x'"),
        (["narrate", "fine.txt", "fine.txt", "--name", "x"], "--name goes with one script"),
        (["narrate", "fine.txt", "./fine.txt", "--voice", "ada"], "both the narration 'fine'"),
        (["narrate", "fine.txt", "--voice", "adda"], "unknown voice 'adda'. Did you mean ada?"),
        (["narrate", "fine.txt", "--voice", "ada", "--speed", "99"], "--speed 99"),
        (["status", "nowhere"], "no script for the narration 'nowhere'"),
        (["links", "nowhere"], "f5-pipeline narrate nowhere"),
        (["links", "../x"], "cannot name a narration"),
    ],
)
def test_a_call_that_is_wrong_is_told_with_code_2(studio, arguments, told):
    studio.write("fine.txt", "In order.\n")
    assert told in refused(studio, *arguments).err


def words_of(files: dict[str, str], name: str) -> list[dict[str, str]]:
    with Path(files[f"{name}.words.csv"]).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def narrated(studio) -> dict[str, dict]:
    """What came of the scripts, narrated by one command."""
    paths = [studio.write(name, text) for name, text in SCRIPTS.items()]
    return {f"{one['narration']}.md": one for one in studio.run("narrate", *paths, "--json").objects}


@pytest.mark.parametrize("file", SCRIPTS)
def test_scripts_of_every_writing_are_narrated_whole(narrated, file):
    """Right to left, without blanks, emoji and control characters: every word once, in order, within the audio."""
    told, name = narrated[file], Path(file).stem
    script = parse_script(SCRIPTS[file].encode(), file)
    written = [word.text for chunk in iter_chunks(script) for word in chunk.words]
    rows = words_of(told["files"], name)
    assert [row["word"] for row in rows] == written
    assert len(written) >= 10
    times = [(float(row["start"]), float(row["end"])) for row in rows]
    assert all(start < end for start, end in times)
    assert all(before[1] <= after[0] for before, after in pairwise(times))
    assert times[-1][1] <= told["audio_seconds"]
    listed = json.loads(Path(told["files"][f"{name}.words.json"]).read_text(encoding="utf-8"))["words"]
    assert [word["word"] for word in listed] == written
    captions = Path(told["files"][f"{name}.srt"]).read_text(encoding="utf-8")
    plain = "".join(line for line in captions.splitlines() if "-->" not in line and not line.strip().isdigit())
    assert "".join("".join(written).split()) == "".join(plain.split())
    controls = {chr(code) for code in (*range(9), *range(11, 32), 127)} | {"\u202e", "\u200b", "\ufeff"}
    assert not controls & set(captions), "what cannot be seen is not written into captions"


def test_a_megabyte_without_punctuation_is_cut_at_words(studio):
    words = [f"word{'abcdefghijklmnop'[n % 16]}{'xyz'[n % 3]}" for n in range(150_000)]
    text = " ".join(words)
    assert len(text) > 1 << 20
    ended = refused_nothing(studio, "plan", studio.write("mega.txt", text), "--voice", "ada", "--json")
    chunks = ended.objects
    assert [word["text"] for chunk in chunks for word in chunk["words"]] == words
    limits = ChunkLimits()
    assert all(limits.shortest <= chunk["expected_seconds"] <= limits.hard for chunk in chunks)
    assert {chunk["pause"] for chunk in chunks[:-1]} == {"none"}


def test_a_megabyte_of_one_word_is_cut_too(studio):
    text = "xenolith" * (1 << 17)
    chunks = refused_nothing(studio, "plan", studio.write("one.txt", text), "--voice", "ada", "--json").objects
    assert "".join(chunk["written"] for chunk in chunks) == text
    assert all(chunk["expected_seconds"] <= ChunkLimits().hard for chunk in chunks)


def refused_nothing(made: Installation, *arguments: object) -> Ended:
    """Run a command that succeeds and stores nothing."""
    before = listing(Path(made.env["F5_STORE"].removeprefix("file:")))
    ended = quick(made, *arguments)
    assert listing(Path(made.env["F5_STORE"].removeprefix("file:"))) == before
    return ended


def test_captions_that_there_are_not_are_told_with_their_place(studio):
    script = studio.write("cues.md", "---\nvoice: ada\ncaptions:\n  formats: [srt, sub]\n---\nHello.\n")
    told = refused(studio, "narrate", script).err
    assert f"{script}:4" in told and "'sub'" in told and "words.parquet" in told
    assert "--captions srt,sub" in refused(studio, "narrate", script, "--captions", "srt,sub").err
    assert "--words-per-cue 21" in refused(studio, "narrate", script, "--words-per-cue", "21").err
    wrong = studio.write("cues2.md", "---\nvoice: ada\ncaptions: {words_per_cue: many}\n---\nHello.\n")
    told = refused(studio, "narrate", wrong).err
    assert f"{wrong}:3" in told and "words_per_cue" in told


# Settings


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("F5_PORT", "abc", "F5_PORT is not valid"),
        ("F5_PORT", "70000", "F5_PORT is not valid"),
        ("F5_WORKERS", "-1", "F5_WORKERS is not valid"),
        ("F5_LOUDNESS", "0", "F5_LOUDNESS is not valid"),
        ("F5_ENGINE", "espeak", "F5_ENGINE is not valid"),
        ("F5_CAPTIONS", "srt,sub", "F5_CAPTIONS is not valid: there is no caption format 'sub'"),
        ("F5_WORDS_PER_CUE", "21", "F5_WORDS_PER_CUE is not valid"),
        ("F5_LINK_SECONDS", "1", "F5_LINK_SECONDS is not valid"),
        ("F5_PUBLIC_URL", "example.com", "F5_PUBLIC_URL is not valid"),
        ("F5_STORE", "studio", "'studio' is not the address of a store. Use file:<folder>, b2://"),
        ("F5_STORE", "file:", "'file:' is not the address of a store"),
        ("F5_STORE", "s3://bucket", "Set F5_STORE_REGION"),
        ("F5_STORE", "b2://bucket", "F5_STORE_KEY_ID"),
        ("F5_STORE", "gs://bucket", "is not the address of a store"),
    ],
)
def test_a_bad_setting_is_told_by_its_name(studio, variable, value, told):
    assert told in refused(studio, "status", **{variable: value}).err


def test_a_setting_that_is_empty_is_not_set(studio, tmp_path):
    """As everywhere: an empty DAGSTER_HOME must not fill the working directory."""
    made = Installation(studio.root, {})
    made.root = tmp_path
    quick(made, "status", DAGSTER_HOME="", F5_PORT="")
    assert [path.name for path in tmp_path.iterdir()] == [".dagster"]


@pytest.mark.parametrize("command", [["status"], ["voices", "list"], ["voices", "add", "ada", str(ADA)]])
def test_a_store_that_is_a_file_is_told(studio, command):
    path = studio.write("a-file", "x")
    ended = refused(studio, *command, code=1, F5_STORE=f"file:{path}")
    assert str(path) in ended.err and "F5_STORE" in ended.err
    assert path.read_text() == "x"


@pytest.mark.parametrize("command", [["status"], ["voices", "add", "new", str(ADA)], ["links", "x"]])
def test_a_dagster_home_that_cannot_be_made_is_told(studio, command):
    path = studio.write("home-file", "x")
    ended = refused(studio, *command, code=1, DAGSTER_HOME=str(path))
    assert str(path) in ended.err and "DAGSTER_HOME" in ended.err


# Damage


@pytest.fixture(scope="module")
def done(narrated) -> dict:
    """A finished narration to be damaged."""
    return narrated["damaged.md"]


def take_keys(studio) -> list[str]:
    ended = quick(studio, "plan", "damaged", "--json")
    return [chunk["key"] for chunk in ended.objects]


def test_a_damaged_take_is_told_and_made_again_as_the_mend_says(studio, done):
    first, _ = take_keys(studio)
    record = studio.store.local_path(layout.take_record(first))
    record.write_bytes(record.read_bytes()[:50])
    ended = studio.run("narrate", "damaged", "--json", code=1)
    assert layout.take_record(first) in ended.object["error"] and "Delete it" in ended.object["error"]
    assert "Traceback" not in ended.err
    record.unlink()
    again = studio.run("narrate", "damaged", "--json").object
    assert {"total": 2, "synthesized": 1, "reused": 1}.items() <= again["takes"].items()
    assert again["revision"] == done["revision"]


def test_a_record_of_another_version_is_told_and_harms_no_other(studio, done):
    plan = studio.store.local_path(layout.narration_state("damaged", "plan"))
    whole = plan.read_bytes()
    plan.write_text('{"narration": "damaged", "version": 99}')
    ended = refused(studio, "status", "--json", code=1)
    assert "narrations/damaged/plan.json" in ended.err and "not a Plan record of this version" in ended.err
    states = {one["narration"]: one["state"] for one in ended.objects}
    assert states["damaged"] == "damaged" and states["odd"] == "delivered"
    plan.write_bytes(whole)


def test_damaged_links_are_made_anew(studio, done):
    record = studio.store.local_path(layout.narration_state("damaged", "links"))
    record.write_text("{")
    assert set(studio.run("links", "damaged", "--json").object["files"]) == set(done["files"])


# Disks


@pytest.fixture
def disk(tmp_path) -> Iterator[Path]:
    """A file system of its own, 4 MB."""
    yield from small_file_system(tmp_path / "disk", "4m")


def with_voice(studio: Installation, folder: Path, **env: str) -> Installation:
    """An installation with a store of its own, with the voice and the instance of another."""
    made = Installation(studio.root)
    made.env = {**studio.env, "F5_STORE": f"file:{folder}", **env}
    shutil.copytree(some(studio.store.local_path("voices/ada")), folder / "voices" / "ada")
    return made


def assert_whole(store_folder: Path) -> list[str]:
    """No temporary file, and every take record has its audio, byte for byte. Return the keys of the takes."""
    store = connect(f"file:{store_folder}")
    assert list((store_folder / ".tmp").iterdir()) == []
    records = [one.key for one in store.list("takes/") if one.key.endswith(".json")]
    for key in records:
        take = json.loads(store.get_bytes(key))
        assert sha256(store.get_bytes(layout.take_audio(take["key"]))).hexdigest() == take["sha256"]
    for one in store.list("narrations/"):
        if one.key.endswith(".json"):
            json.loads(store.get_bytes(one.key))
    return records


def test_a_full_disk_is_told_and_the_next_run_makes_only_what_is_missing(studio, disk):
    made = with_voice(studio, disk / "studio")
    text = "\n\n".join(f"Sentence {n} of this text tells one more thing about a full disk." for n in range(60))
    script = made.write("full.txt", text)
    ended = made.run("narrate", script, "--voice", "ada", "--json", code=1)
    assert "the disk is full" in ended.object["error"] and "Free space there" in ended.object["error"]
    assert "Traceback" not in ended.out + ended.err
    takes = assert_whole(disk / "studio")
    assert 0 < len(takes) < 60
    # Enough for the takes and not for the audio: the next thing that is written fails as clearly.
    used = shutil.disk_usage(disk).used
    subprocess.run(["mount", "-o", f"remount,size={used * 60 // len(takes) + (1 << 20)}", str(disk)], check=True)
    ended = made.run("narrate", script, "--voice", "ada", "--json", code=1)
    assert "the disk is full" in ended.object["error"]
    assert len(assert_whole(disk / "studio")) == 60
    assert not list((disk / "studio" / "narrations").rglob("manifest.json"))

    subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
    told = made.run("narrate", script, "--voice", "ada", "--json").object
    assert {"total": 60, "synthesized": 0, "reused": 60}.items() <= told["takes"].items()
    assert len(assert_whole(disk / "studio")) == 60


def test_store_and_instance_on_one_full_disk_is_told(studio, disk):
    """As installed both are on the same disk: Dagster's database then cannot be written either."""
    made = Installation(disk)
    shutil.copytree(some(studio.store.local_path("voices/ada")), disk / "studio" / "voices" / "ada")
    quick(made, "status")
    (disk / "filling").write_bytes(bytes(shutil.disk_usage(disk).free - (64 << 10)))
    script = studio.write("both-full.txt", "One sentence is enough for it.")
    ended = made.run("narrate", script, "--voice", "ada", "--json", code=1)
    assert "Traceback" not in ended.out + ended.err
    assert "full" in ended.err + ended.out or "disk I/O error" in ended.err
    assert "Free space there" in ended.err + ended.out


def test_a_read_only_store_is_told_and_can_still_be_read(studio, disk):
    made = with_voice(studio, disk / "studio")
    made.write("kept.txt", "This is kept before the disk is locked.")
    quick(made, "scripts", "add", "kept.txt", "--voice", "ada")
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for arguments in (
        ["voices", "add", "ben", BEN],
        ["scripts", "add", made.write("new.txt", "New."), "--voice", "ada"],
    ):
        ended = refused(made, *arguments, code=1)
        assert "Read-only file system" in ended.err and "Make the folder writable" in ended.err
    ended = made.run("narrate", "kept", "--json", code=1)
    assert "Make the folder writable" in ended.object["error"]
    assert "StoreError" not in ended.object["error"], "a sentence for people"
    assert quick(made, "plan", "kept", "--json").objects
    assert "ada" in quick(made, "voices", "list").out


def test_a_folder_without_permission_is_told(studio, tmp_path):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    made = with_voice(studio, tmp_path / "studio")
    (tmp_path / "studio" / "voices").chmod(0o500)
    ended = refused(made, "voices", "add", "new", ADA, code=1)
    assert "Make the folder writable" in ended.err
