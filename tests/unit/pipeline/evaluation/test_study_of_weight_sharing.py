"""A study of weight sharing: rows of a ledger, instances, measures, page; wrong inputs have one message each."""

import csv
import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from zenfront.pipeline.analysis.weight_sharing.agreement import gt_tau
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.evaluation.weight_sharing.ground_truth import GroundTruth
from zenfront.pipeline.evaluation.weight_sharing.instances import EACH, LAST, MEAN, Arm, assemble
from zenfront.pipeline.evaluation.weight_sharing.measures import CEILING, FLOOR
from zenfront.pipeline.evaluation.weight_sharing.report import Study, metrics, write_report
from zenfront.pipeline.evaluation.weight_sharing.study import (
    measure_study,
    recorded_arms,
    recorded_rows,
)
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.progress import SearchProgress, TrialProgress
from zenfront.pipeline.record.copies.checkpoints import CheckpointCopies
from zenfront.pipeline.record.copies.storage import Storage
from zenfront.pipeline.record.files.ledger import Ledger
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.supernet_rows import SupernetStep
from zenfront.pipeline.stages.supernet.plan import Part, StudyPlan
from zenfront.pipeline.stages.supernet.stage import train_supernets
from zenfront.pipeline.stages.supernet.worker import SupernetTraining
from zenfront.pipeline.training import data
from zenfront.pipeline.training.data import Images


class Watcher:
    """A view that keeps what it is shown, and interrupts the work after some states."""

    def __init__(self, stop: int = 10**6) -> None:
        self.trials: list[TrialProgress] = []
        self.lines: list[str] = []
        self._stop = stop

    def search(self, progress: SearchProgress) -> None:
        """Ignore it."""

    def trial(self, progress: TrialProgress) -> None:
        self.trials.append(progress)
        if len(self.trials) == self._stop:
            raise KeyboardInterrupt

    def waiting(self, what: str) -> None:
        """Ignore it."""

    def notify(self, text: str) -> None:
        self.lines.append(text)


def _experiment(**supernet: Any) -> Experiment:
    settings: Mapping[str, Any] = {"alike": {"order": "fixed", "vary": "orders"}, "apart": {"groups": 2}}
    section = {"children": 8, "instances": 2, "last": 2, "recalibrate": 1, "settings": settings} | supernet
    return Experiment.model_validate(
        {
            "name": "sharing",
            "space": "supernet64",
            "task": {"channels": 1, "height": 8, "width": 8, "classes": 10},
            "objectives": [{"score": "params", "direction": "minimise"}],
            "train": {
                "data": {"source": "digits", "limit": 240},
                "recipe": {"batch_size": 24, "warmup_epochs": 0},
                "epochs": 2,
            },
            "supernet": section,
        }
    )


def _train(experiment: Experiment, folder: Path, view: Watcher | None = None) -> dict[str, list[SupernetStep]]:
    return train_supernets(StudyPlan(experiment), _images(experiment), RunFolder(folder), view or Watcher(), "serial")


def _images(experiment: Experiment) -> Images:
    return data.load(experiment.train.data, experiment.task, experiment.search.seed)


def _recorded(experiment: Experiment, folder: Path) -> list[Arm]:
    return recorded_arms(StudyPlan(experiment), _images(experiment), RunFolder(folder))


def _values(rows: Mapping[str, list[SupernetStep]]) -> dict[str, list[object]]:
    return {name: [(row.key, row.child, row.accuracy) for row in part] for name, part in rows.items()}


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[SupernetStep]]]:
    """The folder of a finished study that began with one instance, and the rows that it had then."""
    folder = tmp_path_factory.mktemp("supernet")
    begun = _train(_experiment(instances=1), folder)
    _train(_experiment(), folder)
    return folder, begun


@pytest.fixture(scope="module")
def finished(grown: tuple[Path, dict[str, list[SupernetStep]]]) -> Path:
    """The folder of a finished study."""
    return grown[0]


def _truth(plan: StudyPlan) -> GroundTruth:
    accuracy = np.array(
        [float(each["op_in_n1"] != "max_pool_3x3") + i / 10 for i, each in enumerate(plan.architectures)]
    )
    return GroundTruth(accuracy, np.full(len(accuracy), 0.1), "test_accuracy")


@pytest.fixture(scope="module")
def study(finished: Path) -> Study:
    plan = StudyPlan(_experiment())
    return measure_study(plan, _recorded(plan.experiment, finished), _truth(plan))


