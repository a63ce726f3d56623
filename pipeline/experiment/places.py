"""Sections of an experiment that say where it runs; they do not change the result."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from zenfront.pipeline.experiment._types import LONGEST, Positive, Rate, Strict, Word
from zenfront.pipeline.experiment.addresses import fault, has_secrets


def _readable(address: str) -> str:
    if problem := fault(address):
        raise ValueError(problem)
    return address


Address = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_readable)]


class Workers(Strict):
    """Workers of one stage and their resources."""

    workers: Literal["auto"] | Positive = "auto"
    """Number of parallel workers; `auto` uses as many as the cluster has room for."""
    cpus: Positive = 1
    """Processors per worker, which is also its number of threads."""
    gpus: Rate = 0.0
    """GPUs per worker; with a fraction, several workers share one. Ignored if device is `auto` and there is no GPU."""
    memory: Annotated[float, Field(gt=0, le=1_000_000)] | None = None
    """Memory per worker in GiB, which limits the number of workers on a machine; not limited if not given."""

    @property
    def processes(self) -> int:
        """Number of processes of a worker, each with these processors, GPUs and memory."""
        return 1


class TrainWorkers(Workers):
    """Workers of the training and their resources."""

    devices: Annotated[int, Field(ge=1, le=1024)] = 1
    """Number of devices that train one network together, each with a share of every mini-batch. `cpus`, `gpus` and
    `memory` are those of one device, and a device may be on another machine. Supernets use one."""

    @property
    def processes(self) -> int:
        """Number of processes of a worker, one for each device."""
        return self.devices

    @model_validator(mode="after")
    def _one_gpu_a_device(self) -> "TrainWorkers":
        if self.devices > 1 and self.gpus not in (0, 1):
            raise ValueError(
                "`gpus` must be 1 or 0 with several devices, which are a GPU or a process on the CPU each, "
                f"but got (devices={self.devices}, gpus={self.gpus:g})"
            )
        return self


class Resources(Strict):
    """Devices and workers. They do not change the result."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device of the networks; `auto` uses the GPU if the worker has one."""
    search: Workers = Workers()
    """Workers of the search."""
    train: TrainWorkers = TrainWorkers()
    """Workers of the training."""


class Tracking(Strict):
    """MLflow tracking. It does not change the result."""

    uri: Address | None = None
    """Tracking server or store; SQLite beside the runs if not given. In a file, it needs `--trust-config`."""
    experiment: Word = "zenfront"
    """Name of the MLflow experiment."""


class Cluster(Strict):
    """Ray cluster. It does not change the result."""

    address: Address | None = None
    """Running cluster: `auto`, `host:port` or `ray://host:port`; Ray is started on this machine if not given. In a
    file, it needs `--trust-config`."""
    storage: Address | None = None
    """Storage for a copy of run folder and checkpoints: `s3://bucket/folder`, `gs://...`, or an absolute path. In a
    file, it needs `--trust-config`."""
    patience: Annotated[float, Field(ge=0, le=LONGEST)] = 1800
    """Seconds to wait for a new machine after all machines are lost; then the run ends and can be resumed."""

    @field_validator("address")
    @classmethod
    def _address_of_ray(cls, address: str | None) -> str | None:
        if address and not re.fullmatch(r"auto|(ray://)?[^/@?#]+:[0-9]{1,5}", address):
            raise ValueError("must be auto, host:port or ray://host:port")
        return address

    @field_validator("storage")
    @classmethod
    def _place_without_credentials(cls, storage: str | None) -> str | None:
        if storage and not re.match(r"/|[a-z][a-z0-9+]*://", storage):
            raise ValueError("`storage` must be scheme://... or an absolute path")
        if storage and has_secrets(storage):
            raise ValueError("`storage` must not hold credentials: they come from the environment of each machine")
        return storage
