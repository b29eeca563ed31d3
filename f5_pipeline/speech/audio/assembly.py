"""Assembly of takes to one narration: pauses, crossfades and one gain, streamed, with exact word times.

Pauses are digital silence. A take is cut to its speech plus a margin of its own room tone, which is short enough to be
masked by the speech and is faded out. Room tone in pauses would need a recording of each voice's room, and a noise
floor that changes with the voice is more audible than silence.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from f5_pipeline.errors import PipelineError
from f5_pipeline.speech.audio.encoding import BLOCK, FORMATS, MP3_KBPS, WHOLE, Output, disk_error, encode
from f5_pipeline.speech.audio.inspection import FileMeasures, measure
from f5_pipeline.speech.audio.loudness import LoudnessMeter, choose_gain, decibels
from f5_pipeline.speech.audio.mastering import Master, MasterPreset, master_to
from f5_pipeline.speech.audio.tags import Mark, Tagging
from f5_pipeline.speech.chunks import Chunk
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.speech.script.model import AudioFormat
from f5_pipeline.speech.takes import MIN_WORD_SECONDS, Take, word_methods, word_times
from f5_pipeline.speech.timeline import Chapter, PlacedChunk, SlotFit, TimedWord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Samples = NDArray[np.float32]

FADE = round(0.003 * SAMPLE_RATE)
"""Samples of the fade between audio and silence, which prevents clicks."""


MAX_QUIET_SECONDS = 0.1
"""Quiet at the start of speech that is not counted to the slot of a subtitle."""
_SOUND_DB = -40.0
"""Level of its first sound, dB below the loudest of the speech."""


class AssemblySettings(BaseModel):
    """Settings of the assembly; all of them are part of the revision."""

    sentence: float = Field(default=0.35, ge=0, description="pause after a sentence, s")
    paragraph: float = Field(default=0.7, ge=0, description="pause after a paragraph, s")
    chapter: float = Field(default=1.5, ge=0, description="pause around a heading, s")
    head: float = Field(default=0.5, ge=0, description="silence before the first word, s")
    tail: float = Field(default=1.0, ge=0, description="silence after the last word, s")
    crossfade: float = Field(default=0.02, ge=0, le=0.2, description="equal-power crossfade where chunks touch, s")
    loudness: float = Field(default=-19.0, le=0, description="target integrated loudness, LUFS (mono podcast: -19)")
    peak: float = Field(default=-1.0, le=0, description="highest true peak allowed, dBTP")
    margin: float = Field(default=0.03, ge=0, le=0.5, description="of a take, kept around its speech at a pause, s")
    joint: float = Field(default=0.06, ge=0, le=0.5, description="the same where chunks touch, s")


class ChapterFile(BaseModel):
    """A file with one chapter."""

    format: AudioFormat
    path: Path
    number: int = Field(description="from 1")
    title: str


class Assembled(BaseModel):
    """A finished narration; its files are in the `work` folder of `assemble`."""

    seconds: float
    samples: int
    words: int
    chunks: int
    loudness_lufs: float | None = Field(description="of the master; None where it is too short or too quiet to measure")
    true_peak_dbtp: float | None = Field(description="of the master; None for silence")
    gain_db: float
    limited_by_peak: bool = Field(description="the peak ceiling kept the narration below the target loudness")
    files: dict[AudioFormat, Path] = Field(description="of the whole")
    chapter_files: list[ChapterFile] = []
    measures: list[FileMeasures] = Field(default=[], description="of the files, by their names, where a preset asks")
    timeline: Path = Field(description="one TimedWord a line, JSON")
    chunk_index: Path = Field(description="one PlacedChunk a line, JSON")
    chapters: list[Chapter]
    slots: SlotFit | None = Field(default=None, description="how subtitles fit their slots; None: it has none")


@dataclass(frozen=True)
class Part:
    """A chunk, the take chosen for it, and a function that loads its samples: float32, shape (take.samples,)."""

    chunk: Chunk
    take: Take
    audio: Callable[[], Samples]


def assemble(
    parts: Iterable[Part],
    work: Path,
    settings: AssemblySettings,
    *,
    formats: Sequence[AudioFormat] = ("flac", "mp3"),
    tags: Mapping[str, str] | None = None,
    cover: bytes | None = None,
    preset: MasterPreset | None = None,
    by_chapter: bool = False,
    progress: Callable[[int], None] | None = None,
    encoding: Callable[[int, int], None] = lambda done, total: None,
    written: Callable[[AudioFormat, Path, float], None] = lambda name, path, seconds: None,
) -> Assembled:
    """Join takes to a narration, in one pass over the takes and one over the result.

    A pause lasts from the end of speech to the next start of speech. Where chunks touch, the audio overlaps by at most
    `settings.crossfade` (only where neither side speaks), and the timeline is shorter by that overlap: times are sample
    positions, so nothing drifts. Memory: one take, one crossfade tail and a block of output.

    Args:
        parts: in the order of the narration; consumed lazily, one take is loaded at a time.
        work: an existing folder for the results, and for a temporary file of 96 kB a second, removed at the end.
        settings: pauses, loudness and the rest.
        formats: files to write, by their names in `encoding.FORMATS`: narration.flac, narration.mp3.
        tags: see `tags.TAGS`.
        cover: a JPEG, embedded where a format can.
        preset: what the files must meet; its level takes the place of the settings', and a limiter lets it be reached.
        by_chapter: one file for each chapter, narration-001.mp3, of all formats but `encoding.WHOLE`.
        progress: called after each chunk with the number of chunks placed.
        encoding: called while the files are written, with the samples done and the samples in all.
        written: called from a thread when a file of the whole is finished, with its format, path and duration, s.

    Raises:
        PipelineError: a take does not fit its chunk, word times are out of order, or a file cannot be written. No
            result is left in `work` then.
    """
    pcm, timeline, chunk_index = work / "narration.f32", work / "timeline.jsonl", work / "chunks.jsonl"
    outputs: list[Output] = []
    meter = LoudnessMeter(detailed=preset is not None)
    log = _Log()
    try:
        with (
            _Scratch(pcm, "wb") as audio,
            _Scratch(timeline, "w") as words,
            _Scratch(chunk_index, "w") as chunks,
            ThreadPoolExecutor(1) as beside,
        ):
            mix = _Mix(_Output(audio, meter, beside), settings)
            for part in parts:
                place = mix.add(part, word_times(part.chunk.words, part.take))
                log.add(part, place, words, chunks)
                if progress is not None:
                    progress(log.chunks)
            if log.chunks == 0:
                raise PipelineError("there is nothing to assemble", hint="Write some text into the script.")
            samples = mix.close()
        if log.last_end > samples / SAMPLE_RATE:
            raise PipelineError(f"the last word ends at {log.last_end:.3f} s, after the audio")
        loudness, true_peak = meter.integrated, meter.true_peak
        gain, limited = choose_gain(loudness, true_peak, settings.loudness, settings.peak)
        master = Master(pcm, gain) if preset is None else master_to(pcm, meter, preset)
        fields, mp3 = dict(tags or {}), (preset and preset.mp3) or (SAMPLE_RATE, MP3_KBPS)
        sections = log.sections(fields.get("title", ""))
        is_divided = by_chapter and len(sections) > 1
        whole: dict[AudioFormat, Output] = {}
        marks = _marks(log, fields.get("title", ""), samples / SAMPLE_RATE)
        for name in formats:
            if not is_divided or name in WHOLE:
                path = work / f"narration{FORMATS[name].suffix}"
                whole[name] = Output(name, path, 0, samples, Tagging(fields, marks, cover), mp3)
        chapters = [
            ChapterFile(
                format=name, path=work / f"narration-{index:03}{FORMATS[name].suffix}", number=index, title=title
            )
            for name in formats
            if name not in whole
            for index, (title, _, _) in enumerate(sections, 1)
        ]
        spans = _spans(sections, settings, samples)
        outputs += whole.values()
        for file in chapters:
            of_file = {
                "title": file.title,
                "album": fields.get("title", ""),
                "tracknumber": f"{file.number}/{len(sections)}",
            }
            tagging = Tagging({**fields, **of_file}, (), cover)
            outputs.append(Output(file.format, file.path, *spans[file.number - 1], tagging, mp3))

        def finished(output: Output) -> None:
            if whole.get(output.format) is output:
                written(output.format, output.path, samples / SAMPLE_RATE)

        encode(master, outputs, progress=encoding, written=finished)
        measures: list[FileMeasures] = []
        if preset is not None:
            with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
                measures = list(pool.map(lambda output: measure(output.path, output.path.name), outputs))
    except BaseException as error:
        for path in (timeline, chunk_index, *(output.path for output in outputs)):
            path.unlink(missing_ok=True)
        if isinstance(error, _WriteError):
            raise disk_error(error.cause, error.path) from error.cause
        raise
    finally:
        pcm.unlink(missing_ok=True)
    gain_db = decibels(master.gain)
    of_whole = next(
        (found for found in measures if found.name in [output.path.name for output in whole.values()]), None
    )
    return Assembled(
        seconds=samples / SAMPLE_RATE,
        samples=samples,
        words=log.words,
        chunks=log.chunks,
        loudness_lufs=of_whole.loudness if of_whole else _finite(loudness + gain_db),
        true_peak_dbtp=of_whole.peak if of_whole else _finite(true_peak + gain_db),
        gain_db=gain_db,
        limited_by_peak=limited and preset is None,
        files={name: output.path for name, output in whole.items()},
        chapter_files=chapters,
        measures=measures,
        timeline=timeline,
        chunk_index=chunk_index,
        chapters=log.chapters,
        slots=log.slots,
    )


def _marks(log: _Log, title: str, seconds: float) -> list[Mark]:
    """The chapters of the whole; what is spoken before the first heading has the narration's title."""
    if not log.chapters:
        return []
    starts = [(chapter.text, chapter.start) for chapter in log.chapters]
    if log.before is not None:
        starts.insert(0, (title, 0.0))
    ends = [start for _, start in starts[1:]] + [seconds]
    return [Mark(text, start, end) for (text, start), end in zip(starts, ends, strict=True)]


