"""The reference: the part of a voice's recording, with exactly the words heard in it, that F5-TTS is conditioned on.

F5 learns a voice's pace from the reference's duration and text: a transcript that says more or less than the audio
makes everything it speaks garbled or rushed (SWivid/F5-TTS issues 1139, 1207, 311). A recording is therefore never
shortened without its transcript: both are cut at the same pause, or the recording is refused.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from f5_pipeline.errors import InputError
from f5_pipeline.speech import audio
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.transcript import Transcript, join_texts

if TYPE_CHECKING:
    import numpy as np

WHOLE_SECONDS = 10.0
"""Speech up to this long is kept whole, s. F5 itself cuts references at 12 s, without their text."""

CUT_SECONDS = 8.0
"""Longest reference cut from a longer recording, s, edges included."""

SHORTEST_CUT = 3.0
"""Shortest stretch of speech to cut, s."""

MIN_SECONDS = 1.0
"""Less speech than this is no reference, s."""

LEAD = 0.1
"""Silence before the first sound, s."""

TAIL = 0.3
"""Silence after the last sound, s: without it the last word leaks into what is spoken (F5-TTS issue 622)."""

FADE = 0.01
"""Fade at the edges, s: inside the silence, so that a cut never clicks."""

# A pause at a boundary of the transcript: how far from the boundary it may lie, and how long it is at least, s. Word
# times are good to about a tenth of a second; cues are set by hand or by reading speed and stray further. A plosive's
# closure lasts up to 0.1 s: what is shorter than 0.15 s counts only where it covers a word boundary.
_WORD_REACH, _CUE_REACH = 0.15, 0.4
_PAUSE, _CLOSE_PAUSE = 0.15, 0.08
_UNHEARD_SPEECH = 0.5  # s of sound between two entries of a transcript: something is said there that it leaves out
_PAST_END = 1.0  # s that a transcript's last time may lie past the recording's end (Whisper rounds up)

_FINAL = ".!?…。！？．؟۔।॥։။።"
_FULL_WIDTH = "。！？．…"
_CLOSING = "\"'”’»)]}」』）】》"
_SOFT = ",;:-–—、，；：،؛~"

_TIMED_MEND = "Give its transcript with times (SRT, VTT, CSV or Whisper JSON), or cut the recording to 10 s of speech."


class ReferenceMeasures(BaseModel):
    """What the checks of a reference look at."""

    model_config = ConfigDict(frozen=True)

    seconds: float = Field(description="duration of the reference, its edges included, s")
    speech_seconds: float = Field(description="from the first to the last sound, s")
    peak: float = Field(description="largest absolute sample of the recording's part, 1.0 is full scale")
    clipping_share: float = Field(description="share of the recording's samples that are clipped, 0 to 1")
    rms_dbfs: float = Field(description="level from the first to the last sound, dBFS")
    noise_floor_dbfs: float = Field(description="quietest tenth of the frames in and around the part, dBFS")
    silence_share: float = Field(description="share of pauses between the first and the last sound, 0 to 1")
    words: int = Field(description="words of the text; in Chinese, Japanese and Thai, characters")
    characters: int = Field(description="letters and digits of the text")
    words_per_second: float = Field(description="words by speech_seconds")
    syllables: float = Field(description="syllables of the text, as `count_syllables`")
    syllables_heard: int = Field(description="syllables counted in the audio, as `audio.count_syllable_nuclei`")
    syllables_per_second: float = Field(description="syllables of the text by speech without its pauses")


class ReferenceRecord(BaseModel):
    """A reference without its samples, as JSON."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(description="name of the voice")
    language: str = Field(description="BCP 47 tag")
    text: str = Field(description="what is said in it, ending as F5 needs it")
    recording: str = Field(description="file name of the recording")
    recording_seconds: float = Field(description="duration of the recording, s")
    cut: bool = Field(description="a part was chosen; else the whole recording was kept")
    start: float = Field(description="where the part begins in the recording, s")
    end: float = Field(description="where it ends, s")
    seconds: float = Field(description="duration of the reference, s")
    sample_rate: int = SAMPLE_RATE
    measures: ReferenceMeasures
    sha256: str = Field(description="over samples (16 bit) and text: goes into take keys")


