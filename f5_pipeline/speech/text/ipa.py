"""The International Phonetic Alphabet: sounds, and a respelling of them for engines that read letters only."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from f5_pipeline.errors import InputError

MARK = ("[[", "]]")
"""Around a word in IPA, in text for an engine that reads IPA."""

VOWELS = frozenset("aeiouyæøœɶɐɑɒɔəɘɵɛɜɞɤɨɪɯʉʊʌʏɚɝ")
_CONSONANTS = frozenset("bcdfghjklmnpqrstvwxzçðŋɓɕɖɗɟɠɡɢɣɥɦɧɫɬɭɮɰɱɲɳɴɸɹɺɻɽɾʀʁʂʃʄʈʋʍʎʐʑʒʔʕʙʛʜʝʟβθχħʡʢɺᵻ")
_MODIFIERS = frozenset("ːˑʰʲʷˠˤʼⁿˡ˞")
_UNSAID = frozenset(".‿|‖")
"""Boundaries."""
_SAME = {"g": "ɡ", ":": "ː", "ʦ": "ts", "ʣ": "dz", "ʧ": "tʃ", "ʤ": "dʒ", "ᵻ": "ɪ", "’": "ˈ", "'": "ˈ"}
_TIES = "͜͡"

# Sound=letters; after a bar: the letters before e and i; after another: at the end of a word.
_GENERIC = (
    "ts=ts tʃ=ch dz=dz dʒ=j aɪ=ai eɪ=ei ɔɪ=oi oʊ=ou əʊ=ou aʊ=au ɔʏ=oi ɔø=oi "
    "p=p b=b t=t d=d c=ky ɟ=gy k=k ɡ=g q=k ɢ=g ʔ= ɸ=f β=v f=f v=v θ=th ð=dh s=s z=z ʃ=sh ʒ=zh ʂ=sh ʐ=zh ɕ=sh ʑ=zh "
    "ç=h ʝ=y x=kh ɣ=gh χ=kh ʁ=r ħ=h ʕ= h=h ɦ=h m=m ɱ=m n=n ɳ=n ɲ=ny ŋ=ng ɴ=n ʙ=br r=r ʀ=r ɾ=r ɽ=r ɬ=hl ɮ=l ʋ=v ɹ=r "
    "ɻ=r j=y ɥ=w ɰ=g l=l ɫ=l ɭ=l ʎ=ly ʟ=l w=w ʍ=w ʈ=t ɖ=d ɓ=b ɗ=d ʄ=j ɠ=g ʛ=g ɺ=l ʜ=h ʡ= ʢ= ɧ=sh "
    "i=i y=u ɨ=i ʉ=u ɯ=u u=u ɪ=i ʏ=u ʊ=u e=e ø=o ɘ=e ɵ=o ɤ=o o=o ə=e ɛ=e œ=o ɜ=e ɞ=o ʌ=a ɔ=o æ=a ɐ=a a=a ɶ=o ɑ=a ɒ=o "
    "ɚ=er ɝ=er ã=an ɑ̃=an ẽ=en ɛ̃=en ĩ=in õ=on ɔ̃=on œ̃=un ũ=un"
)
_TABLES = {
    "en": "x=kh ç=kh χ=kh c=k ɲ=ny|n ʎ=ly ts=ts β=v dʒ=j "
    "iː=ee i=ee ɪ=i e=e eː=ay ɛ=e ɛː=air æ=a a=a aː=ah ɑ=ah ɑː=ah ɒ=o ɔ=o ɔː=aw o=oh oː=oh ʊ=oo u=oo uː=oo ʌ=u "
    "ɜ=ur ɜː=ur ɝ=ur ɚ=er ə=u||a ɐ=u||a eɪ=ay aɪ=igh||y ɔɪ=oy ɔʏ=oy oʊ=oh||o əʊ=oh||o aʊ=ow ɪə=eer iə=eer eə=air "
    "ɛə=air ʊə=oor y=oo yː=oo ʏ=oo ø=ur øː=ur œ=ur ɑ̃=on ã=on ɛ̃=an ɔ̃=on õ=on œ̃=un juː=yoo ju=yoo ɔɹ=or ɔːɹ=or ɑːɹ=ar "
    "ɑɹ=ar ɜːɹ=ur əɹ=er ɪɹ=eer ɛɹ=air ʊɹ=oor",
    "de": "ʃ=sch ʒ=sch tʃ=tsch dʒ=dsch ç=ch x=ch χ=ch ts=z z=s s=ß||s j=j v=w w=w ʋ=w θ=s ð=s ɲ=nj ʎ=lj ɣ=g "
    "iː=ie i=i eː=eh ɛː=äh ɛ=e aː=ah ɑː=ah oː=oh uː=uh yː=üh y=ü ʏ=ü øː=öh ø=ö œ=ö ɐ=er ə=e ʌ=a ɜː=ö ɜ=ö æ=ä ɒ=o ʊ=u "
    "aɪ=ei ɔʏ=eu ɔɪ=eu ɔø=eu eɪ=ej oʊ=oh əʊ=oh aʊ=au ɑ̃=on ã=on ɛ̃=än ɔ̃=on õ=on œ̃=ön ɚ=er ɝ=ör",
    "fr": "ʃ=ch ʒ=j tʃ=tch dʒ=dj j=y w=ou ɥ=u ɲ=gn ŋ=ng k=k ɡ=g|gu s=ss z=z θ=ss ð=z x=r χ=r ç=ch h=h ʔ= ʎ=ly "
    "e=é eː=é ɛ=è ɛː=è ə=e ɜ=eu ɜː=eu ʌ=a u=ou uː=ou ʊ=ou y=u yː=u ʏ=u ø=eu øː=eu œ=eu aɪ=aï eɪ=éï ɔɪ=oï oʊ=o əʊ=o "
    "aʊ=aou ɑ̃=an ã=an ɛ̃=in ẽ=in ɔ̃=on õ=on œ̃=un ɐ=a ɚ=eur ɝ=eur",
    "es": "ʃ=sh ʒ=y tʃ=ch dʒ=y x=j χ=j h=j ç=j ɦ=j θ=z ð=d β=b v=v ɣ=g|gu ɡ=g|gu ɲ=ñ ŋ=n ʎ=ll j=y||i w=u r=rr ɾ=r ɹ=r "
    "ʁ=rr z=s y=u ø=e œ=e ə=e aɪ=ai eɪ=ei ɔɪ=oi oʊ=ou əʊ=ou aʊ=au",
    "it": "ʃ=sci|sc tʃ=ci|c dʒ=gi|g k=c|ch ɡ=g|gh ɲ=gn ŋ=n ʎ=gli ts=z dz=z j=i w=u θ=t ð=d x=c|ch ʒ=gi|g h=h z=s y=iu "
    "ø=e œ=e ə=e aɪ=ai eɪ=ei ɔɪ=oi oʊ=ou əʊ=ou aʊ=au",
}  # fmt: skip
_MUTE_ENDS = frozenset({"fr"})
"""Languages whose last consonant is mute; an e makes it heard."""


def sounds(ipa: str) -> list[str]:
    """The words of `ipa` as sounds: a letter with its modifiers each, and "ˈ" and "ˌ" before stressed syllables; " "
    between words.

    Raises:
        InputError: a character is no sign of the IPA, or nothing is said.
    """
    text = unicodedata.normalize("NFD", ipa.strip().strip("/[]").strip())
    for written, meant in _SAME.items():
        text = text.replace(written, meant)
    out: list[str] = []
    for char in text.replace("c\u0327", "ç"):
        if char in "ˈˌ" or char.isspace():
            out.append(" " if char.isspace() else char)
        elif char in VOWELS or char in _CONSONANTS:
            out.append(char)
        elif char in _UNSAID or char in _TIES:
            continue
        elif (char in _MODIFIERS or unicodedata.category(char) == "Mn") and out and out[-1][0] not in " ˈˌ":
            out[-1] += char
        else:
            raise InputError(
                f"{char!r} in {ipa[:40]!r} is no sound of the IPA",
                hint="Write it as dictionaries do, for example ˈniːtʃə.",
            )
    words = "".join(out).split()
    if not any(char in VOWELS or char in _CONSONANTS for char in "".join(words)):
        raise InputError(f"{ipa[:40]!r} has no sound", hint="Write it as dictionaries do, for example ˈniːtʃə.")
    return out


def marked(ipa: str) -> str:
    """IPA as an engine gets it: each word between `MARK`."""
    return " ".join(f"{MARK[0]}{word}{MARK[1]}" for word in "".join(sounds(ipa)).split())


_PLAIN = str.maketrans({vowel: "e" for vowel in VOWELS if not vowel.isascii()})


def plain(text: str) -> str:
    """Text with IPA in it, with letters that count as vowels in every language; as long as `text`."""
    return text.translate(_PLAIN)


@lru_cache(maxsize=64)
def _table(language: str) -> dict[str, tuple[str, str, str]]:
    """Letters of each sound: anywhere, before e and i, at the end of a word."""
    table: dict[str, tuple[str, str, str]] = {}
    for pair in f"{_GENERIC} {_TABLES.get(language.partition('-')[0].lower(), '')}".split():
        sound, _, letters = pair.partition("=")
        plain, front, last = (*letters.split("|"), "", "")[:3]
        table[unicodedata.normalize("NFD", sound).replace("c\u0327", "ç")] = (plain, front or plain, last or plain)
    return table


def respelled(ipa: str, language: str) -> str:
    """IPA in letters, as readers of `language` would read them: "ˈniːtʃə" is "neecha" in English.

    Raises:
        InputError: a sound has no letters.
    """
    return " ".join(_respelled_word(word, language, ipa) for word in _words(ipa))


def _words(ipa: str) -> list[list[str]]:
    words: list[list[str]] = [[]]
    for sound in sounds(ipa):
        if sound == " ":
            words.append([])
        elif sound not in "ˈˌ":
            words[-1].append(sound)
    return [word for word in words if word]


def _respelled_word(word: list[str], language: str, ipa: str) -> str:
    table = _table(language)
    found: list[tuple[str, str, str]] = []
    index = 0
    while index < len(word):
        for length in (3, 2, 1):
            piece = word[index : index + length]
            entry = table.get("".join(piece)) or table.get("".join(_bare(sound) for sound in piece))
            if entry:
                break
        else:
            raise InputError(f"no letters for the sound {word[index]!r} in {ipa[:40]!r}", hint="Give a respelling too.")
        index += len(piece)
        found.append(entry)
    out = ""
    for entry, following in zip(found, [*found[1:], None], strict=True):
        out += entry[2] if following is None else entry[1] if following[0][:1] in tuple("eiéè") else entry[0]
    if language.partition("-")[0] in _MUTE_ENDS and word[-1][0] in _CONSONANTS:
        out += "e"
    return out or "uh"


def _bare(sound: str) -> str:
    """A sound without what no table has: length, aspiration and the like; nasal vowels stay what they are."""
    return "".join(char for char in sound if char in VOWELS or char in _CONSONANTS or char == "\u0303")
