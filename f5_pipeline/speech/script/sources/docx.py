"""DOCX, by mammoth: headings are chapters, tracked changes are accepted. `[ada]` names a voice, as in a text.

mammoth sees the XML parts only, in a zip file made here: it would read what a document links to, and unpack anything.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

from f5_pipeline.errors import InputError
from f5_pipeline.speech.script.front_matter import Header
from f5_pipeline.speech.script.sources import ScriptText
from f5_pipeline.speech.script.sources.hypertext import Reader, known_language, note_targets, one_line, parse
from f5_pipeline.speech.script.sources.zipped import Zipped

MAX_XML_BYTES = 32 << 20
"""Of one part: mammoth builds a tree of it, of many times its size."""

_STYLES = "p[style-name='Title'] => h1:fresh\np[style-name='Subtitle'] => h2:fresh\nbr[type='page'] => hr"
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def read(data: bytes, file: str, gen_file: Callable[[str], bytes] | None) -> ScriptText:
    """See `sources.read_source`. Title, author and language are those of the document's properties.

    Raises:
        InputError: it is no DOCX, is damaged or locked, or unpacks to too much.
    """
    if data.startswith(_OLE):
        raise InputError(
            "the document is locked with a password, or is of an old kind (.doc)",
            file=file,
            hint="Save it as .docx without a password.",
        )
    archive = Zipped(data, file)
    if "word/document.xml" not in archive.names and "_rels/.rels" not in archive.names:
        raise InputError("the file is no DOCX", file=file, hint="Save it as .docx.")
    html, parts = _converted(archive, file)
    reader = Reader(tags=True)
    root = parse(f"<html><body>{html}</body></html>".encode(), file)
    reader.read(root, note_targets(root))
    header = Header()
    core = parts.get("docProps/core.xml")
    if core is not None:
        values = {
            element.tag.rpartition("}")[2]: one_line(element.text or "")
            for element in parse(core, file, "docProps/core.xml", xml=True)
            if isinstance(element.tag, str)
        }
        header = Header(title=values.get("title") or None, author=values.get("creator") or None)
        header.language = known_language(values.get("language") or "und", file)
    return ScriptText(header, reader.blocks(), file, reader.first_heading(), reader.notes())


def _converted(archive: Zipped, file: str) -> tuple[str, dict[str, bytes]]:
    """The document as HTML, and the XML parts that it was made from."""
    import mammoth

    parts = {
        name: archive.read(name, MAX_XML_BYTES)
        for name in sorted(archive.names)
        if name.endswith((".xml", ".rels")) and not name.startswith(("customXml/", "word/theme/"))
    }
    for name, part in parts.items():
        # No part of a document has a document type; its encoding is one that readers of XML find out themselves.
        if b"<!DOCTYPE" in part or b"<!ENTITY" in part or b"\0" in part[:100]:
            raise InputError(
                "the document defines entities", file=f"{file}:{name}", hint="Save it with another program."
            )
    safe = io.BytesIO()
    with zipfile.ZipFile(safe, "w") as out:
        for name, part in parts.items():
            out.writestr(name, part)
    try:
        result = mammoth.convert_to_html(
            safe,
            style_map=_STYLES,
            include_embedded_style_map=False,
            convert_image=mammoth.images.img_element(lambda _: {}),
        )
    except RecursionError:
        raise InputError("the document is nested too deeply", file=file, hint="Save it with another program.") from None
    except Exception as error:  # of minidom, zipfile or mammoth itself, whatever is missing in the document
        raise InputError(
            f"the document is damaged: {type(error).__name__}: {error}"[:300], file=file, hint="Save it anew."
        ) from None
    return result.value, parts
