"""Files above 4 GiB: a day of audio as one WAV (RF64), and a ZIP of it (Zip64), read back by other programs.

    python -m benchmarks.large [--hours 25]

Needs about 10 GB in the temporary folder. The audio is silent but for speech at its end, which ffmpeg must find to the
sample, in the WAV and in the WAV out of the ZIP. Ends with 1 where it does not.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import tempfile
import time
import zipfile
from pathlib import Path

import numpy as np
from starlette.requests import Request
from starlette.responses import StreamingResponse

from benchmarks.measure import EXAMPLES, in_words, machine
from f5_pipeline.gateway.archive import deliver_archive
from f5_pipeline.gateway.delivery import DeliveredFile
from f5_pipeline.gateway.verification import Verifier
from f5_pipeline.speech.audio.encoding import Output, encode
from f5_pipeline.speech.audio.ffmpeg import need_ffmpeg
from f5_pipeline.speech.audio.mastering import Master
from f5_pipeline.speech.audio.recordings import read_mono
from f5_pipeline.speech.audio.tags import Tagging
from f5_pipeline.speech.engine import SAMPLE_RATE
from f5_pipeline.store.local import LocalStore
from f5_pipeline.system.hashing import file_sha256

SPEECH_SECONDS = 10
NAME = "book.wav"


def write_wav(folder: Path, seconds: int) -> np.ndarray:
    """Silence with speech at its end, as `folder`/book.wav; returns the speech."""
    speech = read_mono(EXAMPLES / "voices" / "ada.flac")[: SPEECH_SECONDS * SAMPLE_RATE]
    raw = folder / "book.f32"
    with raw.open("wb") as file:
        file.truncate(4 * (seconds * SAMPLE_RATE - len(speech)))  # a hole: it needs no place
        file.seek(0, 2)
        file.write(speech.astype("<f4").tobytes())
    master = Master(raw, 1.0)
    encode(master, [Output("wav", folder / NAME, 0, master.samples, Tagging({"title": "A day"}))])
    raw.unlink()
    return speech


def ends_with(path: Path, speech: np.ndarray, seconds: int) -> bool:
    """Whether ffmpeg finds the speech, to the sample, at the end of a WAV file of this duration."""
    start = seconds - len(speech) / SAMPLE_RATE
    call = [need_ffmpeg("this"), "-v", "error", "-ss", f"{start:.6f}", "-i", path, "-f", "f32le", "-"]
    found = np.frombuffer(subprocess.run(call, check=True, capture_output=True).stdout, "<f4")
    return len(found) == len(speech) and float(np.abs(found - speech).max()) < 2 / 32768


async def write_zip(store: LocalStore, path: Path) -> int:
    """The ZIP that the download service sends; returns the length that it announces."""
    stat = store.stat(NAME)
    file = DeliveredFile(NAME, NAME, stat.size, file_sha256(store.root / NAME), "audio/wav", 0.0)
    request = Request({"type": "http", "method": "GET", "path": "/", "headers": []})
    answer = await deliver_archive(request, store, [file], "all.zip", Verifier())
    assert isinstance(answer, StreamingResponse)
    with path.open("wb") as out:
        async for block in answer.body_iterator:
            out.write(block if isinstance(block, bytes) else bytes(str(block), "utf-8"))
    return int(answer.headers["content-length"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=int, default=25)
    seconds = 3600 * parser.parse_args().hours
    print(in_words(machine()), end="\n\n")
    failed = False

    def tell(what: str, path: Path, began: float, right: bool) -> None:
        nonlocal failed
        failed |= not right
        size, took = path.stat().st_size, time.perf_counter() - began
        print(f"{what}: {size:,} bytes in {took:.0f} s, the speech at its end is {'there' if right else 'NOT THERE'}")

    with tempfile.TemporaryDirectory(prefix="f5-large-") as temporary:
        folder = Path(temporary)
        began = time.perf_counter()
        speech = write_wav(folder, seconds)
        wav = folder / NAME
        kind = wav.open("rb").read(4).decode()
        tell(f"WAV ({kind})", wav, began, ends_with(wav, speech, seconds))

        began = time.perf_counter()
        archive = folder / "all.zip"
        announced = asyncio.run(write_zip(LocalStore(folder), archive))
        wav.unlink()
        with zipfile.ZipFile(archive) as opened:
            opened.extract(NAME, folder / "out")  # checks its CRC
        right = announced == archive.stat().st_size and ends_with(folder / "out" / NAME, speech, seconds)
        tell("ZIP", archive, began, right)
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
