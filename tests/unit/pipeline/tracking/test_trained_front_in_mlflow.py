import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.files.json_file import write_json
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.front import Front
from zenfront.pipeline.stages.report.stage import report
from zenfront.pipeline.stages.select import select
from zenfront.pipeline.tracking import default_uri, sync

FakeRun = Callable[..., tuple[Experiment, RunFolder]]
FakeTraining = Callable[[Experiment, RunFolder, Front], None]
WithStore = Callable[[RunFolder], RunFolder]
Held = Callable[[RunFolder], dict[str, Any]]
NOTE = "mlflow.note.content"
OF_THE_FRONT = ("trained_", "accuracy_at_cost_", "cost_at_", "on_trained_front")


def _last(metrics: dict[str, Any]) -> dict[str, float]:
    """Return the values that MLflow shows: the last step, then the latest time, then the highest value."""
    return {n: max(history, key=lambda point: (point[0], point[2], point[1]))[1] for n, history in metrics.items()}


def _note(run: dict[str, Any]) -> str:
    return str(run["tags"][NOTE])


@pytest.fixture
def trained(fake_run: FakeRun, fake_training: FakeTraining, with_store: WithStore) -> RunFolder:
    """A run whose five selected networks have costs of 10, 20, ..., 50 and test accuracies that the tests set."""
    experiment, folder = fake_run(count=72, select={"k": 5}, train={"epochs": 9, "seeds": [0]})
    with_store(folder)
    front = select(experiment, folder)
    document = front.to_row()
    cost = {name: 10.0 * rank for rank, name in enumerate(front.selected, start=1)}
    for member in document["front"]:
        member["values"]["flops"] = cost.get(member["id"], 1000.0)
    write_json(folder.front, document)
    fake_training(experiment, folder, Front.from_row(document))
    return folder


def _set_accuracies(folder: RunFolder, accuracies: list[float | None]) -> list[str]:
    """Set the test accuracies of the selected networks, None: stopped; return their ids."""
    front = json.loads(folder.front.read_text())
    document = json.loads(folder.trained.read_text())
    found = dict(zip(front["selected"], accuracies, strict=False))
    for run in document["trials"]:
        run["test_accuracy"] = found[run["architecture"]]
        run["status"] = "stopped" if run["test_accuracy"] is None else "finished"
        run["failure"] = None
    write_json(folder.trained, document)
    return [str(name) for name in front["selected"]]


def test_metrics_of_a_worked_front(trained: RunFolder, held: Held) -> None:
    # Costs 10, 20, 30, 40, 50: quartiles 20, 30, 40, 50. The cheapest is stopped; the one at 30 is dominated.
    selected = _set_accuracies(trained, [None, 0.6, 0.5, 0.8, 0.9])
    assert len(selected) == 5
    sync(trained)
    contents = held(trained)
    metrics = _last(contents[""]["metrics"])
    assert {q: metrics[f"cost_at_{q}"] for q in (25, 50, 75, 100)} == {25: 20, 50: 30, 75: 40, 100: 50}
    assert {q: metrics[f"accuracy_at_cost_{q}"] for q in (25, 50, 75, 100)} == {25: 0.6, 50: 0.6, 75: 0.8, 100: 0.9}
    assert metrics["trained_front_size"] == 3
    assert contents[""]["tags"]["zenfront.cost"] == "flops"
    # In the box from 10 to 10 * 5 ** 1.1 (logarithms) and from accuracy .1 to 1, three steps.
    edge = 1.1 * np.log(5)
    steps = [(np.log(2), 0.5), (np.log(4), 0.2), (np.log(5), 0.1)]
    expected = sum((edge - at) / edge * gain / 0.9 for at, gain in steps)
    assert metrics["trained_hypervolume"] == pytest.approx(expected)

    on_front = [_last(contents[name]["metrics"])["on_trained_front"] for name in selected]
    assert on_front == [0, 1, 0, 1, 1]
    assert "most_accurate" in contents[selected[4]]["tags"]["pick"]
    assert contents[selected[2]]["tags"]["pick"] == "none"


def test_a_quartile_below_all_finished_networks_has_no_accuracy(trained: RunFolder, held: Held) -> None:
    _set_accuracies(trained, [None, None, 0.5, 0.8, 0.9])
    sync(trained)
    metrics = held(trained)[""]["metrics"]
    assert "accuracy_at_cost_25" not in metrics
    assert _last(metrics)["accuracy_at_cost_50"] == 0.5


