"""Costs of ending a caption or a line, by sentences, punctuation, phrases, pauses and the small words of a language."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from f5_pipeline.speech.text.characters import unspaced
from f5_pipeline.speech.text.normalise import read
from f5_pipeline.speech.text.segment import sentence_ends
from f5_pipeline.speech.text.words import Written

if TYPE_CHECKING:
    from f5_pipeline.speech.timeline import TimedWord

SENTENCE, CLAUSE, BLANK, BEFORE_LINK, PLAIN, AFTER_LINK = 0.0, 3.0, 5.0, 8.0, 14.0, 22.0
"""Costs of a cue's end: after a sentence, after a clause, at a blank of a script that has few, before a conjunction or
preposition, anywhere, after an article, conjunction or preposition."""

INSIDE, NEVER = 200.0, 1000.0
"""Costs of an end inside a phrase of a script without blanks, and between an abbreviation, a title, an initial or a
number and what it belongs to."""

MIN_PAUSE_SECONDS = 0.1
"""A shorter silence is none."""

_STRONG_ENDS = tuple("!?…。！？．｡؟۔।॥")
_CLAUSE_ENDS = tuple(",;:—–，、；：､،؛")
_CLOSING = "\"')]}»«”“’‘›‹」』）］】》〉 "
_OPENING = "\"'([{«»“„‘‚›‹¿¡「『（［【《〈"

_OPENS = frozenset("([{«‹“‘„‚¿¡「『（［【《〈")
_MARKS = _OPENS | frozenset("\"'»›”’")
_SWAPPED = str.maketrans("«»‹›", "»«›‹")
_PAIRED = frozenset('"„‚“‘')
MAX_LONE_MARKS = 8
"""Marks with blanks between them that are moved together."""
_INWARD_GUILLEMETS = frozenset(("de", "da", "cs", "sk", "sl", "hr", "hu", "pl"))
"""Languages that write »so«."""
_UPPER_QUOTES_CLOSE = _INWARD_GUILLEMETS | frozenset(("bg", "is", "lt", "lv", "et", "ro", "sr", "uk", "ru"))
"""Languages in which “ and ‘ end what „ and ‚ began."""

_LINKS = {
    "en": "and or but nor so yet because although though while when where which who that if as than about above "
    "across after against along among around at before behind below beneath beside between beyond by down "
    "during except for from in inside into like near of off on onto out over past since through to toward "
    "towards under until up upon with within without",
    "de": "und oder aber denn sondern weil obwohl während wenn als dass ob wie wo der die das welcher welche welches "
    "ab an auf aus außer bei bis durch für gegen hinter in im ins mit nach neben ohne seit trotz über "
    "um unter von vom vor wegen zu zum zur zwischen",
    "fr": "et ou mais donc or ni car que qui quand lorsque puisque quoique si comme où dont à au aux après avant "
    "avec chez contre dans de des du depuis derrière dès devant durant en entre envers jusque malgré par parmi "
    "pendant pour sans sauf selon sous sur vers",
    "es": "y e o u pero sino ni que quien cuando aunque porque si como donde mientras a al ante bajo con contra de "
    "del desde durante en entre hacia hasta mediante para por según sin sobre tras",
    "it": "e ed o oppure ma né che chi quando perché se come dove mentre anche a ad al alla allo ai alle agli con da "
    "dal dalla di del della dello dei delle degli in nel nella per su sul sulla tra fra senza verso dopo prima",
    "pt": "e ou mas nem que quem quando porque se como onde enquanto embora a ao à aos às até com contra de do da "
    "dos das desde durante em no na nos nas entre para por pelo pela sem sob sobre",
    "nl": "en of maar want dus omdat hoewel terwijl als dat die wie waar aan achter bij binnen boven buiten door in "
    "met na naar naast om onder op over per sinds te tegen tot tussen uit van voor zonder",
}
_ARTICLES = {
    "en": "a an the my your his her its our their this these those",
    "de": "der die das den dem des ein eine einen einem einer eines mein dein sein ihr unser",
    "fr": "le la les un une des mon ma mes ton ta tes son sa ses notre votre leur ce cet cette ces",
    "es": "el la los las un una unos unas mi tu su mis tus sus este esta ese esa",
    "it": "il lo la i gli le un uno una mio mia tuo tua suo sua",
    "pt": "o a os as um uma uns umas meu minha seu sua este esta esse essa",
    "nl": "de het een mijn jouw zijn haar ons onze hun deze dit",
}


@lru_cache(maxsize=16)
def _small_words(language: str) -> tuple[frozenset[str], frozenset[str]]:
    """Words before which a line may break, and words that a line should not end with."""
    links = frozenset(_LINKS.get(language, "").split())
    return links, links | frozenset(_ARTICLES.get(language, "").split())


def end_costs(words: Sequence[TimedWord], shown: Sequence[str], language: str) -> list[float]:
    """Cost of a cue or line that ends after each of `words`.

    Sentences are those of the planner's segmentation, what is bound together is what it reads together.

    Args:
        words: of one paragraph and voice.
        shown: their texts as laid out; see `settle_marks`.
        language: BCP 47 tag.
    """
    written = [Written(word.text, word.space) for word in words]
    ends = sentence_ends(written, language)
    bound = [reading.bound for reading in read(written, language)]
    phrases = _phrase_ends(words, language)
    small = _small_words(language.split("-")[0].lower())
    costs = []
    for index, (word, following) in enumerate(pairwise(words)):
        text = shown[index].rstrip(_CLOSING)
        inside = phrases is not None and not word.space and index not in phrases
        # 「…！」と叫ぶ: what is quoted ends, the phrase goes on
        if index in ends and not (inside and following.start - word.end < MIN_PAUSE_SECONDS):
            cost = SENTENCE
        elif inside:
            cost = INSIDE
        elif text.endswith(_STRONG_ENDS) or text.endswith("..") or (text.endswith(_CLAUSE_ENDS) and not bound[index]):
            cost = _with_pause(CLAUSE, word, following)
        elif bound[index] or text.endswith("."):
            cost = NEVER
        elif phrases is not None and unspaced(text, end=True):
            cost = _with_pause(BLANK if word.space else PLAIN, word, following)
        else:
            cost = _with_pause(_plain_cost(shown[index], shown[index + 1], *small), word, following)
        costs.append(cost)
    return [*costs, SENTENCE]


def _plain_cost(text: str, following: str, links: frozenset[str], unfinished: frozenset[str]) -> float:
    if text.lower().lstrip(_OPENING) in unfinished:
        return AFTER_LINK
    return BEFORE_LINK if following.lower().strip(_OPENING + _CLOSING) in links else PLAIN


def _with_pause(cost: float, word: TimedWord, following: TimedWord) -> float:
    """A pause is a good place for a break, though never as good as the end of a sentence."""
    return max(CLAUSE / 2, cost - 20 * min(max(following.start - word.end, 0.0), 0.5))


def _phrase_ends(words: Sequence[TimedWord], language: str) -> frozenset[int] | None:
    """Indices of the words that end a phrase; None where the language's phrases are not known."""
    parser = _phrase_parser(language.lower())
    if parser is None:
        return None
    positions = set(accumulate(map(len, parser.parse("".join(word.text + word.space for word in words)))))
    after = accumulate(len(word.text + word.space) for word in words)
    return frozenset(index for index, position in enumerate(after) if position in positions)


