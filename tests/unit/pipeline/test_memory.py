"""The memory of a candidate, the limit of a worker, and the advice to the user."""

from typing import Any

import pytest
import torch

from zenfront.pipeline.cluster import memory
from zenfront.pipeline.cluster.memory_advice import MemoryAdvisor
from zenfront.pipeline.cluster.workers import GIB, WorkerPool


@pytest.mark.skipif(memory.peak("cpu") is None, reason="this platform does not report the peak of a process")
def test_the_peak_covers_the_work_since_the_reset() -> None:
    memory.reset_peak("cpu")
    before = memory.peak("cpu") or 0
    block = torch.ones(200_000_000, dtype=torch.uint8)
    during = memory.peak("cpu") or 0
    del block
    assert during - before > 150_000_000
    memory.reset_peak("cpu")
    assert (memory.peak("cpu") or 0) < during - 150_000_000


def test_on_a_gpu_the_peak_is_that_of_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    forgotten: list[bool] = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: forgotten.append(True))
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda: 12345)
    memory.reset_peak("cuda")
    assert forgotten
    assert memory.peak("cuda") == 12345


@pytest.mark.parametrize(("gpus", "expected"), [(0.25, [0.25]), (1.0, []), (0.0, []), (2.0, [])])
def test_a_worker_with_a_share_of_a_gpu_has_that_share_of_its_memory(
    monkeypatch: pytest.MonkeyPatch, gpus: float, expected: list[float]
) -> None:
    shares: list[float] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", shares.append)
    memory.cap_memory(gpus)
    assert shares == expected


def _rows(*gib: float | None) -> list[dict[str, Any]]:
    return [{} if amount is None else {"memory": int(amount * GIB)} for amount in gib]


def _machines(monkeypatch: pytest.MonkeyPatch, *machines: dict[str, float]) -> None:
    monkeypatch.setattr("ray.nodes", lambda: [{"Alive": True, "Resources": machine} for machine in machines])


def test_exceeding_the_share_is_reported_once(monkeypatch: pytest.MonkeyPatch) -> None:
    _machines(
        monkeypatch, {"CPU": 0, "memory": 64 * GIB}, {"CPU": 4, "memory": 16 * GIB}, {"CPU": 2, "memory": 9 * GIB}
    )
    advisor = MemoryAdvisor(WorkerPool(6, 1, 0))
    assert advisor.advice(_rows(None, 1, 3.9)) is None
    assert advisor.advice(_rows(1, 8)) == (
        "a candidate took 8 GiB, more than the 4 GiB of its worker: set resources.search.memory=10, "
        "or workers may run out of memory together"
    )
    assert advisor.advice(_rows(9)) is None


def test_the_share_in_the_experiment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    _machines(monkeypatch, {"CPU": 4, "GPU": 1, "memory": 16 * GIB})
    assert MemoryAdvisor(WorkerPool(1, 1, 0, 2 * GIB)).advice(_rows(3)) is not None
    assert MemoryAdvisor(WorkerPool(4, 1, 0.25)).advice(_rows(9)) is None
