"""The number of workers that fit on the machines of a cluster."""

from collections.abc import Callable
from typing import Any

import pytest

from zenfront.pipeline.cluster import session
from zenfront.pipeline.cluster.workers import WorkerPool, missing_gpus, plan_workers
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.places import Workers

Cluster = Callable[..., None]
GIB = 2**30


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Set the machines that Ray reports, by their resources; None is a machine that has left."""

    def set_machines(*machines: dict[str, float] | None) -> None:
        nodes = [{"Alive": machine is not None, "Resources": machine or {}} for machine in machines]
        monkeypatch.setattr("ray.nodes", lambda: nodes)

    return set_machines


@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        (Workers(), WorkerPool(8, 1, 0)),
        (Workers(cpus=3), WorkerPool(2, 3, 0)),
        (Workers(gpus=0.25), WorkerPool(8, 1, 0.25)),
        (Workers(workers=3, gpus=0.5), WorkerPool(3, 1, 0.5)),
        (Workers(workers=100), WorkerPool(8, 1, 0)),
        (Workers(memory=1.5), WorkerPool(5, 1, 0, 3 * GIB // 2)),
    ],
)
def test_as_many_as_fit_and_are_wanted(cluster: Cluster, workers: Workers, expected: WorkerPool) -> None:
    cluster({"CPU": 8.0, "GPU": 2.0, "memory": 8.0 * GIB})
    assert plan_workers(workers, "search", "auto") == expected


@pytest.mark.parametrize(
    ("workers", "count"),
    [
        (Workers(cpus=2), 3),  # 1 + 2 + 0: the odd processors of two machines make no worker
        (Workers(cpus=1, memory=3), 3),  # 1 + 2 + 0: the third machine has no memory left for one
        (Workers(cpus=1, gpus=1), 3),
        (Workers(cpus=1, gpus=2), 1),  # one GPU of each machine makes no worker of two
        (Workers(cpus=1, gpus=0.4), 6),  # two on each GPU; 0.2 of one and 0.2 of the next make no worker
        (Workers(cpus=1, gpus=0.1), 8),  # 3 + 5: here the processors are short
    ],
)
def test_a_worker_has_its_place_on_one_machine_and_its_fraction_on_one_gpu(
    cluster: Cluster, workers: Workers, count: int
) -> None:
    cluster(
        {"CPU": 3, "GPU": 1, "memory": 4.0 * GIB},
        {"CPU": 5, "GPU": 2, "memory": 8.0 * GIB},
        {"CPU": 1, "memory": 2.0 * GIB},
        None,
    )
    assert plan_workers(workers, "search", "auto").count == count


def test_the_cpu_is_used_if_no_machine_has_a_gpu_and_the_device_is_auto(cluster: Cluster) -> None:
    cluster({"CPU": 8})
    assert plan_workers(Workers(cpus=4, gpus=1), "train", "auto") == WorkerPool(2, 4, 0)
    with pytest.raises(
        UserError,
        match=r"resources\.train: a worker needs 4 CPUs and 1 GPU on one machine, "
        r"but the cluster has 1 machine with 8 CPUs and 0 GPUs\.",
    ):
        plan_workers(Workers(cpus=4, gpus=1), "train", "cuda")


def test_a_worker_larger_than_any_machine_is_refused(cluster: Cluster) -> None:
    """Two machines of one processor have two, but none for a worker of two: it would be waited for without an end."""
    cluster({"CPU": 1}, {"CPU": 0}, {"CPU": 1}, None)
    with pytest.raises(
        UserError,
        match=r"resources\.search: a worker needs 2 CPUs on one machine, but the cluster has "
        r"2 machines with 1 CPU; 1 machine with 0 CPUs\. Ask for less in resources\.search",
    ):
        plan_workers(Workers(cpus=2), "search", "auto")


def test_a_worker_that_wants_more_memory_than_a_machine_has_is_refused(cluster: Cluster) -> None:
    cluster({"CPU": 8, "memory": 8.0 * GIB}, {"CPU": 4, "memory": 8.0 * GIB})
    with pytest.raises(UserError, match=r"1 CPU and 9 GiB of memory on one machine, .* 8 CPUs and 8 GiB of memory; "):
        plan_workers(Workers(memory=9), "search", "cpu")


def test_machines_that_have_left_count_for_nothing(cluster: Cluster) -> None:
    cluster(None, None)
    with pytest.raises(UserError, match=r"the cluster has no machine\."):
        plan_workers(Workers(), "search", "auto")


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


def test_a_worker_asks_ray_for_what_it_needs_and_no_more() -> None:
    assert WorkerPool(3, 2, 0).resources == {"CPU": 2}
    assert WorkerPool(3, 1, 0.5, 2**30).resources == {"CPU": 1, "GPU": 0.5, "memory": 2**30}


def test_gpus_that_are_asked_for_and_are_not_there_are_said(cluster: Cluster) -> None:
    cluster({"CPU": 4.0})
    assert missing_gpus(Workers(gpus=0.5), "train") == (
        "resources.train.gpus asks for 0.5 a worker, but no machine has a GPU: networks are on the CPU"
    )
    assert missing_gpus(Workers(), "train") is None
    cluster({"CPU": 4.0}, {"CPU": 4.0, "GPU": 1.0})
    assert missing_gpus(Workers(gpus=0.5), "train") is None


def test_cuda_without_a_gpu_is_refused(cluster: Cluster) -> None:
    cluster({"CPU": 4.0})
    said = r"resources\.device: cuda needs a GPU, but the cluster has 1 machine with 4 CPUs and 0 GPUs"
    with pytest.raises(UserError, match=said):
        plan_workers(Workers(), "search", "cuda")


def test_a_worker_holds_the_device_that_it_measures_on(cluster: Cluster) -> None:
    cluster({"CPU": 8, "device:phone": 1}, {"CPU": 8, "device:phone": 1}, {"CPU": 8})
    pool = plan_workers(Workers(), "search", "cpu", ["phone"])
    assert pool == WorkerPool(2, 1, 0, 0, ["phone"])
    assert pool.resources == {"CPU": 1, "device:phone": 1}
    assert plan_workers(Workers(), "search", "cpu") == WorkerPool(24, 1, 0)


def test_a_device_that_no_machine_declares_is_told_with_its_remedy(cluster: Cluster) -> None:
    cluster({"CPU": 8, "device:tablet": 1}, {"CPU": 8})
    said = r"""measures on phone, which no machine .* `ray start --resources='\{"device:phone": 1\}'`"""
    with pytest.raises(UserError, match=said):
        plan_workers(Workers(), "search", "cpu", ["phone"])


def test_ray_that_is_started_for_an_experiment_has_its_devices() -> None:
    command = {"runtime": "command", "device": "phone", "command": "measure {onnx}"}
    experiment = Experiment.model_validate(
        {
            "name": "phone",
            "space": "anynet3",
            "task": {"channels": 1, "height": 8, "width": 8, "classes": 10},
            "objectives": [{"score": "latency", "direction": "minimise"}],
            "proxies": {"latency": command},
        }
    )
    assert session.declared_devices(experiment) == {"device:phone": 1.0}
    assert session.declared_devices(experiment.model_copy(update={"proxies": {}})) == {}


@pytest.mark.parametrize(("devices", "count"), [(1, 7), (2, 3), (7, 1)])
def test_the_devices_of_a_training_may_be_on_several_machines(cluster: Cluster, devices: int, count: int) -> None:
    cluster({"CPU": 4, "GPU": 4}, {"CPU": 3, "GPU": 8})
    pool = plan_workers(Workers(gpus=1), "train", "auto", processes=devices)
    assert pool == WorkerPool(count, 1, 1, processes=devices)
    assert pool.resources == {"CPU": 1, "GPU": 1}  # of one device


def test_more_devices_than_the_cluster_has(cluster: Cluster) -> None:
    cluster({"CPU": 4, "GPU": 4}, {"CPU": 3, "GPU": 8})
    said = (
        r"resources.train.devices: a training needs 8 devices with 1 CPU and 1 GPU each, but the cluster has 1 machine "
    )
    with pytest.raises(UserError, match=said):
        plan_workers(Workers(gpus=1), "train", "auto", processes=8)
