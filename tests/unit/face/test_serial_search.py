"""A search in this process: the result of Ray's, resumed in the same way, with the same record."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

import zenfront as zf
from zenfront.pipeline import proxies
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.proxies import Batch, Proxy
from zenfront.pipeline.record.files.ledger import Ledger, read_ledger
from zenfront.pipeline.record.run_folder import RunFolder
from zenfront.pipeline.registry import Registry
from zenfront.spaces import Network

TIMING = {"seconds", "rate", "time"}
KILLED = """
import json, os, signal, sys
import zenfront as zf
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.record.files.ledger import Ledger

append = Ledger.append
def append_until_killed(ledger, rows):
    append(ledger, rows)
    if ledger.path.name == "scores.jsonl" and ledger.path.read_bytes().count(b"\\n") == 11:
        os.kill(os.getpid(), signal.SIGKILL)
Ledger.append = append_until_killed
experiment = Experiment.model_validate_json(sys.argv[1])
zf.search(experiment, backend="serial", runs=sys.argv[2], tracking=False)
"""


def experiment_of(**search: Any) -> Experiment:
    return Experiment.model_validate(
        {
            "name": "tiny",
            "space": "anynet3",
            "task": {"channels": 1, "height": 8, "width": 8, "classes": 10},
            "objectives": [
                {"score": "zen", "direction": "maximise"},
                {"score": "ntk", "direction": "minimise"},
                {"score": "flops", "direction": "minimise"},
            ],
            "constraints": [{"score": "params", "at_most": 3e5}],
            "search": {"population": 8, "evaluations": 24, "batch": 4, "repeats": 1} | search,
            "resources": {"device": "cpu"},
            "select": {"k": 3},
        }
    )


def searched(runs: Path, experiment: Experiment | None = None, **settings: Any) -> RunFolder:
    options: dict[str, Any] = {"backend": "serial", "tracking": False, "progress": False} | settings
    return RunFolder(zf.search(experiment or experiment_of(), runs=runs, **options).path)


def result(folder: RunFolder) -> tuple[bytes, list[str], list[dict[str, Any]]]:
    """The selection, the scores without their times, and the generations without their times."""
    rows = sorted(json.dumps([r["id"], r["values"], r["failure"]]) for r in read_ledger(folder.scores)[0])
    told = [{k: v for k, v in row.items() if k not in TIMING} for row in read_ledger(folder.generations)[0]]
    return folder.front.read_bytes(), rows, told


def pilot(folder: RunFolder) -> list[str]:
    """The scores of the pilot with their standard errors."""
    return sorted(json.dumps([row["id"], row["values"], row["errors"]]) for row in read_ledger(folder.pilot)[0])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A serial search that nothing interrupted."""
    return searched(tmp_path_factory.mktemp("runs"))


@pytest.mark.slow
def test_a_search_on_ray_gives_the_same_bytes(tmp_path: Path, ray_session: None) -> None:
    """With lookahead, batches and a pilot; tests/faults/test_search_on_ray.py compares plain searches."""
    settings = experiment_of(lookahead=2, repeats="auto", candidates_per_trial=3).model_dump()
    objectives = ({"score": "zen", "direction": "maximise"}, {"score": "flops", "direction": "minimise"})
    experiment = Experiment.model_validate(settings | {"objectives": objectives})
    serial = searched(tmp_path / "serial", experiment)
    on_ray = searched(tmp_path / "ray", experiment, backend="ray")
    assert on_ray.front.read_bytes() == serial.front.read_bytes()
    assert result(on_ray) == result(serial)
    assert pilot(on_ray) == pilot(serial)


def test_a_killed_search_goes_on_with_the_same_result(whole: RunFolder, tmp_path: Path) -> None:
    words = [sys.executable, "-c", KILLED, experiment_of().model_dump_json(), str(tmp_path)]
    assert subprocess.run(words, capture_output=True, check=False).returncode == -signal.SIGKILL
    folder = RunFolder(tmp_path / "tiny")
    assert len(read_ledger(folder.scores)[0]) == 11
    with folder.scores.open("ab") as file:
        file.write(b'{"id":"torn')
    assert result(searched(tmp_path)) == result(whole)


