"""Imports go down only, without a circle; heavy libraries stay behind one door each."""

import ast
from collections.abc import Iterator
from functools import cache
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
# The longest prefix that fits gives the floor; a module of `pipeline` that is not listed fails.
FLOORS = {
    "zenfront.pipeline.cli": 4,
    "zenfront.pipeline.checks": 3,
    "zenfront.pipeline.code_checks": 3,
    "zenfront.pipeline.cluster": 3,
    "zenfront.pipeline.stages": 3,
    "zenfront.pipeline.evaluation": 3,
    "zenfront.pipeline.distillation": 3,
    "zenfront.pipeline.export": 3,
    "zenfront.pipeline.plots": 3,
    "zenfront.pipeline.tracking": 3,
    "zenfront.pipeline.foreign": 2,
    "zenfront.pipeline.given_batch": 2,
    "zenfront.pipeline.measurement": 2,
    "zenfront.pipeline.scoring": 2,
    "zenfront.pipeline.structure": 2,
    "zenfront.pipeline.supernet": 2,
    "zenfront.pipeline.record": 2,
    "zenfront.pipeline.training": 2,
    "zenfront.pipeline.experiment": 1,
    "zenfront.pipeline.proxies": 1,
    "zenfront.pipeline.algorithms": 1,
    "zenfront.pipeline.schedulers": 1,
    "zenfront.pipeline.analysis": 1,
    "zenfront.pipeline.device": 0,
    "zenfront.pipeline.errors": 0,
    "zenfront.pipeline.formats": 0,
    "zenfront.pipeline.objectives": 0,
    "zenfront.pipeline.pareto": 0,
    "zenfront.pipeline.progress": 0,
    "zenfront.pipeline.ranking": 0,
    "zenfront.pipeline.registry": 0,
    "zenfront.pipeline.results": 0,
    "zenfront.pipeline.seeds": 0,
    "zenfront.pipeline.user_code": 0,
    "zenfront.pipeline.wording": 0,
    "zenfront.spaces": 0,
}
FACE = 5
STAGES = ("search", "select", "train", "report")
# The modules that may import a library, by the beginning of their names.
DOORS = {
    "ray": ("zenfront.pipeline.cluster", "zenfront.pipeline.stages.", "zenfront.spaces._space"),
    "mlflow": ("zenfront.pipeline.tracking.",),
    "rich": ("zenfront.pipeline.cli.terminal.console",),
    "typer": ("zenfront.pipeline.cli.",),
    "datasets": ("zenfront.pipeline.training.",),
    "kornia": ("zenfront.pipeline.training.",),
}
NEVER = ("timm", "torchvision", "pipeline", "spaces", "tune_configs")


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts if parts[0] == "zenfront" else ("zenfront", *parts)).removesuffix(".__init__")


MODULES = {_name(path): path for path in SOURCES}


@cache
def _imports(name: str) -> tuple[str, ...]:
    """Dotted names of all imports of a module; `from a import b` is a.b if that is a module, else a."""
    return tuple(_imported(ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))), name))


def _imported(nodes: Iterator[ast.AST], name: str) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}: imports are absolute"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else str(node.module)


def _own(name: str) -> list[str]:
    return [imported for imported in _imports(name) if imported in MODULES and imported != "zenfront"]


def _floor(name: str) -> int | None:
    parts = name.split(".")
    prefixes = (".".join(parts[:length]) for length in range(len(parts), 1, -1))
    return next((FLOORS[prefix] for prefix in prefixes if prefix in FLOORS), FACE if _face(name) else None)


def _face(name: str) -> bool:
    return not name.startswith(("zenfront.pipeline", "zenfront.spaces"))


def _room(name: str) -> str:
    return ".".join(name.split(".")[:3])


def test_every_module_has_a_floor() -> None:
    assert [name for name in MODULES if name != "zenfront.pipeline" and _floor(name) is None] == []


def test_imports_go_down() -> None:
    up = [
        f"{name} imports {imported}"
        for name in MODULES
        for imported in _own(name)
        if (_floor(name) or 0) < (_floor(imported) or 0)
    ]
    assert up == []


def test_the_rooms_of_the_first_floor_do_not_know_each_other() -> None:
    sideways = [
        f"{name} imports {imported}"
        for name in MODULES
        for imported in _own(name)
        if _floor(name) == _floor(imported) == 1 and _room(name) != _room(imported)
    ]
    assert sideways == []


def test_between_stages_there_is_only_a_file() -> None:
    def stage(name: str) -> str | None:
        return next((s for s in STAGES if f"{name}.".startswith(f"zenfront.pipeline.stages.{s}.")), None)

    crossing = [
        f"{name} imports {imported}"
        for name in MODULES
        for imported in _own(name)
        if stage(name) and stage(imported) and stage(name) != stage(imported)
    ]
    assert crossing == []


def test_no_imports_form_a_circle() -> None:
    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            new = set(_own(waiting.pop())) - seen
            seen |= new
            waiting.extend(new)
        return seen

    assert [name for name in MODULES if name in reached(name)] == []


def test_a_heavy_library_has_one_door() -> None:
    def allowed(name: str, library: str) -> bool:
        doors = DOORS.get(library)
        return library not in NEVER and (doors is None or f"{name}.".startswith(doors))

    through_walls = [
        f"{name} imports {imported}"
        for name in MODULES
        for imported in _imports(name)
        if not allowed(name, imported.split(".")[0])
    ]
    assert through_walls == []


def test_tests_and_benchmarks_import_the_installed_name() -> None:
    files = [*ROOT.glob("tests/**/*.py"), *ROOT.glob("benchmarks/**/*.py"), *ROOT.glob(".ci/*.py")]
    wrong = [
        f"{path.relative_to(ROOT)}: {imported}"
        for path in files
        for imported in _imported(ast.walk(ast.parse(path.read_text(encoding="utf-8"))), str(path))
        if imported.split(".")[0] in ("pipeline", "spaces", "tune_configs")
    ]
    assert wrong == []