def _spans(sections: Sequence[_Section], settings: AssemblySettings, samples: int) -> list[tuple[int, int]]:
    """The part of the master for each section, with the silence before and after it, but nothing of its neighbours."""
    spans, clear = [], settings.margin + 2 * FADE / SAMPLE_RATE
    for index, (_, start, end) in enumerate(sections):
        begin, stop = start - settings.head, end + settings.tail
        if index:
            begin = max(begin, min(sections[index - 1][2] + clear, start))
        if index + 1 < len(sections):
            stop = min(stop, max(sections[index + 1][1] - clear, end))
        spans.append((max(0, _samples(begin)), min(samples, _samples(stop))))
    return spans


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


class _WriteError(Exception):
    """An OSError from an output file, not from loading a take."""

    def __init__(self, cause: OSError, path: Path) -> None:
        super().__init__(str(cause))
        self.cause = cause
        self.path = path


class _Scratch:
    """An output file whose errors, those of closing included, become `_WriteError`."""

    def __init__(self, path: Path, mode: str) -> None:
        self._path = path
        self._mode = mode

    def __enter__(self):
        try:
            if "b" in self._mode:
                self._file = self._path.open(self._mode)
            else:
                self._file = self._path.open(self._mode, encoding="utf-8", newline="\n")
        except OSError as error:
            raise _WriteError(error, self._path) from error
        return self

    def write(self, data) -> None:
        try:
            self._file.write(data)
        except OSError as error:
            raise _WriteError(error, self._path) from error

    def __exit__(self, kind, *_) -> None:
        try:
            self._file.close()
        except OSError as error:
            if kind is None:
                raise _WriteError(error, self._path) from error


