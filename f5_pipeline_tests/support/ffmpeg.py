"""What ffmpeg says of a file: an independent reader and meter."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from f5_pipeline.speech.audio.ffmpeg import find_ffmpeg


def ffmpeg(*arguments: str | Path) -> str:
    """Run ffmpeg; return what it tells."""
    program = find_ffmpeg()
    assert program is not None
    return subprocess.run([program, "-hide_banner", "-nostdin", *arguments], capture_output=True, text=True).stderr


def chapters_of(path: Path) -> list[tuple[str, float]]:
    """Titles and starts, s, of the chapters in a file."""
    told = ffmpeg("-i", path)
    starts = [float(start) for start in re.findall(r"Chapter #\S+ start ([\d.]+)", told)]
    titles = re.findall(r"^ {6}Metadata:\n +title +: (.*)$", told, re.MULTILINE)
    return list(zip(titles, starts, strict=True))


def loudness_of(path: Path) -> tuple[float, float]:
    """Integrated loudness, LUFS, and true peak, dBTP, by the filter ebur128."""
    told = ffmpeg("-i", path, "-map", "0:a", "-af", "ebur128=peak=true", "-f", "null", "-")
    summary = told[told.rindex("Summary:") :]
    values = [re.search(rf"{name}: +(-?[\d.]+)", summary) for name in ("I", "Peak")]
    assert values[0] and values[1]
    return float(values[0][1]), float(values[1][1])


def levels_of(path: Path) -> tuple[float, float]:
    """RMS and largest sample, dB, by the filter astats."""
    told = ffmpeg("-i", path, "-map", "0:a", "-af", "astats=measure_perchannel=none", "-f", "null", "-")
    values = [re.search(rf"{name}: +(-?[\d.]+)", told) for name in ("RMS level dB", "Peak level dB")]
    assert values[0] and values[1]
    return float(values[0][1]), float(values[1][1])
