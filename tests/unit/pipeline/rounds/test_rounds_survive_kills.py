"""A run with rounds that is killed at any write, between rounds or within one, ends as one that was not."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from zenfront.pipeline.record.files.ledger import Ledger, read_ledger
from zenfront.pipeline.record.files.whole_file import write_whole
from zenfront.pipeline.results.front import Front
from zenfront.pipeline.results.stage_rows import Trained

World = Any
Outcome = tuple[Front, Trained]


class Killed(BaseException):
    """What `kill -9` would be: no handler of the pipeline sees it coming."""


class Kill:
    """Ends the process before a given write, or never."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.writes, self.last = 0, float("inf")
        self.places: list[str] = []
        append = Ledger.append

        def appended(ledger: Ledger, rows: Iterable[Mapping[str, Any]]) -> None:
            self._count(ledger.path)
            append(ledger, rows)

        def written(path: Path) -> Any:
            self._count(path)
            return write_whole(path)

        monkeypatch.setattr(Ledger, "append", appended)
        monkeypatch.setattr("zenfront.pipeline.record.files.json_file.write_whole", written)

    def at(self, write: float) -> None:
        """Set the number of the write before which the process ends."""
        self.writes, self.last, self.places = 0, write, []

    def _count(self, path: Path) -> None:
        if self.writes >= self.last:
            raise Killed
        self.writes += 1
        self.places.append(path.name)


@pytest.fixture
def kill(monkeypatch: pytest.MonkeyPatch) -> Kill:
    return Kill(monkeypatch)


@pytest.mark.parametrize(("scheduler", "workers"), [("successive_halving", 1), ("successive_halving", 3), ("asha", 1)])
def test_a_run_killed_at_a_write_ends_as_one_that_was_not(
    world: World, kill: Kill, tmp_path: Path, scheduler: str, workers: int
) -> None:
    train = world.experiment().train.model_dump() | {"scheduler": {"name": scheduler}}
    experiment = world.experiment({"train": train}, k=9, evaluations=8)
    world.workers = workers
    expected = world.run(experiment, tmp_path / "whole")
    places = list(kill.places)
    choices = [write for write, name in enumerate(places) if name == "front.json"]
    assert len(choices) == 3
    near = {write + step for write in choices for step in (-1, 0, 1, 2)}
    for cut in sorted(near | set(range(0, len(places), 31))):
        path = tmp_path / f"cut{cut}"
        kill.at(cut)
        with pytest.raises(Killed):
            world.run(experiment, path)
        kill.at(float("inf"))
        world.scored.clear()
        assert world.run(experiment, path) == expected, f"killed before write {cut}, of {places[cut]}"
        assert len(set(world.scored)) == len(world.scored)


def test_a_kill_for_each_round_in_one_run(world: World, kill: Kill, tmp_path: Path) -> None:
    """It is killed again and again, every time after a few writes."""
    experiment = world.experiment(k=9, evaluations=8)
    expected = world.run(experiment, tmp_path / "whole")
    deaths = 0
    while True:
        kill.at(12)
        try:
            found: Outcome = world.run(experiment, tmp_path / "killed")
            break
        except Killed:
            deaths += 1
    assert deaths > 5
    assert found == expected
    whole, killed = (read_ledger(tmp_path / name / "epochs.jsonl")[0] for name in ("whole", "killed"))
    trained = [sorted((row["trial"], row["epoch"]) for row in rows) for rows in (whole, killed)]
    assert trained[0] == trained[1]  # none twice, in an order that depends on the places of the kills