_BLOCKS_BEHIND = 4


class _Output:
    """Collects samples to blocks for the file and for the meter, which works beside it, a few blocks behind."""

    def __init__(self, stream: _Scratch, meter: LoudnessMeter, beside: Executor) -> None:
        import numpy as np

        self._stream = stream
        self._meter = meter
        self._beside = beside
        self._measured: deque[Future[None]] = deque()
        self._block = np.zeros(BLOCK, dtype=np.float32)
        self._filled = 0
        self.position = 0

    def write(self, samples: Samples) -> None:
        done = 0
        while done < len(samples):
            count = min(BLOCK - self._filled, len(samples) - done)
            self._block[self._filled : self._filled + count] = samples[done : done + count]
            self._advance(count)
            done += count

    def silence(self, count: int) -> None:
        while count > 0:
            step = min(BLOCK - self._filled, count)
            self._block[self._filled : self._filled + step] = 0
            self._advance(step)
            count -= step

    def _advance(self, count: int) -> None:
        self._filled += count
        self.position += count
        if self._filled == BLOCK:
            self.flush()

    def flush(self) -> None:
        block = self._block[: self._filled].copy()
        self.measure(_BLOCKS_BEHIND - 1)
        self._measured.append(self._beside.submit(self._meter.add, block))
        self._stream.write(block.astype("<f4", copy=False).tobytes())
        self._filled = 0

    def measure(self, behind: int = 0) -> None:
        """Wait for the meter until it is no more than so many blocks behind."""
        while len(self._measured) > behind:
            self._measured.popleft().result()


