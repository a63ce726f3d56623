"""A worker that cannot start, or waits for resources of other jobs, is said with machine, reason and remedy."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import ray

from zenfront.pipeline.cluster.starts import WorkerStarts, held_by_others, start_failure

# As Ray 2.60 words it, shortened.
MISSING = """\
Failure # 1 (occurred at 2026-11-26_05-24-10)
The actor died because of an error raised in its creation task, ray::ScoringWorker.__init__() (pid=237, ip=192.0.2.2)
    setup_kwargs[k] = parameter_registry.get(prefix + k)
ray.exceptions.RaySystemError: System error: No module named 'minepkg'
traceback: Traceback (most recent call last):
    obj = pickle.loads(in_band)
ModuleNotFoundError: No module named 'minepkg'
"""
KILLED = "Failure # 1\nThe actor died unexpectedly before finishing this task.\n"
NODES = [{"NodeManagerAddress": "192.0.2.2", "NodeManagerHostname": "node7"}]


class _Driver:
    def __init__(self) -> None:
        self.error: Exception | None = None
        self.said: list[str] = []

    def notify(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(autouse=True)
def _one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "nodes", lambda: NODES)


def _failed(folder: Path, name: str, text: str) -> SimpleNamespace:
    (folder / name).write_text(text)
    return SimpleNamespace(trial_id=name, error_file=str(folder / name))


def test_the_reason_and_the_machine_are_those_of_the_exception() -> None:
    assert start_failure(MISSING) == ("ModuleNotFoundError: No module named 'minepkg'", "node7")
    assert start_failure(KILLED) is None


def test_two_failures_for_one_reason_end_the_run(tmp_path: Path) -> None:
    driver = _Driver()
    found = WorkerStarts(driver)
    found.failed(_failed(tmp_path, "a", MISSING))
    found.failed(_failed(tmp_path, "k", KILLED))
    assert driver.error is None
    found.failed(_failed(tmp_path, "b", MISSING))
    assert str(driver.error) == (
        "cluster: a worker does not start on node7: ModuleNotFoundError: No module named 'minepkg'. Install the "
        "package on all machines, or submit the work with Ray's `--working-dir`."
    )
    assert [found.was_one(name) for name in "akb"] == [True, False, True]


def test_if_others_have_started_it_is_said_once(tmp_path: Path) -> None:
    driver = _Driver()
    found = WorkerStarts(driver)
    found.any_started = True
    for name in "abcd":
        found.failed(_failed(tmp_path, name, MISSING))
    assert driver.error is None
    assert len(driver.said) == 1
    assert driver.said[0].endswith("Others have started and go on.")


def test_who_holds_the_resources_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    mine, other = "01000000", "02000000"

    def group(job: str, state: str, cpus: float) -> dict[str, object]:
        return {"placement_group_id": "f" * 28 + job, "state": state, "bundles": {0: {"CPU": cpus}}}

    groups = {"a": group(other, "CREATED", 1.0), "b": group(other, "CREATED", 1.0), "c": group(mine, "PENDING", 1.0)}
    jobs = [{"JobID": other, "DriverIPAddress": "192.0.2.2", "DriverPid": 12, "Entrypoint": "zenfront run big"}]
    monkeypatch.setattr(ray, "available_resources", lambda: {"CPU": 0.0})
    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 2.0})
    monkeypatch.setattr(ray, "get_runtime_context", lambda: SimpleNamespace(get_job_id=lambda: mine))
    monkeypatch.setattr(ray.util, "placement_group_table", lambda: groups)
    monkeypatch.setattr("ray._private.state.jobs", lambda: jobs)
    assert held_by_others({"CPU": 1.0}) == (
        "2 CPUs of 2 CPUs are held; job 02000000 (zenfront run big, process 12 on node7) holds 2 CPUs"
    )
    groups["c"] = group(mine, "CREATED", 1.0)  # a worker of ours has what it needs
    assert held_by_others({"CPU": 1.0}) is None
    del groups["c"]
    monkeypatch.setattr(ray, "available_resources", lambda: {"CPU": 1.0})
    assert held_by_others({"CPU": 1.0}) is None
