"""Failures that are not the candidates' end the search, and what was recorded as failed can be scored again."""

import json
from pathlib import Path
from typing import Any

import pytest

import zenfront as zf
from zenfront.pipeline import proxies
from zenfront.pipeline.cluster.time_limit import time_limit
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.earlier_versions import completed
from zenfront.pipeline.proxies import Proxy
from zenfront.pipeline.record.files.ledger import Ledger, read_ledger
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.record.score_record import latest
from zenfront.pipeline.registry import Registry
from zenfront.pipeline.results.stage_rows import Epoch, Scores
from zenfront.pipeline.scoring import Scoring
from zenfront.pipeline.stages.search import serial
from zenfront.pipeline.stages.search.worker import ScoringWorker
from zenfront.spaces import Architecture

TIMES = {"seconds", "rate", "time"}


def experiment(**search: Any) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "tiny",
            "space": "anynet3",
            "task": {"channels": 1, "height": 8, "width": 8, "classes": 10},
            "objectives": [{"score": "own", "direction": "maximise"}, {"score": "flops", "direction": "minimise"}],
            "search": {"population": 4, "repeats": 1, "evaluations": 8, "batch": 2} | search,
            "resources": {"device": "cpu"},
            "select": {"k": 2},
        }
    )


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Make the score ``own`` loadable, and return the set of what is broken: "some" or "all"."""
    found: set[str] = set()

    def own(network: Any, batch: Any, generator: Any) -> float:
        parameters = sum(p.numel() for p in network.parameters())
        if "all" in found or ("some" in found and parameters // 64 % 2 == 0):
            raise RuntimeError("a driver of the device has crashed")
        return float(parameters)

    load, names = proxies.load, Registry.names
    proxy = Proxy("own", own, "1", "maximise", "a test", weights="none")
    monkeypatch.setattr(proxies, "load", lambda name, code=(): proxy if name == "own" else load(name))
    monkeypatch.setattr(Registry, "names", lambda self, code=(): [*names(self, code), "own"])
    return found


def searched(runs: Path, **settings: Any) -> RunFolder:
    options: dict[str, Any] = {"backend": "serial", "tracking": False, "progress": False, "runs": runs}
    return RunFolder(zf.search(experiment(), **options | settings).path)


def content(folder: RunFolder) -> tuple[bytes, list[Any]]:
    rows = read_ledger(folder.generations)[0]
    return folder.front.read_bytes(), [{k: v for k, v in row.items() if k not in TIMES} for row in rows]


def test_failures_that_are_scored_again_end_like_a_search_without_them(tmp_path: Path, broken: set[str]) -> None:
    whole = searched(tmp_path / "whole")
    broken.add("some")
    folder = searched(tmp_path / "broken")
    before, generations = folder.scores.read_bytes(), folder.generations.read_bytes()
    failed = [row["id"] for row in read_ledger(folder.scores)[0] if row["failure"]]
    assert failed
    broken.clear()
    assert searched(tmp_path / "broken").scores.read_bytes() == before
    searched(tmp_path / "broken", retry_failed=True)
    after = folder.scores.read_bytes()
    assert after.startswith(before)
    assert (folder.path / "generations.before-retry-1.jsonl").read_bytes() == generations
    assert {row["id"]: row["failure"] for row in read_ledger(folder.scores)[0]}.keys() >= set(failed)
    assert content(folder)[1] == content(whole)[1]


def test_a_record_in_which_everything_failed_can_be_scored_again(tmp_path: Path, broken: set[str]) -> None:
    whole = searched(tmp_path / "whole")
    broken.add("all")
    for _ in range(2):
        with pytest.raises(UserError, match="8 of 8 failed"):
            searched(tmp_path / "broken")
    broken.clear()
    folder = searched(tmp_path / "broken", retry_failed=True)
    assert content(folder)[1] == content(whole)[1]
    last = {row["id"]: row["failure"] for row in read_ledger(folder.scores)[0]}
    assert set(last.values()) == {None}
    assert set(last) >= {row["id"] for row in read_ledger(whole.scores)[0]}


def test_a_retry_that_finds_no_failure_changes_nothing(tmp_path: Path, broken: set[str]) -> None:
    folder = searched(tmp_path)
    before = folder.scores.read_bytes(), content(folder)
    searched(tmp_path, retry_failed=True)
    assert (folder.scores.read_bytes(), content(folder)) == before
    assert not list(folder.path.glob("*before-retry*"))


def test_a_retry_is_refused_when_training_has_begun(tmp_path: Path, broken: set[str]) -> None:
    folder = searched(tmp_path)
    with Ledger(folder.epochs) as epochs:
        epochs.append([Epoch("a-0", 1, {"val_accuracy": 0.5}).to_row()])
    with pytest.raises(UserError, match=r"--retry-failed: .*the training has begun"):
        searched(tmp_path, retry_failed=True)


def test_an_error_outside_the_scores_ends_a_serial_search(
    tmp_path: Path, broken: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*_: object, **__: object) -> Scores:
        raise OverflowError("timestamp out of range")

    monkeypatch.setattr(serial, "score_candidate", wrong)
    with pytest.raises(OverflowError):
        searched(tmp_path)
    assert read_ledger(tmp_path / "tiny" / "scores.jsonl")[0] == []


def test_an_error_outside_the_scores_is_an_error_of_the_worker(
    broken: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scoring = Scoring.of(experiment())
    names = [scoring.space.decode([0] * len(scoring.space.levels)).to_json()]
    worker = ScoringWorker.__new__(ScoringWorker)
    settings: dict[str, Any] = {"scoring": scoring, "threads": 1, "gpus": 0.0, "period": 1.0}
    worker.setup({"candidates": names, "repeats": 1, "alone": False, "name": ""}, seconds=1e300, **settings)
    result = worker.step()
    assert (result["rows"], result["again"], result["done"]) == ([], [], True)
    assert result["error"].startswith("OverflowError: ")
    assert "time_limit.py, line" in result["error"]
    worker = ScoringWorker.__new__(ScoringWorker)
    worker.setup({"candidates": ["no architecture"], "repeats": 1, "alone": False, "name": ""}, seconds=1.0, **settings)
    assert worker.step()["error"].startswith("JSONDecodeError: ")


@pytest.mark.parametrize("limit", [1e10, 1e-9, 0])
def test_time_limits_have_bounds(limit: float) -> None:
    for section in ("search", "train"):
        with pytest.raises(ValueError, match="time_limit"):
            Experiment.model_validate(experiment().model_dump() | {section: {"time_limit": limit}})


def test_the_bounds_are_limits_that_a_timer_keeps() -> None:
    for seconds in (0.01, 10_000_000):
        with time_limit(seconds):
            pass


def test_a_run_with_a_limit_beyond_the_bounds_is_read() -> None:
    stored = experiment().model_dump(mode="json")
    stored["search"]["time_limit"] = 1e10
    assert Experiment.model_validate(completed(json.loads(json.dumps(stored)))).search.time_limit == 10_000_000


def test_architecture_values_are_compared_by_their_last_line() -> None:
    architecture = Architecture("anynet3", (("a", 1),))
    failed, scored = Scores(architecture, {}, "broken", 0), Scores(architecture, {"flops": 1.0}, None, 0)
    assert latest([failed, scored]) == [scored]
