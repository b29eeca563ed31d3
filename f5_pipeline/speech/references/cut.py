"""Runs of a transcript from pause to pause, of which the best becomes the reference of a long recording."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from f5_pipeline.errors import InputError
from f5_pipeline.speech.references.pauses import CLOSE_PAUSE, PAUSE, Activity, Pause
from f5_pipeline.speech.references.record import LEAD, TAIL
from f5_pipeline.speech.text.endings import CLOSING, FINAL, is_character
from f5_pipeline.speech.transcripts.reader import Transcript, join_texts

MAX_CUT_SECONDS = 8.0
"""Longest reference cut from a longer recording, edges included."""

MAX_RUN_SECONDS = MAX_CUT_SECONDS - LEAD - TAIL
"""Most speech in a reference that is cut."""

MIN_RUN_SECONDS = 3.0
"""Least speech in a reference that is cut."""

# How far from a boundary of the transcript its pause may lie, s. Word times are good to about a tenth of a second; cues
# are set by hand or by reading speed and stray further.
_WORD_REACH, _CUE_REACH = 0.15, 0.4
_UNHEARD_SPEECH = 0.5  # s of sound between two entries of a transcript that count as omitted speech
_AROUND = 5  # units of text kept before and after a run
_MAX_RUNS = 2000  # kept for a long recording
_PAST_END = 1.0  # s that a transcript's last time may lie past the recording's end (Whisper rounds up)


@dataclass
class Unit:
    """The smallest piece, never cut inside: a word, words written together, or a cue without words."""

    text: str
    space: str
    start: float
    end: float
    word: bool
    ends_sentence: bool = False


@dataclass(frozen=True)
class Run:
    """A candidate: speech from `start` to `end` (s in the recording) and its text.

    Attributes:
        before, after: some text of the transcript before and after it; may be empty.
        cues: whether its ends are those of cues, not of words.
        whole: whether it ends with a sentence; where it does not, `end_text` puts a full stop that nobody spoke.
    """

    start: float
    end: float
    text: str
    before: str = ""
    after: str = ""
    cues: bool = False
    whole: bool = True


def check_times(transcript: Transcript, seconds: float, file: str) -> None:
    """Raise InputError where a transcript is longer than its recording of `seconds`."""
    last = transcript.segments[-1]
    assert last.start is not None and last.end is not None
    if last.start >= seconds or last.end > seconds + _PAST_END:
        raise InputError(
            f"the transcript runs to {last.end:.2f} s, the recording only to {seconds:.2f} s",
            file=file,
            hint="Give the transcript that belongs to this recording.",
        )


def covers(transcript: Transcript, activity: Activity, speech: tuple[float, float]) -> bool:
    """Whether a transcript's times cover all speech; assumed for an untimed one."""
    if not transcript.timed:
        return True
    units = units_of(transcript)
    edges = [(speech[0], units[0].start - _CUE_REACH), (units[-1].end + _CUE_REACH, speech[1])]
    gaps = [(left.end, right.start) for left, right in pairwise(units)]
    return all(activity.loud_seconds(start, end) < _UNHEARD_SPEECH for start, end in edges + gaps)


def units_of(transcript: Transcript) -> list[Unit]:
    """The units of a timed transcript, in order."""
    units: list[Unit] = []
    for number, segment in enumerate(transcript.segments):
        assert segment.start is not None and segment.end is not None
        # As `Transcript.text` joins them: nothing between Chinese characters.
        following = transcript.segments[number + 1].text[:1] if number + 1 < len(transcript.segments) else ""
        space = join_texts((segment.text[-1:], following))[1:2].strip(following) if following else ""
        if not segment.words:
            units.append(Unit(segment.text, space, segment.start, segment.end, word=False))
            continue
        first = len(units)
        for word in segment.words:
            previous = units[-1] if len(units) > first else None
            if previous is not None and not previous.space and _one_word(previous.text, word.text):
                previous.text += word.text
                previous.space, previous.end = word.space, word.end
            else:
                units.append(Unit(word.text, word.space, word.start, word.end, word=True))
        units[-1].space = space
    for unit in units:
        unit.ends_sentence = unit.text.rstrip(CLOSING).endswith(tuple(FINAL))
    units[-1].ends_sentence = True
    return units


def _one_word(left: str, right: str) -> bool:
    """Whether pieces without a blank between them are one word, which Chinese and Japanese characters are not."""
    return not (is_character(left[-1:]) or is_character(right[:1])) and left[-1:] not in FINAL