@dataclass(frozen=True)
class _Place:
    """Position of a take: speech bounds and word times in the master, s."""

    start: float
    end: float
    words: list[tuple[float, float]]


@dataclass
class _Tail:
    """State of the previous chunk: the pause after it and the end of its audio."""

    room: int | None  # samples of the pause; None where the next chunk touches it
    silence: float | None  # of the script's own, s
    audio: Samples  # its end, not yet written; empty unless the next chunk touches it
    speech_end: int  # position in the master
    quiet: int  # samples of its clip after the last word and the speech


class _Mix:
    """Places takes on the output, one after the other."""

    def __init__(self, output: _Output, settings: AssemblySettings) -> None:
        self._output = output
        self._margin = _samples(settings.margin)
        self._joint = _samples(settings.joint)
        self._gap = 2 * self._margin
        self._slot_end = 0
        self._crossfade = _samples(settings.crossfade)
        self._pauses = {name: _samples(getattr(settings, name)) for name in ("sentence", "paragraph", "chapter")}
        self._head = _samples(settings.head)
        self._end = _samples(settings.tail)
        self._before: _Tail | None = None

    def add(self, part: Part, times: list[tuple[float, float]]) -> _Place:
        """Append a take; returns its position."""
        take, chunk = part.take, part.chunk
        audio = _load(part)
        first, last = _samples(take.speech_start), min(_samples(take.speech_end), len(audio))
        if not 0 <= first <= last:
            raise _unfit(part, f"its speech is said to go from {take.speech_start} s to {take.speech_end} s")
        before = self._before
        quiet_before = 0
        if chunk.at is not None:
            # Its first sound is at the start of the slot; where the speech before takes longer, it follows that one.
            earliest = before.speech_end + self._gap if before else 0
            quiet_before = _quiet(audio[first:last])
            start = max(_samples(chunk.at) - quiet_before, earliest)
            before = before or _Tail(0, None, audio[:0], 0, 0)
            before.room = start - before.speech_end
        touches = before is not None and before.room is None
        head = self._head if chunk.lead is None else _samples(chunk.lead)
        room = head if before is None else self._joint if before.room is None else before.room
        # each side has half of a pause, so that margins never meet inside it
        lead = min(first, self._joint if touches else min(self._margin, room if before is None else room // 2))
        after = None if chunk.touches else self._pause_after(chunk)
        trail = min(len(audio) - last, self._joint if after is None else min(self._margin, after // 2))
        begin, stop = first - lead, last + trail
        clip = audio[begin:stop].copy()
        words = _within(times, begin / SAMPLE_RATE, stop / SAMPLE_RATE)

        overlap = 0
        if touches:
            assert before is not None
            quiet = lead if not words else min(lead, math.floor(words[0][0] * SAMPLE_RATE) - begin)
            # only room tone is faded: no further than the quiet of either side
            overlap = max(0, min(self._crossfade, before.quiet, quiet, len(before.audio)))
            keep = len(before.audio) - overlap
            self._output.write(before.audio[:keep] if overlap else _fade_out(before.audio))
            offset = self._output.position - begin
            if overlap:
                rise, fall = _equal_power(overlap)
                clip[:overlap] = before.audio[keep:] * fall + clip[:overlap] * rise
            else:
                _fade_in(clip)
        else:
            speech = room if before is None else before.speech_end + room
            self._output.silence(speech - lead - self._output.position)
            offset = self._output.position - begin
            _fade_in(clip)

        tail = clip[:0]
        if after is None:
            # exclude the crossfade into this clip from the next one: a sample is mixed from two takes at most
            tail = clip[max(overlap, len(clip) - max(self._crossfade, FADE)) :]
            self._output.write(clip[: len(clip) - len(tail)])
        else:
            _fade_out(clip)
            self._output.write(clip)
        if chunk.at is not None:
            self._slot_end = _samples(chunk.at + (chunk.seconds or 0.0))
        quiet_after = trail if not words else min(trail, stop - math.ceil(words[-1][1] * SAMPLE_RATE))
        self._before = _Tail(after, chunk.silence, tail, offset + last, max(0, quiet_after))
        return _Place(
            start=(offset + first + quiet_before) / SAMPLE_RATE,
            end=(offset + last) / SAMPLE_RATE,
            words=[(start + offset / SAMPLE_RATE, end + offset / SAMPLE_RATE) for start, end in words],
        )

    def _pause_after(self, chunk: Chunk) -> int:
        """Samples of the pause after a chunk that the next one does not touch."""
        if chunk.at is not None:
            return self._gap
        return self._pauses[chunk.pause] if chunk.silence is None else _samples(chunk.silence)

    def close(self) -> int:
        """Finish the output; returns the length of the narration in samples."""
        assert self._before is not None
        end = self._end if self._before.silence is None else _samples(self._before.silence)
        end = max(self._slot_end, self._output.position) if self._slot_end else self._before.speech_end + end
        self._output.write(_fade_out(self._before.audio))
        self._output.silence(end - self._output.position)
        self._output.flush()
        self._output.measure()
        return self._output.position


_Section = tuple[str, float, float]
"""What goes into one file: its title, start and end of its sound, s."""


@dataclass
class _Log:
    """Writes timeline and chunk index, and checks the words: in order, none empty, none twice."""

    words: int = 0
    chunks: int = 0
    last_end: float = 0.0
    last_chunk: int = -1
    chapters: list[Chapter] = field(default_factory=list)
    slots: SlotFit | None = None
    before: tuple[float, float] | None = None
    """Start and end of what is spoken before the first heading, s."""
    _heading: int | None = None
    _space: str = ""

    def add(self, part: Part, place: _Place, words: _Scratch, chunks: _Scratch) -> None:
        chunk, take = part.chunk, part.take
        if chunk.index <= self.last_chunk:
            raise PipelineError(f"chunk {chunk.index} comes after chunk {self.last_chunk}", hint="Plan it again.")
        self.last_chunk = chunk.index
        self.chunks += 1
        lines = []
        cue = None
        if chunk.at is not None and chunk.seconds is not None:
            end = round(chunk.at + chunk.seconds, 3)
            cue = (chunk.at, end)
            self.slots = self.slots or SlotFit()
            self.slots.add(
                line=chunk.line,
                at=chunk.at,
                seconds=chunk.seconds,
                text=chunk.written,
                late=place.start - chunk.at,
                over=place.end - end,
            )
        methods = word_methods(chunk.words, take)
        for word, (start, end), (method, confidence) in zip(chunk.words, place.words, methods, strict=True):
            start, end = round(start, 6), round(end, 6)
            if start < self.last_end <= start + 2e-6:  # rounding; a sample is 42 microseconds
                start = self.last_end
            if not self.last_end <= start < end:
                raise _unfit(
                    part,
                    f"the word {word.text!r} goes from {start:.6f} s to {end:.6f} s of the narration, "
                    f"after a word that ends at {self.last_end:.6f} s",
                )
            self.last_end = end
            timed = TimedWord(
                text=word.text,
                space=word.space,
                start=start,
                end=end,
                chunk=chunk.index,
                paragraph=chunk.paragraph,
                voice=chunk.voice,
                heading=chunk.heading,
                method=method,
                confidence=confidence,
                cue=cue,
            )
            lines.append(timed.model_dump_json() + "\n")
        self.words += len(lines)
        words.write("".join(lines))
        placed = PlacedChunk(
            chunk=chunk.index,
            start=round(place.start, 6),
            end=round(place.end, 6),
            take=take.key,
            attempt=take.details.get("attempt", 0),
            seed=take.details.get("seed"),
        )
        chunks.write(placed.model_dump_json() + "\n")
        self._chapter(chunk, place)

    def _chapter(self, chunk: Chunk, place: _Place) -> None:
        if self.chapters and (not chunk.heading or self._heading == chunk.paragraph):
            self.chapters[-1].end = round(place.end, 6)
        if not chunk.heading:
            self._heading = None
            if self.chapters:
                self.chapters[-1].is_empty = False
            else:
                self.before = (self.before or (place.start,))[0], place.end
            return
        if self._heading == chunk.paragraph:  # a long heading in several chunks, or voices
            chapter = self.chapters[-1]
            chapter.text += self._space + chunk.written
        else:
            start, end = round(place.start, 6), round(place.end, 6)
            self.chapters.append(Chapter(text=chunk.written, start=start, end=end))
        self._heading = chunk.paragraph
        self._space = chunk.words[-1].space if chunk.words else " "

    def sections(self, title: str) -> list[_Section]:
        """What goes into one file each: the chapters, those without text with the one that follows."""
        sections: list[_Section] = [(title, *self.before)] if self.before else []
        titles: list[str] = []
        for index, chapter in enumerate(self.chapters):
            start = self.chapters[index - len(titles)].start
            titles.append(chapter.text)
            if not chapter.is_empty or index + 1 == len(self.chapters):
                sections.append((" – ".join(titles), start, chapter.end))
                titles = []
        return sections


def _load(part: Part) -> Samples:
    """The take's samples, checked against its record and its chunk."""
    import numpy as np

    take, chunk = part.take, part.chunk
    if take.text != chunk.spoken:
        raise _unfit(part, "it speaks another text")
    audio = np.asarray(part.audio(), dtype=np.float32)
    if audio.ndim != 1 or len(audio) != take.samples:
        raise _unfit(part, f"its audio has the shape {audio.shape}, its record says {take.samples} samples")
    if not np.isfinite(audio).all():
        raise _unfit(part, "its audio holds samples that are no numbers")
    return audio


def _unfit(part: Part, reason: str) -> PipelineError:
    return PipelineError(
        f"the take {part.take.key} cannot be used for chunk {part.chunk.index}: {reason}",
        place=part.chunk.line,
        hint="Remove this take and run the narration again.",
    )


def _quiet(speech: Samples) -> int:
    """Samples before the first sound of speech, such as the closure of a plosive; at most MAX_QUIET_SECONDS."""
    import numpy as np

    loud = np.abs(speech[: _samples(MAX_QUIET_SECONDS)]) > np.abs(speech).max(initial=0.0) * 10 ** (_SOUND_DB / 20)
    return int(loud.argmax()) if loud.any() else 0


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)


def _within(times: list[tuple[float, float]], begin: float, stop: float) -> list[tuple[float, float]]:
    """Word times moved into the kept part [begin, stop] of a take. Only words at its edges move."""
    count = len(times)
    shortest = min(MIN_WORD_SECONDS, (stop - begin) / max(1, count))
    fitted = []
    for index, (start, end) in enumerate(times):
        low, high = begin + index * shortest, stop - (count - index) * shortest
        fitted.append((min(max(start, low), high), min(max(end, low + shortest), high + shortest)))
    return fitted


def _equal_power(count: int) -> tuple[Samples, Samples]:
    """Rising and falling gain of `count` samples; their squares add up to one, as takes are not correlated."""
    import numpy as np

    angle = (np.arange(count, dtype=np.float32) + np.float32(0.5)) * np.float32(np.pi / 2 / count)
    return np.sin(angle), np.cos(angle)


def _fade_in(clip: Samples) -> Samples:
    """Raised-cosine fade from silence, in place."""
    import numpy as np

    count = min(FADE, len(clip) // 2)
    if count:
        clip[:count] *= np.square(_equal_power(count)[0])
    return clip


def _fade_out(clip: Samples) -> Samples:
    """Raised-cosine fade to silence, in place."""
    import numpy as np

    count = min(FADE, len(clip) // 2)
    if count:
        clip[-count:] *= np.square(_equal_power(count)[1])
    return clip
