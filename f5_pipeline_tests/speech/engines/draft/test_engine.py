"""The draft engine on the real espeak-ng: same bytes each time, exact word times, faults that stay where they are."""

from __future__ import annotations

import itertools
import os
import re
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from f5_pipeline.errors import EngineError, InputError
from f5_pipeline.speech.engine import SAMPLE_RATE, Cancelled, Failed, Request, Speech
from f5_pipeline.speech.engines.draft import engine as draft
from f5_pipeline.speech.engines.draft.engine import DraftEngine, Worker, espeak_voice, variant_of
from f5_pipeline.speech.engines.draft.times import speakable, spoken_units, tokens_of
from f5_pipeline_tests.support.some import some
from f5_pipeline_tests.support.waiting import HANG_SECONDS

SENTENCE = "It is well-known; the first of 1,234 days was by Dr. Smith, at the sea."


@pytest.fixture(scope="module")
def engine():
    engine = DraftEngine(workers=2)
    yield engine
    engine.close()


def ask(text: str, language: str = "en", voice: str = "ada", key: str = "", speed: float = 1.0) -> Request:
    return Request(key=key or text, text=text, language=language, voice=voice, speed=speed)


def speak(engine: DraftEngine, *requests: Request) -> dict[str, Speech | Failed]:
    results = list(engine.speak(requests))
    assert len(results) == len(requests)
    return {result.key: result for result in results}


def one(engine: DraftEngine, request: Request) -> Speech:
    result = speak(engine, request)[request.key]
    assert isinstance(result, Speech), result
    return result


