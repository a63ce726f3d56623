"""A wheel installs one name with everything that belongs to it; what is imported is declared."""

import ast
import email
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PARTS = ("zenfront", "pipeline", "spaces", "tune_configs", "pyproject.toml", "README.md", "LICENSE")
NAME = f"zenfront-{PROJECT['version']}"
BUILD = "import sys, setuptools.build_meta as backend; getattr(backend, sys.argv[1])(sys.argv[2])"
EVERYTHING = """
import importlib, pkgutil
from pathlib import Path
import zenfront
for module in pkgutil.walk_packages(zenfront.__path__, "zenfront."):
    importlib.import_module(module.name)
from zenfront import spaces
from zenfront.pipeline import algorithms, proxies, schedulers
from zenfront.pipeline.checks import check
from zenfront.pipeline.experiment.config_file import load_experiment
for registry in (spaces, algorithms, proxies, schedulers):
    assert [registry.load(name) for name in registry.names()]
names = sorted(path.stem for path in Path(zenfront.__path__[0], "tune_configs").glob("*.yaml"))
for name in names:
    check(load_experiment(name))
print(zenfront.__file__, *names)
"""


def _build(source: Path, kind: str, folder: Path) -> Path:
    """Build a ``wheel`` or ``sdist`` of a source folder, as pip does, with the setuptools that is installed."""
    folder.mkdir()
    subprocess.run([sys.executable, "-c", BUILD, f"build_{kind}", str(folder)], cwd=source, check=True)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source without what earlier builds have left in it."""
    copy = tmp_path_factory.mktemp("packaging") / "source"
    copy.mkdir()
    for name in PARTS:
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, copy)
        else:
            shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.fixture(scope="module")
def wheel(copy: Path) -> Path:
    return _build(copy, "wheel", copy.parent / "wheel")


@pytest.fixture(scope="module")
def sdist(copy: Path) -> Path:
    return _build(copy, "sdist", copy.parent / "sdist")


def _files(wheel: Path) -> set[str]:
    return set(ZipFile(wheel).namelist())


def test_a_wheel_has_one_name_and_every_file_below_it(copy: Path, wheel: Path) -> None:
    files = _files(wheel)
    assert {name.split("/")[0] for name in files} == {"zenfront", f"{NAME}.dist-info"}
    expected = {
        str((Path(folder) / name).relative_to(copy))
        for folder, _, names in os.walk(copy / "zenfront", followlinks=True)
        for name in names
    }
    assert len(expected) > 150
    assert {name for name in files if name.startswith("zenfront/")} == expected


@pytest.mark.slow
def test_an_installed_wheel_needs_no_other_name(wheel: Path, tmp_path: Path) -> None:
    """Import every module and read every registry beside foreign packages that have the names of our folders."""
    ZipFile(wheel).extractall(tmp_path / "site")
    for name in ("pipeline", "spaces", "tune_configs"):
        (tmp_path / "site" / name).mkdir()
        (tmp_path / "site" / name / "__init__.py").write_text(f"raise ImportError('{name} of another distribution')")
    done = subprocess.run(
        [sys.executable, "-c", EVERYTHING],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    where, *shipped = done.stdout.split()
    assert where == str(tmp_path / "site" / "zenfront" / "__init__.py")
    assert shipped == [path.stem for path in sorted((ROOT / "tune_configs").glob("*.yaml"))]


def test_a_wheel_made_from_the_source_distribution_is_the_same(wheel: Path, sdist: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    again = _build(tmp_path / NAME, "wheel", tmp_path / "wheel")
    assert _files(again) == _files(wheel)
    assert all(
        ZipFile(again).read(name) == ZipFile(wheel).read(name) for name in _files(wheel) if "dist-info" not in name
    )


def test_a_wheel_asks_for_what_the_project_declares(wheel: Path) -> None:
    metadata = email.message_from_bytes(ZipFile(wheel).read(f"{NAME}.dist-info/METADATA"))
    asked = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert sorted(map(_normalised, asked)) == sorted(map(_normalised, PROJECT["dependencies"]))


def _normalised(name: str) -> str:
    """Return the name of a distribution in a requirement, in the one spelling of PEP 503."""
    return re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", name)[0]).lower()


def _imported(path: Path) -> Iterator[str]:
    """Yield the top-level names of all absolute imports of a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.split(".")[0]


def _undeclared(declared: list[str], *patterns: str) -> list[str]:
    """Return ``file: name`` of every import of a package that is none of the declared ones."""
    files = [path for pattern in patterns for path in sorted(ROOT.glob(pattern))]
    owners, known = packages_distributions(), set(map(_normalised, declared))
    return [
        f"{path.relative_to(ROOT)}: {name}"
        for path in files
        for name in sorted(set(_imported(path)) - {"zenfront"} - sys.stdlib_module_names)
        if not path.with_name(f"{name}.py").exists()  # a script beside it
        and not {_normalised(owner) for owner in owners.get(name, [])} & known
    ]


def test_every_package_that_zenfront_imports_is_declared() -> None:
    assert _undeclared(PROJECT["dependencies"], "zenfront/*.py", "pipeline/**/*.py", "spaces/**/*.py") == []


def test_every_package_that_the_tests_import_is_declared() -> None:
    declared = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    assert _undeclared(declared, "tests/**/*.py", "benchmarks/**/*.py", ".ci/*.py") == []
