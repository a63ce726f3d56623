import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.files.json_file import write_json
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.front import Front
from zenfront.pipeline.stages.report.stage import compare
from zenfront.pipeline.stages.report.trained_comparison import compare_trained, trained_cautions
from zenfront.pipeline.stages.select import select
from zenfront.pipeline.tracking import default_uri

FakeRun = Callable[..., tuple[Experiment, RunFolder]]
FakeTraining = Callable[[Experiment, RunFolder, Front], None]
Run = Callable[..., RunFolder]
ZEN, NTK, FLOPS, PARAMS = ("zen", "maximise"), ("ntk", "minimise"), ("flops", "minimise"), ("params", "minimise")
Networks = list[tuple[dict[str, float], list[float]]]


@pytest.fixture(autouse=True)
def _nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")


@pytest.fixture
def run(fake_run: FakeRun, fake_training: FakeTraining) -> Run:
    """Makes a trained run with the given (costs, test accuracies by seed) of its networks, the others being stopped."""

    def make(name: str, networks: Networks | None = None, **settings: Any) -> RunFolder:
        experiment, folder = fake_run(name, count=72, **{"objectives": [ZEN, NTK, FLOPS]} | settings)
        front = select(experiment, folder)
        if networks:
            front = _with_costs(folder, front, [costs for costs, _ in networks])
        fake_training(experiment, folder, front)
        if networks:
            _set_accuracies(folder, dict(zip(front.selected, (tested for _, tested in networks), strict=True)))
        return folder

    return make


def _with_costs(folder: RunFolder, front: Front, costs: list[dict[str, float]]) -> Front:
    document = front.to_row()
    document["selected"] = document["selected"][: len(costs)]
    chosen = dict(zip(document["selected"], costs, strict=True))
    for member in document["front"]:
        member["values"] |= chosen.get(member["id"], {})
    write_json(folder.front, document)
    return Front.from_row(document)


def _set_accuracies(folder: RunFolder, accuracies: dict[str, list[float]]) -> None:
    trials = []
    for architecture, tested in accuracies.items():
        for seed, accuracy in enumerate(tested):
            row = {"trial": f"{architecture}-{seed}", "architecture": architecture, "seed": seed, "epochs": 9}
            row |= {"status": "finished", "val_accuracy": accuracy, "test_accuracy": accuracy, "test_loss": 0.5}
            trials.append(row | {"failure": None})
    write_json(folder.trained, {"trials": trials})