def test_an_interrupted_search_goes_on_with_the_same_result(
    whole: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Ledger.append

    def interrupted(ledger: Ledger, rows: Iterable[Mapping[str, Any]]) -> None:
        append(ledger, rows)
        if ledger.path.name == "scores.jsonl" and ledger.path.read_bytes().count(b"\n") in (3, 9):
            raise KeyboardInterrupt

    monkeypatch.setattr(Ledger, "append", interrupted)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            searched(tmp_path)
    assert result(searched(tmp_path)) == result(whole)


def test_a_finished_search_is_not_repeated(whole: RunFolder) -> None:
    before = whole.scores.read_bytes()
    searched(whole.path.parent)
    assert whole.scores.read_bytes() == before


def test_the_progress_is_printed(whole: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    searched(whole.path.parent)
    assert capsys.readouterr().out == ""
    searched(whole.path.parent, progress=True)
    assert "search: finished already, 24 architectures" in capsys.readouterr().out


def test_every_row_is_recorded_with_its_memory(whole: RunFolder) -> None:
    assert all(row["memory"] > 0 for row in read_ledger(whole.scores)[0])


Score = Callable[[Network], float]


@pytest.fixture
def with_score(monkeypatch: pytest.MonkeyPatch) -> Callable[[Score], Experiment]:
    """Makes an experiment whose objective is a function of the network."""
    load, names = proxies.load, Registry.names

    def make(score: Score, **search: Any) -> Experiment:
        def take(network: Network, batch: Batch, generator: torch.Generator) -> float:
            return score(network)

        proxy = Proxy("own", take, "1", "maximise", "a test", weights="none")
        monkeypatch.setattr(proxies, "load", lambda name, code=(): proxy if name == "own" else load(name, code))
        monkeypatch.setattr(Registry, "names", lambda registry, code=(): [*names(registry, code), "own"])
        values = experiment_of(**{"algorithm": "random", "population": 4, "evaluations": 8} | search).model_dump()
        objectives = ({"score": "own", "direction": "maximise"},)
        return Experiment.model_validate(values | {"objectives": objectives, "constraints": ()})

    return make


def parameters_of(network: Network) -> int:
    return sum(p.numel() for p in network.parameters())


def test_a_candidate_that_takes_too_long_or_too_much_has_failed(with_score: Any, tmp_path: Path) -> None:
    calls, handler = iter(range(100)), signal.getsignal(signal.SIGALRM)

    def score(network: Network) -> float:
        match next(calls):
            case 2:
                signal.setitimer(signal.ITIMER_REAL, 0.01)  # the clock is put forward
                time.sleep(1000)
            case 4:
                raise torch.OutOfMemoryError("CUDA out of memory")
        return parameters_of(network)

    failures = [row["failure"] for row in read_ledger(searched(tmp_path, with_score(score)).scores)[0]]
    assert failures[2] == "own: TimeoutError: no result after 600 s"
    assert failures[4] == "out of GPU memory, also when it was scored alone"
    assert [failure for failure in failures if failure] == [failures[2], failures[4]]
    assert signal.getsignal(signal.SIGALRM) is handler


def test_torch_has_the_threads_of_a_worker_and_gets_its_own_back(with_score: Any, tmp_path: Path) -> None:
    seen: set[int] = set()

    def score(network: Network) -> float:
        seen.add(torch.get_num_threads())
        return parameters_of(network)

    experiment = with_score(score)
    resources = experiment.resources.model_copy(
        update={"search": experiment.resources.search.model_copy(update={"cpus": 2})}
    )
    before = torch.get_num_threads()
    searched(tmp_path, experiment.model_copy(update={"resources": resources}))
    assert seen == {2}
    assert torch.get_num_threads() == before == 1


def test_a_search_in_another_thread_does_without_the_time_limit(whole: RunFolder, tmp_path: Path) -> None:
    thread = threading.Thread(target=searched, args=(tmp_path,))
    thread.start()
    thread.join()
    assert (tmp_path / "tiny" / "front.json").read_bytes() == whole.front.read_bytes()


def test_overrides_change_an_experiment_and_another_run_gives_it(whole: RunFolder, tmp_path: Path) -> None:
    run = zf.open_run(whole.path)
    overrides = ["name=second", "search.evaluations=8"]
    options: dict[str, Any] = {"backend": "serial", "tracking": False, "progress": False}
    second = zf.search(run.experiment, overrides=overrides, runs=tmp_path, **options)
    assert second.path == tmp_path / "second"
    assert list(second.scores().index) == list(run.scores().index[:8])


@pytest.mark.parametrize(
    ("config", "settings", "message"),
    [
        ("quikstart", {}, "no experiment 'quikstart'.*Did you mean 'quickstart'"),
        ("quickstart", {"overrides": ["search.evaluations=0"]}, "search.evaluations"),
        ("quickstart", {"overrides": ["objectives[0].score=zan"]}, r"objectives\[0\]\.score: there is no proxy"),
        ("quickstart", {"backend": "dask"}, "backend= must be 'ray' or 'serial', but got 'dask'"),
        ("quickstart", {"address": "auto"}, "address= goes with backend='ray'"),
        ("quickstart", {"backend": "ray", "address": "ray://head:10001"}, "driven from the head node"),
    ],
)
def test_a_mistake_is_told(tmp_path: Path, config: str, settings: Any, message: str) -> None:
    with pytest.raises(zf.UserError, match=message):
        zf.search(config, **{"backend": "serial", "runs": tmp_path, "progress": False, **settings})
    assert os.listdir(tmp_path) == []


def test_another_experiment_under_the_same_name_is_a_mistake(whole: RunFolder) -> None:
    with pytest.raises(zf.UserError, match="a run of another experiment under the same name"):
        searched(whole.path.parent, experiment_of(seed=1))
