"""A study in MLflow: a parent, and a child for each part with its curves; sent again, nothing is there twice."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.tracking import StudyPart, default_uri, log_study


def test_a_part_is_a_child_with_its_curves(tmp_path: Path, with_store: Callable[[RunFolder], RunFolder]) -> None:
    from mlflow import MlflowClient

    folder = with_store(RunFolder(tmp_path / "sharing"))
    experiment = Experiment.model_validate(
        {"name": "sharing", "space": "supernet64", "objectives": [{"score": "params", "direction": "minimise"}]}
        | {"task": {"channels": 1, "height": 8, "width": 8, "classes": 10}}
    )
    accuracy, tau = [(9, 0.25), (18, 0.5)], [(9, -0.5), (18, 1.0)]
    metrics = {"gt_tau.orders.last step": 0.5}

    def send(**curves: Any) -> None:
        parts = [StudyPart(f"orders {i}", {"k": 2}, {"gt_tau.EMA": 0.5}, curves) for i in (0, 1)]
        log_study(experiment, folder, "supernet", {"space": "supernet64"}, metrics, parts)

    send(accuracy_mean=accuracy)
    for _ in range(2):
        send(accuracy_mean=accuracy, gt_tau=tau)
    client = MlflowClient(default_uri(tmp_path))
    runs = client.search_runs([each.experiment_id for each in client.search_experiments()])
    by_name = {run.info.run_name: run for run in runs}
    assert len(runs) == 3
    parent = by_name["sharing: supernet"]
    assert parent.data.metrics == metrics
    for name in ("orders 0", "orders 1"):
        child = by_name[name]
        assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert (child.data.params, child.data.metrics["gt_tau.EMA"]) == ({"k": "2"}, 0.5)
        for metric, curve in (("accuracy_mean", accuracy), ("gt_tau", tau)):
            history = client.get_metric_history(child.info.run_id, metric)
            assert sorted((each.step, each.value) for each in history) == curve
