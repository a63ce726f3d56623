"""The example of docs/own-training.md on Ray: killed with SIGKILL and resumed, with and without its checkpoint."""

import json
import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from zenfront import spaces
from zenfront.pipeline.cli.terminal.console import ConsoleView
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.config_file import load_experiment
from zenfront.pipeline.record.files.json_file import write_json
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.front import Front, Member
from zenfront.pipeline.results.stage_rows import Box
from zenfront.pipeline.stages.train.stage import train

pytestmark = pytest.mark.slow

GUIDE = (Path(__file__).parents[2] / "docs" / "own-training.md").read_text(encoding="utf-8")
EPOCHS = 4
KilledDriver = Callable[..., None]
OnThisRay = Callable[[Experiment], Experiment]
TrainHere = Callable[[Experiment, RunFolder], str]


def experiment_in(folder: Path, before: str = "", after: str = "") -> Experiment:
    """The experiment of the page, with a change of the function."""
    found = re.search(r"^```python\n# turned\.py\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    config = re.search(r"^```yaml\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    assert found
    assert config
    assert before in found[1]
    (folder / "turned.py").write_text(found[1].replace(before, after) if before else found[1], encoding="utf-8")
    (folder / "turned.yaml").write_text(config[1], encoding="utf-8")
    set_to = ["train.scheduler.name=successive_halving", "resources={device: cpu, train: {workers: 1}}"]
    return load_experiment(folder / "turned.yaml", set_to, allow_code=True)


def selection(path: Path, experiment: Experiment) -> RunFolder:
    """A run folder with three networks selected, each a fourfold of the one before in cost."""
    path.mkdir()
    space = spaces.load(experiment.space)
    found = [space.architecture(space.parse(":".join([str(8 * width)] * 5))) for width in (1, 2, 4)]
    members = tuple(
        Member(each, space.notation(each), {"zen": float(index), "flops": 4.0**index}, {})
        for index, each in enumerate(found)
    )
    front = Front(
        space=space.name,
        objectives=experiment.objectives,
        constraints=experiment.constraints,
        space_size=space.size,
        evaluations=len(found),
        infeasible=0,
        failures={},
        hypervolume=0.0,
        box=Box([0.0, 0.0], [1.0, 1.0]),
        members=members,
        selected=tuple(member.id for member in members),
        rule="crowding",
    )
    write_json(path / "front.json", front.to_row())
    return RunFolder(path)


def run(experiment: Experiment, folder: RunFolder) -> str:
    said = StringIO()
    with ConsoleView(Console(file=said, width=200)) as view:
        train(experiment, folder, view)
    return said.getvalue()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, train_here: TrainHere) -> RunFolder:
    """The run without an interruption, in this process."""
    place = tmp_path_factory.mktemp("whole")
    experiment = experiment_in(place)
    folder = selection(place / "run", experiment)
    train_here(experiment, folder)
    return folder


def test_the_error_falls_and_the_front_is_of_the_lowest(whole: RunFolder) -> None:
    content = json.loads(whole.trained.read_text())
    front, trials = content["front"], content["trials"]
    finished = [each for each in trials if each["status"] == "finished"]
    assert {each["status"] for each in trials} == {"stopped", "finished"}
    assert all(
        each["val_accuracy"] is None and set(each["values"]) == {"loss", "error", "test_error"} for each in trials
    )
    assert front["objectives"] == ["error", "flops"]
    assert front["direction"] == "minimise"
    by_id = {each["architecture"]: each for each in front["networks"]}
    assert all(by_id[run["architecture"]]["accuracy"] == run["values"]["test_error"] for run in finished)
    best = min(finished, key=lambda run: run["values"]["test_error"])
    assert {pick["name"]: pick["architecture"] for pick in front["picks"]}["most_accurate"] == best["architecture"]
    assert {pick["name"] for pick in front["picks"]} == {"most_accurate", "knee"}  # the noise of one seed is not known
    assert best["values"]["test_error"] < 25  # degrees; a guess of 0 is wrong by 45 on average


@pytest.mark.parametrize(
    "ignores", [pytest.param(False, id="resumes"), pytest.param(True, id="begins again", marks=pytest.mark.soak)]
)
def test_killed_and_resumed_it_gives_the_same_bytes(
    ignores: bool, whole: RunFolder, tmp_path: Path, killed_driver: KilledDriver, on_this_ray: OnThisRay
) -> None:
    """The driver is killed while a run is being trained; a function without a checkpoint begins again."""
    experiment = experiment_in(tmp_path, *(("if state.exists()", "if False") if ignores else ()))
    folder = selection(tmp_path / "run", experiment)
    killed_driver("train.stage:train", on_this_ray(experiment), folder, folder.epochs, 4)
    said = run(experiment, folder)
    assert "does not repeat itself" not in said
    assert folder.trained.read_bytes() == whole.trained.read_bytes()
