"""Small modules, short functions, telling names, everything public described."""

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    [
        *ROOT.glob("zenfront/*.py"),
        *ROOT.glob("zenfront/testing/*.py"),
        *ROOT.glob("spaces/**/*.py"),
        *ROOT.glob("pipeline/**/*.py"),
    ]
)
EVERYTHING = sorted([*SOURCES, *ROOT.glob("tests/**/*.py"), *ROOT.glob("benchmarks/**/*.py")])
BANNED = {"utils", "util", "helpers", "common", "misc", "core", "base", "manager"}
Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def _shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def _functions(path: Path) -> Iterator[tuple[str, int]]:
    """Names and lengths, without the docstring: a long contract makes no long function."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            documented = ast.get_docstring(node, clean=False)
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            yield node.name, lines - (len(documented.splitlines()) if documented else 0)


def test_a_module_has_at_most_300_lines() -> None:
    assert [f"{_shown(path)}: {_lines(path)}" for path in EVERYTHING if _lines(path) > 300] == []


def test_a_function_has_at_most_60_lines() -> None:
    long = (f"{_shown(path)}: {name}" for path in EVERYTHING for name, lines in _functions(path) if lines > 60)
    assert list(long) == []


def test_the_median_module_has_at_most_120_lines_and_the_median_function_at_most_10() -> None:
    assert statistics.median(map(_lines, SOURCES)) <= 120
    assert statistics.median(lines for path in SOURCES for _, lines in _functions(path)) <= 10


def test_a_name_tells_what_is_inside() -> None:
    def words(path: Path) -> set[str]:
        return {part.strip("_") for part in path.relative_to(ROOT).with_suffix("").parts}

    assert [_shown(path) for path in EVERYTHING if words(path) & BANNED] == []


def _public(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Definition]]:
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        if not any(isinstance(d, ast.Name) and d.id == "overload" for d in node.decorator_list):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body, f"{prefix}{node.name}.")


def test_everything_public_is_documented() -> None:
    """Check modules, classes, functions and methods; an overriding method and a property count as well."""
    trees = {_shown(path): ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert [name for name, tree in trees.items() if not ast.get_docstring(tree)] == []
    undocumented = [
        f"{module}: {name}"
        for module, tree in trees.items()
        for name, node in _public(tree.body)
        if not ast.get_docstring(node)
    ]
    assert undocumented == []
