"""IPA in a text to espeak-ng's own mnemonics, which it reads between [[ and ]]; each language has its own."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from f5_pipeline.errors import InputError
from f5_pipeline.speech.text.ipa import MARK, VOWELS, respelled, sounds
from f5_pipeline.speech.text.languages import word_set

_MARKED = re.compile(r"\[\[([^\[\]]*(?:\]\]\[\[[^\[\]]*)*)\]\]")
_AFFRICATES = word_set("ts dz tʃ dʒ tɕ dʑ tʂ dʐ pf")
_STRESS = {"ˈ": "'", "ˌ": ","}
_NEAR = dict(
    pair.split("=")
    for pair in word_set(
        "i=ɪeɨ ɪ=ieɨ y=ʏʉui ʏ=yʊɪi e=ɛɪæ ɛ=eæ ø=œɜəɛe œ=øɜəɛe æ=aɛ a=ɑɐæʌ ɑ=aɒɔ ɒ=ɔɑoa ɔ=oɒɑʊ o=ɔʊuɒ ʊ=uɯoʉ u=ʊɯʉo "
        "ʌ=aɐəɑ ə=ɐɜɪeɛaɨɯ ɐ=aʌəɑ ɜ=əɛœe ɨ=ɪiəɯ ʉ=uyʊɯ ɯ=uʊɨʉ ɤ=oəɯɔ ɘ=əɪe ɵ=œoəɔ ɞ=œəɔo ɶ=œaɑ ɚ=əɜɐea ɝ=ɜəɐea "
        "ɹ=rɾɻʁl r=ɾɹʁʀl ɾ=rɹʁl ʁ=ʀrɹɣɾ ʀ=ʁrɹɾ ɻ=ɹrɾ ɽ=ɾrɹ ɺ=lɾ l=ɫɭrɾ ɫ=l ɭ=l ɬ=l ɮ=l ʟ=l ɡ=gk k=qɡ q=k ɢ=ɡk "
        "c=k ɟ=ɡ ʈ=t ɖ=d ɓ=b ɗ=d ɠ=ɡ b=p p=b d=t t=d ç=xχʃh x=χçhk χ=xçh ɣ=ɡʁx ħ=hχx ʕ=ɣʔ h=ɦxχ ɦ=h β=vbw ɸ=fp "
        "f=ɸp v=ʋfwβb ʋ=vw w=ʋvu ɥ=wjy ɰ=ɡwɣ ʍ=wh j=iɪ m=ɱn ɱ=m n=ɳm ɳ=n ŋ=nɴ ɴ=ŋn θ=tsf ð=dzv ʂ=ʃs ʐ=ʒz ɕ=ʃs ʑ=ʒzɕ "
        "ʃ=ʂɕs ʒ=ʐʑʃz s=ʃ z=sʒ"
    )
)
"""The next best sounds, where a language of espeak lacks one."""
_PAIRS = {"ɲ": "nj", "ʎ": "lj", "ɧ": "ʃ"}


def table_of(found: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """The first mnemonic of each sound, by its IPA; a consonant with a vowel is no sound.

    Args:
        found: mnemonic, its IPA before a vowel (empty: none is heard after it), and its IPA alone.
    """
    table: dict[str, str] = {}
    rough: dict[str, str] = {}
    for mnemonic, before_vowel, alone in found:
        if not before_vowel:  # it swallows what follows
            continue
        ipa = alone if alone[:1] in VOWELS else before_vowel
        ipa = unicodedata.normalize("NFD", re.sub("[ˈˌ]", "", ipa)).replace("c\u0327", "ç")
        letters = "".join(char for char in ipa if char.isalpha() and unicodedata.category(char) != "Lm")
        vowels = {char in VOWELS for char in letters}
        if len(vowels) == 1 and (True in vowels or len(letters) == 1 or ipa in _AFFRICATES):
            table.setdefault(ipa, mnemonic)
            rough.setdefault(letters, mnemonic)
    return {**rough, **table}


def as_mnemonics(text: str, places: Sequence[int], table: Mapping[str, str], language: str) -> tuple[str, list[int]]:
    """The input of espeak, with mnemonics for IPA, and the place in the request of each of its characters.

    Neighbours without a blank are one word. A word with a sound that the language lacks even nearly is respelled.
    """
    out: list[str] = []
    moved: list[int] = []
    last = 0
    for match in _MARKED.finditer(text):
        out.append(text[last : match.start()])
        moved += places[last : match.start()]
        last = match.end()
        ipa = match[1].replace(MARK[1] + MARK[0], "")
        try:
            written = f"{MARK[0]}{'|'.join(_mnemonics(sounds(ipa), table))}{MARK[1]}"
        except (InputError, LookupError):
            try:
                written = respelled(ipa, language)
            except InputError:
                written = ipa
        out.append(written)
        width = match.end() - match.start()
        moved += [places[match.start() + min(width - 1, at * width // len(written))] for at in range(len(written))]
    out.append(text[last:])
    moved += places[last:]
    return "".join(out), moved


def _mnemonics(word: Sequence[str], table: Mapping[str, str]) -> Iterable[str]:
    """Raises LookupError for a sound that the language lacks."""
    index = 0
    while index < len(word):
        if word[index] in _STRESS:
            yield _STRESS[word[index]]
            index += 1
            continue
        for length in (3, 2, 1):
            if found := table.get("".join(word[index : index + length])):
                yield found
                index += length
                break
        else:
            yield from _nearest(word[index], table)
            index += 1


def _nearest(sound: str, table: Mapping[str, str]) -> Iterable[str]:
    base, more = sound[0], sound[1:]
    for other in (base, *_NEAR.get(base, "")):
        for candidate in (other + more, f"{other}ː" if "ː" in more else other, other):
            if candidate in table:
                yield table[candidate]
                return
    if base not in _PAIRS:
        raise LookupError(sound)
    for other in _PAIRS[base]:
        yield from _nearest(other, table)
