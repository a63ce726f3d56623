"""What is exported of a run: the network that is meant, with the weights that were tested."""

import io
from pathlib import Path
from shutil import copytree

import pytest
import torch

from zenfront import spaces
from zenfront.pipeline.distillation.program import to_program
from zenfront.pipeline.distillation.teachers import find
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.train_config import Distillation
from zenfront.pipeline.export.choice import chosen
from zenfront.pipeline.export.from_run import run_subject
from zenfront.pipeline.export.subject import Subject, fresh_subject
from zenfront.pipeline.record.files.lock import locked
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.stage_rows import TrainedRun
from zenfront.pipeline.training import data, loop
from zenfront.spaces import Task


@pytest.fixture
def record(trained_run: RunFolder) -> RunRecord:
    return RunRecord.read(trained_run)


def with_status(record: RunRecord, status: str) -> TrainedRun:
    return next(run for run in record.trained if run.status == status)


def accuracy_on_the_test_images(subject: Subject, record: RunRecord) -> float:
    experiment = record.experiment
    images = data.load(experiment.train.data, experiment.task, experiment.search.seed)
    return loop.evaluate(subject.network, images.test(), images).accuracy


def test_it_has_the_weights_that_were_tested(trained_run: RunFolder, record: RunRecord) -> None:
    """The averaged ones, since the recipe has an EMA."""
    for run in record.trained:
        if run.status == "finished":
            subject = run_subject(trained_run, run.architecture, seed=run.seed)
            assert accuracy_on_the_test_images(subject, record) == run.test_accuracy
            assert (subject.facts.seed, subject.facts.epochs) == (run.seed, 3)
            assert (subject.facts.test, subject.facts.validation) == (run.test_accuracy, run.val_accuracy)


def test_without_a_seed_it_is_the_best_on_validation(trained_run: RunFolder, record: RunRecord) -> None:
    name = with_status(record, "finished").architecture
    best = max(record.runs_of(name), key=lambda run: run.val_accuracy or 0.0)
    facts = run_subject(trained_run, name).facts
    assert facts.validation == best.val_accuracy
    assert facts.seeds == 2
    assert facts.accuracy == pytest.approx(sum(record.test_accuracies(name)) / 2)


def test_its_preprocessing_is_that_of_the_training(trained_run: RunFolder, record: RunRecord) -> None:
    experiment = record.experiment
    images = data.load(experiment.train.data, experiment.task, experiment.search.seed)
    found = run_subject(trained_run).preprocessing
    assert (found.mode, found.height, found.width, found.resize) == ("L", 8, 8, None)
    assert found.mean == tuple(images.mean.tolist())
    assert found.std == tuple(images.std.tolist())


def test_it_is_on_the_cpu_in_evaluation_mode(trained_run: RunFolder) -> None:
    network = run_subject(trained_run).network
    assert not any(module.training for module in network.modules())
    assert {(value.device.type, value.dtype) for value in network.parameters()} == {("cpu", torch.float32)}


def test_a_network_has_several_names(trained_run: RunFolder, record: RunRecord) -> None:
    front = record.trained_front
    assert front
    knee = front.pick("knee")
    assert knee
    assert record.front
    member = record.front.by_id[knee.architecture]
    place = record.front.selected.index(member.id) + 1
    spaced = member.notation.replace(",", ", ")
    for name in (None, "knee", member.id, member.id[:6], member.notation, spaced, str(place)):
        assert run_subject(trained_run, name).id == member.id
    assert run_subject(trained_run, "cheapest-within-noise").id == front.pick("cheapest_within_noise").architecture  # type: ignore[union-attr]


def test_a_stopped_network_is_exported_if_it_is_asked(trained_run: RunFolder, record: RunRecord) -> None:
    run = with_status(record, "stopped")
    with pytest.raises(
        UserError,
        match=rf"{run.architecture} was stopped after {run.epochs} epochs.*--at-rung {run.epochs}.*--untrained",
    ):
        run_subject(trained_run, run.architecture)
    subject = run_subject(trained_run, run.architecture, at_rung=run.epochs)
    assert (subject.facts.validation, subject.facts.test, subject.facts.accuracy) == (run.val_accuracy, None, None)
    with pytest.raises(UserError, match=r"000003\.pt is missing\. This network was trained for \d epoch"):
        run_subject(trained_run, run.architecture, at_rung=3)


