"""One self-contained HTML page: headings, text, tables and pictures, everything escaped."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

__all__ = [
    "Page",
    "Paragraph",
    "Part",
    "Picture",
    "Preformatted",
    "Section",
    "Table",
    "render_page",
]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text; `is_notice` sets it apart."""

    text: str
    is_notice: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG picture with a caption, which also is the text for those who can not see it."""

    png: bytes
    caption: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts below headings; no headings for a list of names and values."""

    rows: Sequence[Sequence[str]]
    headings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Preformatted:
    """Text whose lines and blanks are kept: commands, logs."""

    text: str


Part = Paragraph | Picture | Table | Preformatted


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what stands below it."""

    title: str
    parts: Sequence[Part]


@dataclass(frozen=True, slots=True)
class Page:
    """A page: title, a line below it, sections, and a line at the end."""

    title: str
    subtitle: str = ""
    sections: Sequence[Section] = field(default_factory=tuple)
    footer: str = ""


_STYLE = """
:root { color-scheme: light dark; --text: #1c2430; --paper: #ffffff; --soft: #f2f4f7;
  --line: #d5dae1; --accent: #1f4e79; }
@media (prefers-color-scheme: dark) { :root { --text: #dfe5ec; --paper: #14181e; --soft: #1f252d;
  --line: #3a434f; --accent: #8fbce6; } }
body { margin: 0 auto; max-width: 62rem; padding: 1.5rem; color: var(--text);
  background: var(--paper); font: 16px/1.5 system-ui, sans-serif; }
h1 { margin: 0; font-size: 1.7rem; overflow-wrap: anywhere; }
h2 { margin: 2rem 0 .6rem; font-size: 1.2rem; color: var(--accent);
  border-bottom: 1px solid var(--line); }
p { margin: .5rem 0; overflow-wrap: anywhere; }
.subtitle { color: var(--accent); }
.notice { padding: .6rem .9rem; background: var(--soft); border-left: 4px solid #d9822b; }
figure { margin: 1rem 0; }
img { max-width: 100%; height: auto; background: #ffffff; }
figcaption { font-size: .9rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; }
th, td { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line); }
pre { padding: .8rem; background: var(--soft); font-size: .8rem; white-space: pre-wrap;
  overflow-wrap: anywhere; }
footer { margin-top: 2rem; font-size: .85rem; }
@media print { body { max-width: none; } figure { break-inside: avoid; } }
"""


def render_page(page: Page) -> str:
    """Return the page as HTML.

    Every text is escaped, pictures are inside, and a policy in the page forbids scripts and
    requests of any kind.

    Parameters
    ----------
    page : Page

    Returns
    -------
    html : str
    """
    sections = "".join(_section(section) for section in page.sections)
    subtitle = f'<p class="subtitle">{_text(page.subtitle)}</p>\n' if page.subtitle else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_text(page.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{_text(page.title)}</h1>\n{subtitle}{sections}</main>\n"
        f"<footer>{_text(page.footer)}</footer>\n</body>\n</html>\n"
    )


def _text(text: str) -> str:
    """Escape a text; bytes that are not UTF-8 and control characters become visible."""
    clean = text.encode("utf-8", "backslashreplace").decode()
    return escape("".join(c if c.isprintable() or c in "\n\t" else repr(c)[1:-1] for c in clean))


def _section(section: Section) -> str:
    parts = "".join(_part(part) for part in section.parts)
    return f"<section>\n<h2>{_text(section.title)}</h2>\n{parts}</section>\n"


def _part(part: Part) -> str:
    if isinstance(part, Paragraph):
        kind = ' class="notice"' if part.is_notice else ""
        return f"<p{kind}>{_text(part.text)}</p>\n"
    if isinstance(part, Preformatted):
        return f"<pre>{_text(part.text)}</pre>\n"
    if isinstance(part, Picture):
        data = base64.b64encode(part.png).decode()
        caption = _text(part.caption)
        return (
            f'<figure><img alt="{caption}" src="data:image/png;base64,{data}">'
            f"<figcaption>{caption}</figcaption></figure>\n"
        )
    head = "".join(f'<th scope="col">{_text(cell)}</th>' for cell in part.headings)
    rows = "".join(
        "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>\n" for row in part.rows
    )
    head = f"<thead><tr>{head}</tr></thead>\n" if head else ""
    return f'<div class="scroll"><table>{head}<tbody>{rows}</tbody></table></div>\n'
