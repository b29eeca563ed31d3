"""Spoken forms of web and mail addresses, handles and hashtags."""

from __future__ import annotations

import re

from f5_pipeline.speech.text.languages import Language

_MAX_ADDRESS_CHARS = 40
"""Longest address that is read completely; of a longer one only the host is read."""
_SCHEME = re.compile(r"(?:https?|ftp)://(?:[^\s/@]+@)?", re.IGNORECASE)
_HOST = re.compile(
    r"(?:[\w-]{1,63}\.){1,5}(?:com|org|net|io|edu|gov|info|dev|app|ai|co|uk|us|eu|de|fr|es|it|ru|nl|pl|pt|br|jp|cn|in|ch|at|be|"
    r"ca|au|tv|me|xyz|studio|int|mil)(?::\d{1,5})?(?:[/?#]\S*)?",
    re.IGNORECASE,
)
_MAIL = re.compile(r"[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,5}[\w-]{2,24}")
_HANDLE = re.compile(r"@([^\W\d]\w{0,40})")
_TAG = re.compile(r"#([^\W\d]\w{0,60})")
_PARTS = re.compile(r"[^\W\d_]+|\d+|\S")

# dot, slash, dash, underscore, at, hashtag
_NAMES = {
    "en": ("dot", "slash", "dash", "underscore", "at", "hashtag"),
    "de": ("Punkt", "Schrägstrich", "Bindestrich", "Unterstrich", "ät", "Hashtag"),
    "fr": ("point", "barre oblique", "tiret", "tiret bas", "arobase", "mot-dièse"),
    "es": ("punto", "barra", "guion", "guion bajo", "arroba", "etiqueta"),
    "it": ("punto", "barra", "trattino", "trattino basso", "chiocciola", "hashtag"),
    "pt": ("ponto", "barra", "hífen", "sublinhado", "arroba", "hashtag"),
    "ru": ("точка", "слэш", "дефис", "подчёркивание", "собака", "хештег"),
    "nl": ("punt", "slash", "streepje", "underscore", "at", "hashtag"),
    "pl": ("kropka", "ukośnik", "myślnik", "podkreślenie", "małpa", "hasztag"),
    "zh": ("点", "斜杠", "横杠", "下划线", "艾特", "话题"),
}


def read_address(core: str, data: Language) -> str | None:
    """The spoken form of an address, handle or hashtag; None where `core` is none."""
    if "." not in core and "@" not in core and "#" not in core:
        return None
    dot, slash, dash, underscore, at, tag = _NAMES.get(data.code, _NAMES["en"])
    if match := _HANDLE.fullmatch(core):
        return f"{at} {_plain(match[1])}"
    if match := _TAG.fullmatch(core):
        return f"{tag} {_plain(match[1])}"
    scheme = _SCHEME.match(core)
    address = core[scheme.end() :] if scheme else core
    if not scheme and not _MAIL.fullmatch(core) and not _HOST.fullmatch(core):
        return None
    if address.lower().startswith("www."):
        address = address[4:]
    address = address.rstrip("/")
    if len(address) > _MAX_ADDRESS_CHARS:
        address = re.split(r"[/?#]", address)[0][:_MAX_ADDRESS_CHARS]
    names = {".": dot, "/": slash, "-": dash, "_": underscore, "@": at}
    words = []
    for piece in _PARTS.findall(address):
        if piece.isdecimal():
            from f5_pipeline.speech.text.numerals import digits_words, integer_words

            words.append((integer_words(piece, data) if len(piece) <= 4 else digits_words(piece, data)) or piece)
        elif piece.isalpha():
            words.append(piece)
        else:
            words.append(names.get(piece) or data.symbols.get(piece, ""))
    return " ".join(" ".join(words).split()) or None


def _plain(name: str) -> str:
    """`DeepSea_Photo` -> `Deep Sea Photo`."""
    return " ".join(re.sub(r"(?<=[a-zà-ÿ])(?=[A-Z])", " ", name.replace("_", " ")).split()) or name
