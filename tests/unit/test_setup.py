"""`just setup` makes .venv once, updates it when a pin changes, and starts over when it was interrupted."""

import importlib.util
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


class Machine:
    """Record what setup does: the environments that it creates (cleared first or not) and its calls of pip."""

    def __init__(self, setup: ModuleType) -> None:
        self.setup = setup
        self.made: list[bool] = []
        self.installed = 0
        self.outcome: int | BaseException = 0

    def create(self, folder: Path, clear: bool, **_: Any) -> None:
        self.made.append(clear)
        folder.mkdir(exist_ok=True)

    def call(self, command: list[str]) -> int:
        self.installed += 1
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Give setup an empty folder with the two files, and replace what would install."""
    spec = importlib.util.spec_from_file_location("zenfront_setup", ROOT / ".ci/setup.py")
    assert spec
    assert spec.loader
    setup = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(setup)
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    for name, value in (("ROOT", tmp_path), ("VENV", tmp_path / ".venv"), ("STAMP", tmp_path / ".venv/stamp")):
        monkeypatch.setattr(setup, name, value)
    machine = Machine(setup)
    monkeypatch.setattr(setup.venv, "create", machine.create)
    monkeypatch.setattr(setup.subprocess, "call", machine.call)
    return machine


def test_it_is_done_once(machine: Machine) -> None:
    assert machine.setup.main() == 0
    assert machine.setup.main() == 0
    assert machine.installed == 1


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_it_is_brought_up_to_date_when_a_file_changes(name: str, machine: Machine, tmp_path: Path) -> None:
    machine.setup.main()
    (tmp_path / name).write_text("# changed\n", encoding="utf-8")
    machine.setup.main()
    assert machine.made == [False, False]
    assert machine.installed == 2


def test_another_interpreter_begins_anew(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment of two interpreters would load the libraries of the one into the other."""
    machine.setup.main()
    monkeypatch.setattr(machine.setup.sys, "base_prefix", "/opt/another")
    assert machine.setup.main() == 0
    assert machine.setup.main() == 0
    assert machine.made == [False, True]


def test_after_an_interruption_it_begins_anew(machine: Machine) -> None:
    machine.outcome = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        machine.setup.main()
    machine.outcome = 1
    assert machine.setup.main() == 1
    machine.outcome = 0
    assert machine.setup.main() == 0
    assert machine.made == [False, True, True]


def test_an_old_python_is_refused(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(machine.setup.sys, "version_info", (3, 10, 0))
    assert machine.setup.main() == 2
    assert "Python 3.11 or newer is needed" in capsys.readouterr().err
    assert machine.installed == 0