@dataclass(frozen=True)
class Reference:
    """A prepared reference.

    Attributes:
        samples: float32, shape (n,), mono, SAMPLE_RATE Hz, within -1..1, each a multiple of 1/32768: 16 bit hold it.
        record: everything else.
    """

    samples: np.ndarray
    record: ReferenceRecord

    @property
    def text(self) -> str:
        return self.record.text

    @property
    def start(self) -> float:
        return self.record.start

    @property
    def end(self) -> float:
        return self.record.end

    @property
    def seconds(self) -> float:
        return self.record.seconds

    @property
    def measures(self) -> ReferenceMeasures:
        return self.record.measures

    @property
    def sha256(self) -> str:
        return self.record.sha256

    def pcm16(self) -> np.ndarray:
        """The samples as int16, lossless. Write these: libsndfile rounds floats differently on the way to 16 bit."""
        import numpy as np

        return np.rint(self.samples * 32768).astype(np.int16)


class CheckOutcome(BaseModel):
    """One check of a reference."""

    model_config = ConfigDict(frozen=True)

    name: str
    passed: bool
    severity: Literal["warn", "error"] = Field(description="how bad it is that it failed; 'warn' where it passed")
    description: str = Field(description="a sentence for the user: what was found, and the mend where it failed")
    value: float
    bounds: tuple[float | None, float | None] = Field(description="lowest and highest good value; None is open")


def prepare_reference(recording: Path, transcript: Transcript | None, *, language: str, name: str) -> Reference:
    """Make the reference of a voice.

    Up to 10 s of speech are kept whole. Of a longer recording, the contiguous run of the transcript's words (or cues,
    where it has no words) that comes nearest to 8 s is taken, from pause to pause, sentences preferred.

    Args:
        recording: any file that libsndfile reads, up to two hours.
        transcript: what is said in it; timed, if the recording is longer than 10 s.
        language: BCP 47 tag.
        name: name of the voice, for messages and the record.

    Raises:
        InputError: the recording cannot be read, is silent or too short; there is no transcript; it does not belong to
            the recording; it has no times where they are needed; or no run of it can be cut out at pauses.
    """
    recording = Path(recording)
    info = audio.probe(recording)
    file = f"{name}/{recording.name}"
    if transcript is None:
        raise InputError(
            "the recording has no transcript; what is said in it is not guessed",
            file=file,
            mend="Put a transcript (TXT, SRT, VTT, CSV or Whisper JSON) beside it.",
        )
    levels = audio.levels_of(recording)
    bounds = audio.loud_bounds(levels.dbfs)
    if bounds is None:
        raise InputError("the recording is silent", file=file, mend="Record it again, closer to the microphone.")
    speech = (bounds[0] * levels.hop, min(bounds[1] * levels.hop, info.seconds))
    if _loud_seconds(levels, *speech) < MIN_SECONDS:
        raise InputError(
            f"only {_loud_seconds(levels, *speech):.2f} s of speech are in the recording",
            file=file,
            mend="Record 6 to 10 s of clear speech.",
        )
    if transcript.timed:
        _check_times(transcript, info.seconds, file)
    if speech[1] - speech[0] <= WHOLE_SECONDS and _covers(transcript, levels, speech):
        return _build(recording, info, levels, speech, transcript.text, language, name, cut=False)
    if not transcript.timed:
        raise InputError(
            f"the recording has {speech[1] - speech[0]:.1f} s of speech, more than {WHOLE_SECONDS:.0f} s, and its "
            "transcript has no times to cut it by",
            file=file,
            mend=_TIMED_MEND,
        )
    run = _choose(transcript, levels, speech, file)
    return _build(recording, info, levels, (run.start, run.end), run.text, language, name, cut=True)


# --- choosing the part ------------------------------------------------------------------------------------------------


@dataclass
class _Unit:
    """What is never cut: a word, words written together, or a cue without words."""

    text: str
    space: str
    start: float
    end: float
    word: bool
    ends_sentence: bool = False


@dataclass(frozen=True)
class _Pause:
    """A pause: it lasts from `start` to `end`, s."""

    start: float
    end: float


@dataclass(frozen=True)
class _Run:
    """A candidate: speech from `start` to `end` (s in the recording) and exactly its text."""

    start: float
    end: float
    text: str


def _check_times(transcript: Transcript, seconds: float, file: str) -> None:
    last = transcript.segments[-1]
    assert last.start is not None and last.end is not None
    if last.start >= seconds or last.end > seconds + _PAST_END:
        raise InputError(
            f"the transcript runs to {last.end:.2f} s, the recording only to {seconds:.2f} s",
            file=file,
            mend="Give the transcript that belongs to this recording.",
        )


