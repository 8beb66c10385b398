"""Promises that hold for the package as a whole."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "aurefine"
MODULES = sorted(SOURCE.rglob("*.py"))
PACKAGES = sorted(path.parent.name for path in SOURCE.glob("*/__init__.py"))
TALKATIVE = {"project", "report", "jobs", "cli", "gui"}  # layers 5 and 6
HEAVY = ("numpy", "scipy", "numba", "pandas", "matplotlib", "mrcfile", "mpi4py", "rich")
LONGEST = 420  # lines of a module: about 400


def name_of(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def modules_loaded_by(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in result.stdout.split()}


def test_import_of_the_package_loads_nothing_heavy():
    assert not modules_loaded_by("import aurefine") & set(HEAVY)


def test_overview_of_the_commands_loads_nothing_heavy():
    statement = "from aurefine.cli.main import run_command\nrun_command(['--help'])"
    assert not modules_loaded_by(statement) & set(HEAVY)


@pytest.mark.parametrize("command", ["extract", "image-handler", "mask", "postprocess"])
def test_help_pages_load_nothing_heavy(command):
    statement = (
        "from aurefine.cli.main import run_command\n"
        f"try: run_command(['{command}', '--help'])\nexcept SystemExit: pass"
    )
    assert not modules_loaded_by(statement) & set(HEAVY)


def test_extraction_needs_neither_scipy_nor_numba():
    statement = "import aurefine.cli.extract, aurefine.jobs.extract_job"
    assert not modules_loaded_by(statement) & {"scipy", "numba"}


def test_import_leaves_no_file_behind(tmp_path):
    command = [sys.executable, "-c", "import aurefine, aurefine.cli.main"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", PACKAGES)
def test_package_lists_its_public_names(package):
    tree = ast.parse((SOURCE / package / "__init__.py").read_text())
    names = [t.id for n in tree.body if isinstance(n, ast.Assign) for t in n.targets]
    assert "__all__" in names


@pytest.mark.parametrize("package", sorted(set(PACKAGES) - TALKATIVE))
def test_package_of_the_lower_layers_does_not_print(package):
    prints = [
        f"{name_of(path)}:{node.lineno}"
        for path in (SOURCE / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", None) == "print"
    ]
    assert not prints


def test_no_except_clause_is_bare():
    bare = [
        f"{name_of(path)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler) and node.type is None
    ]
    assert not bare


def test_modules_stay_under_about_400_lines():
    lengths = {name_of(path): len(path.read_text().splitlines()) for path in MODULES}
    assert not {name: length for name, length in lengths.items() if length > LONGEST}


def test_modules_are_named_after_their_subject():
    vague = {"utils", "util", "helpers", "helper", "misc", "common", "manager"}
    assert not [name_of(path) for path in MODULES if path.stem.strip("_") in vague]


def test_types_are_published():
    assert (SOURCE / "py.typed").is_file()