def test_fresh_weights_are_those_of_their_seed(trained_run: RunFolder, record: RunRecord) -> None:
    name = with_status(record, "stopped").architecture
    first, again, other = (run_subject(trained_run, name, untrained=True, seed=seed) for seed in (None, 0, 1))
    same = [torch.equal(a, b) for a, b in zip(first.network.parameters(), again.network.parameters(), strict=True)]
    assert all(same)
    assert not torch.equal(next(first.network.parameters()), next(other.network.parameters()))
    assert not first.trained
    assert first.facts.test is None
    assert first.preprocessing.mean


def test_a_space_needs_no_run() -> None:
    space = spaces.load("nasbench201")
    architecture = space.architecture(space.parse("|skip_connect~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"))
    subject = fresh_subject(space, architecture, Task(3, 32, 32, 10))
    assert subject.name == f"nasbench201-{architecture.id}"
    assert subject.preprocessing.mean is None
    assert subject.network(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


def test_a_missing_or_damaged_checkpoint_is_named(trained_run: RunFolder, record: RunRecord, tmp_path: Path) -> None:
    run = with_status(record, "finished")
    copy = RunFolder(copytree(trained_run.path, tmp_path / "small"))
    path = copy.checkpoints / run.trial / "000003.pt"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r"000003\.pt is damaged\. Restore it"):
        run_subject(copy, run.architecture, seed=run.seed)
    path.unlink()
    with pytest.raises(UserError, match=r"000003\.pt is missing\. Restore it.*zenfront train small"):
        run_subject(copy, run.architecture, seed=run.seed)


def test_a_checkpoint_is_fetched_from_the_storage(
    trained_run: RunFolder, record: RunRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = with_status(record, "finished")
    copy = RunFolder(copytree(trained_run.path, tmp_path / "runs" / "small"))
    (tmp_path / "storage" / "small").mkdir(parents=True)
    copy.checkpoints.rename(tmp_path / "storage" / "small" / "checkpoints")
    monkeypatch.setenv("ZENFRONT_STORAGE", str(tmp_path / "storage"))
    assert run_subject(copy, run.architecture, seed=run.seed).facts.test == run.test_accuracy


def test_a_run_that_is_not_trained(trained_run: RunFolder, tmp_path: Path) -> None:
    copy = RunFolder(copytree(trained_run.path, tmp_path / "small"))
    copy.trained.unlink()
    with pytest.raises(
        UserError, match=r"no 'knee', since nothing is trained yet: run `zenfront train small .*` first\. Name an"
    ):
        run_subject(copy)
    with pytest.raises(
        UserError, match=r"nothing is trained yet: run `zenfront train small .*` first, or export it with"
    ):
        run_subject(copy, "1")
    with locked(copy.path), pytest.raises(UserError, match=r"still at work \(process \d+ on .*\): wait"):
        run_subject(copy, "1")


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("best", r"has no network 'best'.* Selected are: "),
        ("nee", r"Did you mean 'knee'\?"),
        ("d1=1,w1=17", "gene 'b1' is missing"),
        ("99", "has no network '99'"),
    ],
)
def test_an_unknown_network_is_refused(asked: str, message: str, trained_run: RunFolder) -> None:
    with pytest.raises(UserError, match=message):
        run_subject(trained_run, asked)


def test_a_seed_that_was_not_trained_is_refused(trained_run: RunFolder) -> None:
    with pytest.raises(UserError, match=r"not trained to the end with seed 7\. Seeds: 0, 1"):
        run_subject(trained_run, seed=7)


def test_the_beginning_of_several_ids_is_refused(record: RunRecord) -> None:
    with pytest.raises(UserError, match=r"'' is the beginning of several ids: \w{16}, \w{16}"):
        chosen(record, "")


def test_a_network_of_a_run_can_be_a_teacher(trained_run: RunFolder, record: RunRecord) -> None:
    """Its logits are the same for the pixel values of the images as those of the network for the normalised ones."""
    runs, task = trained_run.path.parent, record.experiment.task
    subject = run_subject(trained_run, "most-accurate")
    source = find(Distillation(teacher=f"{trained_run.path.name}/most-accurate"), task, runs)
    program, _ = to_program(source, task)
    pixels = torch.rand(3, task.channels, task.height, task.width, generator=torch.Generator().manual_seed(0)) * 255
    mean, std = (torch.tensor(each)[:, None, None] for each in (source.mean, source.std))
    found = torch.export.load(io.BytesIO(program)).module()(pixels)
    torch.testing.assert_close(found, subject.network((pixels - mean) / std))
    assert find(Distillation(teacher=str(trained_run.path)), task, runs).size == (task.height, task.width)
