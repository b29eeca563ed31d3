"""Plausible English prose of any length, the same for the same seed, in which hardly a sentence occurs twice.

Sentences come from a small context-free grammar with varied lengths (2 to about 45 words), dialogue, and what a
narrator meets in print: dates, times, money, measures, abbreviations, initials, roman numerals, dashes, brackets.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator

CHAPTER_WORDS = 2_500

_SLOT = re.compile(r"\{(\^?)(\w+)\}")
_DOUBLE_STOP = re.compile(r"(?<!\.)\.\.(?!\.)")

_NUMBERS = {
    "n": lambda r: str(r.randint(2, 9)),
    "nn": lambda r: str(r.randint(11, 98)),
    "nnn": lambda r: f"{r.randint(1_100, 98_000):,}",
    "year": lambda r: str(r.randint(1704, 1998)),
    "day": lambda r: str(r.randint(1, 28)),
    "ordinal": lambda r: _ordinal(r.randint(1, 28)),
    "clock": lambda r: f"{r.randint(1, 12)}:{r.randint(0, 59):02d} {r.choice(('a.m.', 'p.m.'))}",
    "money": lambda r: r.choice(("${}.{:02d}", "£{}.{:02d}", "€{}.{:02d}")).format(r.randint(1, 940), r.randint(1, 99)),
    "percent": lambda r: f"{r.randint(1, 98)}.{r.randint(1, 9)}%",
    "decimal": lambda r: f"{r.randint(1, 60)}.{r.randint(1, 9)}",
    "roman": lambda r: r.choice(("II", "III", "IV", "VI", "VII", "VIII", "IX", "XI", "XIV")),
    "initial": lambda r: f"{r.choice('ABCDEFGHJKLMNPRSTW')}.",
}  # fmt: skip

WORDS = {
    "given": "Amos Beatrix Callum Delphine Edwin Farida Gideon Harriet Imre Josephine Konrad Lavinia Mateo Nadia "
    "Oswald Petra Quentin Rosalind Silas Theodora Ulrich Verity Walter Xenia Yusuf Zelda Bram Clara Dorian Esther",
    "family": "Abernathy Blackwood Castellan Drummond Eversley Fairweather Grantham Holloway Ingram Jessop Kingsley "
    "Lockhart Merriweather Northcott Ormsby Pemberton Quill Ravenscroft Stanhope Thackeray Underhill Vance Whitlock",
    "place": "Ashford Brindle Carrow Dunmere Eastwick Fallowgate Greyhaven Harrowfield Ilsington Kestrel Larkspur "
    "Millbrook Netherby Oakhurst Penhallow Ravensmoor Saltmarsh Thornbury Wexcombe Yarrow",
    "month": "January February March April June July August September October November December",
    "mon": "Jan. Feb. Aug. Sept. Oct. Nov. Dec.",
    "weekday": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
    "title": "Mr. Mrs. Dr. Prof. Capt. Ms.",
    "thing": "ledger lantern compass violin telescope orchard staircase chimney harbor bridge manuscript portrait "
    "wardrobe carriage telegram garden kettle mirror keyhole envelope barometer anchor candle typewriter map cellar "
    "window notebook hourglass gramophone curtain bell rowboat ladder piano thimble clock millstone hedge bookcase "
    "locket weathervane teapot fountain drawbridge signpost quilt saddle chandelier bonfire",
    "people": "sailors clerks farmers strangers children magistrates musicians printers widows soldiers gardeners "
    "smugglers apprentices astronomers lodgers bakers surveyors ferrymen weavers neighbors",
    "adj": "quiet crooked brittle luminous forgotten patient enormous narrow borrowed solemn restless pale stubborn "
    "fragrant hollow ancient careless delicate bitter splendid weary curious damp gilded honest peculiar rusted "
    "gentle sudden distant mournful unfinished sunlit faded reluctant immaculate threadbare",
    "adv": "slowly quietly reluctantly carefully at_once without_a_word almost_cheerfully by_accident in_silence "
    "twice again solemnly in_a_hurry with_great_care before_dawn against_all_advice half_asleep one_by_one",
    "did": "opened repaired painted examined abandoned described remembered carried sold measured hid inherited "
    "admired dismantled photographed weighed polished borrowed counted buried returned sketched cursed protected",
    "went": "walked hurried wandered sailed drifted climbed stumbled rode returned crept marched limped ran strolled",
    "prep": "beneath behind beside above near beyond across around inside opposite",
    "matter": "the_weather the_war the_price_of_coal a_debt the_missing_letter an_old_promise the_inheritance "
    "the_tides a_rumor the_election the_harvest his_brother her_silence the_railway a_dream the_verdict the_new_road",
    "feeling": "doubt relief envy tenderness shame hope suspicion wonder grief pride boredom gratitude unease",
    "says": "said asked whispered answered insisted murmured laughed replied admitted complained announced repeated",
    "unit": "miles yards pounds gallons acres kilograms fathoms bushels",
}

_GRAMMAR: dict[str, list[str]] = {
    "name": [
        "{given}",
        "{title} {family}",
        "{given} {family}",
        "{given} {initial} {family}",
        "{title} {initial} {family}",
    ],
    "np": [
        "the {adj} {thing}",
        "the {thing} of {given}",
        "a {adj}, {adj} {thing}",
        "every {thing} in {place}",
        "her {adj} {thing}",
        "his {thing}",
        "the {people} of {place}",
        "{n} {adj} {people}",
        "the {thing}",
    ],
    "where": [
        "{prep} {np}",
        "in {place}",
        "on the road to {place}",
        "{prep} the {adj} {thing}",
        "{nn} {unit} from {place}",
        "at {n} {family} St.",
        "between {place} and {place}",
    ],
    "when": [
        "In {year}",
        "On {month} {day}, {year}",
        "On {mon} {ordinal}",
        "At {clock}",
        "By {weekday} evening",
        "On the {ordinal} of {month}",
        "Toward the end of {month}",
        "{n} weeks later",
        "After the {adj} winter of {year}",
        "Before {given} was {nn}",
        "That {weekday}",
        "Every {weekday} at {clock}",
    ],
    "clause": [
        "{name} {did} {np}",
        "{name} {went} {where}",
        "{np} stood {where}",
        "{np} had been {adj} since {year}",
        "{name} spoke of {matter}",
        "nobody in {place} {did} {np}",
        "{name} felt {feeling} and {adj} {feeling}",
        "the {people} {went} {where}",
        "{name} {did} {np} {adv}",
        "{np} cost {money}",
        "{name} owed {name} {money}",
        "nearly {percent} of the {people} {did} {np}",
        "it weighed {decimal} {unit}",
        "{name} counted {nnn} {people}",
        "{name} {adv} {did} {np}",
    ],
    "tail": [
        "and {clause}",
        "but {clause}",
        "because {clause}",
        "while {clause}",
        "although {clause}",
        "so that {clause}",
        "until {clause}",
        "as if {clause}",
        "which surprised {name}",
        "though it was only {clock}",
        "with {feeling} and with {feeling}",
        "for {matter} was all that mattered {where}",
    ],
    "plain": [
        "{clause}.",
        "{clause}.",
        "{clause}, {tail}.",
        "{when}, {clause}.",
        "{when}, {clause}, {tail}.",
        "{when} {clause}, {tail}, {tail}.",
        "{clause}; {clause}.",
        "{clause} – {clause} – {tail}.",
        "{clause} (so {name} says), {tail}.",
        "Chapter {roman} of the ledger says that {clause}.",
        "{clause}: {np}, {np}, {np} and {np}.",
        "Was it true that {clause}?",
        "How {adj} {np} was {where}!",
        "{clause}, {tail}, {tail}, {tail}, {tail}.",
        "There were {nnn} {people} {where}, approx. {percent} of them {adj}.",
        "The inspector, {name}, wrote “{adj} {thing}” in No. {nn}, i.e. the {adj} one, {tail}.",
    ],
    "short": [
        "{name} {went} {adv}.",
        "{name} {did} it {adv}.",
        "No {thing}, no {thing}.",
        "{weekday}, {clock}.",
        "{feeling}!",
        "Only {np}.",
        "And the {adj} {thing}?",
        "{adj}, {adj}, all of it.",
    ],
    "speech": [
        "“{^clause},” {says} {name}.",
        "“{^clause}, {tail}!” {name} {says}. “{^clause}.”",
        "“{^matter}?” {says} {name}.",
        "“{^when}, {clause},” {says} {name}, “{tail}.”",
        "“No,” {says} {name}. “{^clause}.”",
        "“{given}! {^clause}?” – “{^clause}, {tail}.”",
        "“I never {did} {np},” {says} {name}, “nor did {name}.”",
        "“{^money} for {np}? {^clause}!”",
        "“It is {decimal} {unit} to {place},” {name} {says} {adv}.",
    ],
    "heading": [
        "The {adj} {thing}",
        "{np}",
        "{place}, {year}",
        "What {given} {did}",
        "The {people} of {place}",
        "{given} and the {thing}",
        "A matter of {feeling}",
        "{nn} {unit} to {place}",
    ],
}

_CHOICES: dict[str, list[str]] = {
    **_GRAMMAR,
    **{name: [word.replace("_", " ") for word in words.split()] for name, words in WORDS.items()},
}
_KINDS = ("plain",) * 8 + ("short",) * 2 + ("speech",) * 4


def _ordinal(number: int) -> str:
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd', 21: 'st', 22: 'nd', 23: 'rd'}.get(number, 'th') }"


def _expand(source: random.Random, symbol: str) -> str:
    if symbol in _NUMBERS:
        return _NUMBERS[symbol](source)

    def fill(slot: re.Match[str]) -> str:
        text = _expand(source, slot[2])
        return text[:1].upper() + text[1:] if slot[1] else text

    return _SLOT.sub(fill, source.choice(_CHOICES[symbol]))


def _sentence(source: random.Random, symbol: str) -> str:
    text = _DOUBLE_STOP.sub(".", _expand(source, symbol))
    return text[:1].upper() + text[1:]


def paragraphs(words: int, seed: int) -> Iterator[str]:
    """Headings ("# …") and paragraphs of a book, until `words` words are reached; the last paragraph is cut to fit."""
    source = random.Random(seed)
    left, chapter = words, 0
    while left > 0:
        if chapter <= 0:
            chapter += CHAPTER_WORDS
            text = "# " + _sentence(source, "heading")
            count = len(text.split()) - 1
        else:
            sentences = [_sentence(source, source.choice(_KINDS)) for _ in range(source.randint(1, 7))]
            text = " ".join(sentences)
            count = len(text.split())
        if count > left:
            text = " ".join(text.split()[: left + text.startswith("# ")]).rstrip(".,;:–") + "."
        left -= count
        chapter -= count
        yield text


def book(
    words: int,
    *,
    seed: int = 1,
    voice: str = "ada",
    title: str = "The ledger of Penhallow",
    formats: Iterable[str] = ("flac", "mp3"),
    chapters: int = 0,
) -> Iterator[str]:
    """A Markdown script of `words` words, piece by piece; with `chapters`, each has a heading and files of its own."""
    header = f"title: {title}\nauthor: The f5-pipeline authors\nlanguage: en\nvoice: {voice}\n"
    header += "chapter_files: true\n" if chapters else ""
    yield f"---\n{header}formats: [{', '.join(formats)}]\n---\n"
    told = begun = 0
    for paragraph in paragraphs(words, seed):
        if begun < chapters and told >= begun * words / chapters:
            begun += 1
            yield f"\n# Chapter {begun}\n"
        told += len(paragraph.split())
        yield f"\n{paragraph}\n"
