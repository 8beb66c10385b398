"""Which package may import which: the layer table of the architecture."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src" / "aurefine"

# A package imports from lower layers, and within its layer from packages named before it.
LAYERS = (
    ("io", "geometry", "fourier"),
    ("optics", "imaging"),
    ("kernels", "parallel"),
    ("maps", "extract", "validate", "simulate", "refine"),
    ("project", "report", "jobs"),
    ("cli", "gui"),
)
ORDER = {package: rank for rank, package in enumerate(sum(LAYERS, ()))}
COMMON = {"errors", "__version__"}  # at the root, for every package


def imported_modules(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of every import, also inside functions."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            if node.module == "aurefine":
                yield from ((node.lineno, f"aurefine.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, node.module or ""


def wrong_imports(package: str, text: str) -> list[str]:
    """Return the imports that `package` must not have."""
    wrong = []
    for line, name in imported_modules(text):
        parts = name.split(".")
        if parts[0] != "aurefine" or len(parts) == 1:
            continue
        target = parts[1]
        if target in COMMON or target == package:
            continue
        if ORDER.get(target, len(ORDER)) > ORDER[package]:
            wrong.append(f"line {line}: {name}")
    return wrong


def packages() -> list[str]:
    return sorted(path.parent.name for path in SOURCE.glob("*/__init__.py"))


def test_every_package_has_a_place_in_the_table():
    assert set(packages()) <= set(ORDER)


@pytest.mark.parametrize("package", packages())
def test_package_imports_only_from_packages_before_it(package):
    wrong = {
        str(path.relative_to(SOURCE)): found
        for path in sorted((SOURCE / package).rglob("*.py"))
        if (found := wrong_imports(package, path.read_text()))
    }
    assert not wrong


def test_modules_at_the_root_import_no_package_when_they_are_loaded():
    for path in SOURCE.glob("*.py"):
        if path.name == "__main__.py":
            continue
        top_level = ast.Module(
            [n for n in ast.parse(path.read_text()).body if not isinstance(n, ast.FunctionDef)], []
        )
        names = [name for _, name in imported_modules(ast.unparse(top_level))]
        assert not [name for name in names if name.startswith("aurefine")], path.name


def test_upward_and_sideways_imports_are_noticed():
    assert wrong_imports("optics", "from aurefine.refine import loop")
    assert wrong_imports("geometry", "import aurefine.fourier.fsc")
    assert wrong_imports("io", "def f():\n    from aurefine import jobs")
    assert not wrong_imports("optics", "from aurefine.fourier import crop\nimport numpy")