def _covers(transcript: Transcript, levels: audio.Levels, speech: tuple[float, float]) -> bool:
    """Whether no speech lies outside the times of the transcript; of an untimed one this is taken for granted."""
    if not transcript.timed:
        return True
    units = _units(transcript)
    edges = [(speech[0], units[0].start - _CUE_REACH), (units[-1].end + _CUE_REACH, speech[1])]
    gaps = [(left.end, right.start) for left, right in pairwise(units)]
    return all(_loud_seconds(levels, start, end) < _UNHEARD_SPEECH for start, end in edges + gaps)


def _units(transcript: Transcript) -> list[_Unit]:
    units: list[_Unit] = []
    for number, segment in enumerate(transcript.segments):
        assert segment.start is not None and segment.end is not None
        # As `Transcript.text` joins them: nothing between Chinese characters.
        following = transcript.segments[number + 1].text[:1] if number + 1 < len(transcript.segments) else ""
        space = join_texts((segment.text[-1:], following))[1:2].strip(following) if following else ""
        if not segment.words:
            units.append(_Unit(segment.text, space, segment.start, segment.end, word=False))
            continue
        first = len(units)
        for word in segment.words:
            previous = units[-1] if len(units) > first else None
            if previous is not None and not previous.space and _one_word(previous.text, word.text):
                previous.text += word.text
                previous.space, previous.end = word.space, word.end
            else:
                units.append(_Unit(word.text, word.space, word.start, word.end, word=True))
        units[-1].space = space
    for unit in units:
        unit.ends_sentence = unit.text.rstrip(_CLOSING).endswith(tuple(_FINAL))
    units[-1].ends_sentence = True
    return units


def _one_word(left: str, right: str) -> bool:
    """Whether pieces without a blank between them are one word: not where Chinese or Japanese characters meet."""
    return not (_is_character(left[-1:]) or _is_character(right[:1])) and left[-1:] not in _FINAL


def _choose(transcript: Transcript, levels: audio.Levels, speech: tuple[float, float], file: str) -> _Run:
    """The best run of units between pauses.

    Score, in s: how near the speech comes to the longest that fits; 2.5 for ending with a sentence and 1.5 for
    beginning with one; the length of the pause after it (to 0.5 s); less what pauses inside exceed half a second.
    """
    units = _units(transcript)
    pauses = _pauses(levels)
    begins = [_pause_near(pauses, units, index, "start", speech) for index in range(len(units))]
    ends = [_pause_near(pauses, units, index, "end", speech) for index in range(len(units))]
    breaks = [_loud_seconds(levels, left.end, right.start) >= _UNHEARD_SPEECH for left, right in pairwise(units)] + [
        True
    ]
    most = CUT_SECONDS - LEAD - TAIL
    best: tuple[float, _Run] | None = None
    for first, unit in enumerate(units):
        before = begins[first]
        if before is None:
            continue
        fresh = first == 0 or units[first - 1].ends_sentence
        for last in range(first, len(units)):
            after = ends[last]
            if after is not None:
                seconds = after.start - before.end
                if seconds > most:
                    break
                if seconds >= SHORTEST_CUT:
                    score = seconds + 1.5 * fresh + 2.5 * units[last].ends_sentence
                    score += min(after.end - after.start, 0.5) - _long_pauses(pauses, before.end, after.start)
                    if best is None or score > best[0] + 1e-9:
                        best = score, _Run(before.end, after.start, _text_of(units[first : last + 1]))
            elif units[last].start - unit.start > 2 * most:
                break
            if breaks[last]:
                break
    if best is None:
        raise _no_run(units, begins, ends, most, file)
    return best[1]


def _text_of(units: list[_Unit]) -> str:
    return "".join(unit.text + unit.space for unit in units).strip()


