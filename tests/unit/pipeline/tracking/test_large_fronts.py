"""A front of many members is mirrored in bounded time; what is wrong with the record is not blamed on MLflow."""

import json
from collections.abc import Callable

import pytest

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.provenance import read_origin
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.run_record import RunRecord
from zenfront.pipeline.results.front import Front
from zenfront.pipeline.stages.select import select
from zenfront.pipeline.tracking import Mirror, sync
from zenfront.pipeline.tracking import _entries as entries

FakeRun = Callable[..., tuple[Experiment, RunFolder]]
FakeTraining = Callable[[Experiment, RunFolder, Front], None]


def test_a_large_front_has_children_for_those_that_matter(
    fake_run: FakeRun, fake_training: FakeTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, folder = fake_run(count=72)
    front = select(experiment, folder)
    fake_training(experiment, folder, front)
    monkeypatch.setattr(entries, "OTHERS", 2)
    assert len(front.members) > len(front.selected) + 2
    found = list(entries.children(RunRecord.read(folder), read_origin(folder)))
    assert [entry.key for entry in found][: len(front.selected)] == list(front.selected)
    others = [member.id for member in front.members if member.id not in front.selected]
    assert [entry.key for entry in found][len(front.selected) :] == others[:2]


def test_a_damaged_record_is_not_blamed_on_mlflow(fake_run: FakeRun) -> None:
    experiment, folder = fake_run(count=24)
    select(experiment, folder)
    stored = json.loads(folder.front.read_text())
    del stored["front"][0]["values"]["zen"]
    folder.front.write_text(json.dumps(stored))
    with pytest.raises(UserError, match=r"front\.json: front: the value of zen is missing") as told:
        sync(folder)
    assert "MLflow" not in str(told.value)
    said: list[str] = []
    with Mirror(folder, experiment, said.append):
        pass
    assert len(said) == 1
    assert "front.json" in said[0]
