"""How many workers a cluster has room for."""

from typing import Any

import pytest

from zenfront.pipeline.cluster import session
from zenfront.pipeline.cluster.workers import WorkerPool, plan_workers
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Workers


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """Resources that Ray reports; a test may change them."""
    resources = {"CPU": 8.0, "GPU": 2.0, "memory": 8.0 * 2**30}
    monkeypatch.setattr("ray.cluster_resources", lambda: resources)
    return resources


@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        (Workers(), WorkerPool(8, 1, 0)),
        (Workers(cpus=3), WorkerPool(2, 3, 0)),
        (Workers(gpus=0.25), WorkerPool(8, 1, 0.25)),
        (Workers(gpus=0.4), WorkerPool(5, 1, 0.4)),
        (Workers(workers=3, gpus=0.5), WorkerPool(3, 1, 0.5)),
        (Workers(workers=100), WorkerPool(8, 1, 0)),
        (Workers(memory=1.5), WorkerPool(5, 1, 0, 3 * 2**29)),
    ],
)
def test_as_many_as_fit_and_are_wanted(cluster: dict[str, float], workers: Workers, expected: WorkerPool) -> None:
    assert plan_workers(workers, "search", "auto") == expected


def test_without_any_gpu_they_do_without_if_the_device_is_left_to_us(cluster: dict[str, float]) -> None:
    del cluster["GPU"]
    assert plan_workers(Workers(cpus=4, gpus=1), "train", "auto") == WorkerPool(2, 4, 0)
    with pytest.raises(
        UserError, match=r"resources\.train: a worker needs 4 CPUs and 1 GPUs, but the cluster has 8 and 0"
    ):
        plan_workers(Workers(cpus=4, gpus=1), "train", "cuda")


def test_a_worker_larger_than_the_cluster_is_refused(cluster: dict[str, float]) -> None:
    with pytest.raises(UserError, match=r"resources\.search: a worker needs 16 CPUs"):
        plan_workers(Workers(cpus=16), "search", "auto")


@pytest.mark.parametrize(("address", "said"), [(None, "Ray did not start on this"), ("auto", "cluster.address")])
def test_a_ray_that_does_not_start_is_one_message(
    fake_run: Any, monkeypatch: pytest.MonkeyPatch, address: str | None, said: str
) -> None:
    def overloaded(**_: object) -> None:
        raise Exception("The current node timed out during startup.")

    monkeypatch.setattr("ray.is_initialized", lambda: False)
    monkeypatch.setattr("ray.init", overloaded)
    experiment, _ = fake_run(cluster={"address": address})
    with pytest.raises(UserError, match=rf"{said}.*timed out during startup"), session.cluster(experiment):
        pass


def test_a_worker_that_wants_more_memory_than_there_is_is_refused(cluster: dict[str, float]) -> None:
    with pytest.raises(UserError, match=r"1 CPUs and 0 GPUs and 9 GiB, but the cluster has 8 and 2 and 8 GiB\."):
        plan_workers(Workers(memory=9), "search", "cpu")


def test_a_worker_asks_ray_for_what_it_needs_and_no_more() -> None:
    assert WorkerPool(3, 2, 0).resources == {"CPU": 2}
    assert WorkerPool(3, 1, 0.5, 2**30).resources == {"CPU": 1, "GPU": 0.5, "memory": 2**30}