def runs_of(transcript: Transcript, activity: Activity, speech: tuple[float, float], file: str) -> list[Run]:
    """Runs of units between pauses, the best first.

    Score, in s: length of the speech; 2.5 for ending with a sentence and 1.5 for beginning with one; the pause after it
    (up to 0.5 s); less the excess of pauses inside over half a second.

    Raises:
        InputError: there is no run; the message says why.
    """
    units = units_of(transcript)
    begins = [_pause_near(activity, units, index, "start", speech) for index in range(len(units))]
    ends = [_pause_near(activity, units, index, "end", speech) for index in range(len(units))]
    breaks = [activity.loud_seconds(left.end, right.start) >= _UNHEARD_SPEECH for left, right in pairwise(units)]
    breaks.append(True)
    scored: list[tuple[float, int, int]] = []
    for first, unit in enumerate(units):
        before = begins[first]
        if before is None:
            continue
        fresh = first == 0 or units[first - 1].ends_sentence
        for last in range(first, len(units)):
            after = ends[last]
            if after is not None:
                seconds = after.start - before.end
                if seconds > MAX_RUN_SECONDS:
                    break
                if seconds >= MIN_RUN_SECONDS:
                    score = seconds + 1.5 * fresh + 2.5 * units[last].ends_sentence
                    score += min(after.end - after.start, 0.5) - activity.long_pauses(before.end, after.start)
                    scored.append((-round(score, 6), first, last))
            elif units[last].start - unit.start > 2 * MAX_RUN_SECONDS:
                break
            if breaks[last]:
                break
    if not scored:
        raise _no_run(units, begins, ends, file)
    return [_run(units, first, last, begins[first], ends[last]) for _, first, last in sorted(scored)[:_MAX_RUNS]]


def _run(units: list[Unit], first: int, last: int, before: Pause | None, after: Pause | None) -> Run:
    assert before is not None and after is not None
    return Run(
        start=before.end,
        end=after.start,
        text=_text_of(units[first : last + 1]),
        before=_text_of(units[max(0, first - _AROUND) : first]),
        after=_text_of(units[last + 1 : last + 1 + _AROUND]),
        cues=not (units[first].word and units[last].word),
        whole=units[last].ends_sentence,
    )


def _text_of(units: list[Unit]) -> str:
    return "".join(unit.text + unit.space for unit in units).strip()


def _no_run(units: list[Unit], begins: list[Pause | None], ends: list[Pause | None], file: str) -> InputError:
    """The error where no run can be cut."""
    what = "word" if all(unit.word for unit in units) else "cue"
    span = f"{MIN_RUN_SECONDS:.0f} to {MAX_RUN_SECONDS:.1f} s"
    hint = (
        "Split long cues, give word times (Whisper JSON), or cut the recording to 10 s of speech with its transcript."
    )
    longest = max(units, key=lambda unit: unit.end - unit.start)
    if all(unit.end - unit.start > MAX_RUN_SECONDS for unit in units):
        return InputError(
            f"no {what} of the transcript is short enough: {span} are needed, and the shortest, "
            f"{min(unit.end - unit.start for unit in units):.1f} s, cannot be cut inside",
            file=file,
            place=f"{longest.start:.2f} s",
            hint=hint,
        )
    lost = sum(begin is None for begin in begins) + sum(end is None for end in ends)
    if lost:
        return InputError(
            f"no part of {span} lies between pauses: {lost} of {2 * len(units)} {what} edges are not at a pause",
            file=file,
            hint=f"Check the transcript's times. {hint}",
        )
    return InputError(f"no run of {what}s lasts {span}", file=file, hint=hint)


def _pause_near(
    activity: Activity, units: list[Unit], index: int, edge: Literal["start", "end"], speech: tuple[float, float]
) -> Pause | None:
    """The pause at which the recording can be cut before or after a unit, or None.

    The nearest one to the transcript's time, where a pause may be farther away by half its length. It never reaches
    past the middle of a neighbouring unit.
    """
    unit = units[index]
    other = units[index - 1] if edge == "start" and index else None
    if edge == "end" and index + 1 < len(units):
        other = units[index + 1]
    reach = _WORD_REACH if unit.word and (other is None or other.word) else _CUE_REACH
    time = unit.start if edge == "start" else unit.end
    # The transcript's span for the boundary: the gap to the neighbour.
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
    best: tuple[float, Pause] | None = None
    for pause in activity.pauses_between(first - 1e-9, last + 1e-9):
        length = pause.end - pause.start
        distance = max(0.0, pause.start - high, low - pause.end)
        covers = distance <= 0.03 and reach == _WORD_REACH
        if length < (CLOSE_PAUSE if covers else PAUSE) - 1e-9 and pause.start > 0 and pause.end < speech[1]:
            continue
        cost = distance - 0.5 * min(length, 0.5)
        if best is None or cost < best[0] - 1e-9:
            best = cost, pause
    return best[1] if best else None
