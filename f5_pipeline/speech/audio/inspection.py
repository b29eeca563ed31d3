"""Measures of finished audio files, and whether they meet a master's preset."""

from __future__ import annotations

import math
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from pydantic import BaseModel, Field

from f5_pipeline.errors import PipelineError
from f5_pipeline.speech.audio.ffmpeg import need_ffmpeg
from f5_pipeline.speech.audio.loudness import LoudnessMeter, decibels
from f5_pipeline.speech.audio.mastering import MasterPreset
from f5_pipeline.speech.audio.media import open_forward
from f5_pipeline.speech.engine import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BLOCK = 1 << 16
_FLOOR_HOPS = 5  # of 100 ms
_SPEECH_DB = -50.0  # a sample of speech is above it, room tone below
_TOLERANCE_DB, _TOLERANCE_SECONDS = 0.05, 0.1  # the rounding of meters; silence is measured in steps of 100 ms


class FileMeasures(BaseModel):
    """What a finished file sounds like, decoded."""

    name: str
    seconds: float
    rate: int = Field(description="Hz")
    kbps: float = Field(description="of the whole file, cover included, kbit/s")
    loudness: float | None = Field(description="integrated, LUFS; None: too short or too quiet")
    rms: float | None = Field(description="of the whole, dB; None: silence")
    peak: float | None = Field(description="true peak, dBTP; None: silence")
    floor: float | None = Field(description="RMS of the quietest 0.5 s, dB; None: digital silence")
    head: float = Field(description="silence before the first sound, s")
    tail: float = Field(description="silence after the last sound, s")


class Line(NamedTuple):
    """One demand of a preset: what it is of, what was measured, what is asked."""

    what: str
    measured: str
    asked: str
    passed: bool


def measure(path: Path, name: str) -> FileMeasures:
    """Decode a file and measure it, in flat memory.

    Raises:
        PipelineError: it cannot be decoded.
    """
    import numpy as np

    rate, blocks = _decoded(path)
    meter = LoudnessMeter(rate, detailed=True)
    first, last = -1, -1
    for block in blocks:
        loud = np.flatnonzero(np.abs(block) > 10 ** (_SPEECH_DB / 20))
        if len(loud):
            first = meter.samples + int(loud[0]) if first < 0 else first
            last = meter.samples + int(loud[-1])
        meter.add(block)
    if not meter.samples:
        raise PipelineError("the file holds no sound", file=name, hint="Run it again.")
    _, energies, _ = meter.levels
    hop = rate // 10
    windows = np.convolve(energies, np.ones(_FLOOR_HOPS), "valid") if len(energies) >= _FLOOR_HOPS else energies
    quietest = max(0.0, float(windows.min(initial=math.inf))) if len(windows) else 0.0
    seconds = meter.samples / rate
    return FileMeasures(
        name=name,
        seconds=seconds,
        rate=rate,
        kbps=round(path.stat().st_size * 8 / seconds / 1000, 1),
        loudness=_finite(meter.integrated),
        rms=_finite(decibels(math.sqrt(float(energies.sum()) / max(1, hop * len(energies))))),
        peak=_finite(meter.true_peak),
        floor=_finite(decibels(math.sqrt(quietest / (hop * _FLOOR_HOPS)))),
        head=first / rate if first >= 0 else seconds,
        tail=seconds - (last + 1) / rate,
    )


def judge(measures: FileMeasures, preset: MasterPreset, *, is_delivery: bool) -> list[Line]:
    """The demands of a preset on a file, one by one.

    Args:
        is_delivery: it is one of the files that the preset is about; else it is the whole narration beside them, of
            which only level and peak are asked.
    """
    value, unit = (measures.rms, "dB RMS") if preset.measure == "rms" else (measures.loudness, "LUFS")
    lines = [
        _within("RMS" if preset.measure == "rms" else "loudness", value, preset.low, preset.high, unit),
        _within("peak", measures.peak, None, preset.peak, "dBTP"),
    ]
    if not is_delivery:
        return lines
    if preset.floor is not None:
        lines.append(_within("noise floor", measures.floor, None, preset.floor, "dB RMS"))
    for what, seconds, bounds in (("head", measures.head, preset.head), ("tail", measures.tail, preset.tail)):
        if bounds is not None:
            low, high = bounds[0] - _TOLERANCE_SECONDS, bounds[1] + _TOLERANCE_SECONDS
            asked = f"{bounds[0]:g} to {bounds[1]:g} s"
            lines.append(Line(what, f"{seconds:.2f} s", asked, low <= seconds <= high))
    if preset.max_seconds is not None:
        asked = f"at most {preset.max_seconds / 60:g} min"
        lines.append(Line("length", f"{measures.seconds / 60:.1f} min", asked, measures.seconds <= preset.max_seconds))
    if preset.mp3 is not None and measures.name.endswith(".mp3"):
        rate, kbps = preset.mp3
        lines.append(Line("sampling rate", f"{measures.rate} Hz", f"{rate} Hz", measures.rate == rate))
        lines.append(Line("bit rate", f"{measures.kbps:g} kbit/s", f"{kbps} kbit/s", measures.kbps >= kbps))
    return lines


def _within(what: str, value: float | None, low: float | None, high: float, unit: str) -> Line:
    asked = f"at most {high:g} {unit}" if low is None else f"{low:g} to {high:g} {unit}"
    if value is None:  # silence: quiet enough, and too quiet
        return Line(what, "digital silence", asked, low is None)
    passed = value <= high + _TOLERANCE_DB and (low is None or value >= low - _TOLERANCE_DB)
    return Line(what, f"{value:.2f} {unit}", asked, passed)


def _decoded(path: Path) -> tuple[int, Iterator[NDArray[np.float32]]]:
    """Sampling rate and mono samples of a file: by libsndfile, or by ffmpeg what that does not read."""
    from f5_pipeline.speech.libsndfile import soundfile

    if path.suffix == ".m4b":
        return SAMPLE_RATE, _by_ffmpeg(path)
    try:
        rate = soundfile.info(path).samplerate
    except soundfile.LibsndfileError as error:
        raise PipelineError(f"the file cannot be decoded ({error})", file=path.name, hint="Run it again.") from error
    return rate, _by_libsndfile(path)


def _by_libsndfile(path: Path) -> Iterator[NDArray[np.float32]]:
    with open_forward(path) as file:
        while len(block := file.read(_BLOCK, dtype="float32")):
            yield cast("NDArray[np.float32]", block)


def _by_ffmpeg(path: Path) -> Iterator[NDArray[np.float32]]:
    import numpy as np

    call = [need_ffmpeg("a measure of this file"), "-v", "error", "-nostdin", "-i", f"file:{path}", "-map", "0:a"]
    call += ["-f", "f32le", "-ar", str(SAMPLE_RATE), "-ac", "1", "pipe:1"]
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as ffmpeg:
        assert ffmpeg.stdout is not None
        while data := ffmpeg.stdout.read(4 * _BLOCK):
            yield np.frombuffer(data, "<f4")
    if ffmpeg.returncode:
        raise PipelineError("the file cannot be decoded by ffmpeg", file=path.name, hint="Run it again.")


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
