"""Write the pages of docs/ that come from the option tables.

    python docs/make_options.py          # or: make docs

A test compares the pages with the tables, so that they can not disagree.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from aurefine.gui.options import GUI_OPTIONS
from aurefine.jobs.check_table import CHECK_OPTIONS
from aurefine.jobs.extract_table import EXTRACT_OPTIONS
from aurefine.jobs.import_table import IMPORT_OPTIONS
from aurefine.jobs.map_tools_table import IMAGE_HANDLER_OPTIONS
from aurefine.jobs.mask_create_table import MASK_OPTIONS
from aurefine.jobs.options import Option
from aurefine.jobs.orientations_table import ORIENTATIONS_OPTIONS
from aurefine.jobs.postprocess_table import POSTPROCESS_OPTIONS
from aurefine.jobs.refine_options import REFINE_OPTIONS
from aurefine.jobs.rescale_table import RESCALE_OPTIONS
from aurefine.jobs.simulate_table import SIMULATE_OPTIONS
from aurefine.jobs.submit_table import SUBMIT_OPTIONS
from aurefine.jobs.symmetry_table import ALIGN_OPTIONS, SYMMETRY_OPTIONS

FOLDER = Path(__file__).resolve().parent
PROGRAMS = {
    "refine": REFINE_OPTIONS,
    "extract": EXTRACT_OPTIONS,
    "image-handler": IMAGE_HANDLER_OPTIONS,
    "check": CHECK_OPTIONS,
    "rescale": RESCALE_OPTIONS,
    "import": IMPORT_OPTIONS,
    "symmetry": SYMMETRY_OPTIONS,
    "align-symmetry": ALIGN_OPTIONS,
    "orientations": ORIENTATIONS_OPTIONS,
    "mask": MASK_OPTIONS,
    "postprocess": POSTPROCESS_OPTIONS,
    "simulate": SIMULATE_OPTIONS,
    "submit": SUBMIT_OPTIONS,
    "gui": GUI_OPTIONS,
}


def page(program: str, options: Iterable[Option]) -> str:
    """Return the page of one program."""
    options = [option for option in options if not option.hidden]
    used = [option for option in options if option.status == "used"]
    lines = [
        f"# Options of `aurefine {program}`",
        "",
        "<!-- written by docs/make_options.py from the option table: do not edit -->",
        "",
        "`-` may stand for `_` in every option.",
        "A switch has no value.",
        "The name in the last column is the one of the Python API.",
    ]
    for tab in dict.fromkeys(option.tab for option in used):
        rows = [_row(option) for option in used if option.tab == tab]
        lines += ["", f"## {tab}", "", *_table(_HEADINGS, rows)]
    for title, status, text in _OTHERS:
        rows = [
            (_spellings(option, with_value=False), _cell(_sentence(option.note)))
            for option in options
            if option.status == status
        ]
        if rows:
            lines += ["", f"## {title}", "", text, "", *_table(("Option", "Why"), rows)]
    return "\n".join(lines) + "\n"


_HEADINGS = ("Option", "Default", "Meaning", "Name")
_VALUES = {"path": "FILE", "int": "N", "float": "X"}
_OTHERS = (
    (
        "Accepted without effect",
        "ignored",
        "Command lines written for RELION keep working; a note in `run.out` says what was ignored.",
    ),
    (
        "Not available",
        "refused",
        "These stop the program, because ignoring them would give another result than asked for.",
    ),
)


def _row(option: Option) -> tuple[str, str, str, str]:
    if option.kind == "bool":
        default = "on" if option.default else "off"
    elif option.required:
        default = "required"
    elif option.default in (None, ""):
        default = ""
    else:
        is_off = isinstance(option.default, int | float) and option.default < 0
        unit = f" {option.unit}" if option.unit and not is_off else ""
        default = f"{option.default:g}" if option.kind == "float" else str(option.default)
        default += unit
    return (
        _spellings(option, with_value=True),
        _cell(default),
        _cell(f"{_sentence(option.label)} {option.help}"),
        f"`{option.name}`",
    )


def _spellings(option: Option, *, with_value: bool) -> str:
    flags = [option.flag, *option.aliases, *option.negatives]
    first = flags[0]
    if with_value and option.kind != "bool":
        first += f" {option.unit or '|'.join(option.choices) or _VALUES.get(option.kind, 'TEXT')}"
    if with_value and option.words:
        first += f" [{'|'.join(option.words)}]"
    return ", ".join(f"`{flag}`".replace("|", "\\|") for flag in (first, *flags[1:]))


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")


def _cell(text: str) -> str:
    for mark in "|*<":
        text = text.replace(mark, f"\\{mark}")
    return text


def _table(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [headings, tuple("---" for _ in headings), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def main() -> None:
    """Write every page."""
    for program, options in PROGRAMS.items():
        path = FOLDER / f"options_{program.replace('-', '_')}.md"
        path.write_text(page(program, options), encoding="utf-8")


if __name__ == "__main__":
    main()