def _comparison(page: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((page.parent / "comparison.json").read_text())
    return found


def test_hypervolumes_in_one_box_and_coverage_of_worked_fronts(run: Run) -> None:
    # The box: flops from 1 to 100 ** 1.1, accuracy from .1 to 1. A: 10 at .7, 100 at .9; B: 1 at .5, 100 at .8.
    a = run("a", [({"flops": 10.0}, [0.68, 0.72]), ({"flops": 100.0}, [0.9, 0.9])])
    b = run("b", [({"flops": 1.0}, [0.5, 0.5]), ({"flops": 100.0}, [0.8, 0.8])])
    found = _comparison(compare([a, b]))["trained"]
    hypervolume_a = ((2.2 - 1) / 2.2 * 0.6 + 0.2 / 2.2 * 0.2) / 0.9
    hypervolume_b = (0.4 + 0.2 / 2.2 * 0.3) / 0.9
    assert found["hypervolume"] == pytest.approx({"a": hypervolume_a, "b": hypervolume_b})
    assert found["reference"] == {"chance": 0.1, "costs": {"flops": pytest.approx(100**1.1)}}
    assert found["coverage"] == {"a": {"b": 0.5}, "b": {"a": 0.0}}
    assert found["seeds"] == {"a": 2, "b": 2}
    difference = found["difference"]["a"]["b"]
    assert difference["value"] == pytest.approx(hypervolume_a - hypervolume_b)
    # The seeds move only the network at 10: a resample has it at .68, .70 or .72.
    width = (2.2 - 1 - 0.2) / 2.2 * 0.02 / 0.9
    assert difference["low"] == pytest.approx(difference["value"] - width)
    assert difference["high"] == pytest.approx(difference["value"] + width)


def test_one_seed_has_no_interval(run: Run) -> None:
    settings = {"train": {"epochs": 9, "seeds": [0]}}
    folders = [run(name, [({"flops": 10.0}, [0.7])], **settings) for name in "ab"]
    page = compare(folders)
    found = _comparison(page)["trained"]
    assert found["difference"]["a"]["b"] == {"value": 0, "low": None, "high": None}
    assert "with one seed, the binomial error" in page.read_text(encoding="utf-8")


def test_the_page_shows_trained_fronts_first(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    first, second = run("first"), run("second", seed=1)
    page = compare([first, second])
    markup = page.read_text(encoding="utf-8")
    assert markup.index("Trained fronts") < markup.index("Fronts of the searches")
    assert 'id="trained"' in markup
    assert 'id="fronts"' in markup
    with Image.open(page.parent / "trained.png") as picture:
        assert min(picture.size) > 500
    found = _comparison(page)
    assert found["left_out"] == found["cautions"] == []
    assert set(found["hypervolume"]) == {"first", "second"}

    client = MlflowClient(default_uri(first.path.parent))
    (logged,) = client.search_runs([e.experiment_id for e in client.search_experiments()])
    metrics, trained = logged.data.metrics, found["trained"]
    assert metrics["trained_hypervolume.first"] == trained["hypervolume"]["first"]
    assert metrics["trained_coverage.second.first"] == trained["coverage"]["second"]["first"]
    assert metrics["trained_difference.first.second"] == trained["difference"]["first"]["second"]["value"]
    assert metrics["trained_difference_low.first.second"] == trained["difference"]["first"]["second"]["low"]
    assert metrics["hypervolume.first"] == found["hypervolume"]["first"]
    assert f"trained_small.png&run_uuid={logged.info.run_id}" in logged.data.tags["mlflow.note.content"]
    files = {file.path for file in client.list_artifacts(logged.info.run_id)}
    assert files == {"comparison.json", "fronts.png", "index.html", "trained.png", "trained_small.png"}


def test_other_objectives_with_a_shared_cost(run: Run) -> None:
    # Over both costs the first network is on the front of a; over flops alone the second dominates it.
    both = [({"flops": 20.0, "params": 1.0}, [0.6, 0.6]), ({"flops": 10.0, "params": 9.0}, [0.8, 0.8])]
    a = run("a", both, objectives=[ZEN, PARAMS, FLOPS])
    b = run("b", [({"flops": 10.0}, [0.7, 0.7])])
    record = RunRecord.read(a)
    assert record.trained_front is not None
    assert len(record.trained_front.members) == 2
    page = compare([a, b])
    found = _comparison(page)
    assert list(found["trained"]["reference"]["costs"]) == ["flops"]
    assert found["trained"]["front_size"] == {"a": 1, "b": 1}
    assert "hypervolume" not in found
    (sentence,) = found["left_out"]
    assert sentence.startswith("The fronts of the searches are left out: only fronts of the same objectives")
    assert sentence in page.read_text(encoding="utf-8")
    assert not (page.parent / "fronts.png").exists()


def test_other_objectives_without_a_shared_cost_are_refused(run: Run) -> None:
    folders = [run("a", objectives=[ZEN, FLOPS]), run("b", objectives=[ZEN, PARAMS])]
    with pytest.raises(UserError, match=r"same objectives.*they share no cost \(a: flops; b: params\)"):
        compare(folders)


def test_three_runs_share_one_box_and_are_compared_in_pairs(run: Run) -> None:
    folders = [
        run(name, [({"flops": cost}, [0.7, 0.7]), ({"flops": 100.0}, [0.9, 0.9])])
        for name, cost in (("a", 1.0), ("b", 10.0), ("c", 50.0))
    ]
    found = _comparison(compare(folders))["trained"]
    volumes = {
        name: ((2.2 - np.log10(cost)) * 0.6 + 0.2 * 0.2) / 2.2 / 0.9
        for name, cost in zip("abc", (1, 10, 50), strict=True)
    }
    assert found["hypervolume"] == pytest.approx(volumes)
    pairs = {(a, b): value["value"] for a, row in found["difference"].items() for b, value in row.items()}
    assert pairs == pytest.approx({(a, b): volumes[a] - volumes[b] for a, b in ("ab", "ac", "bc")})
    assert found["coverage"]["a"] == {"b": 1.0, "c": 1.0}


def test_a_run_that_is_not_trained_is_named(run: Run, fake_run: FakeRun) -> None:
    experiment, folder = fake_run("untrained", count=48)
    select(experiment, folder)
    page = compare([run("trained"), folder])
    found = _comparison(page)
    assert "trained" not in found
    assert found["left_out"] == ["The trained fronts are left out: no network of untrained was trained to the end."]
    assert "Fronts of the searches" in page.read_text(encoding="utf-8")


def test_a_task_of_other_classes_has_other_accuracies(run: Run) -> None:
    task = {"channels": 3, "height": 32, "width": 32, "classes": 5}
    found = _comparison(compare([run("ten"), run("five", task=task)]))
    assert found["left_out"] == [
        "The trained fronts are left out: their tasks have different outputs (ten: 10 classes; five: 5 classes)."
    ]


def test_other_conditions_of_training_are_stated(run: Run) -> None:
    folders = [run("a"), run("b", train={"epochs": 10, "seeds": [0, 1]})]
    page = compare(folders)
    (caution,) = _comparison(page)["cautions"]
    assert caution == "a and b were trained under different conditions: train.epochs: 9 -> 10."
    assert "train.epochs: 9 -&gt; 10" in page.read_text(encoding="utf-8")
    assert trained_cautions(["a", "c"], [RunRecord.read(folders[0]), RunRecord.read(run("c"))]) == []


def test_a_network_that_lacks_a_seed_counts_with_the_others(run: Run) -> None:
    folders = [run(name, [({"flops": 10.0}, [0.7, 0.9]), ({"flops": 100.0}, [0.95])]) for name in "ab"]
    compared = compare_trained(["a", "b"], [RunRecord.read(folder) for folder in folders])
    assert [round(network.accuracy or 0, 6) for network in compared.fronts["a"].members] == [0.8, 0.95]
