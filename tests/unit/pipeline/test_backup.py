"""The copy of a run folder: another machine continues from it, and a failing storage does not stop the work."""

import shutil
import time
from pathlib import Path

import pytest

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.copies.backup import Backup, storage_of
from zenfront.pipeline.record.copies.storage import Storage, _below
from zenfront.pipeline.record.files.json_file import write_json
from zenfront.pipeline.record.files.ledger import Ledger, read_ledger
from zenfront.pipeline.record.run_folder import RunFolder


def _experiment(storage: Path, **changes: object) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "copied",
            "space": "anynet3",
            "task": {"channels": 1, "height": 8, "width": 8, "classes": 10},
            "objectives": [{"score": "flops", "direction": "minimise"}],
            "cluster": {"storage": storage.as_uri()},
        }
        | changes
    )


class Machine:
    """A driver of the run on a separate machine."""

    def __init__(self, root: Path, storage: Path) -> None:
        self.said: list[str] = []
        self.experiment = _experiment(storage)
        self.folder = RunFolder(root / "runs" / "copied")

    def copy(self) -> Backup:
        storage = storage_of(self.experiment, self.folder)
        assert storage
        self.folder.path.mkdir(parents=True, exist_ok=True)
        return Backup(self.folder, self.experiment, storage, self.said.append, period=0.02, patience=500)

    def score(self, *numbers: int) -> None:
        with Ledger(self.folder.scores) as ledger:
            ledger.append({"number": number} for number in numbers)

    @property
    def scored(self) -> list[int]:
        return [row["number"] for row in read_ledger(self.folder.scores)[0]]


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    return tmp_path / "far away" / "storage"


@pytest.fixture
def here(tmp_path: Path, storage: Path) -> Machine:
    return Machine(tmp_path / "here", storage)


@pytest.fixture
def there(tmp_path: Path, storage: Path) -> Machine:
    return Machine(tmp_path / "there", storage)


def test_another_machine_continues_where_the_first_ended(here: Machine, there: Machine) -> None:
    with here.copy():
        here.score(1, 2)
        write_json(here.folder.report / "deep" / "table.json", {"a": 1})
        write_json(here.folder.path / "tune" / "state.json", {"tune": "forgets"})
    with there.folder.driving(there.experiment), there.copy():
        assert there.scored == [1, 2]
        assert (there.folder.report / "deep" / "table.json").read_text() == '{\n "a": 1\n}\n'
        assert not {"tune", "superseded"} & {path.name for path in there.folder.path.iterdir()}
        there.score(3)
    shutil.rmtree(here.folder.path)
    with here.copy():
        assert here.scored == [1, 2, 3]
    assert here.said == there.said == []


def test_the_copy_is_updated_during_the_work(here: Machine, storage: Path) -> None:
    with here.copy():
        here.score(1)
        while not (storage / "copied" / "scores.jsonl").exists():
            time.sleep(0.01)
        assert (storage / "copied" / "scores.jsonl").read_bytes() == here.folder.scores.read_bytes()


def test_uncopied_files_of_the_last_driver_are_kept_when_it_continues(here: Machine) -> None:
    with here.copy():
        here.score(1)
    here.score(2)  # killed before it was copied
    with here.copy():
        assert here.scored == [1, 2]


def test_a_later_state_replaces_an_earlier_one_which_is_set_aside(here: Machine, there: Machine) -> None:
    with here.copy():
        here.score(1)
    here.score(2)  # killed before it was copied
    with there.copy():
        there.score(3, 4)
    with here.copy():
        assert here.scored == [1, 3, 4]
    (aside,) = (here.folder.path / "superseded").glob("*/scores.jsonl")
    assert [row["number"] for row in read_ledger(aside)[0]] == [1, 2]


def test_a_replaced_driver_stops_copying_and_reports_it(here: Machine, there: Machine, storage: Path) -> None:
    with here.copy():
        with there.copy():
            there.score(2)
        here.score(3)
    assert (storage / "copied" / "scores.jsonl").read_bytes() == there.folder.scores.read_bytes()
    assert "has taken it over" in here.said[-1]


def test_a_file_that_is_deleted_here_is_deleted_there(here: Machine, storage: Path) -> None:
    with here.copy():
        here.score(1)
        write_json(here.folder.front, {})
    with here.copy():
        here.folder.front.unlink()
    assert {path.name for path in (storage / "copied").iterdir()} == {"driver.json", "scores.jsonl"}


def test_a_failing_storage_does_not_stop_the_work_and_is_reported(here: Machine, storage: Path) -> None:
    with here.copy():
        shutil.rmtree(storage)
        storage.write_text("in the way")
        while not here.said:
            time.sleep(0.01)
        here.score(1)
    assert [line.partition(" (")[0] for line in here.said] == [
        f"{storage.as_uri()}/copied cannot be written",
        f"The copy in {storage.as_uri()}/copied lacks a part of this run",
    ]
    storage.unlink()
    with here.copy():
        pass
    assert (storage / "copied" / "scores.jsonl").read_bytes() == here.folder.scores.read_bytes()


def test_an_unusable_storage_is_reported_before_any_work(here: Machine, storage: Path) -> None:
    storage.parent.mkdir()
    storage.write_text("in the way")
    with pytest.raises(UserError, match=r"cluster\.storage: .* cannot be used \("), here.copy():
        pass
    here.experiment = _experiment(storage, cluster={"storage": "nowhere://bucket"})
    with pytest.raises(UserError, match=r"nowhere"), here.copy():
        pass


def test_another_experiment_of_the_same_name_is_refused_and_nothing_is_touched(here: Machine, there: Machine) -> None:
    with here.folder.driving(here.experiment), here.copy():
        here.score(1)
    there.experiment = there.experiment.model_copy(update={"space": "anynet4"})
    there.score(7)
    with (
        pytest.raises(UserError, match=r'another experiment under the same name:\n  space: "anynet3" -> "anynet4"'),
        there.copy(),
    ):
        pass
    assert there.scored == [7]


@pytest.mark.parametrize("key", ["bucket/run/../../../etc/passwd", "bucket/run/.."])
def test_a_key_in_a_bucket_cannot_point_outside_the_run_folder(key: str) -> None:
    assert _below("bucket/run/a/b", "bucket/run") == "a/b"
    with pytest.raises(OSError, match="leads out of its folder"):
        _below(key, "bucket/run")


def test_options_of_an_address_stay_at_its_end() -> None:
    uri = (Storage("s3://bucket/zenfront/?region=eu-north-1") / "run").uri
    assert uri == "s3://bucket/zenfront/run?region=eu-north-1"


@pytest.mark.parametrize("uri", ["runs", "s3://key:secret@bucket/folder"])
def test_an_address_is_absolute_and_holds_no_credentials(uri: str) -> None:
    with pytest.raises(ValueError, match="storage"):
        _experiment(Path("/"), cluster={"storage": uri})
