import json
import logging
from collections.abc import Callable

import pytest

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.stages.report.stage import compare
from zenfront.pipeline.stages.select import select
from zenfront.pipeline.tracking import default_uri

FakeRun = Callable[..., tuple[Experiment, RunFolder]]
TWO = [("zen", "maximise"), ("flops", "minimise")]


def _selected(fake_run: FakeRun, name: str, **settings: object) -> RunFolder:
    experiment, folder = fake_run(name, count=48, **settings)
    select(experiment, folder)
    return folder


def test_two_fronts_side_by_side_and_in_mlflow(fake_run: FakeRun) -> None:
    from mlflow import MlflowClient

    first, second = _selected(fake_run, "first"), _selected(fake_run, "second", seed=1)
    page = compare([first, second])
    assert page == first.path.parent / "_compared" / "first,second" / "index.html"
    assert "first" in page.read_text(encoding="utf-8")
    assert (page.parent / "fronts.png").stat().st_size > 10_000
    measured = json.loads((page.parent / "comparison.json").read_text())
    assert measured["cautions"] == []
    compare([first, second])

    client = MlflowClient(default_uri(first.path.parent))
    (run,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    assert run.data.metrics["hypervolume.first"] == measured["hypervolume"]["first"]
    assert run.data.metrics["coverage.second.first"] == measured["coverage"]["second"]["first"]
    files = [file.path for file in client.list_artifacts(run.info.run_id)]
    assert sorted(files) == ["comparison.json", "fronts.png", "index.html"]


def test_other_objectives_are_refused(fake_run: FakeRun) -> None:
    folders = [_selected(fake_run, "three"), _selected(fake_run, "two", objectives=TWO)]
    with pytest.raises(UserError, match="two: maximise zen, minimise flops"):
        compare(folders)


def test_the_other_direction_is_another_objective(fake_run: FakeRun) -> None:
    folders = [
        _selected(fake_run, "a", objectives=TWO),
        _selected(fake_run, "b", objectives=[TWO[0], ("flops", "maximise")]),
    ]
    with pytest.raises(UserError, match="same objectives"):
        compare(folders)


def test_a_run_against_itself_or_without_a_front_is_refused(fake_run: FakeRun) -> None:
    first = _selected(fake_run, "first")
    with pytest.raises(UserError, match="with itself"):
        compare([first, first])
    with pytest.raises(UserError, match="zenfront select"):
        compare([first, fake_run("second", count=24)[1]])


def test_the_order_of_objectives_does_not_matter_and_conditions_are_stated(
    fake_run: FakeRun, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    first = _selected(fake_run, "first", objectives=TWO)
    second = _selected(
        fake_run, "second", objectives=TWO[::-1], search={"batch": 64, "population": 24, "evaluations": 48}
    )
    with caplog.at_level(logging.WARNING):
        page = compare([first, second])
    assert "did not store the run" in caplog.text  # the closed port is reported, and the page is written
    (caution,) = json.loads((page.parent / "comparison.json").read_text())["cautions"]
    assert "search.batch: 32 -> 64" in caution