def test_names_that_a_network_loses_are_taken_back(trained: RunFolder, held: Held) -> None:
    selected = _set_accuracies(trained, [0.1, 0.2, 0.3, 0.4, 0.9])
    sync(trained)
    assert "most_accurate" in held(trained)[selected[4]]["tags"]["pick"]
    _set_accuracies(trained, [0.1, 0.2, 0.3, 0.95, 0.9])
    sync(trained)
    contents = held(trained)
    assert "most_accurate" in contents[selected[3]]["tags"]["pick"]
    assert contents[selected[4]]["tags"]["pick"] == "none"
    assert _last(contents[selected[4]]["metrics"])["on_trained_front"] == 0


@pytest.mark.parametrize("stage", ["select", "train"])
def test_nothing_of_it_without_a_trained_network(trained: RunFolder, held: Held, stage: str) -> None:
    if stage == "select":
        trained.trained.unlink()
        trained.epochs.unlink()
    else:
        _set_accuracies(trained, [None] * 5)
    sync(trained)
    for run in held(trained).values():
        assert not [name for name in run["metrics"] if name.startswith(OF_THE_FRONT)]
        assert "pick" not in run["tags"]
        assert "zenfront.cost" not in run["tags"]
        assert "trained_small.png" not in run["artifacts"]
        assert "trained_small.png" not in _note(run)


def test_notes_say_what_the_runs_are(trained: RunFolder, held: Held) -> None:
    selected = _set_accuracies(trained, [None, 0.6, 0.5, 0.8, 0.9])
    runs = sync(trained)
    contents = held(trained)
    parent, best = _note(contents[""]), _note(contents[selected[4]])
    image = f"](get-artifact?path=trained_small.png&run_uuid={runs['']})"
    assert parent.startswith("**90.0 ")
    assert "maximise zen, minimise ntk, minimise flops" in parent
    assert "| 04 | 80.0 " in parent
    assert image in parent
    assert image in best
    assert "Test accuracy 90.0 " in best
    assert "On the trained front" in best
    assert "Dominated by network 02" in _note(contents[selected[2]])
    assert "Last validation accuracy" in _note(contents[selected[0]])
    path = next(trained.path.parent.glob(f"mlartifacts/{runs['']}/artifacts/trained_small.png"))
    with Image.open(path) as picture:
        assert picture.width <= 560


def test_the_picture_of_the_report_is_an_artifact(trained: RunFolder, held: Held) -> None:
    report(trained)
    sync(trained)
    assert {"trained.png", "trained_small.png", "index.html"} <= set(held(trained)[""]["artifacts"])


def test_a_note_that_a_user_changed_stays(trained: RunFolder, held: Held) -> None:
    from mlflow import MlflowClient

    runs = sync(trained)
    MlflowClient(default_uri(trained.path.parent)).set_tag(runs[""], NOTE, "mine")
    selected = _set_accuracies(trained, [0.1, 0.2, 0.3, 0.4, 0.95])
    sync(trained)
    contents = held(trained)
    assert _note(contents[""]) == "mine"
    assert "Test accuracy 95.0 " in _note(contents[selected[4]])


def test_children_are_named_by_rank_and_notation(trained: RunFolder, held: Held) -> None:
    from mlflow import MlflowClient

    record = RunRecord.read(trained)
    assert record.front is not None
    assert 10 <= len(record.members) < 100
    runs, first = sync(trained), record.front.chosen[0]
    assert held(trained)[first.id]["name"] == f"01 · {first.notation}"
    assert held(trained)[first.id]["params"] == {name: str(value) for name, value in first.architecture.genes}
    client = MlflowClient(default_uri(trained.path.parent))
    client.update_run(runs[first.id], name=first.id)  # as an earlier version named it
    assert sync(trained) == runs
    assert held(trained)[first.id]["name"] == f"01 · {first.notation}"


def test_a_long_note_has_its_picture_and_fits(trained: RunFolder, held: Held, tmp_path: Path) -> None:
    document = json.loads(trained.front.read_text())
    for member in document["front"]:
        member["notation"] = "`|" * 4000
    write_json(trained.front, document)
    _set_accuracies(trained, [0.5, 0.6, 0.7, 0.8, 0.9])
    runs = sync(trained)
    for run in held(trained).values():
        assert len(_note(run)) <= 8000
        assert len(run["name"]) < 100
    assert runs[""] in _note(held(trained)[""])
