from collections.abc import Callable

from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.files.ledger import Ledger
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.run_record import Run, RunRecord
from zenfront.pipeline.results.front import Front
from zenfront.pipeline.stages.select import select

FakeRun = Callable[..., tuple[Experiment, RunFolder]]
FakeTraining = Callable[[Experiment, RunFolder, Front], None]


def test_a_run_that_has_only_been_searched(fake_run: FakeRun) -> None:
    experiment, folder = fake_run(count=48)
    record = RunRecord.read(folder)
    assert record.experiment == experiment
    assert [row.generation for row in record.generations] == [0, 1]
    assert (record.front, record.members, record.epochs, record.trained) == (None, (), [], [])


def test_an_epoch_that_is_recorded_again_counts_once(fake_run: FakeRun, fake_training: FakeTraining) -> None:
    experiment, folder = fake_run(count=48)
    fake_training(experiment, folder, select(experiment, folder))
    once = RunRecord.read(folder)
    with Ledger(folder.epochs) as ledger:
        ledger.append([ledger.rows[0] | {"time": 9e9}])
    assert RunRecord.read(folder).epochs == once.epochs


def test_trials_come_in_the_order_of_the_seeds_and_only_finished_ones_were_tested(
    fake_run: FakeRun, fake_training: FakeTraining
) -> None:
    experiment, folder = fake_run(count=48, train={"epochs": 9, "seeds": [7, 3]})
    front = select(experiment, folder)
    fake_training(experiment, folder, front)
    record = RunRecord.read(folder)
    first, stopped = front.selected[0], front.selected[2]
    assert [run.seed for run in record.runs_of(first)] == [7, 3]
    assert len(record.test_accuracies(first)) == 2
    assert record.test_accuracies(stopped) == []
    assert [epoch.epoch for epoch in record.curves()[Run(first, 3)]] == list(range(1, 10))