def test_an_interrupted_study_goes_on_to_the_same_record(finished: Path, tmp_path: Path) -> None:
    with Ledger(RunFolder(finished).supernet) as ledger:
        expected = [SupernetStep.from_row(row) for row in ledger.rows]
    for stop in (9, 25):  # the view is first shown all six parts
        with pytest.raises(KeyboardInterrupt):
            _train(_experiment(), tmp_path, Watcher(stop))
        with RunFolder(tmp_path).supernet.open("ab") as file:
            file.write(b'{"step":7,"kind":"sha')  # the line that was written when the process was killed
    view = Watcher()
    rows = _train(_experiment(), tmp_path, view)
    found = [row for part in rows.values() for row in part]
    assert sorted((r.part, r.key, r.accuracy) for r in found) == sorted((r.part, r.key, r.accuracy) for r in expected)
    assert view.lines[0].startswith("supernet: going on after")
    assert {trial.state for trial in view.trials} >= {"finished"}
    before = RunFolder(tmp_path).supernet.read_bytes()
    _train(_experiment(), tmp_path)
    assert RunFolder(tmp_path).supernet.read_bytes() == before


def test_a_worker_on_another_machine_continues_from_the_checkpoint(finished: Path, tmp_path: Path) -> None:
    storage, plan, notes = Storage((tmp_path / "storage").as_uri()), StudyPlan(_experiment()), list[str]()
    storage.write("driver.json", b"{}")

    def rows(machine: str, count: int | None) -> list[SupernetStep]:
        copies = CheckpointCopies(tmp_path / machine / "checkpoints", storage)
        training = SupernetTraining(plan, _images(plan.experiment), copies)
        return list(itertools.islice(training.rows(Part("alike", 0, 0), notes.append), count))

    first, second = rows("a", 2), rows("b", None)
    expected = [(r.key, r.accuracy) for r in recorded_rows(RunFolder(finished))["alike-0-0"]]
    assert [(r.key, r.accuracy) for r in second] == expected
    assert second[0] == first[0]  # with its seconds: it was not trained again
    assert sorted(storage.files()) == [
        "checkpoints/alike-0-0/000001.pt",
        "checkpoints/alike-0-0/000002.pt",
        "driver.json",
    ]
    assert notes == []


def test_more_instances_continue_a_study(grown: tuple[Path, dict[str, list[SupernetStep]]]) -> None:
    folder, begun = grown
    assert _values(begun).items() < _values(_train(_experiment(), folder)).items()


def test_instances_vary_as_their_setting_says() -> None:
    plan = StudyPlan(
        _experiment(settings={"seeds": {"vary": "seeds"}, "orders": {"vary": "orders"}, "both": {"vary": "both"}})
    )

    def different(setting: str) -> tuple[bool, bool]:
        first, second = (plan.course(Part(setting, instance, 0)) for instance in (0, 1))
        return first.seed != second.seed, first.order_seed != second.order_seed

    assert [different(name) for name in ("seeds", "orders", "both")] == [(True, False), (False, True), (True, True)]


def test_groups_are_joined_to_one_ranking(finished: Path) -> None:
    experiment = _experiment()
    plan = StudyPlan(experiment)
    rows = _train(experiment, finished)
    apart = next(arm for arm in assemble(plan, _images(experiment), rows) if arm.name == "apart")
    instance = apart.instances[1]
    groups = plan.groups("apart", 1)
    assert len(groups) == 2
    for number, group in enumerate(groups):
        own = [row for row in rows[f"apart-1-{number}"] if row.kind == "shared"]
        assert instance.accuracy[:, group].tolist() == [list(row.accuracy) for row in own]
        swa = next(row for row in rows[f"apart-1-{number}"] if row.kind == "swa")
        assert instance.rankings["SWA"][group].tolist() == list(swa.accuracy)
    assert instance.rankings[MEAN].tolist() == pytest.approx(instance.accuracy[-2:].mean(0).tolist())


def test_what_was_dropped_ranks_by_when(tmp_path: Path) -> None:
    experiment = _experiment(settings={"pruned": {"prune": {"every": 1, "fraction": 0.5}}}, instances=1, last=1)
    experiment = experiment.model_copy(update={"train": experiment.train.model_copy(update={"epochs": 4})})
    plan = StudyPlan(experiment)
    rows = _train(experiment, tmp_path)
    (arm,) = assemble(plan, _images(experiment), rows)
    final = arm.instances[0].rankings[LAST]
    left = [
        {i for i, v in enumerate(row.accuracy) if v is not None} for row in rows["pruned-0-0"] if row.kind == "shared"
    ]
    assert [len(each) for each in left] == [8, 4, 2, 1]
    for earlier, later in itertools.pairwise(left):
        assert max(final[list(earlier - later)]) < min(final[list(later)])