def _no_run(
    units: list[_Unit], begins: list[_Pause | None], ends: list[_Pause | None], most: float, file: str
) -> InputError:
    """The reason why no run could be cut."""
    what = "word" if all(unit.word for unit in units) else "cue"
    span = f"{SHORTEST_CUT:.0f} to {most:.1f} s"
    mend = (
        "Split long cues, give word times (Whisper JSON), or cut the recording to 10 s of speech with its transcript."
    )
    longest = max(units, key=lambda unit: unit.end - unit.start)
    if all(unit.end - unit.start > most for unit in units):
        return InputError(
            f"no {what} of the transcript is short enough: {span} are needed, and the shortest, "
            f"{min(unit.end - unit.start for unit in units):.1f} s, cannot be cut inside",
            file=file,
            place=f"{longest.start:.2f} s",
            mend=mend,
        )
    lost = sum(begin is None for begin in begins) + sum(end is None for end in ends)
    if lost:
        return InputError(
            f"no part of {span} lies between pauses: {lost} of {2 * len(units)} {what} edges are not at a pause",
            file=file,
            mend=f"Check the transcript's times. {mend}",
        )
    return InputError(f"no run of {what}s lasts {span}", file=file, mend=mend)


# --- pauses in the audio ----------------------------------------------------------------------------------------------


def _pauses(levels: audio.Levels) -> list[_Pause]:
    """All pauses of a recording in order, its silent edges included."""
    runs = audio.loud_runs(-levels.dbfs, -levels.threshold)
    return [
        _Pause(first * levels.hop, min(last * levels.hop, levels.seconds))
        for first, last in runs
        if (last - first) * levels.hop >= _CLOSE_PAUSE - 1e-9 or first == 0 or last == len(levels.dbfs)
    ]


def _pause_near(
    pauses: list[_Pause], units: list[_Unit], index: int, edge: Literal["start", "end"], speech: tuple[float, float]
) -> _Pause | None:
    """The pause at which the recording can be cut before or after a unit, or None.

    Near the time that the transcript gives, the one that is nearest; a longer one is worth half its length of distance.
    It never reaches past the middle of a neighbouring unit.
    """
    unit = units[index]
    other = units[index - 1] if edge == "start" and index else None
    if edge == "end" and index + 1 < len(units):
        other = units[index + 1]
    reach = _WORD_REACH if unit.word and (other is None or other.word) else _CUE_REACH
    time = unit.start if edge == "start" else unit.end
    # The span in which the boundary lies by the transcript: the gap to the neighbour.
    low = high = time
    if edge == "start":
        low = min(time, other.end) if other else 0.0
        if other and time - other.end > 2 * reach:
            low = time - 2 * reach
    else:
        high = max(time, other.start) if other else max(speech[1], time)
        if other and other.start - time > 2 * reach:
            high = time + 2 * reach
    inner = min(reach, (unit.end - unit.start) / 2)
    outer = min(reach, (other.end - other.start) / 2) if other else reach
    first, last = (low - outer, high + inner) if edge == "start" else (low - inner, high + outer)
    best: tuple[float, _Pause] | None = None
    begin = bisect_left(pauses, first, key=lambda pause: pause.end) if pauses else 0
    for pause in pauses[begin:]:
        if pause.start > last:
            break
        if pause.end < first:
            continue
        length = pause.end - pause.start
        distance = max(0.0, pause.start - high, low - pause.end)
        covers = distance <= 0.03 and reach == _WORD_REACH
        if length < (_CLOSE_PAUSE if covers else _PAUSE) - 1e-9 and pause.start > 0 and pause.end < speech[1]:
            continue
        cost = distance - 0.5 * min(length, 0.5)
        if best is None or cost < best[0] - 1e-9:
            best = cost, pause
    return best[1] if best else None


def _long_pauses(pauses: list[_Pause], start: float, end: float) -> float:
    """Seconds by which pauses inside a span exceed half a second each."""
    inside = pauses[bisect_left(pauses, start, key=lambda p: p.start) : bisect_right(pauses, end, key=lambda p: p.end)]
    return sum(max(0.0, pause.end - pause.start - 0.5) for pause in inside if start <= pause.start < end)


def _loud_seconds(levels: audio.Levels, start: float, end: float) -> float:
    if end <= start:
        return 0.0
    part = levels.dbfs[max(0, round(start / levels.hop)) : round(end / levels.hop)]
    return float((part >= levels.threshold).sum()) * levels.hop


# --- building ---------------------------------------------------------------------------------------------------------