@lru_cache(maxsize=8)
def _phrase_parser(language: str):
    """BudouX's parser (Google; a table of weights, offline) of Japanese, Chinese or Thai."""
    import budoux

    code = language.split("-")[0]
    if code == "zh" and any(part in language for part in ("hant", "-tw", "-hk", "-mo")):
        return budoux.load_default_traditional_chinese_parser()
    load = {
        "ja": budoux.load_default_japanese_parser,
        "zh": budoux.load_default_simplified_chinese_parser,
        "th": budoux.load_default_thai_parser,
    }.get(code)
    return load() if load else None


def settle_marks(texts: list[str], spaces: list[str], language: str) -> None:
    """Move opening marks at the end of a word ("demanda : «") to the front of the next one, in place.

    The texts, each followed by its space, still give the same when joined.
    """
    code = language.split("-")[0].lower()
    attached = "([{„‚¿¡「『（［【《〈" + ("»›" if code in _INWARD_GUILLEMETS else "«‹")
    before: Counter[str] = Counter()  # marks in the words so far
    for index in range(len(texts) - 1):
        text, tail = texts[index], ""
        marks = Counter(mark for mark in text if mark in _PAIRED)
        for _ in range(MAX_LONE_MARKS):
            rest, blank, token = text.rpartition(" ")
            if not (blank and token and _MARKS.issuperset(token)):
                break
            marks -= Counter(token)
            if not _opens(token, code, before + marks):
                break
            text, tail = rest, f"{token} {tail}" if tail else token
        if tail:
            space = " "
        else:
            text, space = text.rstrip(attached), ""
            tail = texts[index][len(text) :]
        if text and tail:
            texts[index + 1] = tail + spaces[index] + texts[index + 1]
            texts[index], spaces[index] = text, space
        before.update(mark for mark in texts[index] if mark in _PAIRED)


def _opens(token: str, code: str, before: Counter[str]) -> bool:
    """Whether a lone mark opens, after the marks in `before`."""
    first = token[0].translate(_SWAPPED) if code in _INWARD_GUILLEMETS else token[0]
    if first == '"':
        return before['"'] % 2 == 0
    if first in "“‘" and (code in _UPPER_QUOTES_CLOSE or before["„"] + before["‚"] > before["“"] + before["‘"]):
        return False
    return first in _OPENS
