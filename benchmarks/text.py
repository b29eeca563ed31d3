"""What is written, as it is told to be said: right, wrong, and signs that vanish, by language and kind.

    python -m benchmarks.text              a table
    python -m benchmarks.text --wrong de   what is wrong in German

The corpus (`corpus/*.tsv`: kind, written, spoken; more than one right reading is separated by " | ") is our own. Beside
this package: wetext (zh, en, ja), and the text itself, which is what stock F5-TTS is handed.

`corpus/held-out` was written before the rules of its languages were made: "new" is the share of it that is read right.
"""

from __future__ import annotations

import argparse
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from f5_pipeline.speech.text.characters import SYMBOLS
from f5_pipeline.speech.text.languages import language_data
from f5_pipeline.speech.text.normalise import lone_symbols, read
from f5_pipeline.speech.text.numerals import blank_groups
from f5_pipeline.speech.text.words import written_words

CORPUS = Path(__file__).parent / "corpus"
HELD_OUT = CORPUS / "held-out"


class Row(NamedTuple):
    language: str
    kind: str
    written: str
    spoken: list[str]


def rows(language: str = "*", folder: Path = CORPUS) -> Iterator[Row]:
    """The corpus, or one language of it."""
    for path in sorted(folder.glob(f"{language}.tsv")):
        for line in path.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                kind, written, spoken = line.split("\t")
                yield Row(path.stem, kind, written, spoken.split(" | "))


def said(text: str, language: str) -> str:
    """What this package says."""
    data, text = language_data(language), " ".join(text.split())
    words = written_words(text, lone_symbols(language), blank_groups(data.thousands, data.decimal))
    return " ".join(reading.spoken for reading in read(words, language))


def plain(text: str, language: str) -> str:
    """A reading without what cannot be heard: case, blanks, punctuation, an English "and" in a number."""
    text = re.sub(r"['’ʼ]", "", text.lower().replace("ё", "е"))
    text = re.sub(r"[^\w\s%+=<>°§&$€£¥@#]", " ", text)
    if language == "en":
        text = re.sub(r"\band\b", " ", text)
    return "".join(text.split())


def is_right(row: Row, spoken: str) -> bool:
    return plain(spoken, row.language) in {plain(right, row.language) for right in row.spoken}


def dropped(row: Row) -> bool:
    """Whether a sign makes no difference to what is said, and more than that is not wanted of it."""
    before = said(row.written, row.language)
    if is_right(row, before):  # "3.5%–4%": "per cent" is said once
        return False
    for match in re.finditer(rf"[{re.escape(''.join(SYMBOLS))}]|(?<![\w])[-−](?=\d)", row.written):
        without = row.written[: match.start()] + row.written[match.end() :]
        if without.strip() and plain(said(without, row.language), row.language) == plain(before, row.language):
            return True
    return False


def _wetext() -> Callable[[str, str], str]:
    from wetext import Normalizer

    known = {language: Normalizer(lang=language, operator="tn") for language in ("zh", "en", "ja")}

    def normalize(text: str, language: str) -> str:
        try:
            return str(known[language].normalize(text)) if language in known else text
        except AssertionError:
            return text

    return normalize


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wrong", metavar="LANGUAGE", help="show what is wrong in a language, * for all")
    chosen = parser.parse_args().wrong
    if chosen:
        for row in (*rows(chosen), *rows(chosen, HELD_OUT)):
            if not is_right(row, spoken := said(row.written, row.language)):
                print(
                    f"{row.language} {row.kind}: {row.written}\n    said  {spoken}\n    right {' | '.join(row.spoken)}"
                )
        return
    wetext = _wetext()
    total: dict[str, Counter[str]] = {}
    kinds: dict[str, Counter[str]] = {}
    began = time.process_time()
    for row in rows():
        right = is_right(row, said(row.written, row.language))
        for counter in (total.setdefault(row.language, Counter()), kinds.setdefault(row.kind, Counter())):
            counter["all"] += 1
            counter["right"] += right
            counter["dropped"] += dropped(row)
            counter["wetext"] += is_right(row, wetext(row.written, row.language))
            counter["stock"] += is_right(row, row.written)
    for row in rows(folder=HELD_OUT):
        right = is_right(row, said(row.written, row.language))
        for counter in (total[row.language], kinds.setdefault(row.kind, Counter())):
            counter["new"] += 1
            counter["new right"] += right
    for table in (total, kinds):
        print(f"{'':14}{'rows':>6}{'right':>8}{'new':>6}{'right':>8}{'dropped':>9}{'wetext':>8}{'stock':>7}")
        for name, counted in sorted(table.items()):
            share = {key: f"{counted[key] / counted['all']:.0%}" for key in ("right", "wetext", "stock")}
            new = f"{counted['new right'] / counted['new']:.0%}" if counted["new"] else "-"
            print(
                f"{name:14}{counted['all']:6}{share['right']:>8}{counted['new']:6}{new:>8}{counted['dropped']:9}"
                f"{share['wetext']:>8}{share['stock']:>7}"
            )
    print(f"{sum(c['all'] for c in total.values())} rows, {time.process_time() - began:.1f} CPU s")


if __name__ == "__main__":
    main()
