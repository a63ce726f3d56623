"""A run folder as data frames."""

from pathlib import Path
from typing import Any

import pytest

import zenfront as zf
from zenfront.pipeline.record.files.ledger import Ledger, read_ledger
from zenfront.pipeline.results.stage_rows import Scores
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.stages.select import select


def test_scores_are_the_rows_of_the_ledger(fake_run: Any) -> None:
    _, folder = fake_run(count=60)
    rows, frame = read_ledger(folder.scores)[0], zf.open_run(folder.path).scores()
    assert list(frame.index) == [row["id"] for row in rows]
    assert list(frame.columns) == ["architecture", "zen", "ntk", "flops", "params", "feasible", "failure", "seconds"]
    for row in rows:
        found = frame.loc[row["id"]]
        for name in ("zen", "ntk", "flops", "params"):
            assert found[name] == row["values"][name] if name in row["values"] else found.isna()[name]
        assert found["feasible"] == (row["failure"] is None and row["values"]["params"] <= 1e6)
        assert found.isna()["failure"] if row["failure"] is None else found["failure"] == row["failure"]
        assert found["seconds"] == pytest.approx(sum(row["seconds"].values()))
    space = zf.spaces.load("anynet3")
    assert space.architecture(space.parse(frame["architecture"].iloc[0])).id == frame.index[0]


def test_repeated_scores_have_an_error(fake_run: Any) -> None:
    _, folder = fake_run(count=3)
    architecture = zf.spaces.load("anynet3").sample(numpy_generator(0, "one more"))
    with Ledger(folder.scores) as ledger:
        ledger.append([Scores(architecture, {"zen": 1.0}, None, 0, errors={"zen": 0.5}).to_row()])
    frame = zf.open_run(folder.path).scores()
    assert list(frame["zen_error"].dropna()) == [0.5]


def test_the_front_in_its_order_with_the_choice(fake_run: Any) -> None:
    experiment, folder = fake_run(count=80)
    assert zf.open_run(folder.path).front().empty
    front = select(experiment, folder)
    frame = zf.open_run(folder.path).front()
    assert list(frame.index) == [member.id for member in front.members]
    assert list(frame.columns) == ["architecture", "zen", "ntk", "flops", "params", "choice"]
    assert frame["zen"].is_monotonic_decreasing
    chosen = frame["choice"].dropna().sort_values()
    assert list(chosen) == [1, 2, 3, 4, 5, 6]
    assert list(chosen.index) == list(front.selected)


def test_training_runs_with_accuracies_as_fractions(fake_run: Any, fake_training: Any) -> None:
    experiment, folder = fake_run(count=80)
    front = select(experiment, folder)
    assert zf.open_run(folder.path).trained().empty
    fake_training(experiment, folder, front)
    frame = zf.open_run(folder.path).trained()
    assert set(frame["id"]) == set(front.selected)
    assert dict(frame["status"].value_counts()) == {"finished": 8, "stopped": 1, "diverged": 1}
    assert frame["test_accuracy"].notna().sum() == 8
    assert frame["val_accuracy"].between(0, 1).all()
    assert list(frame[frame["status"] == "diverged"]["failure"]) == ["train_loss is not finite"]
    notations = zf.open_run(folder.path).front()["architecture"]
    assert all(notations[row.id] == row.architecture for row in frame.itertuples())


def test_a_run_shows_how_far_it_is(fake_run: Any, fake_training: Any) -> None:
    experiment, folder = fake_run(count=50)
    run = zf.open_run(folder.path)
    assert repr(run) == f"Run({str(folder.path)!r}, space anynet3: 50 scored)"
    front = select(experiment, folder)
    fake_training(experiment, folder, front)
    assert repr(run).endswith(f"50 scored, front of {len(front.members)}, 10 trained)")
    assert run.experiment == experiment


def test_a_wrong_folder_is_told_as_on_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(zf.UserError, match=r"holds no run: experiment\.json is missing"):
        zf.open_run(tmp_path)
