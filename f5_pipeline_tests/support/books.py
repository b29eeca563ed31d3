"""Books made for tests: EPUB by hand, PDF by fpdf2; and those that pandoc made of `pandoc.md`."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from f5_pipeline.speech.script.model import Script, ScriptOptions, parse_script

PANDOC = Path(__file__).parents[1] / "data" / "books"
"""`pandoc pandoc.md -o pandoc.epub --toc --epub-cover-image=lamp.png` and `-o pandoc.docx`, by pandoc 2.17."""

CONTAINER = b'<container><rootfiles><rootfile full-path="b/o.opf"/></rootfiles></container>'


def parsed(data: bytes | str, name: str, **options: str) -> Script:
    """A script in the voice ada."""
    data = data.encode() if isinstance(data, str) else data
    return parse_script(data, name, ScriptOptions(voice="ada", **options), known_voices={"ada", "ben"})  # pyright: ignore[reportArgumentType]


def spoken(script: Script) -> list[str]:
    """The texts of a script in order, headings with a mark."""
    return [("# " if passage.kind == "heading" else "") + passage.text for passage in script.passages]


def zip_of(files: dict[str, bytes | str]) -> bytes:
    """A zip file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def epub(
    documents: dict[str, str],
    *,
    contents: dict[str, str] | None = None,
    spine: str | None = None,
    metadata: str = "",
    guide: str = "",
    others: dict[str, bytes | str] | None = None,
) -> bytes:
    """An EPUB 2.

    Args:
        documents: the body of each document by its path below `b/`.
        contents: target by title, for the NCX.
        spine: itemrefs; the documents in order where None.
        others: further files, by their path.
    """
    items = "".join(f'<item id="{n}" href="{p}" media-type="application/xhtml+xml"/>' for n, p in enumerate(documents))
    spine = "".join(f'<itemref idref="{n}"/>' for n in range(len(documents))) if spine is None else spine
    points = "".join(
        f'<navPoint><navLabel><text>{title}</text></navLabel><content src="{target}"/></navPoint>'
        for title, target in (contents or {}).items()
    )
    html = '<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"><body>{}</body></html>'
    return zip_of(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": CONTAINER,
            "b/o.opf": f'<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata>{metadata}</metadata><manifest>'
            f'{items}<item id="ncx" href="toc.ncx" media-type="application/x-dtbncx+xml"/></manifest>'
            f'<spine toc="ncx">{spine}</spine><guide>{guide}</guide></package>',
            "b/toc.ncx": f"<ncx><navMap>{points}</navMap></ncx>",
            **{f"b/{path}": html.format(body) for path, body in documents.items()},
            **(others or {}),
        }
    )


def docx(body: str, prolog: str = "") -> bytes:
    """A DOCX with this body."""
    word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
    return zip_of(
        {
            "_rels/.rels": '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            f'<Relationship Id="r" Type="{office}" Target="word/document.xml"/></Relationships>',
            "word/document.xml": f'{prolog}<w:document xmlns:w="{word}"><w:body>{body}</w:body></w:document>',
        }
    )
