"""The run folder that was found is the one that is used, whatever the experiment in it is called."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.copies.backup import storage_of
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.stages.run_stages import resume_run

FakeRun = Callable[..., tuple[Experiment, RunFolder]]
Zenfront = Callable[..., tuple[int, str, str]]


@pytest.fixture
def copied(fake_run: FakeRun, tmp_path: Path) -> RunFolder:
    """A copy of the run `base` under the name `old`, beside which a folder `base` must not appear."""
    _, folder = fake_run("base", count=24)
    (tmp_path / "cases").mkdir()
    return RunFolder(Path(shutil.copytree(folder.path, tmp_path / "cases/old")))


@pytest.mark.parametrize("given", [("old", "--runs", "cases"), ("cases/old/",)])
def test_a_run_is_worked_on_where_it_was_found(
    given: tuple[str, ...], copied: RunFolder, zenfront: Zenfront, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    code, out, _ = zenfront("select", *given)
    assert code == 0
    assert copied.front.is_file()
    assert not (copied.path.parents[1] / "runs/base/front.json").exists()
    assert not (copied.path.parent / "base").exists()
    said = " ".join(out.split())
    assert "base: this run is in the folder" in said
    assert "which has another name; that folder is used." in said
    assert "Continue with `zenfront train old" in said


def test_a_folder_is_also_found_from_within(copied: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(copied.path)
    assert resume_run(".", (), Path("runs"))[1].path == copied.path.resolve()


def test_another_name_on_the_command_line_is_a_run_of_its_own(copied: RunFolder) -> None:
    experiment, folder = resume_run(str(copied.path), ["name=third"], Path("runs"))
    assert (experiment.name, folder.path) == ("third", copied.path.parent / "third")


def test_two_folders_have_two_copies_in_a_storage(copied: RunFolder) -> None:
    stored = json.loads(copied.config.read_text(encoding="utf-8"))["experiment"]
    experiment = Experiment.model_validate(stored | {"cluster": {"storage": "s3://bucket/runs"}})
    places = [storage_of(experiment, RunFolder(copied.path.with_name(name))) for name in ("base", "old")]
    assert [place.uri for place in places if place] == ["s3://bucket/runs/base", "s3://bucket/runs/old"]
