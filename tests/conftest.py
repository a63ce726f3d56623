"""Fixtures that several folders of tests share."""

import math
import os
import re
import textwrap
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from zenfront import spaces
from zenfront.pipeline.cli.app import main
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.objectives import losses, violations
from zenfront.pipeline.pareto import bounding_box, front_indices, normalised_hypervolume
from zenfront.pipeline.progress import TrialState
from zenfront.pipeline.record.files.json_file import write_json
from zenfront.pipeline.record.files.ledger import Ledger
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.front import Front
from zenfront.pipeline.results.stage_rows import Box, Epoch, Generation, Scores, Trained, TrainedRun, trial_name
from zenfront.pipeline.seeds import numpy_generator
from zenfront.spaces import Architecture

os.environ |= {  # of the processes that tests start
    "OMP_NUM_THREADS": "1",
    "RAY_worker_niceness": "0",  # with Ray's own 15 its workers starve beside anything else that computes
}
torch.set_num_threads(1)
# A slow example is no wrong one, and neither is one that was slow to draw.
settings.register_profile("loaded machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("loaded machine")

THREE = [("zen", "maximise"), ("ntk", "minimise"), ("flops", "minimise")]
FakeRun = Callable[..., tuple[Experiment, RunFolder]]
Zenfront = Callable[..., tuple[int, str, str]]


def _values(architecture: Architecture, rng: np.random.Generator) -> dict[str, float]:
    genes = {name: int(value) for name, value in architecture.genes}
    depth = 3 * sum(genes[f"d{i}"] for i in (1, 2, 3)) + 1
    params = float(sum(genes[f"d{i}"] * 4 * genes[f"w{i}"] ** 2 // genes[f"b{i}"] for i in (1, 2, 3)) + 160)
    flops = float(sum(genes[f"d{i}"] * 4 * genes[f"w{i}"] ** 2 // genes[f"b{i}"] * 4 ** (6 - i) for i in (1, 2, 3)))
    zen = 4 * math.log(params) - 20 + 0.6 * depth + float(rng.normal(0, 3))
    return {"zen": zen, "ntk": float(np.exp(rng.normal(3 + 0.05 * depth, 1))), "flops": flops, "params": params}


def _scores(rng: np.random.Generator, count: int, at_most: float) -> list[Scores]:
    space, found = spaces.load("anynet3"), dict[str, Scores]()
    while len(found) < count:
        architecture = space.sample(rng)
        values = _values(architecture, rng)
        if values["params"] > at_most:
            values = {"params": values["params"]}
        failed = rng.random() < 0.03
        found[architecture.id] = Scores(
            architecture,
            {} if failed else values,
            "ntk: Theta is singular to working precision" if failed else None,
            seed=0,
            seconds={"build": 0.01, "zen": 0.02},
        )
    return list(found.values())


def _generations(experiment: Experiment, scored: list[Scores], population: int) -> list[Generation]:
    objectives, constraints = experiment.objectives, experiment.constraints
    rows: list[Generation] = []
    box = None
    for generation, end in enumerate(range(population, len(scored) + 1, population)):
        told = scored[:end]
        loss, violation = losses(told, objectives), violations(told, constraints)
        front = loss[front_indices(loss, violation)]
        if box is None and len(front):
            box = Box(*bounding_box(front))
        best = {o.score: o.sign * float(front[:, i].min()) for i, o in enumerate(objectives) if len(front)}
        failures = sum(s.failure is not None for s in told)
        rows.append(
            Generation(
                generation=generation,
                evaluations=end,
                front=len(front),
                hypervolume=normalised_hypervolume(front, box.ideal, box.nadir) if box else 0.0,
                box=box,
                best=best,
                failures=failures,
                infeasible=int((violation > 0).sum()) - failures,
                seconds=2.5 * (generation + 1),
                rate=population / 2.5,
                time=1.8e9 + generation,
            )
        )
    return rows


def _train(experiment: Experiment, folder: RunFolder, front: Front) -> None:
    """Epochs and test results of the selected architectures: two seeds, one stopped and one diverged run."""
    rng = numpy_generator(0, "training")
    trials, rows = [], []
    for rank, architecture in enumerate(front.selected):
        ended: dict[int, TrialState] = {2: "stopped", 3: "diverged"}
        status: TrialState = ended.get(rank, "finished")
        for run_seed in experiment.train.seeds if status == "finished" else experiment.train.seeds[:1]:
            trial, epochs = trial_name(architecture, run_seed), experiment.train.epochs if status == "finished" else 3
            top = 0.9 - 0.03 * rank + float(rng.normal(0, 0.004))
            for epoch in range(1, epochs + 1):
                accuracy = top - 0.5 * math.exp(-epoch / 3)
                metrics = {"train_loss": 1 - accuracy, "val_loss": 1.1 - accuracy, "val_accuracy": accuracy}
                metrics |= {"learning_rate": 0.1, "seconds": 0.5}
                failed = status == "diverged" and epoch == epochs
                failure = "train_loss is not finite" if failed else None
                rows.append(Epoch(trial, epoch, {} if failed else metrics, failure, 1.8e9 + epoch).to_row())
            finished = status == "finished"
            tested = (top, top - 0.01 if finished else None, 0.4 if finished else None)
            failure = "train_loss is not finite" if status == "diverged" else None
            trials.append(TrainedRun(trial, architecture, run_seed, epochs, status, *tested, failure))
    with Ledger(folder.epochs) as ledger:
        ledger.append(rows)
    write_json(folder.trained, Trained(trials).to_row())


class _OneProcessForEachFile(LoadScopeScheduling):  # type: ignore[misc]
    """Run the tests of a file in one process, which makes its fixtures once.

    Tests with ``on_ray`` in their name all run in one process, where they share a session; several at once starve.
    Groups of pytest-xdist 3.8 would do the same, but they have no effect with pytest 9.2 (pytest-xdist issue 1386).
    """

    def _split_scope(self, nodeid: str) -> str:
        return "ray" if "on_ray" in nodeid else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Distribute the tests to the processes of `pytest --numprocesses`, in the order of the collection."""
    config.option.loadscopereorder = False
    return _OneProcessForEachFile(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the tests on Ray and with files of slow tests: no process is left with one when the others end."""
    if hasattr(config, "workerinput"):
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: ("on_ray" not in item.nodeid, item.path not in slow))


def _global_generators() -> tuple[Any, ...]:
    state = np.random.get_state(legacy=False)  # noqa: NPY002 - the one way to see that nobody uses it
    key, position = state["state"].values()
    return torch.get_rng_state().numpy().tobytes(), key.tobytes(), position, state["has_gauss"], state["gauss"]


@pytest.fixture(autouse=True)
def _global_generators_are_left_alone(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that draws from a global generator: randomness comes from `zenfront.pipeline.seeds`."""
    before = _global_generators()
    yield
    assert request.node.get_closest_marker("global_rng") or _global_generators() == before, (
        "a global generator was used"
    )


@pytest.fixture
def zenfront(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Zenfront:
    """Calls the console script in an empty folder: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    for name in ("ZENFRONT_RUNS", "RAY_ADDRESS", "ZENFRONT_STORAGE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)

    def call(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["zenfront", *words])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return call


@pytest.fixture
def fake_run(tmp_path: Path) -> FakeRun:
    """Makes run folders with random but plausible scores of anynet3: (name, ...) -> (experiment, folder)."""

    def make(
        name: str = "fake",
        *,
        count: int = 120,
        seed: int = 0,
        objectives: list[tuple[str, str]] | None = None,
        at_most: float = 1e6,
        **settings: Any,
    ) -> tuple[Experiment, RunFolder]:
        preferences = [{"score": s, "direction": d} for s, d in objectives or THREE]
        experiment = Experiment.model_validate(
            {
                "name": name,
                "space": "anynet3",
                "task": {"channels": 3, "height": 32, "width": 32, "classes": 10},
                "objectives": preferences,
                "constraints": [{"score": "params", "at_most": at_most}],
                "search": {"population": 24, "evaluations": max(count, 1)},
                "train": {"epochs": 9, "seeds": [0, 1]},
                "select": {"k": 6},
            }
            | settings
        )
        folder = RunFolder(tmp_path / "runs" / name)
        with folder.driving(experiment):
            scored = _scores(numpy_generator(seed, name), count, at_most)
            with Ledger(folder.scores) as ledger:
                ledger.append(s.to_row() for s in scored)
            with Ledger(folder.generations) as ledger:
                ledger.append(row.to_row() for row in _generations(experiment, scored, 24))
        return experiment, folder

    return make


@pytest.fixture
def fake_training() -> Callable[[Experiment, RunFolder, Front], None]:
    """Adds epochs and test results of the selected architectures: (experiment, folder, front)."""
    return _train


@pytest.fixture(scope="session")
def ray_session() -> Iterator[None]:
    """Ray on two processors, started once for all tests that need it; the stages keep a running one."""
    import_module("zenfront.pipeline.cluster.session")  # sets Ray's environment, and must do so before Ray is imported
    import ray

    settings = {"num_cpus": 2, "resources": {"device:phone": 1}, "include_dashboard": False, "log_to_driver": False}
    ray.init(address="local", logging_level="ERROR", **settings)
    yield
    ray.shutdown()


class Block(NamedTuple):
    """Code of a document between fences.

    Attributes:
        place: File and line, for messages.
        language: Word after the fence.
        text: The code.
        mark: Text of the comment before the block, such as ``not run: it takes minutes``.
        follows: Whether nothing but blank lines stands between this block and the one before.
    """

    place: str
    language: str
    text: str
    mark: str
    follows: bool


FENCED = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```[ \t]*$", re.MULTILINE | re.DOTALL)


def _blocks(path: Path) -> list[Block]:
    text, end, found = path.read_text(encoding="utf-8"), 0, []
    for match in FENCED.finditer(text):
        between = text[end : match.start()]
        mark = re.search(r"<!--\s*(.*?)\s*-->\s*\Z", between, re.DOTALL)
        place = f"{path.relative_to(Path(__file__).parents[1])}:{text.count(chr(10), 0, match.start()) + 1}"
        code = textwrap.dedent(match[3])
        found.append(Block(place, match[2].strip(), code, mark[1] if mark else "", end > 0 and not between.strip()))
        end = match.end()
    return found


@pytest.fixture(scope="session")
def blocks() -> Callable[[Path], list[Block]]:
    """Gives the blocks of code of a document."""
    return _blocks
