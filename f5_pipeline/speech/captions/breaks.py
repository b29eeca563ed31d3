"""Costs of ending a caption or a line, by punctuation, pauses and the function words of a language."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from f5_pipeline.speech.timeline import TimedWord

SENTENCE, CLAUSE, BEFORE_LINK, PLAIN, AFTER_LINK = 0.0, 3.0, 8.0, 14.0, 22.0
"""Costs of a cue's end: after a sentence, after a clause, before a conjunction or preposition, anywhere, after an
article, conjunction or preposition."""

_SENTENCE_ENDS = tuple(".!?…。！？．｡؟۔।॥")
_CLAUSE_ENDS = tuple(",;:—–，、；：､،؛")
_CLOSING = "\"')]}»«”“’‘›‹」』）］】》〉"
_OPENING = "\"'([{«»“„‘‚›‹¿¡「『（［【《〈"

_ABBREVIATIONS = (
    "mr. mrs. ms. dr. prof. st. sr. jr. vs. no. vol. fig. ca. bzw. hr. fr. nr. str. mme. mlle. "
    "sra. srta. dott. sig. dña. dhr. mevr."
)
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


@lru_cache(maxsize=1)
def _abbreviations() -> frozenset[str]:
    return frozenset(_ABBREVIATIONS.split())


@lru_cache(maxsize=16)
def _small_words(language: str) -> tuple[frozenset[str], frozenset[str]]:
    """Words before which a line may break, and words that a line should not end with."""
    links = frozenset(_LINKS.get(language, "").split())
    return links, links | frozenset(_ARTICLES.get(language, "").split())


def end_cost(word: TimedWord, following: TimedWord, language: str) -> float:
    """Cost of a cue or line that ends between these two words; `language` is the first part of a BCP 47 tag."""
    links, unfinished = _small_words(language)
    text = word.text.rstrip(_CLOSING)
    if text.endswith(_SENTENCE_ENDS) and not _abbreviated(text, following.text):
        return SENTENCE
    if text.endswith(_CLAUSE_ENDS):
        cost = CLAUSE
    elif word.text.lower().lstrip(_OPENING) in unfinished:
        cost = AFTER_LINK
    elif following.text.lower().strip(_OPENING + _CLOSING) in links:
        cost = BEFORE_LINK
    else:
        cost = PLAIN
    # A pause is a good place for a break, though never as good as the end of a sentence.
    return max(CLAUSE / 2, cost - 20 * min(max(following.start - word.end, 0.0), 0.5))


def _abbreviated(text: str, following: str) -> bool:
    """Whether a final full stop, as in "Dr.", "J." or "approx. ten", does not end a sentence."""
    if not text.endswith(".") or text.endswith(".."):
        return False
    word = text.lstrip(_OPENING)
    return word.lower() in _abbreviations() or (len(word) == 2 and word[0].isalpha()) or following[:1].islower()
