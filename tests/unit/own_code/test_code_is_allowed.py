"""Code that an experiment names runs only after it was named on the command line."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zenfront as zf
from zenfront import spaces
from zenfront.pipeline import proxies, user_code
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.config_file import load_experiment, with_overrides
from zenfront.pipeline.record.run_folder import RunFolder

Zenfront = Callable[..., tuple[int, str, str]]
MARK = "from pathlib import Path; Path(__file__).with_suffix('.ran').touch()\n"


@pytest.fixture
def marking(own: tuple[Path, ...]) -> Path:
    """The configuration; its files leave a mark when they run."""
    for file in own[1:]:
        file.write_text(MARK + file.read_text())
    return own[0]


def ran(config: Path) -> list[str]:
    return sorted(file.name for file in config.parent.glob("*.ran"))


COMMANDS = [
    ["config", "check", "CONFIG"],
    ["run", "CONFIG"],
    ["search", "CONFIG"],
    ["score", "CONFIG", "--architecture", "w1=1,w2=2"],
    ["correlate", "CONFIG", "--train", "12"],
    ["regret", "CONFIG", "--train", "12"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words[:2]))
def test_nothing_runs_before_it_is_allowed(command: list[str], marking: Path, zenfront: Zenfront) -> None:
    code, out, err = zenfront(*[str(marking) if word == "CONFIG" else word for word in command])
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert "slope.py" in err
    assert "--allow-code" in err
    assert ran(marking) == []


@pytest.mark.parametrize("command", ["run", "search", "select", "train", "report", "sync"])
def test_nothing_of_a_run_folder_from_elsewhere_runs(command: str, marking: Path, zenfront: Zenfront) -> None:
    with RunFolder(Path("runs/mine")).driving(load_experiment(marking)):
        pass
    code, _, err = zenfront(command, "runs/mine" if command in ("run", "search") else "mine")
    assert code == 2
    assert "--allow-code" in err
    assert ran(marking) == []


def test_a_record_cannot_allow_itself(marking: Path) -> None:
    stored = load_experiment(marking).model_dump(mode="json")
    assert [set(each) for each in stored["code"]] == 2 * [{"kind", "name", "attribute", "file", "source", "module"}]
    for each in stored["code"]:
        each["allowed"] = True
    with pytest.raises(ValueError, match="allowed"):
        Experiment.model_validate(stored)


def test_showing_an_experiment_runs_nothing(marking: Path, zenfront: Zenfront) -> None:
    code, out, _ = zenfront("config", "show", str(marking))
    assert code == 0
    assert f"space: {marking.parent / 'chain.py'}:SPACE" in out
    assert ran(marking) == []


def test_config_check_says_what_it_allowed(marking: Path, zenfront: Zenfront) -> None:
    code, out, _ = zenfront("config", "check", str(marking), "--allow-code", "--no-data")
    assert code == 0
    assert [line.split(", content ")[0].removeprefix(f"{marking}: ") for line in out.splitlines()] == [
        f"spaces.chain is {marking.parent / 'chain.py'}:SPACE",
        f"proxies.slope is {marking.parent / 'slope.py'}:PROXY",
        "ok",
    ]
    assert ran(marking) == ["chain.ran", "slope.ran"]


def test_a_path_on_the_command_line_is_allowed_and_no_other(marking: Path, zenfront: Zenfront) -> None:
    folder = marking.parent
    code, _, err = zenfront("config", "check", str(marking), "--set", f"space={folder / 'chain.py'}")
    assert code == 2
    assert "chain.py" not in err
    assert "slope.py" in err
    assert ran(marking) == []
    code, out, _ = zenfront("spaces", str(folder / "chain.py"), "--sample", "1")
    assert code == 0
    assert "chain: 36 points" in out
    code, out, _ = zenfront("proxies", str(folder / "slope.py"))
    assert "Mean absolute gradient" in out
    assert "factor: 1" in out
    assert ran(marking) == ["chain.ran", "slope.ran"]


def test_a_score_can_be_taken_with_files_that_the_command_line_names(own: tuple[Path, ...], zenfront: Zenfront) -> None:
    wanted = ["--space", str(own[1]), "--proxies", f"{own[2]},flops", "--architecture", "w1=1,w2=2"]
    code, out, err = zenfront("score", "quickstart", *wanted)
    assert code == 0, err
    assert [line.split()[0] for line in out.splitlines()[2:]] == ["slope", "flops"]


def test_a_change_of_an_allowed_file_is_not_allowed(marking: Path) -> None:
    experiment = load_experiment(marking, allow_code=True)
    assert spaces.load("chain", experiment.code).size == 36
    (marking.parent / "chain.py").write_text("raise SystemExit(1)")
    changed = load_experiment(marking)
    with pytest.raises(UserError, match=r"chain\.py.*--allow-code"):
        spaces.load("chain", changed.code)


def test_a_worker_runs_what_its_driver_was_allowed_to_run(marking: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = load_experiment(marking)
    refused = pickle.dumps(experiment)
    user_code.allow(experiment.code)
    allowed = pickle.dumps(experiment)
    for content, runs in ((refused, False), (allowed, True)):
        monkeypatch.setattr(user_code, "_allowed", set())
        there = pickle.loads(content)
        if runs:
            assert proxies.load("slope", there.code).name == "slope"
        else:
            with pytest.raises(UserError, match="--allow-code"):
                proxies.load("slope", there.code)


def test_an_override_of_a_stored_experiment_reads_no_reference_in_it(marking: Path) -> None:
    """A record holds names; a path in it is not followed, whoever wrote it there."""
    stored = load_experiment(marking).model_copy(update={"space": str(marking.parent / "chain.py")})
    with pytest.raises(UserError, match=r"space: there is no search space named '/"):
        with_overrides(stored, ["search.population=5"])
    assert ran(marking) == []


def test_python_runs_nothing_before_it_is_allowed(marking: Path, tmp_path: Path) -> None:
    options: Any = {"backend": "serial", "runs": tmp_path / "runs", "tracking": False, "progress": False}
    with pytest.raises(UserError, match="allow_code=True"):
        zf.search(marking, **options)
    assert ran(marking) == []
    run = zf.search(marking, allow_code=True, **options)
    assert list(run.scores()["architecture"].head(1).str.match(r"w1=\d,w2=\d")) == [True]
    assert (run.scores()["slope"] > 0).all()


def test_a_run_from_elsewhere_is_opened_and_runs_nothing(marking: Path, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs" / "mine")
    with folder.driving(load_experiment(marking)):
        pass
    with pytest.raises(UserError, match="allow_code=True"):
        zf.open_run(folder.path).scores()
    assert ran(marking) == []
    assert len(zf.open_run(folder.path, allow_code=True).scores()) == 0