def _build(
    recording: Path,
    info: audio.AudioInfo,
    levels: audio.Levels,
    speech: tuple[float, float],
    text: str,
    language: str,
    name: str,
    *,
    cut: bool,
) -> Reference:
    import numpy as np

    start, end = speech
    room_before, room_after = _room(levels, start, end)
    first, last = start - min(LEAD, room_before), min(end + min(TAIL, room_after), info.seconds)
    samples = audio.read_mono(recording, SAMPLE_RATE, first, last, levels.channel).astype(np.float64)
    native = np.concatenate(list(audio.read_blocks(recording, first, last)))
    samples -= samples.mean()
    _fade(samples, start - first, last - end)
    lead, tail = LEAD - (start - first), TAIL - (last - end)
    samples = np.pad(samples, (round(max(0.0, lead) * SAMPLE_RATE), round(max(0.0, tail) * SAMPLE_RATE)))
    peak = float(np.abs(samples).max())
    if peak > 32767 / 32768:
        samples *= 32767 / 32768 / peak
    samples = (np.rint(samples * 32768) / 32768).astype(np.float32)
    text = end_text(text)
    spoken = samples[round(LEAD * SAMPLE_RATE) : round((LEAD + end - start) * SAMPLE_RATE)]
    silence = 1.0 - _loud_seconds(levels, start, end) / (end - start)
    around = levels.dbfs[max(0, round((start - 1) / levels.hop)) : round((end + 1) / levels.hop)]
    measures = ReferenceMeasures(
        seconds=len(samples) / SAMPLE_RATE,
        speech_seconds=end - start,
        peak=float(np.abs(native).max()),
        clipping_share=audio.clipping_share(native),
        rms_dbfs=audio.rms_dbfs(spoken),
        noise_floor_dbfs=audio.floor_of(around),
        silence_share=min(max(silence, 0.0), 1.0),
        words=count_words(text),
        characters=sum(character.isalnum() for character in text),
        words_per_second=count_words(text) / (end - start),
        syllables=count_syllables(text, language),
        syllables_heard=audio.count_syllable_nuclei(spoken),
        syllables_per_second=count_syllables(text, language) / max(_articulation(levels, start, end), 0.1),
    )
    record = ReferenceRecord(
        name=name,
        language=language,
        text=text,
        recording=recording.name,
        recording_seconds=info.seconds,
        cut=cut,
        start=first,
        end=last,
        seconds=measures.seconds,
        measures=measures,
        sha256=reference_hash(samples, text),
    )
    return Reference(samples, record)


def _room(levels: audio.Levels, start: float, end: float) -> tuple[float, float]:
    """Silence directly before `start` and after `end`, s: what may be taken without the neighbouring words."""
    before = after = 0.0
    for pause in _pauses(levels):
        if pause.start <= start <= pause.end + 1e-6:
            before = start - pause.start
        if pause.start - 1e-6 <= end <= pause.end:
            after = pause.end - end
    return before, after


def _fade(samples: np.ndarray, lead: float, tail: float) -> None:
    """Raised-cosine fades in place, s: 10 ms within the silence, 3 ms where there is none."""
    import numpy as np

    for seconds, backwards in ((lead, False), (tail, True)):
        length = min(round(max(min(FADE, seconds), 0.003) * SAMPLE_RATE), len(samples))
        ramp = 0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / length)
        view = samples[::-1] if backwards else samples
        view[:length] *= ramp


def _articulation(levels: audio.Levels, start: float, end: float) -> float:
    """Seconds of speech without its pauses of 0.15 s and more."""
    inside = [(max(pause.start, start), min(pause.end, end)) for pause in _pauses(levels)]
    return (end - start) - sum(last - first for first, last in inside if last - first >= _PAUSE)


def reference_hash(samples: np.ndarray, text: str) -> str:
    """SHA-256 over the samples as 16 bit little-endian and the text: equal hash, equal conditioning."""
    import numpy as np

    digest = hashlib.sha256(b"f5-reference/1\0")
    digest.update(np.rint(samples * 32768).astype("<i2").tobytes())
    digest.update(b"\0" + text.encode())
    return digest.hexdigest()


# --- text -------------------------------------------------------------------------------------------------------------


def end_text(text: str) -> str:
    """A reference's text as F5 needs it: a final mark and one blank, a full-width mark alone.

    F5 joins reference and new text as they are. Without ". " it runs the first new word into the last old one and
    loses it (F5-TTS issues 460, 1185); after a full-width mark it adds no blank itself.
    """
    text = " ".join(text.split())
    while text and (text[-1] in _SOFT or text[-1].isspace()):
        text = text[:-1]
    core = text.rstrip(_CLOSING)
    if core[-1:] not in _FINAL or not core:
        chinese = bool(core) and _is_character(core[-1])
        text = f"{core.rstrip(_SOFT + ' ')}{'。' if chinese else '.'}{text[len(core) :]}"
    return text if text[-1] in _FULL_WIDTH and text[-1] != "…" else f"{text} "


