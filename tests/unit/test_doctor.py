"""`zenfront doctor`: what it says about a machine is true, and it names the reason of what an experiment would use."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from zenfront.pipeline.checks import doctor
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.config_file import load_experiment

Zenfront = Callable[..., tuple[int, str, str]]


def experiment(*overrides: str) -> Experiment:
    return load_experiment("smoke", overrides)


class Properties(NamedTuple):
    name: str
    major: int
    minor: int


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torch report two GPUs; there is none."""
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (70 * 2**30, 80 * 2**30))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: Properties("H100", 9, 0))


def test_the_machine_is_that_of_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {3, 5, 6})
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("ZENFRONT_CACHE", str(tmp_path))
    (tmp_path / "images/train-1").mkdir(parents=True)
    (tmp_path / "images/train-1/pixels").write_bytes(bytes(3 * 2**20))
    lines = list(doctor.describe_machine(tmp_path / "not" / "there"))
    assert lines[0].startswith("processors: 3 of 8 usable, ")
    assert lines[0].endswith("(OMP_NUM_THREADS is 1)")
    total, free = doctor.memory()
    assert 0 < free < total
    assert lines[-2].startswith(f"disk of {tmp_path}/not/there: ")
    assert lines[-1] == f"stored images: 1 set, 3 MiB in {tmp_path}/images; delete any that no run is using"


@pytest.mark.parametrize(
    ("cuda", "visible", "said"),
    [(None, None, "is a build without CUDA"), ("12.8", "", "since CUDA_VISIBLE_DEVICES is empty")],
)
def test_why_there_is_no_gpu(cuda: str | None, visible: str | None, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    [line] = doctor.describe_gpus()
    assert line.startswith("GPU: none, since ")
    assert said in line


@pytest.mark.usefixtures("two_gpus")
def test_gpus_are_described() -> None:
    wanted = "H100, 70 GiB of 80 GiB free, compute capability 9.0, with bfloat16, CUDA 12.8"
    assert list(doctor.describe_gpus()) == [f"GPU 0: {wanted}", f"GPU 1: {wanted}"]


def test_the_speed_of_the_cpu_is_measured_with_one_thread() -> None:
    before = torch.get_num_threads()
    [line] = doctor.measure_devices(0.01)
    assert line.startswith("speed of one CPU thread: ")
    flops, images = (float(part.split()[0].replace(",", "")) for part in line.partition(": ")[2].split(", ")[:2])
    assert flops > 1
    assert images > 1
    assert torch.get_num_threads() == before


def test_what_an_experiment_would_use_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "processors", lambda: 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    asked = experiment("resources.search.workers=auto", "resources.train.cpus=4", "resources.train.gpus=1")
    search, train = doctor.describe_use(asked)
    assert search == (
        "search: 2 workers (as many as fit, with 1 processor each), networks on the CPU (there is no GPU)"
    )
    assert train.startswith("train: no worker (resources.train.cpus asks for 4 processors, and here are 2)")
    _, train = doctor.describe_use(experiment("resources.train.devices=4"))
    assert train.startswith("train: no worker (resources.train.devices asks for 4 processors, and here are 2)")
    _, train = doctor.describe_use(experiment("resources.train.devices=2", "resources.train.workers=auto"))
    assert train.startswith(
        "train: 1 worker of 2 devices (as many as fit, with 2 processors each), networks on the CPU"
    )
    search, _ = doctor.describe_use(experiment("resources.device=cuda", "resources.search.workers=1"))
    assert search.endswith("an error, since resources.device is cuda and there is no GPU")
    assert "1 worker (resources.search.workers is 1)" in search


@pytest.mark.usefixtures("two_gpus")
def test_what_an_experiment_would_use_of_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "processors", lambda: 16)
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    asked = experiment("resources.search.workers=auto", "resources.search.gpus=0.25", "resources.train.gpus=0")
    search, train = doctor.describe_use(asked)
    assert search == (
        "search: 8 workers (the GPUs have room for 8 with resources.search.gpus 0.25), "
        "networks on the GPU, 0.25 of one for each worker (resources.search.gpus)"
    )
    assert train.endswith("networks on the CPU: there is a GPU, but resources.train.gpus is 0")


def test_the_command(zenfront: Zenfront, tmp_path: Path) -> None:
    code, out, _ = zenfront("doctor", "smoke", "--quick", "--runs", str(tmp_path))
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("zenfront ")
    assert f"torch {torch.__version__}" in lines[1]
    assert "experiment smoke:" in lines
    assert not list(tmp_path.iterdir())
    code, _, error = zenfront("doctor", "no_such", "--quick")
    assert code == 2
    assert "no experiment 'no_such'" in error
