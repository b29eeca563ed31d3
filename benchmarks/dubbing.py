"""How exactly dubbed subtitles stand in their slots, by the draft engine: `python -m benchmarks.dubbing [FILM.srt]`.

The errors are measured in the finished master, by its sound, not by what the pipeline says of it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from f5_pipeline.speech.audio.assembly import Assembled, AssemblySettings, Part, assemble
from f5_pipeline.speech.chunks import Chunk, iter_chunks
from f5_pipeline.speech.engine import SAMPLE_RATE, Failed, Request
from f5_pipeline.speech.engines.draft.engine import DraftEngine
from f5_pipeline.speech.script.model import ScriptOptions, parse_script
from f5_pipeline.speech.takes import make_take, read_take_audio

FILM = Path(__file__).parents[1] / "f5_pipeline_tests" / "data" / "harbour.srt"
SOUND_DB = -45.0
"""Level of 5 ms from which a master is not silent, dB below its loudest."""


def dub(path: Path, work: Path) -> tuple[list[Chunk], Assembled]:
    """Dub a file by the draft engine; the master is work/narration.flac."""
    script = parse_script(path.read_bytes(), path.name, ScriptOptions(voice="ada"), known_voices={"ada", "ben"})
    chunks = list(iter_chunks(script))
    requests = {
        str(chunk.index): Request(
            str(chunk.index), chunk.spoken, chunk.language, chunk.voice, chunk.speed, room_seconds=chunk.seconds
        )
        for chunk in chunks
    }
    engine = DraftEngine(workers=2)
    takes = {}
    for speech in engine.speak(requests.values()):
        assert not isinstance(speech, Failed), speech.reason
        takes[speech.key] = make_take(requests[speech.key], speech, engine.name)
    engine.close()

    def parts() -> Iterator[Part]:
        for chunk in chunks:
            take, audio = takes[str(chunk.index)]
            yield Part(chunk, take, lambda audio=audio: read_take_audio(audio))

    return chunks, assemble(parts(), work, AssemblySettings(), formats=["flac"])


def errors(chunks: list[Chunk], master: Path) -> list[tuple[Chunk, float, float]]:
    """Each chunk with the errors of its start, by sound after silence, and of its end, s; positive is late."""
    import soundfile

    samples, _ = soundfile.read(master, dtype="float32")
    hop = SAMPLE_RATE // 200
    level = np.abs(samples[: len(samples) // hop * hop]).reshape(-1, hop).max(axis=1)
    loud = np.flatnonzero(level > level.max() * 10 ** (SOUND_DB / 20)) * hop / SAMPLE_RATE
    found = []
    for chunk, after in zip(chunks, [*chunks[1:], None], strict=True):
        assert chunk.at is not None and chunk.seconds is not None
        until = after.at if after and after.at is not None else len(samples) / SAMPLE_RATE
        own = loud[(loud >= chunk.at - 0.05) & (loud < until)]
        found.append((chunk, float(own[0]) - chunk.at, float(own[-1]) - chunk.at - chunk.seconds))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("film", nargs="?", type=Path, default=FILM)
    with tempfile.TemporaryDirectory() as folder:
        chunks, assembled = dub(parser.parse_args().film, Path(folder))
        found = errors(chunks, assembled.files["flac"])
    for chunk, start, end in found:
        errors_ms = f"start {1000 * start:6.1f} ms  end {1000 * end:7.1f} ms"
        print(f"{chunk.at:8.3f} {chunk.seconds:6.3f}  {errors_ms}  {chunk.written}")
    starts = np.abs([1000 * start for _, start, _ in found])
    print(f"{len(found)} cues: start off by p95 {np.percentile(starts, 95):.1f} ms, at most {starts.max():.1f} ms")
    assert assembled.slots is not None
    print(f"{assembled.slots.unfit} do not fit; the master lasts {assembled.seconds:.3f} s")
    for sentence in assembled.slots.report():
        print(" ", sentence)


if __name__ == "__main__":
    main()
