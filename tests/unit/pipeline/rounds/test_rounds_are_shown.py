"""Rounds in the report, on the terminal, in MLflow and in data frames."""

import csv
from pathlib import Path
from typing import Any

import pytest

import zenfront as zf
from zenfront.pipeline.cli.terminal.summary import show_front, show_training
from zenfront.pipeline.record.provenance import read_origin
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.front import Front
from zenfront.pipeline.results.metric import ACCURACY
from zenfront.pipeline.results.stage_rows import Trained
from zenfront.pipeline.stages.report.stage import report
from zenfront.pipeline.tracking._entries import children, parent
from zenfront.pipeline.wording import percent

World = Any
Done = tuple[Path, Front, Trained]


@pytest.fixture
def done(world: World, tmp_path: Path) -> Done:
    """A run of three rounds with twelve networks."""
    return (tmp_path, *world.run(world.experiment(), tmp_path))


def test_the_page_shows_prediction_and_outcome_of_every_network(done: Done) -> None:
    path, front, trained = done
    page = report(RunFolder(path)).read_text(encoding="utf-8").replace("<wbr>", "")
    for each in trained.rounds:
        assert str(each) in page
        for network in each.networks:
            assert network.prediction(ACCURACY) in page
            assert percent(network.accuracy) in page
            assert front.by_id[network.architecture].notation in page
    assert str(trained.rounds[1].agreement) in page
    assert f"{100 * (trained.rounds[1].regret or 0):.2f} points" in page
    rows = list(csv.DictReader((path / "report/front.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["id"] for row in rows if row["selected"] == "1"} == set(front.selected)
    assert {row["id"]: row["round"] for row in rows if row["round"]} == {
        name: str(each.number) for each in front.rounds for name in each.ids
    }


def test_the_terminal_shows_the_rounds(done: Done, capsys: pytest.CaptureFixture[str]) -> None:
    path, front, trained = done
    show_front(RunFolder(path))
    show_training(RunFolder(path))
    said = " ".join(capsys.readouterr().out.split())
    assert f"and {len(front.others)} networks that rounds chose beside it" in said
    assert "Rounds: 3, 12 networks" in said
    last = trained.rounds[-1]
    assert f"round 3: {last}; predicted against measured {last.agreement}; expected regret left" in said
    assert all(network.prediction(ACCURACY) in said for network in last.networks)


def test_mlflow_gets_a_point_for_each_round_and_a_run_for_each_network(done: Done) -> None:
    path, front, trained = done
    record = RunRecord.read(RunFolder(path))
    origin = read_origin(record.folder)
    points = {(p.name, p.step): p.value for p in parent(record, origin, "FINISHED").points}
    second = trained.rounds[1]
    assert second.agreement
    assert points["round_tau", 2] == second.agreement.tau
    assert points["round_tau_low", 2] == second.agreement.low
    assert points["round_regret", 2] == second.regret
    assert ("round_tau", 1) not in points
    runs = {entry.key: entry for entry in children(record, origin)}
    assert set(front.selected) <= set(runs)
    for each in trained.rounds:
        for network in each.networks:
            assert runs[network.architecture].tags["zenfront.round"] == str(each.number)
            assert runs[network.architecture].metrics.get("predicted") == network.predicted


def test_a_round_that_is_in_training_has_no_point_yet(world: World, done: Done) -> None:
    path, *_ = done
    (path / "trained.json").unlink()
    record = RunRecord.read(RunFolder(path))
    steps = {p.step for p in parent(record, read_origin(record.folder), "RUNNING").points if p.name == "round_networks"}
    assert steps == {1, 2}


def test_a_data_frame_has_a_row_for_each_network(done: Done) -> None:
    path, front, trained = done
    frame = zf.open_run(path).rounds()
    assert list(frame["id"]) == list(front.selected)
    assert list(frame["round"]) == [each.number for each in front.rounds for _ in each.networks]
    assert frame["predicted"].isna().sum() == len(front.rounds[0].networks)
    assert list(frame["val_accuracy"]) == [n.accuracy for each in trained.rounds for n in each.networks]
    assert set(zf.open_run(path).trained()["architecture"]) == {member.notation for member in front.chosen}


def test_a_data_frame_has_what_the_search_of_a_round_asked(done: Done) -> None:
    path, _, trained = done
    frame = zf.open_run(path).scores(round=2)
    assert len(frame) == 16
    assert frame["learned"].notna().all()
    for network in trained.rounds[1].networks:
        if network.architecture in frame.index:
            assert frame.loc[network.architecture, "learned"] == pytest.approx(network.predicted)
    assert "learned" not in zf.open_run(path).scores()
    assert len(zf.open_run(path).scores(round=7)) == 0