def _is_character(character: str) -> bool:
    """Whether it is a Han character, kana or full-width mark."""
    return bool(character) and (
        unicodedata.east_asian_width(character) in "WF" and not "\uac00" <= character <= "\ud7af"
    )


def _counts_alone(character: str) -> bool:
    """Whether it counts as a word of its own: Han, kana, Thai, Lao, Khmer, Burmese letters."""
    return character.isalnum() and (_is_character(character) or "\u0e00" <= character <= "\u0eff")


def count_words(text: str) -> int:
    """Words between blanks; each character where words are not written apart."""
    alone = sum(_counts_alone(character) for character in text)
    rest = "".join(" " if _counts_alone(character) else character for character in text)
    return alone + sum(any(map(str.isalnum, word)) for word in rest.split())


_VOWELS = set("aeiouyæøœıəαεηιουωаеёиоуыэюяіїєў")
_SMALL_KANA = set("ゃゅょぁぃぅぇぉャュョァィゥェォ")
_SILENT_E = re.compile(r"(?<=[^\W\d_])(?<![aeiouy])(?<![^aeiouy]l)es?$|(?<=[^tdaeiouy])ed$")


def count_syllables(text: str, language: str) -> float:
    """Syllables, as far as spelling tells: good to about a tenth for the languages with vowel letters.

    Groups of vowel letters count one (less English and French silent e); a Hangul or Han character one (in Japanese a
    Han character 1.8 morae, a kana one); a letter of India's scripts 0.75, unless its vowel is struck out; letters of
    other scripts 0.45; a digit 1.6, as read in the mean.
    """
    base = re.split(r"[-_]", language.lower())[0]
    total = 0.0
    marked = "".join(" " if unicodedata.category(c)[0] in "ZPSC" and c not in "'’" else c for c in text.lower())
    for word in unicodedata.normalize("NFC", marked).split():
        groups, others, previous = 0, 0, False
        for character in word:
            plain = unicodedata.normalize("NFD", character)[0]
            if character.isdigit():
                total += 1.6
            elif "\uac00" <= character <= "\ud7af":
                total += 1
            elif _is_character(character):
                kana = "\u3040" <= character <= "\u30ff"
                total += (0 if character in _SMALL_KANA else 1) if kana else (1.8 if base == "ja" else 1)
            elif "\u0900" <= character <= "\u0dff":
                struck = unicodedata.combining(character) == 9  # virama
                total += 0.75 * (character.isalpha() - struck)
            elif plain.isascii() or "\u00c0" <= plain <= "\u052f":
                vowel = plain in _VOWELS
                groups += vowel and not previous
                previous = vowel
                continue
            elif character.isalpha():
                others += 1
            previous = False
        if base in ("en", "fr") and groups > 1 and _SILENT_E.search(word):
            groups -= 1
        word = word.strip("'’")
        latin = any(character.isalpha() and ord(character) < 0x530 for character in word)
        total += max(groups, 1 if latin else 0) + 0.45 * others
    return total


# --- checks -----------------------------------------------------------------------------------------------------------

# Mean syllables (Japanese: morae) a second of read speech without pauses, by language: Pellegrino, Coupé and Marsico,
# "Across-language perspective on speech information rate", Language 87 (2011), table 1; others take the mean.
_RATES = {"en": 6.19, "fr": 7.18, "de": 5.97, "it": 6.99, "ja": 7.84, "zh": 5.18, "cmn": 5.18, "es": 7.82, "vi": 5.22}
_MEAN_RATE = 6.3
# Far from both, because a slow narrator speaks at half of it (F5-TTS's own Chinese example at 0.46).
_RATE_WARN = (0.33, 1.4)
_RATE_ERROR = (0.2, 1.8)
# Syllables of the text by syllables heard: 0.9 to 1.3 for draft voices in seven languages at 0.8 to 1.4 of their pace,
# 0.8 and 0.9 for F5-TTS's own examples.
_FIT_WARN = (0.6, 1.5)
_FIT_ERROR = (0.4, 2.2)


