"""Small modules, short functions, telling names, everything public described."""

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("spaces/**/*.py"), *ROOT.glob("pipeline/**/*.py")])
EVERYTHING = sorted([*SOURCES, *ROOT.glob("tests/**/*.py"), *ROOT.glob("benchmarks/**/*.py")])
BANNED = {"utils", "util", "helpers", "common", "misc", "core", "base", "manager"}
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def _functions(path: Path) -> Iterator[tuple[str, int]]:
    """Names and lengths, without the docstring: a long contract makes no long function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            documented = ast.get_docstring(node, clean=False)
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            yield node.name, lines - (len(documented.splitlines()) if documented else 0)


@pytest.mark.parametrize("path", EVERYTHING, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_has_at_most_300_lines_and_a_function_at_most_60(path: Path) -> None:
    assert _lines(path) <= 300
    assert [name for name, lines in _functions(path) if lines > 60] == []


def test_the_median_module_has_at_most_120_lines_and_the_median_function_at_most_10() -> None:
    assert statistics.median(map(_lines, SOURCES)) <= 120
    assert statistics.median(lines for path in SOURCES for _, lines in _functions(path)) <= 10


@pytest.mark.parametrize("path", EVERYTHING, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_name_tells_what_is_inside(path: Path) -> None:
    parts = {part.strip("_") for part in path.relative_to(ROOT).with_suffix("").parts}
    assert not parts & BANNED


def _public(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Definition]]:
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body, f"{prefix}{node.name}.")


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_everything_public_is_documented(path: Path) -> None:
    """A method that overrides one of a private class's base, or a property's setter, counts as well."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree), "the module has no docstring"
    assert [name for name, node in _public(tree.body) if not ast.get_docstring(node)] == []
