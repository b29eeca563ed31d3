"""SSML (https://www.w3.org/TR/speech-synthesis11/): the elements of `markup.ELEMENTS`, and nothing else unseen."""

from __future__ import annotations

from collections.abc import Callable

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script.decoding import decode, language_tag
from f5_pipeline.speech.script.front_matter import Header
from f5_pipeline.speech.script.markup import Markup
from f5_pipeline.speech.script.sources import ScriptText
from f5_pipeline.speech.script.sources.text import paragraphs


def read(data: bytes, file: str, gen_file: Callable[[str], bytes] | None) -> ScriptText:
    """See `sources.read_source`. The language is that of `<speak>`; blank lines part paragraphs, as `<p>` does.

    Raises:
        InputError: not well-formed, entities of its own, or an element that is not understood.
    """
    reader = _Reader(file)
    reader.feed(decode(data, file))
    return ScriptText(reader.header, paragraphs("".join(reader.out)), file, markup=reader.markup)


class _Reader:
    """Collects the text of a document, each piece on its own line, with marks for its elements."""

    def __init__(self, file: str) -> None:
        from xml.parsers import expat

        self.header = Header()
        self.markup = Markup(file, ssml=True)
        self.out: list[str] = []
        self._line = 1
        self._depth = 0
        # No file and no address is opened: entities are refused, and expat itself opens nothing.
        self._parser = parser = expat.ParserCreate(encoding="utf-8")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.ProcessingInstructionHandler = self._instruction
        parser.EntityDeclHandler = lambda *_: self._refuse("entities of one's own are not allowed")
        parser.SkippedEntityHandler = lambda name, _: self._refuse(f"the entity &{name}; is unknown")
        parser.StartDoctypeDeclHandler = lambda name, system, public, internal: (
            self._refuse("a document type of one's own is not allowed") if internal else None
        )

    def feed(self, text: str) -> None:
        """Read a whole document."""
        from xml.parsers import expat

        try:
            self._parser.Parse(self.markup.clean(text).encode(), True)
        except expat.ExpatError as error:
            problem = expat.ErrorString(error.code)
            raise InputError(
                f"not SSML: {problem}", file=self.markup.file, place=error.lineno, hint="Correct the line."
            ) from None

    def _refuse(self, problem: str) -> None:
        raise self.markup.error(problem, self._parser.CurrentLineNumber, "Write the characters themselves.")

    def _instruction(self, target: str, data: str) -> None:
        self._refuse(f"the instruction <?{target} …?> is not understood")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        line = self._place()
        if (self._depth == 0) != (name == "speak"):
            problem = "the document is no <speak>" if self._depth == 0 else "a <speak> stands in another"
            raise self.markup.error(problem, line, "Write one <speak> around all of it.")
        self._depth += 1
        if name == "speak" and "xml:lang" in attributes:
            # The script's language, which an option may override, rather than one of its parts.
            self.header.language = language_tag(attributes.pop("xml:lang"), self.markup.file, line)
            self.header.lines["language"] = line
        self.out.append(self.markup.open(name, attributes, line))

    def _end(self, name: str) -> None:
        self._place()
        self._depth -= 1
        self.out.append(self.markup.close(name, self._line))

    def _text(self, text: str) -> None:
        self._place()
        self.out.append(self.markup.text(text))
        self._line += text.count("\n")

    def _place(self) -> int:
        """The line of what was read just now; blanks follow to it, so that the text has the lines of the file."""
        line = self._parser.CurrentLineNumber
        if line > self._line:
            self.out.append("\n" * (line - self._line))
            self._line = line
        return line
