import json
import resource
import shutil
import signal
import statistics
from collections.abc import Callable
from typing import Any

import pyarrow.parquet
import pytest
from mlflow import MlflowClient

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.files.json_file import write_json
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.results.front import Front
from zenfront.pipeline.results.stage_rows import Trained
from zenfront.pipeline.stages.select import select
from zenfront.pipeline.tracking import default_uri, experiment_pages, sync

FakeRun = Callable[..., tuple[Experiment, RunFolder]]
FakeTraining = Callable[[Experiment, RunFolder, Front], None]
WithStore = Callable[[RunFolder], RunFolder]
Held = Callable[[RunFolder], dict[str, Any]]


def test_a_trained_run_is_mirrored_whole_and_once(
    fake_run: FakeRun, fake_training: FakeTraining, with_store: WithStore, held: Held
) -> None:
    experiment, folder = fake_run(count=72)
    with_store(folder)
    front = select(experiment, folder)
    fake_training(experiment, folder, front)
    first = sync(folder)
    contents = held(folder)
    assert sync(folder) == first
    assert held(folder) == contents

    assert set(contents) == {"", *(member.id for member in front.members)} == set(first)
    parent = contents[""]
    assert (parent["name"], parent["status"], parent["parent"]) == ("fake", "FINISHED", None)
    assert [step for step, _, _ in parent["metrics"]["hypervolume"]] == [0, 1, 2]
    assert parent["metrics"]["hypervolume"][-1][1] == pytest.approx(front.hypervolume)
    assert parent["metrics"]["front_size"][-1][1] == len(front.members)
    assert parent["params"]["search.population"] == "24"
    assert parent["params"]["objectives"] == "maximise zen, minimise ntk, minimise flops"
    assert parent["params"]["constraints"] == "params <= 1e+06"
    assert parent["params"]["space_size"] == str(front.space_size)
    files = ["experiment.json", "front.json", "scores.parquet", "trained.json", "trained_small.png"]
    assert parent["artifacts"] == files
    assert "resources.device" not in parent["params"]

    member = front.members[0]
    best = contents[member.id]
    assert best["parent"] == ""
    assert {name: best["params"][name] for name in member.architecture.mapping} == {
        k: str(v) for k, v in member.architecture.genes
    }
    assert [value for _, value, _ in best["metrics"]["zen"]] == [member.values["zen"]]

    trained = Trained.from_row(json.loads(folder.trained.read_text())).trials
    finished = contents[front.selected[0]]
    accuracies = [run.test_accuracy for run in trained if run.architecture == front.selected[0] if run.test_accuracy]
    assert len(accuracies) == 2
    assert [step for step, _, _ in finished["metrics"]["val_accuracy"]] == list(range(1, 10))
    assert [step for step, _, _ in finished["metrics"]["val_accuracy_seed1"]] == list(range(1, 10))
    assert finished["metrics"]["test_accuracy_mean"][0][1] == statistics.mean(accuracies)
    assert finished["metrics"]["test_accuracy_std"][0][1] == statistics.stdev(accuracies)
    assert contents[front.selected[2]]["tags"]["zenfront.training"] == "stopped"
    assert contents[front.selected[3]]["status"] == "FAILED"

    table = pyarrow.parquet.read_table(next(folder.path.parent.glob("mlartifacts/*/artifacts/scores.parquet")))
    assert table.num_rows == 72
    assert {"id", "failure", "genes.d1", "values.zen", "seconds.zen"} <= set(table.column_names)


def test_a_run_grows_stage_by_stage(
    fake_run: FakeRun, fake_training: FakeTraining, with_store: WithStore, held: Held
) -> None:
    experiment, folder = fake_run(count=48)
    with_store(folder)
    sync(folder)
    assert list(held(folder)) == [""]
    document = select(experiment, folder)
    sync(folder)
    assert all("val_accuracy" not in run["metrics"] for run in held(folder).values())
    fake_training(experiment, folder, document)
    sync(folder)
    grown = held(folder)
    (folder.path.parent / "mlflow.db").unlink()
    with_store(folder)
    sync(folder)
    assert held(folder) == grown


def test_an_interrupted_run_is_called_killed(fake_run: FakeRun, with_store: WithStore, held: Held) -> None:
    _, folder = fake_run(count=48, search={"population": 24, "evaluations": 100})
    with_store(folder)
    sync(folder)
    assert held(folder)[""]["status"] == "KILLED"


