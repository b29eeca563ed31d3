"""Hindi years by the hundred, and hours by quarters: "उन्नीस सौ सैंतालीस", "साढ़े तीन बजे"."""

from __future__ import annotations

from f5_pipeline.speech.text.languages import word_set
from f5_pipeline.speech.text.numerals import number_words
from f5_pipeline.speech.text.reading import Part

_YEAR = word_set("सन् सन साल वर्ष")


def year(value: int, before: Part | None, after: Part | None) -> str | None:
    """A year of 1100 to 1999 beside a word that says that it is one."""
    named = (before is not None and before.key in _YEAR) or (after is not None and after.key in ("में", "से", "तक"))
    if not named or not 1100 <= value < 2000:
        return None
    hundreds, rest = (number_words(item, "hi") for item in divmod(value, 100))
    return f"{hundreds} सौ {rest if value % 100 else ''}".strip()


def time_of_day(hours: int, minutes: int, after: Part | None) -> str | None:
    """The time before "बजे" (o'clock), which is read with it: quarters have words of their own."""
    if after is None or after.key != "बजे":
        return None
    if minutes == 30 and hours in (1, 2):
        return "डेढ़" if hours == 1 else "ढाई"
    front = {0: "", 15: "सवा ", 30: "साढ़े ", 45: "पौने "}.get(minutes)
    words = number_words(hours + (minutes == 45), "hi")
    if front is not None:
        return front + words if words else None
    after.say(f"बजकर {number_words(minutes, 'hi')} मिनट पर")
    return words
