"""Imports go down only; heavy libraries stay behind one door each."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("spaces/**/*.py"), *ROOT.glob("pipeline/**/*.py")])
# The first prefix that fits gives the level; what is not listed has no level, and fails.
LEVELS = {
    "pipeline.cli": 4,
    "pipeline._cli": 4,
    "pipeline.stages": 3,
    "pipeline.tracking": 3,
    "pipeline.console": 3,
    "pipeline.scoring": 2,
    "pipeline.engine": 2,
    "pipeline.progress": 2,
    "pipeline.checks": 2,
    "pipeline.evidence": 2,
    "pipeline.supernet": 2,
    "pipeline.proxies": 1,
    "pipeline.algorithms": 1,
    "pipeline.schedulers": 1,
    "pipeline.training": 1,
    "pipeline.analysis": 1,
    "pipeline.config": 0,  # and config_file
    "pipeline.device": 0,
    "pipeline.errors": 0,
    "pipeline.memory": 0,
    "pipeline.objectives": 0,
    "pipeline.origin": 0,
    "pipeline.pareto": 0,
    "pipeline.record": 0,
    "pipeline.registry": 0,
    "pipeline.results": 0,
    "pipeline.run_copy": 0,
    "pipeline.run_folder": 0,
    "pipeline.seeds": 0,
    "pipeline.storage": 0,
    "pipeline._yaml": 0,
    "pipeline._mistakes": 0,
    "spaces": 0,
}
# Who may import what, by the beginning of the importer's name.
DOORS = {
    "ray": ("pipeline.stages.", "pipeline.schedulers.", "spaces._space"),
    "mlflow": ("pipeline.tracking.",),
    "rich": ("pipeline.console",),
    "typer": ("pipeline.cli", "pipeline._cli"),
    "datasets": ("pipeline.training.",),
    "kornia": ("pipeline.training.",),
}
NEVER = ("timm", "torchvision")


def _name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imports(path: Path) -> Iterator[str]:
    """Dotted names of all imports, wherever they stand; `from a import b` is a.b."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _level(name: str) -> int | None:
    return next((level for prefix, level in LEVELS.items() if name.startswith(prefix)), None)


def _package(name: str) -> str:
    return ".".join(name.split(".")[:2])


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_imports_go_down_and_never_sideways_within_level_1(path: Path) -> None:
    name = _name(path)
    if name == "pipeline":
        return
    level = _level(name)
    assert level is not None, f"{name} has no level: give it one in LEVELS"
    for imported in _imports(path):
        if imported.startswith(("pipeline.", "spaces")) and imported != "pipeline.__version__":
            parts = imported.split(".")
            below = _level(imported if parts[1:2] else parts[0])
            if parts[0] == "pipeline" and len(parts) == 2 and below is None:
                raise AssertionError(f"{name} imports {imported}, which has no level")
            assert below is not None
            assert below <= level, f"{name} (level {level}) imports {imported} (level {below})"
            if level == 1 and below == 1:
                assert _package(imported) == _package(name), f"{name} imports {imported} sideways"


@pytest.mark.parametrize("path", SOURCES, ids=_name)
def test_a_heavy_library_has_one_door(path: Path) -> None:
    name = _name(path)
    for imported in _imports(path):
        library = imported.split(".")[0]
        assert library not in NEVER, f"{name} imports {library}"
        assert f"{name}.".startswith(DOORS.get(library, ("",))) or name.startswith(DOORS[library]), (
            f"{name} imports {library}; only {DOORS[library]} may"
        )
