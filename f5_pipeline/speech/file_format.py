"""Facts about a kind of delivered file that several rooms need."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FileFormat:
    """A kind of delivered file. The tables are `audio.encoding.FORMATS` and `captions.formats.FORMATS`.

    Attributes:
        suffix: of file names, in lower case, with its first dot: ".words.csv".
        media_type: for HTTP, with the charset of text.
        group: for people: "Captions".
        label: within the group, for people: "SubRip".
    """

    suffix: str
    media_type: str
    group: str
    label: str

    @property
    def description(self) -> str:
        """For pages and tables: "Captions, SubRip"."""
        return f"{self.group}, {self.label}"
