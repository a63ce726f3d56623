"""The command line: help, lists, tables, and the stages on existing files."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer

from zenfront.pipeline.cli.app import app
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.config_file import to_yaml
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.stages.select import select

Zenfront = Callable[..., tuple[int, str, str]]
FakeRun = Callable[..., tuple[Experiment, RunFolder]]
STATES = ("finished", "stopped", "diverged")
JUSTFILE = Path(__file__).parents[2] / "Justfile"
COMMAND_LINE: Any = typer.main.get_command(app)


def every_command(command: Any, *words: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield all commands that do something, each with the words that call it."""
    inner = getattr(command, "commands", {})
    if not inner:
        yield words, command
    for name, below in inner.items():
        yield from every_command(below, *words, name)


def test_help_lists_every_command_with_what_it_does(zenfront: Zenfront) -> None:
    code, out, _ = zenfront("--help")
    listed = [line.split(maxsplit=1) for line in out.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()]
    assert code == 0
    assert {line[0] for line in listed} == set(COMMAND_LINE.commands)
    assert [line for line in listed if len(line) < 2 or line[1].endswith("...")] == []


def test_the_help_of_every_command_explains_it_and_every_option(zenfront: Zenfront) -> None:
    missing = []
    for words, command in every_command(COMMAND_LINE):
        code, out, _ = zenfront(*words, "--help")
        assert code == 0
        text = " ".join(out.split())
        parts = [(parameter.opts[-1], parameter.help) for parameter in command.params]
        parts += [("docstring", command.help), ("Example", command.epilog)]
        missing += [
            f"{' '.join(words)}: {name}"
            for name, said in parts
            if not said or " ".join(said.split()) not in text or (name.startswith("-") and name not in text)
        ]
    assert missing == []
    assert sum(1 for _ in every_command(COMMAND_LINE)) > 12


def test_the_help_of_run_says_that_it_is_the_whole_pipeline(zenfront: Zenfront) -> None:
    """Both `just run` and `just search` call it."""
    assert "whole pipeline: search, select, train, report" in zenfront("run", "--help")[1]
    recipes = dict(
        re.findall(r"^# (.*)\n\[no-exit-message\]\n(\w+) ", JUSTFILE.read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert {name for said, name in recipes.items() if "whole pipeline" in said} == {"run", "search"}


def test_the_help_needs_no_heavy_library() -> None:
    heavy = "('torch', 'ray', 'mlflow', 'pymoo')"
    script = f"import sys, zenfront.pipeline.cli.app; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "[]\n"


def test_spaces_are_listed_and_described(zenfront: Zenfront) -> None:
    assert "anynet3" in zenfront("spaces")[1]
    code, out, _ = zenfront("spaces", "anynet3", "--sample", "3", "--seed", "1")
    assert code == 0
    assert "Radosavovic" in out
    samples = out.splitlines()[-3:]
    assert len(set(samples)) == 3
    assert zenfront("spaces", "anynet3", "--sample", "3", "--seed", "1")[1].splitlines()[-3:] == samples


def test_proxies_are_listed_and_described(zenfront: Zenfront) -> None:
    listed = zenfront("proxies")[1]
    assert all(name in listed for name in ("zen", "ntk", "flops", "params", "depth"))
    described = zenfront("proxies", "zen")[1]
    assert "Algorithm 1" in described
    assert "alpha: 0.01" in described


def test_algorithms_are_listed_and_described(zenfront: Zenfront) -> None:
    listed = zenfront("algorithms")[1]
    rows = {line.split()[0]: line.split()[1] for line in listed.splitlines() if line.strip()}
    assert (rows["nsga2"], rows["nsga3"], rows["zennas"]) == ("1", "2", "1")
    assert "the oldest members are removed" in zenfront("algorithms", "regularized_evolution")[1]


def test_the_score_of_one_architecture_has_value_error_unit_and_seconds(zenfront: Zenfront) -> None:
    # By hand: stem 1*16*9 + 2*16; a block 1x1, 3x3 (g=8: 8*9 per channel), 1x1, projection, their norms; the head.
    def block(w_in: int, w: int) -> int:
        return w_in * w + w * 8 * 9 + w * w + w_in * w + 4 * 2 * w

    params = 16 * 9 + 32 + block(16, 8) + block(8, 16) + block(16, 24) + 24 * 10 + 10
    genes = ",".join(f"d{i}=1,w{i}={8 * i},b{i}=1,g{i}=8" for i in (1, 2, 3))
    words = ("score", "smoke", "--architecture", genes, "--proxies", "params,zen", "--repeats", "2")
    code, out, err = zenfront(*words)
    assert (code, err) == (0, "")
    first, second = (line.split() for line in out.splitlines()[2:])
    assert first[:4] == ["params", f"{params:,}", "-", "parameters"]
    assert second[0] == "zen"
    assert second[3] == "nats"
    assert float(second[2]) > 0
    assert float(second[4]) > 0
    assert zenfront(*words)[1].splitlines()[3].split()[:3] == second[:3]


def test_show_writes_every_default_and_the_overrides(zenfront: Zenfront) -> None:
    code, out, _ = zenfront("config", "show", "smoke", "--set", "search.seed=11")
    assert code == 0
    assert "  seed: 11\n" in out
    assert "  lookahead: 1\n" in out


def test_select_runs_on_the_files_of_a_search(zenfront: Zenfront, fake_run: FakeRun) -> None:
    _, folder = fake_run("mine")
    code, out, err = zenfront("select", "mine")
    assert (code, err) == (0, "")
    assert folder.front.exists()
    assert "Pareto front:" in out
    assert "zen ↑" in out
    assert "ntk ↓" in out


def test_a_finished_run_says_so_and_shows_its_results(
    zenfront: Zenfront, fake_run: FakeRun, fake_training: Callable[..., None], tmp_path: Path
) -> None:
    experiment, folder = fake_run("smoke")
    fake_training(experiment, folder, select(experiment, folder))
    assert zenfront("report", "smoke") == (0, "Report: runs/smoke/report/index.html\n", "")
    before = {path: path.stat().st_mtime_ns for path in folder.path.rglob("*.json*") if path != folder.config}
    (tmp_path / "mine.yaml").write_text(to_yaml(experiment), encoding="utf-8")
    code, out, err = zenfront("run", "mine.yaml")
    assert (code, err) == (0, "")
    assert "finished already, nothing left to do" in out
    table = out.partition("Trained: 6 architectures")[2].splitlines()[2:8]
    outcomes = [next(word for word in line.split() if word in STATES) for line in table]
    assert sorted(outcomes) == ["diverged", "finished", "finished", "finished", "finished", "stopped"]
    assert all("±" in line for line in table if "finished" in line)
    assert not any("●" in line for line in table if "finished" not in line)
    flops = [float(line.removeprefix("●").split()[1].replace(",", "")) for line in table]
    assert flops == sorted(flops)
    assert sum("most accurate" in line for line in table) == 1
    assert re.search(r"^[0-9a-f]{16} reaches [0-9.]+ ± [0-9.]+ % at [0-9.,]+ M multiply-adds, ", out, re.MULTILINE)
    assert "runs/smoke/scores.jsonl" in out
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_two_runs_are_compared(zenfront: Zenfront, fake_run: FakeRun) -> None:
    for name in ("first", "second"):
        select(*fake_run(name))
    code, out, err = zenfront("report", "first", "second")
    assert (code, err) == (0, "")
    assert Path(out.removeprefix("Report: ").strip()).exists()
