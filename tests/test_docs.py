"""The documentation agrees with the program: option pages, links, commands and examples."""

import ast
import importlib
import re
import runpy
import shlex
from pathlib import Path

import pytest

from aurefine.cli.main import COMMANDS, run_command
from aurefine.cli.parser import build_parser

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").glob("*.md")]
)
TABLES = {
    "refine": ("aurefine.jobs.refine_options", "REFINE_OPTIONS"),
    "simulate": ("aurefine.jobs.simulate_table", "SIMULATE_OPTIONS"),
    "gui": ("aurefine.gui.options", "GUI_OPTIONS"),
    "extract": ("aurefine.jobs.extract_table", "EXTRACT_OPTIONS"),
    "image-handler": ("aurefine.jobs.map_tools_table", "IMAGE_HANDLER_OPTIONS"),
    "rescale": ("aurefine.jobs.rescale_table", "RESCALE_OPTIONS"),
    "import": ("aurefine.jobs.import_table", "IMPORT_OPTIONS"),
    "mask": ("aurefine.jobs.mask_create_table", "MASK_OPTIONS"),
    "postprocess": ("aurefine.jobs.postprocess_table", "POSTPROCESS_OPTIONS"),
    "submit": ("aurefine.jobs.submit_table", "SUBMIT_OPTIONS"),
}


def code_blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[tuple[str, str]]:
    """Return page and line of every call of aurefine in the pages and the demo."""
    found = []
    for page in PAGES:
        for block in code_blocks(page.read_text(), "sh"):
            lines = block.replace("\\\n", " ").splitlines()
            found += [(page.name, line) for line in lines if line.startswith("aurefine ")]
    demo = (ROOT / "examples" / "demo.sh").read_text().replace("\\\n", " ")
    calls = re.findall(r'^"\$aurefine" .*$', demo, flags=re.MULTILINE)
    found += [
        ("demo.sh", c.replace('"$threads"', "2").replace('"$aurefine"', "aurefine")) for c in calls
    ]
    return found


@pytest.mark.parametrize("program", TABLES)
def test_option_page_is_up_to_date(program):
    module = runpy.run_path(str(ROOT / "docs" / "make_options.py"))
    written = (ROOT / "docs" / f"options_{program.replace('-', '_')}.md").read_text(
        encoding="utf-8"
    )
    assert written == module["page"](program, module["PROGRAMS"][program]), "run 'make docs'"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    files = [link for link in links if not link.startswith(("http:", "https:", "mailto:"))]
    assert not [link for link in files if not (page.parent / link).exists()]


@pytest.mark.parametrize(("page", "line"), commands())
def test_documented_command_is_understood(page, line):
    program, *arguments = shlex.split(line, comments=True)[1:]
    assert program in {command.name for command in COMMANDS}
    if program == "submit":  # the command to run has options of its own
        assert run_command(["submit", "--dry-run", *arguments]) == 0
    elif program in TABLES:
        module, name = TABLES[program]
        options = getattr(importlib.import_module(module), name)
        build_parser(options, program, "").parse_args(arguments)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_example_is_valid_and_its_imports_exist(page):
    for block in code_blocks(page.read_text(), "python"):
        compile(block, page.name, "exec")
        imports = [line for line in block.splitlines() if line.startswith(("import ", "from "))]
        exec("\n".join(imports), {})


def test_readme_has_two_commands_to_set_up_and_go():
    text = (ROOT / "README.md").read_text()
    install = text.split("## Install")[1].split("\n## ")[0]
    assert [block.strip() for block in code_blocks(install, "sh")] == ["make demo", "make test"]


def marked_tests(markers: set[str]) -> list[str]:
    """Return the tests with one of the markers, on themselves or on their module."""
    found = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        tree = ast.parse(path.read_text())
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
        names = [node.name for node in functions if node.name.startswith("test_")]
        of_module = [
            node.value
            for node in tree.body
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "pytestmark"
        ]
        if any(_has_marker(value, markers) for value in of_module):
            found += names
        found += [
            node.name
            for node in functions
            if any(_has_marker(decorator, markers) for decorator in node.decorator_list)
        ]
    return found


def _has_marker(expression: ast.expr, markers: set[str]) -> bool:
    words = re.findall(r"pytest\.mark\.(\w+)", ast.unparse(expression))
    return bool(markers & set(words))


def test_slow_tests_are_named_in_the_page_on_testing():
    text = (ROOT / "docs" / "testing.md").read_text()
    names = marked_tests({"slow", "mpi", "gpu"})
    assert not [name for name in names if f"`{name}`" not in text]
