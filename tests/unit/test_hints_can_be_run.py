"""Every command that a message prints can be run as printed: it finds the run that the message is about."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from zenfront.pipeline.cli.run_commands import RunCommands
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.commands import command, ui_command
from zenfront.pipeline.record.run_folder import RunFolder

FakeRun = Callable[..., tuple[Experiment, RunFolder]]
Zenfront = Callable[..., tuple[int, str, str]]


def _hints(text: str) -> list[list[str]]:
    """Return the commands in a text, as words after `zenfront`."""
    quoted = re.findall(r"`(zenfront [^`]*)`", text) + re.findall(r": (zenfront [^`\n]*)$", text, re.MULTILINE)
    return [shlex.split(each)[1:] for each in quoted]


def _runs_there(zenfront: Zenfront, found: list[tuple[str, RunFolder]], text: str, folder: RunFolder) -> list[str]:
    """Run the hints of a text; return their verbs, after a check that each finds the run."""
    hints = _hints(text)
    for words in hints:
        if words[0] == "report":
            assert zenfront(*words)[0] == 0
        elif words[0] != "ui":
            code, _, err = zenfront(*words)
            assert (code, err) == (0, "")
            verb, where = found.pop()
            assert (verb, where.path.resolve()) == (words[0], folder.path.resolve())
    return [words[0] for words in hints]


@pytest.mark.parametrize("runs", ["runs", "my runs"])
def test_hints_after_a_stage_and_in_refusals(
    fake_run: FakeRun, zenfront: Zenfront, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, runs: str
) -> None:
    _, folder = fake_run("fake")
    if runs != "runs":
        folder.path.parent.rename(tmp_path / runs)
        folder = RunFolder(tmp_path / runs / "fake")
    there = () if runs == "runs" else ("--runs", runs)
    _, _, refused = zenfront("report", "fake", *there)
    code, selected, _ = zenfront("select", "fake", *there)
    assert code == 0
    _, _, other = zenfront("search", "fake", "--set", "search.seed=9", *there)
    done: list[tuple[str, RunFolder]] = []
    monkeypatch.setattr(RunCommands, "do", lambda self, verb: done.append((verb, self.folder)))
    assert _runs_there(zenfront, done, refused, folder) == ["select"]
    assert _runs_there(zenfront, done, selected, folder) == ["train"]
    assert _runs_there(zenfront, done, other, folder) == ["train"]


def test_a_command_keeps_the_options_that_the_run_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ZENFRONT_RUNS", raising=False)
    monkeypatch.setattr("sys.argv", ["zenfront", "search", "x", "--address", "auto"])
    assert command("select", Path("runs/x")) == "`zenfront select x`"
    assert command("train", tmp_path / "runs" / "x") == "`zenfront train x --address auto`"
    assert command("sync", Path("my runs/x")) == "`zenfront sync x --runs 'my runs'`"
    monkeypatch.setenv("ZENFRONT_RUNS", "my runs")
    assert command("sync", Path("my runs/x")) == "`zenfront sync x`"


def test_just_is_named_in_a_clone_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ZENFRONT_RUNS", raising=False)
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")
    assert ui_command(Path("other")) == "zenfront ui --runs other"
    Path("Justfile").write_text("ui:\n")
    assert ui_command(Path("runs")) == "just ui"
