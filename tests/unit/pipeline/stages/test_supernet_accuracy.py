"""The score `supernet_accuracy`: a supernet that is trained once before the search, and the accuracy of its paths."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ray import cloudpickle

from zenfront.pipeline.checks import check, check_data
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.progress import SearchProgress, TrialProgress
from zenfront.pipeline.record.files.ledger import read_values
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.results.supernet_rows import SupernetStep
from zenfront.pipeline.scoring import Scoring
from zenfront.pipeline.stages.search.stage import score_given, search
from zenfront.pipeline.stages.supernet.plan import score_plan
from zenfront.pipeline.stages.supernet.score import share_weights
from zenfront.pipeline.supernet.supernet import Supernet
from zenfront.pipeline.training import checkpoint, data
from zenfront.pipeline.training.loop import evaluate
from zenfront.spaces import load


class Watcher:
    """A view that interrupts the work after some states of trainings."""

    def __init__(self, stop: int = 10**6) -> None:
        self.lines: list[str] = []
        self._left = stop

    def search(self, progress: SearchProgress) -> None:
        """Ignore it."""

    def trial(self, progress: TrialProgress) -> None:
        self._left -= 1
        if not self._left:
            raise KeyboardInterrupt

    def waiting(self, what: str) -> None:
        """Ignore it."""

    def notify(self, text: str) -> None:
        self.lines.append(text)


def _experiment(supernet: dict[str, Any] | None = None, **changes: Any) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "shared",
            "space": "supernet64",
            "task": {"channels": 1, "height": 8, "width": 8, "classes": 10},
            "objectives": [
                {"score": "supernet_accuracy", "direction": "maximise"},
                {"score": "params", "direction": "minimise"},
            ],
            "search": {"evaluations": 12, "population": 6, "batch": 16, "algorithm": "random"},
            "select": {"k": 2},
            "train": {
                "data": {"source": "digits", "limit": 300},
                "recipe": {"batch_size": 24, "warmup_epochs": 0},
                "epochs": 3,
            },
            "resources": {"device": "cpu"},
            "supernet": {"children": 24, "norm": {"momentum": 0.4, "affine": False}} | (supernet or {}),
        }
        | changes
    )


def _searched(experiment: Experiment, path: Path, view: Watcher | None = None) -> dict[str, Scores]:
    folder = RunFolder(path)
    with folder.driving(experiment):
        search(experiment, folder, view or Watcher(), "serial")
    return {row.architecture.id: row for row in read_values(folder.scores, Scores.from_row)}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Scores]]:
    """A folder with a finished search, and its scores."""
    folder = tmp_path_factory.mktemp("runs") / "shared"
    return folder, _searched(_experiment(), folder)


def test_the_score_is_the_accuracy_of_the_path(run: tuple[Path, dict[str, Scores]]) -> None:
    folder, scored = run
    experiment = _experiment()
    plan = score_plan(experiment)
    stored = checkpoint.read(folder / "checkpoints/supernet-0-0/000003.pt")
    assert stored is not None
    supernet = Supernet(load("supernet64"), experiment.task, plan.architectures, plan.config.norm)
    supernet.to_empty(device="cpu").load_state_dict(stored["state"]["supernet"])
    images = data.load(experiment.train.data, experiment.task, 0)
    for row in scored.values():
        network = supernet.path(row.architecture).eval()
        assert row.values["supernet_accuracy"] == evaluate(network, images.validation, images).accuracy
    assert not {row.architecture for row in scored.values()} <= set(plan.architectures)
    assert len({row.values["supernet_accuracy"] for row in scored.values()}) > 1


def test_a_worker_scores_with_what_it_is_sent(run: tuple[Path, dict[str, Scores]]) -> None:
    experiment = _experiment()
    with RunFolder(run[0]).driving(experiment):
        shared = share_weights(experiment, RunFolder(run[0]), Watcher(), "serial")
    scoring = replace(Scoring.of(experiment), shared=shared)
    first = next(iter(run[1].values()))
    scoring.score(first.architecture)  # the supernet that it builds stays here
    sent = cloudpickle.dumps(scoring)
    assert cloudpickle.loads(sent).score(first.architecture).values == first.values
    assert len(sent) < 3 * len(cloudpickle.dumps(shared))


def test_an_interrupted_training_goes_on_to_the_same_scores(
    run: tuple[Path, dict[str, Scores]], tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        _searched(_experiment(), tmp_path / "shared", Watcher(stop=2))
    steps = [row.step for row in read_values(tmp_path / "shared/supernet.jsonl", SupernetStep.from_row)]
    assert steps == [11]
    view = Watcher()
    again = _searched(_experiment(), tmp_path / "shared", view)
    assert {key: row.values for key, row in again.items()} == {key: row.values for key, row in run[1].items()}
    assert view.lines[0].startswith("supernet: going on after 1 evaluation")


def test_a_supernet_is_trained_once_and_changes_no_other_score(run: tuple[Path, dict[str, Scores]]) -> None:
    folder, scored = run
    before = (folder / "supernet.jsonl").read_bytes()
    with_zen = _experiment(
        objectives=[*_experiment().model_dump()["objectives"], {"score": "zen", "direction": "maximise"}]
    )
    given = [row.architecture for row in scored.values()][:3]
    with RunFolder(folder).driving(with_zen, score_by_score=True):
        rows = score_given(with_zen, RunFolder(folder), Watcher(), given, "serial")
    assert (folder / "supernet.jsonl").read_bytes() == before
    assert [row.values["supernet_accuracy"] for row in rows] == [
        scored[each.id].values["supernet_accuracy"] for each in given
    ]


def test_what_a_supernet_depends_on_cannot_change(run: tuple[Path, dict[str, Scores]]) -> None:
    longer = {**_experiment().train.model_dump(), "epochs": 4}
    for changed in (_experiment({"order": "fixed"}), _experiment(train=longer)):
        with pytest.raises(UserError, match=r"supernet\.order|train\.epochs"), RunFolder(run[0]).driving(changed):
            pass


def test_an_architecture_with_a_layer_that_was_not_trained_has_no_score(tmp_path: Path) -> None:
    experiment = _experiment({"children": 2, "genes": {"op_in_n1": "max_pool_3x3"}})
    scored = _searched(experiment, tmp_path / "few").values()
    assert any("the supernet has no weights for" in (row.failure or "") for row in scored)
    assert all(row.values for row in scored if row.architecture in score_plan(experiment).architectures)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": "regnet", "supernet": {}}, r"supernet_accuracy: space 'regnet' has no shared choices"),
        ({"supernet": {"groups": 2}}, r"supernet_accuracy: supernet.groups: .* one supernet that has weights for all"),
        ({"supernet": {"settings": {"a": {}, "b": {}}}}, r"supernet_accuracy: supernet.settings: "),
        ({"supernet": {"share": "first_1"}}, r"supernet_accuracy: supernet.share: "),
        (
            {"space": "nasbench201", "supernet": {}},
            r"supernet.children: space 'nasbench201' has 15,625 architectures",
        ),
        (
            {"supernet": {"ema": 0}, "proxies": {"supernet_accuracy": {"weights": "ema"}}},
            r"supernet.ema: proxies.supernet_accuracy.weights='ema' needs it above 0",
        ),
        ({"proxies": {"supernet_accuracy": {"weights": "best"}}}, r"proxies.supernet_accuracy.weights"),
    ],
)
def test_wrong_supernets_are_refused_before_anything(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        check(_given(changes))


def _given(changes: dict[str, Any]) -> Experiment:
    return Experiment.model_validate({**_experiment().model_dump(mode="json", exclude={"code"}), **changes})


def test_a_warm_up_that_is_longer_than_the_supernet_is_refused() -> None:
    train = _experiment().train.model_dump()
    longer = _experiment({"epochs": 1}, train=train | {"recipe": train["recipe"] | {"warmup_epochs": 2}})
    with pytest.raises(UserError, match=r"`warmup_epochs <= epochs` must hold for the supernet"):
        check_data(longer)


def test_averaged_weights(tmp_path: Path) -> None:
    changes: dict[str, Any] = {"proxies": {"supernet_accuracy": {"weights": "swa"}}}
    experiment = _given(changes | {"search": {"evaluations": 4, "population": 4, "batch": 16, "algorithm": "random"}})
    _searched(experiment, tmp_path / "averaged")
    rows = read_values(tmp_path / "averaged/supernet.jsonl", SupernetStep.from_row)
    assert rows[-1].kind == "swa"
    members = score_plan(experiment).architectures[: len(rows[-1].accuracy)]
    known = {a.id: accuracy for a, accuracy in zip(members, rows[-1].accuracy, strict=True) if accuracy is not None}
    assert len(known) == 8
    given = [a for a in members if a.id in known]
    with RunFolder(tmp_path / "averaged").driving(experiment):
        found = score_given(experiment, RunFolder(tmp_path / "averaged"), Watcher(), given, "serial")
    assert [row.values["supernet_accuracy"] for row in found] == [known[a.id] for a in given]