def test_all_measures_are_those_of_the_rankings(study: Study) -> None:
    assert study.truth is not None
    by_name = {(each.name, each.weights): each for each in study.measures}
    weights = [LAST, MEAN, "EMA", "SWA", "recalibrated BN"]
    expected = [(name, w) for name in ("alike", "apart") for w in [*weights, EACH]]
    assert list(by_name) == [*expected, (FLOOR, ""), (CEILING, "")]
    alike = study.arms[0]
    for name in weights:
        rankings = alike.rankings()[name]
        found = by_name["alike", name]
        assert found.gt_tau is not None
        assert found.s_tau is not None
        assert found.gt_tau.mean.value == pytest.approx(np.nanmean(gt_tau(rankings, study.truth.accuracy)))
        assert found.s_tau.mean.value == pytest.approx(gt_tau(rankings[:1], rankings[1])[0])
    last = by_name["alike", LAST].last_mean
    assert last is not None
    steps = np.array([gt_tau(each.accuracy[-2:], study.truth.accuracy).mean() for each in alike.instances])
    assert last.mean.value == pytest.approx(steps.mean())
    each = by_name["alike", EACH]
    assert each.gt_tau is not None
    assert each.s_tau is not None
    assert each.gt_tau.mean.value == pytest.approx(steps.mean())
    within = [gt_tau(instance.accuracy[-2:-1], instance.accuracy[-1])[0] for instance in alike.instances]
    assert each.s_tau.mean.value == pytest.approx(np.mean(within))
    assert metrics(study.measures)["gt_tau.alike.SWA"] == by_name["alike", "SWA"].gt_tau.mean.value  # type: ignore[union-attr]


def test_page_and_files(study: Study, tmp_path: Path) -> None:
    page = write_report(study, tmp_path).read_text(encoding="utf-8")
    for text in ("S-Tau", "mean of last k", "τ between all instances", "Ranking over the steps: apart", "ceiling"):
        assert text in page
    with (tmp_path / "supernet.rankings.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["architecture"] for row in rows] == study.names
    assert [float(row["alike 1 SWA"]) for row in rows] == pytest.approx(
        study.arms[0].instances[1].rankings["SWA"].tolist(), abs=1e-6
    )
    assert (tmp_path / "supernet.tau.png").stat().st_size > 10_000


def test_without_a_truth_instances_alone_are_compared(finished: Path) -> None:
    found = measure_study(StudyPlan(_experiment()), _recorded(_experiment(), finished), None)
    assert all(each.gt_tau is None and each.s_tau is not None for each in found.measures)
    assert not found.biases


@pytest.mark.parametrize(
    ("supernet", "message"),
    [
        ({"settings": {"few": {"groups": 4}, "odd": {"groups": 3}}}, r"setting 'odd' has \(children=8, groups=3\)"),
        ({"last": 64}, r"setting 'alike': supernet.last: .*\(last=64, steps=18\): 2 epochs of 9 mini-batches"),
        ({"genes": {"op": "max_pool_3x3"}}, r"supernet.genes: space 'supernet64' has no gene 'op'"),
        ({"children": 80}, r"supernet.children: at most 64 architectures .* but got 80"),
        ({"share": "not_cnv"}, r"no layer of space 'supernet64' is a 'cnv'"),
        ({"share": "some"}, r"supernet.share"),
        ({"settings": {"a/b": {}}}, r"names of settings must consist of letters"),
    ],
)
def test_wrong_settings(supernet: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises((UserError, ValueError), match=message):
        _train(_experiment(**supernet), tmp_path)


def test_all_architectures_are_taken_where_groups_do_not_divide(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"setting 'odd': supernet.groups: .*\(architectures=64, groups=3\)"):
        _train(_experiment(children=None, settings={"odd": {"groups": 3}}), tmp_path)


def test_nothing_recorded_cannot_be_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no instance of a supernet is complete: none is finished"):
        _recorded(_experiment(), tmp_path)


def test_spaces_without_shared_choices_are_refused(tmp_path: Path) -> None:
    experiment = _experiment().model_copy(update={"space": "regnet"})
    with pytest.raises(UserError, match="space 'regnet' has no shared choices"):
        _train(experiment, tmp_path)
    with pytest.raises(UserError, match=r"supernet.children: space 'nasbench201' has 15,625 architectures"):
        StudyPlan(_experiment(children=None).model_copy(update={"space": "nasbench201"})).architectures  # noqa: B018


def test_a_diverged_instance_is_left_out_with_its_reason(tmp_path: Path) -> None:
    experiment = _experiment(settings={"wild": {}})
    recipe = experiment.train.recipe.model_copy(update={"learning_rate": 1e30})
    wild = experiment.model_copy(update={"train": experiment.train.model_copy(update={"recipe": recipe})})
    _train(wild, tmp_path)
    with pytest.raises(UserError, match="no instance of a supernet is complete: training diverged"):
        _recorded(wild, tmp_path)
