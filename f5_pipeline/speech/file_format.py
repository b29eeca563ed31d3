"""What everybody needs to know of a kind of file that a narration delivers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FileFormat:
    """A kind of delivered file. The tables are `audio.encoding.FORMATS` and `captions.formats.FORMATS`.

    Attributes:
        suffix: of file names, in small letters, with its first dot: ".words.csv".
        media_type: as it is served, with the charset where it is text.
        group: what it belongs to, for people: "Captions".
        label: which of the group it is, for people: "SubRip".
    """

    suffix: str
    media_type: str
    group: str
    label: str

    @property
    def description(self) -> str:
        """What a page or a table calls it: "Captions, SubRip"."""
        return f"{self.group}, {self.label}"