def check_reference(measures: ReferenceMeasures, text: str, language: str) -> list[CheckOutcome]:
    """Check whether a reference is fit to clone from.

    Bounds:
        duration: 3 to 12 s. F5 cuts references at 12 s; below 3 s it knows too little of the voice.
        clipping: at most 0.1 % of the samples (error from 1 %): distortion is cloned with the voice.
        level: -35 to -12 dBFS RMS. Below, raising it raises the noise; speech above has been limited hard.
        noise floor: at most -45 dBFS and 25 dB below the speech (error within 12 dB): F5 repeats what hums.
        silence share: at most 40 % (error above 70 %): pauses are learned as pace.
        speaking rate: 0.33 to 1.4 of the language's mean (error outside 0.2 to 1.8): no one speaks at another pace.
        transcript length: 0.6 to 1.5 syllables in the text for each one heard (error outside 0.4 to 2.2): the text says
            more or less than the recording, whatever the speaker's pace.

    The last two catch a wrong transcript of another length; one of the same length passes.
    """
    rate = _expected_rate(language)
    floor_bound = min(-45.0, measures.rms_dbfs - 25.0)
    found = (
        f"{measures.words} words in {measures.speech_seconds:.1f} s, {measures.syllables_per_second:.1f} syllables/s"
    )
    fit = measures.syllables / max(measures.syllables_heard, 1)
    more, less = (f"Check the transcript: it seems to say {word} than the recording." for word in ("more", "less"))
    return [
        _outcome(
            "duration",
            measures.seconds,
            (3.0, 12.0),
            f"The reference lasts {measures.seconds:.1f} s.",
            "Give 6 to 10 s of speech.",
            error=measures.seconds > 12.0 or measures.seconds < 1.5,
        ),
        _outcome(
            "clipping",
            measures.clipping_share,
            (None, 0.001),
            f"{100 * measures.clipping_share:.2f} % of the samples are clipped.",
            "Record with less gain.",
            error=measures.clipping_share > 0.01,
        ),
        _outcome(
            "level",
            measures.rms_dbfs,
            (-35.0, -12.0),
            f"The speech has {measures.rms_dbfs:.1f} dBFS.",
            "Record closer to the microphone." if measures.rms_dbfs < -35.0 else "Record with less gain or limiting.",
            error=measures.rms_dbfs < -50.0,
        ),
        _outcome(
            "noise_floor",
            measures.noise_floor_dbfs,
            (None, floor_bound),
            f"The background has {measures.noise_floor_dbfs:.1f} dBFS, "
            f"{measures.rms_dbfs - measures.noise_floor_dbfs:.0f} dB below the speech.",
            "Record in a quieter room, without music.",
            error=measures.rms_dbfs - measures.noise_floor_dbfs < 12.0,
        ),
        _outcome(
            "silence_share",
            measures.silence_share,
            (None, 0.4),
            f"{100 * measures.silence_share:.0f} % of the speech are pauses.",
            "Shorten the pauses in the recording.",
            error=measures.silence_share > 0.7,
        ),
        _outcome(
            "speaking_rate",
            measures.syllables_per_second,
            (_RATE_WARN[0] * rate, _RATE_WARN[1] * rate),
            f"{found}; {rate:.1f} are usual in {language}.",
            more if measures.syllables_per_second > rate else less,
            error=not _RATE_ERROR[0] * rate <= measures.syllables_per_second <= _RATE_ERROR[1] * rate,
        ),
        _outcome(
            "transcript_length",
            fit,
            _FIT_WARN,
            f"The text has about {measures.syllables:.0f} syllables, {measures.syllables_heard} are heard.",
            more if fit > 1 else less,
            error=not _FIT_ERROR[0] <= fit <= _FIT_ERROR[1],
        ),
    ]


def _expected_rate(language: str) -> float:
    return _RATES.get(re.split(r"[-_]", language.lower())[0], _MEAN_RATE)


def _outcome(
    name: str, value: float, bounds: tuple[float | None, float | None], found: str, mend: str, *, error: bool
) -> CheckOutcome:
    low, high = bounds
    passed = (low is None or value >= low) and (high is None or value <= high)
    details: dict[str, Any] = {"name": name, "value": value, "bounds": bounds, "passed": passed}
    severity = "error" if error and not passed else "warn"
    return CheckOutcome(severity=severity, description=found if passed else f"{found} {mend}", **details)
