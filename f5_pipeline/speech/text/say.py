"""What somebody has said of how words are spoken: an entry of a lexicon, or markup in a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from f5_pipeline.errors import InputError
from f5_pipeline.speech.text.ipa import marked, respelled
from f5_pipeline.speech.text.reading import Part


@dataclass(frozen=True)
class Say:
    """How a run of words is to be said.

    Attributes:
        spoken: another spelling, as an engine reads it ("Neetcha").
        ipa: in the International Phonetic Alphabet ("ˈniːtʃə"); empty where `spoken` says it all.
    """

    spoken: str = ""
    ipa: str = ""


def spoken_of(say: Say, language: str, phonemes: bool) -> str:
    """What an engine is handed for `say`.

    Args:
        language: BCP 47 tag, whose readers read a respelling.
        phonemes: whether the engine reads IPA between "[[" and "]]", a pair around each word.

    Returns:
        IPA for an engine that reads it, else the other spelling, or a respelling of the IPA where there is none.

    Raises:
        InputError: a character is no sign of the IPA.
    """
    if not say.ipa or (say.spoken and not phonemes):
        return say.spoken
    return marked(say.ipa) if phonemes else respelled(say.ipa, language)


def say(parts: Sequence[Part], spoken: str) -> None:
    """Divide what is said among the words that it stands for, each at least a letter; they are read together.

    Where there are fewer words said than written, the last of them is divided letter by letter, without a blank.

    Raises:
        InputError: it has fewer letters than there are words.
    """
    words = spoken.split()
    whole = min(len(words), len(parts)) - 1
    pieces, rest = words[:whole], " ".join(words[whole:])
    left = len(parts) - whole
    if len(rest) < left:
        raise InputError(f"{spoken!r} has fewer letters than the {len(parts)} words that it stands for")
    if len(words) >= len(parts):
        pieces.append(rest)
    else:
        cuts = [round(index * len(rest) / left) for index in range(left + 1)]
        pieces += [rest[start:end] for start, end in pairwise(cuts)]
    for index, (part, piece) in enumerate(zip(parts, pieces, strict=True)):
        part.say(piece, bound=part is not parts[-1])
        part.glued = whole <= index < len(parts) - 1