def test_a_run_that_a_driver_works_on_is_running(fake_run: FakeRun, with_store: WithStore, held: Held) -> None:
    experiment, folder = fake_run(count=48)
    with_store(folder)
    with folder.driving(experiment):
        sync(folder)
    assert held(folder)[""]["status"] == "RUNNING"
    sync(folder)
    assert held(folder)[""]["status"] == "FINISHED"


def test_more_params_and_longer_values_than_mlflow_takes(fake_run: FakeRun, with_store: WithStore, held: Held) -> None:
    options = {f"option{n}": "x" * 7000 for n in range(150)}
    experiment, folder = fake_run(count=24, proxies={"zen": options})
    with_store(folder)
    document = select(experiment, folder).to_row()
    document["front"][0]["values"]["odd[name]"] = 1.5
    write_json(folder.front, document)
    sync(folder)
    contents = held(folder)
    assert contents[""]["params"]["proxies.zen.option149"].startswith("xxx")
    assert contents[document["front"][0]["id"]]["metrics"]["odd_name_"][0][1] == 1.5


def test_params_of_the_first_call_stay(fake_run: FakeRun, with_store: WithStore, held: Held) -> None:
    _, folder = fake_run(count=24)
    with_store(folder)
    sync(folder)
    path = folder.path / "origin.json"
    changed = json.loads(path.read_text())
    torch = changed["versions"]["torch"]
    changed["versions"] |= {"torch": "99", "new": "1"}
    write_json(path, changed)
    sync(folder)
    params = held(folder)[""]["params"]
    assert (params["version.torch"], params["version.new"]) == (torch, "1")


def test_a_copied_folder_is_the_same_run_and_a_new_one_is_not(
    fake_run: FakeRun, with_store: WithStore, held: Held
) -> None:
    _, folder = fake_run(count=24)
    with_store(folder)
    first = sync(folder)
    moved = RunFolder(folder.path.rename(folder.path.with_name("moved")))
    assert sync(moved) == first
    _, again = fake_run(count=24)
    assert sync(again) != first


def test_a_store_that_does_not_answer_is_reported_without_the_password(fake_run: FakeRun) -> None:
    experiment, folder = fake_run(count=24, tracking={"uri": "http://user:secret@127.0.0.1:9"})
    with pytest.raises(UserError, match=r"MLflow at http://127\.0\.0\.1:9 .*zenfront sync fake") as caught:
        sync(folder, experiment)
    assert "secret" not in str(caught.value)


def test_a_folder_without_a_run(fake_run: FakeRun) -> None:
    _, folder = fake_run(count=24)
    with pytest.raises(UserError, match="holds no run"):
        sync(RunFolder(folder.path / "nothing"))


def test_a_run_whose_folder_was_deleted_is_marked_by_the_next_sync(fake_run: FakeRun, with_store: WithStore) -> None:
    _, gone = fake_run("gone", count=24)
    with_store(gone)
    sync(gone)
    shutil.rmtree(gone.path)
    _, here = fake_run("here", count=24)
    sync(here)
    client = MlflowClient(default_uri(here.path.parent))
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()])
    parents = {run.data.tags["zenfront.folder"]: run for run in runs if "zenfront.folder" in run.data.tags}
    assert parents[str(gone.path.resolve())].info.run_name == "gone (folder deleted)"
    assert parents[str(gone.path.resolve())].data.tags["zenfront.folder_deleted"] == "true"
    assert parents[str(here.path.resolve())].info.run_name == "here"
    assert "zenfront.folder_deleted" not in parents[str(here.path.resolve())].data.tags
    assert list(experiment_pages(default_uri(here.path.parent))) == ["zenfront"]


def test_a_full_disk_is_one_message_without_a_traceback(fake_run: FakeRun, capfd: pytest.CaptureFixture[str]) -> None:
    """A limit on the size of files stands for the disk: SQLite fails in the middle of a transaction."""
    fake_run("first", count=24)
    _, folder = fake_run("second", count=24)
    sync(folder)
    full = (folder.path.parent / "mlflow.db").stat().st_size
    ignored, limits = signal.signal(signal.SIGXFSZ, signal.SIG_IGN), resource.getrlimit(resource.RLIMIT_FSIZE)
    first = RunFolder(folder.path.with_name("first"))
    select(first.experiment(), first)  # a front is more to send
    resource.setrlimit(resource.RLIMIT_FSIZE, (full, limits[1]))
    try:
        with pytest.raises(UserError, match=r"mlflow\.db did not store the run .*Then run `zenfront sync first"):
            sync(first)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert "Traceback" not in capfd.readouterr().err