def children_of(pid: int) -> set[int]:
    """Processes whose parent is `pid`, from /proc."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.add(int(stat.parent.name))
    return found


def workers_of(pid: int) -> set[int]:
    found = set()
    for child in children_of(pid):
        try:
            if b"draft/worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.add(child)
        except OSError:
            continue
    return found


on_linux = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks into /proc")


# --- sound ---------------------------------------------------------------------------------------------------------


def test_same_request_same_samples_whatever_came_before(engine):
    first = one(engine, ask(SENTENCE))
    among_others = speak(engine, *(ask(f"Number {n}.") for n in range(20)), ask(SENTENCE))[SENTENCE]
    fresh = DraftEngine(workers=1)
    again = one(fresh, ask(SENTENCE))
    fresh.close()
    # ada's variant has breath in it: espeak draws it from the clock's second unless told otherwise.
    assert variant_of("ada")["variant"] == "f2"
    assert isinstance(among_others, Speech)
    for other in (among_others, again):
        assert other.samples.tobytes() == first.samples.tobytes()
        assert other.tokens == first.tokens


def test_samples_are_as_the_protocol_says(engine):
    speech = one(engine, ask(SENTENCE))
    assert speech.samples.dtype == np.float32
    assert speech.samples.ndim == 1
    assert 0.1 < np.abs(speech.samples).max() <= 1
    assert 4 < speech.samples.size / SAMPLE_RATE < 9


def test_speed_scales_the_pace(engine):
    slow, normal, fast = (some(one(engine, ask(SENTENCE, speed=speed)).tokens) for speed in (0.7, 1.0, 1.5))
    assert slow[-1].end / normal[-1].end == pytest.approx(1 / 0.7, rel=0.1)
    assert fast[-1].end / normal[-1].end == pytest.approx(1 / 1.5, rel=0.1)


def test_voices_are_distinct_and_lasting(engine):
    # Takes are addressed by these: a change makes every take anew.
    assert variant_of("ada") == {"variant": "f2", "pitch": 50, "rate": 180}
    assert variant_of("ben") == {"variant": "m4", "pitch": 59, "rate": 164}
    assert len({tuple(variant_of(f"voice {n}").values()) for n in range(200)}) > 150
    assert one(engine, ask(SENTENCE)).samples.tobytes() != one(engine, ask(SENTENCE, voice="ben")).samples.tobytes()
    sound = engine.sound("ada")
    assert sound["engine"] == "draft" and sound["variant"] == "f2"
    assert sound == DraftEngine().sound("ada") != engine.sound("ben")


def test_variants_exist_in_the_data():
    _, data = draft._library()
    have = {path.name for path in (Path(data) / "voices" / "!v").iterdir()}
    assert set(draft.VARIANTS) <= have


def test_facts():
    facts = draft.espeak_facts()
    assert facts["licence"] == "GPL-3.0-or-later"
    assert len(facts["sha256"]) == 64 and facts["size"] > 10_000_000 and facts["languages"] > 100
    assert draft.problem() is None


# --- languages -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "voice"),
    [
        ("en", "gmw/en"),
        ("en-GB", "gmw/en"),
        ("en_us", "gmw/en-US"),
        ("en-Latn-US", "gmw/en-US"),
        ("en-in", "gmw/en"),
        ("fr-FR", "roa/fr"),
        ("fr-ch", "roa/fr-CH"),
        ("pt", "roa/pt"),
        ("pt-BR", "roa/pt-BR"),
        ("es-mx", "roa/es-419"),
        ("de-at", "gmw/de"),
        ("zh", "sit/cmn"),
        ("zh-Hans-CN", "sit/cmn"),
        ("zh-Hant-HK", "sit/yue"),
        ("nb", "gmq/nb"),
        ("chr", "iro/chr"),
    ],
)
def test_language_tags(tag, voice):
    assert espeak_voice(tag) == voice


@pytest.mark.parametrize(
    ("tag", "near"), [("english", "en"), ("Japanese", "ja"), ("fr4", "fr"), ("", "en"), ("中", "en")]
)
def test_unknown_language_names_near_ones(tag, near):
    with pytest.raises(InputError, match="Unknown language") as caught:
        espeak_voice(tag)
    assert near in str(caught.value.hint).replace("?", "").replace(",", "").split()


def test_every_language_speaks(engine):
    """Whatever is offered can be loaded and gives sound, if only of figures or Latin letters."""
    tags = sorted({espeak_voice(tag): tag for tag in draft.languages()}.values())
    results = list(engine.speak(ask("1 a b a", language=tag, key=tag) for tag in tags))
    silent = [result.key for result in results if isinstance(result, Failed)]
    assert silent == []
    assert len(results) > 110


# --- word times ----------------------------------------------------------------------------------------------------

TRICKY = [
    ("en", SENTENCE),
    ("en", "In the end, to be or not to be is what I have to do at the edge of it all, for a while."),
    ("en", "👍 Hello 👩\u200d👩\u200d👧 wor\u0007ld & the + sign: a, be.\0 It's NASA\u200f's . ?! ok 🙂 . "),
    ("en", "... Hello ... there ? yes !"),
    ("en", "soft\u00adhyphen zero\u200bwidth \ufeffbom non\u00a0breaking \ud800 bad\r\n\tand a new line"),
    ("en", "http://example.com/a?b=c&d costs $5m (3.14%) e.g. <b>bold</b> [[h@loU]]"),
    ("de", "Die Donaudampfschifffahrtsgesellschaft hat am 3. Mai 1.234 Euro, z. B. für Dr. Müller, ausgegeben."),
    ("fr", "L'homme d'aujourd'hui a 71 ans, c'est-à-dire qu'il est âgé. Quoi ? Qu'est-ce que c'est !"),
    ("es", "¿Qué tal? ¡Hola! El 25% de 1.000 niños de la casa."),
    ("ru", "Привет, мир! Это 25-й тест, и я в доме с ним, т. е. у нас."),
    ("ar", "مرحبا بالعالم، هَذَا نَصٌّ طويل ١٢٣ في البيت."),
    ("he", "שלום עולם, זה מבחן של 25 מילים בעברית."),
    ("zh", "今天天气很好，我们去公园。2024年有366天。Hello 世界！"),
    ("ja", "今日はいい天気です。カタカナと漢字。"),
    ("hi", "नमस्ते दुनिया, यह एक परीक्षण है।"),
    ("ko", "안녕하세요 세계 여러분."),
    ("th", "สวัสดีชาวโลก"),
    ("fa", "می\u200cخواهم کتاب\u200cها را در خانه بخوانم."),
    ("vi", "Xin chào thế giới, đây là một bài kiểm tra."),
    ("en", "the quick brown fox and a dog in the house of a man " * 38),
    ("en", "a b c " * 330),
    ("ru", "слово и дело в доме " * 100),
    ("zh", "今天天气很好我们去公园" * 40),
    ("en", "x" * 2000),
]


def check_tokens(request_text: str, speech: Speech) -> None:
    assert speech.tokens
    place, time = 0, 0.0
    for token in speech.tokens:
        assert place <= token.start_char < token.end_char <= len(request_text)
        assert time <= token.start < token.end <= speech.samples.size / SAMPLE_RATE + 1e-4
        place, time = token.end_char, token.end
    covered = set(itertools.chain.from_iterable(range(t.start_char, t.end_char) for t in speech.tokens))
    letters = {place for place, character in enumerate(request_text) if character.isalnum()}
    assert letters <= covered
    assert not any(request_text[place].isspace() for place in covered)


def test_times_of_tricky_texts(engine):
    results = speak(engine, *(ask(text, language) for language, text in TRICKY))
    for _, text in TRICKY:
        speech = results[text]
        assert isinstance(speech, Speech), (text[:40], speech)
        check_tokens(text, speech)


def test_one_token_a_word_or_chinese_character(engine):
    text = TRICKY[2][1]
    tokens = some(one(engine, ask(text)).tokens)
    assert [text[t.start_char : t.end_char] for t in tokens] == [
        "Hello", "wor\u0007ld", "&", "the", "+", "sign:", "a,", "be.\0", "It's", "NASA\u200f's", "ok",
    ]  # fmt: skip
    text = "我们去公园。2024年！"
    tokens = some(one(engine, ask(text, "zh")).tokens)
    assert [text[t.start_char : t.end_char] for t in tokens] == ["我", "们", "去", "公", "园。", "2024", "年！"]


def test_words_sound_where_they_are_said_to_and_pauses_are_silent(engine):
    """Against the audio itself: sound inside each word, none between words that a pause separates."""
    speech = one(engine, ask("Stop, go, wait. Take it! Keep, 25, cats; done."))
    level = np.abs(speech.samples)
    loud = level.max()
    gaps = 0
    tokens = some(speech.tokens)
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        assert level[int(token.start * SAMPLE_RATE) : int(token.end * SAMPLE_RATE)].max() > 0.2 * loud
        until = after.start if after else speech.samples.size / SAMPLE_RATE
        if until - token.end > 0.1:
            gaps += 1
            # The last sound may ring on for a moment.
            between = level[int((token.end + 0.04) * SAMPLE_RATE) : int((until - 0.002) * SAMPLE_RATE)]
            assert between.max() < 0.02 * loud
    assert gaps >= 6


def test_a_word_alone_begins_where_it_begins_in_the_sentence(engine):
    """The time of a word is the time at which it is heard: what precedes it, spoken alone, is about as long."""
    text = "Seven green bottles were standing there on the wall, waiting."
    tokens = some(one(engine, ask(text)).tokens)
    head = some(one(engine, ask("Seven green bottles were standing,")).tokens)
    assert head[4].start == pytest.approx(tokens[4].start, abs=0.05)


def test_long_clauses_lose_nothing(engine):
    """espeak drops the end of a clause that overflows its lists: the words there would have no time at all."""
    for language, unit, seconds in [
        ("zh", "今天天气很好我们去公园", 0.1),
        ("ko", "안녕하세요세계여러분 ", 0.5),
        ("en", "123456 ", 1.0),
    ]:
        text = unit * 40
        tokens = some(one(engine, ask(text, language)).tokens)
        assert min(t.end - t.start for t in tokens) > seconds


def test_words_without_an_event_share_their_neighbours_time():
    text = "one of the two"
    _, places = speakable(text)
    phones = [(0, 0), (900, 1), (1000, 0), (1900, 0), (2000, 1), (2050, 1)]
    tokens = tokens_of(text, places, [(5, 0), (12, 1000)], phones, 2200, 1000)
    assert [(t.start_char, t.end_char) for t in tokens] == [(0, 3), (4, 6), (7, 10), (11, 14)]
    assert [t.start for t in tokens] == pytest.approx([0, 0.9 * 3 / 8, 0.9 * 5 / 8, 1.0])
    assert tokens[2].end == pytest.approx(0.9)
    assert tokens[3].end == pytest.approx(2.0)


def test_units():
    text = "— Hi, 2nd «mot» 🙂 去公。 ... a"
    assert [text[a:b] for a, b in spoken_units(text)] == ["Hi,", "2nd", "«mot»", "去", "公。", "a"]


# --- what cannot be spoken -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "   ", "\0", "🙂🙂", "...", "?!", "—", "\u200b", "\ud800"])
def test_nothing_to_speak_fails_with_a_reason(engine, text):
    result = speak(engine, ask(text, key="k"))["k"]
    assert isinstance(result, Failed)
    assert "nothing to speak" in result.reason


def test_a_chunk_that_fails_disturbs_no_other(engine):
    results = speak(
        engine, ask("Yes.", key="a"), ask("x", "xx", key="b"), ask("y" * 20_000, key="c"), ask("No.", key="d")
    )
    failed = {key: result.reason for key, result in results.items() if isinstance(result, Failed)}
    assert set(failed) == {"b", "c"}
    assert "Unknown language" in failed["b"]
    assert "20000 characters" in failed["c"]


# --- streaming -------------------------------------------------------------------------------------------------------


def test_requests_are_pulled_as_they_are_needed(engine):
    pulled = itertools.count()
    results = engine.speak(ask("Yes.", key=str(next(pulled))) for _ in itertools.count())  # endless
    keys = {next(results).key for _ in range(50)}
    results.close()
    assert len(keys) == 50
    assert next(pulled) <= 50 + 4 + 1


def test_cancelled_after_results_that_stand(engine):
    got: list[Speech | Failed] = []
    with pytest.raises(Cancelled):
        for result in engine.speak(
            (ask("Yes.", key=str(n)) for n in itertools.count()), cancelled=lambda: len(got) >= 3
        ):
            got.append(result)
    assert 3 <= len(got) <= 3 + 4
    assert one(engine, ask("And on.")).tokens


def test_an_error_in_the_requests_passes(engine):
    def requests():
        yield ask("Yes.")
        raise LookupError("the store is gone")

    with pytest.raises(LookupError):
        list(engine.speak(requests()))
    assert one(engine, ask("And on.")).tokens


def test_workers_must_be_positive():
    with pytest.raises(InputError):
        DraftEngine(workers=0)


# --- processes -------------------------------------------------------------------------------------------------------


@on_linux
def test_no_process_is_left():
    before = workers_of(os.getpid())
    engine = DraftEngine(workers=2)
    list(engine.speak([ask("Yes."), ask("No.")]))
    assert workers_of(os.getpid()) - before
    engine.close()
    assert workers_of(os.getpid()) <= before
    results = engine.speak(ask(SENTENCE, key=str(n)) for n in itertools.count())
    next(results)
    results.close()
    assert workers_of(os.getpid()) <= before
    forgotten = DraftEngine(workers=1)
    list(forgotten.speak([ask("Yes.")]))
    del forgotten
    assert workers_of(os.getpid()) <= before


@on_linux
def test_a_dead_worker_is_replaced(engine):
    assert isinstance(one(engine, ask("Yes.")), Speech)
    for worker in list(engine._workers._idle):
        os.kill(worker.pid, signal.SIGKILL)
    results = speak(engine, *(ask("Yes.", key=str(n)) for n in range(8)))
    assert all(isinstance(result, Speech) for result in results.values())


def in_mid_chunk(engine: DraftEngine, act) -> dict[str, Speech | Failed]:
    """Speak a long text and a short one on one worker; `act` on the child that speaks the long one."""
    results: dict[str, Speech | Failed] = {}
    long = ask("the quick brown fox jumps over the lazy dog, " * 220, key="long")
    speaking = threading.Thread(target=lambda: results.update(speak(engine, long, ask("Yes.", key="short"))))
    known = workers_of(os.getpid())
    speaking.start()
    children: set[int] = set()
    while speaking.is_alive() and not children:
        for worker in workers_of(os.getpid()) - known:
            children |= children_of(worker)
    for child in children:
        act(child)
    speaking.join()
    return results


@on_linux
@pytest.mark.parametrize(
    ("number", "reason"), [(signal.SIGSEGV, "crashed (signal 11)"), (signal.SIGSTOP, "had not finished after 1 s")]
)
def test_a_chunk_that_crashes_or_hangs_fails_alone(number, reason):
    engine = DraftEngine(workers=1)
    engine.patience, engine.patience_a_character = 1.0, 0.0
    results = in_mid_chunk(engine, lambda child: os.kill(child, number))
    engine.close()
    assert isinstance(results["long"], Failed) and reason in results["long"].reason
    assert isinstance(results["short"], Speech)


@on_linux
@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits on process handles")
def test_workers_and_their_children_end_with_a_killed_parent():
    script = (
        "from f5_pipeline.speech.engines.draft.engine import DraftEngine\n"
        "from f5_pipeline.speech.engine import Request\n"
        "text = 'the quick brown fox jumps over the lazy dog, ' * 220\n"
        "engine = DraftEngine(workers=2)\n"
        "list(engine.speak([Request('k', 'Yes.', 'en', 'ada')]))\n"
        "print('ready', flush=True)\n"
        "while True: list(engine.speak(Request(str(n), text, 'en', 'ada') for n in range(4)))\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert parent.stdout is not None and parent.stdout.readline() == b"ready\n"
    family: set[int] = set()
    while not family:
        workers = workers_of(parent.pid)
        speaking = set(itertools.chain.from_iterable(children_of(worker) for worker in workers))
        family = workers | speaking if speaking else set()
    handles = []
    for pid in family:
        try:
            handles.append(os.pidfd_open(pid))
        except ProcessLookupError:
            continue  # a child that has just finished
    parent.kill()
    parent.wait()
    parent.stdout.close()
    for handle in handles:
        ended, _, _ = select.select([handle], [], [], 10)
        os.close(handle)
        assert ended, "a process outlived its parent"


@on_linux
def test_interrupt_ends_everything():
    script = (
        "import itertools\n"
        "from f5_pipeline.speech.engines.draft.engine import DraftEngine\n"
        "from f5_pipeline.speech.engine import Request\n"
        "engine = DraftEngine(workers=2)\n"
        "try:\n"
        "    for result in engine.speak(Request(str(n), 'Yes.', 'en', 'ada') for n in itertools.count()):\n"
        "        if result.key == '3': print('ready', flush=True)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', flush=True)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert parent.stdout is not None and parent.stdout.readline() == b"ready\n"
    workers = workers_of(parent.pid)
    parent.send_signal(signal.SIGINT)
    try:
        out, complaints = parent.communicate(timeout=HANG_SECONDS)
    finally:
        parent.kill()
    assert (out, complaints, parent.returncode) == (b"interrupted\n", b"", 0)
    assert workers and not any(Path(f"/proc/{pid}").exists() for pid in workers)


def test_the_worker_imports_nothing_heavy_and_ends_with_its_input():
    library, data = draft._library()
    code = "import sys, f5_pipeline.speech.engines.draft.worker; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "pydantic", "soundfile", "asyncio", "espeakng_loader"} & set(loaded)
    run = subprocess.run(
        [sys.executable, "-m", "f5_pipeline.speech.engines.draft.worker", library, data],
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    assert run.returncode == 0 and b'"ok": true' in run.stdout and run.stderr == b""


def test_a_worker_that_cannot_load_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(draft, "_library", lambda: (str(tmp_path / "none.so"), str(tmp_path)))
    with pytest.raises(EngineError, match="could not be loaded"):
        Worker()
    engine = DraftEngine(workers=2)
    with pytest.raises(EngineError):
        list(engine.speak([ask("Yes.")]))


# --- the example voices ----------------------------------------------------------------------------------------------

VOICES = Path(__file__).parents[4] / "examples" / "voices"


def level(samples: np.ndarray, rate: int, start: float, end: float) -> float:
    return float(10 * np.log10(np.mean(samples[int(start * rate) : int(end * rate)] ** 2)))


def test_example_voices_are_recordings_of_the_right_size():
    for name, shortest, longest in [("ada.flac", 7.0, 10.0), ("ben.ogg", 12.5, 20.0)]:
        samples, rate = soundfile.read(VOICES / name)
        assert (VOICES / name).stat().st_size < 400_000
        assert samples.ndim == 1 and rate in (44_100, 48_000)
        assert shortest < samples.size / rate < longest
        assert np.abs(samples).max() < 0.99
        assert -68 < level(samples, rate, 0, 0.4) < -62  # room tone


def test_the_example_subtitles_are_exact():
    samples, rate = soundfile.read(VOICES / "ben.ogg")
    times = re.findall(r"00:00:(\d\d),(\d{3}) --> 00:00:(\d\d),(\d{3})", (VOICES / "ben.srt").read_text("utf-8"))
    assert len(times) == 6
    for a, b, c, d in times:
        start, end = float(f"{a}.{b}"), float(f"{c}.{d}")
        assert level(samples, rate, start - 0.04, start - 0.005) < -58 < -45 < level(samples, rate, start, start + 0.06)
        assert level(samples, rate, end + 0.08, end + 0.2) < -58 < -45 < level(samples, rate, end - 0.08, end)
