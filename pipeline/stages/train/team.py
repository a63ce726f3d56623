"""The devices that train one run together: a Tune worker, which is the first, and its peers."""

from collections.abc import Callable, Generator
from functools import partial
from typing import Any, TypeVar

import ray
import torch

from zenfront.pipeline.cluster.peers import InStore, Peers
from zenfront.pipeline.cluster.workers import show
from zenfront.pipeline.device import resolve
from zenfront.pipeline.results.stage_rows import Epoch
from zenfront.pipeline.stages.train.training import Training
from zenfront.pipeline.training.parallel.ranks import Ranks, join, leave, listening
from zenfront.spaces import Architecture

Made = TypeVar("Made")


class TrainingPeer:
    """Process of a device but the first: it trains the same run, epoch by epoch, and reports nothing.

    Args:
        rank: Number of the process.
        training: Settings and data of the stage.
        threads: Number of threads.
        devices: Number of processes.
    """

    def __init__(self, rank: int, training: InStore[Training], threads: int, devices: int) -> None:
        torch.set_num_threads(threads)
        self._ranks = Ranks(rank, devices)
        self._training = training.value.shared_by(self._ranks)
        self._epochs: Generator[Epoch, None, None] | None = None

    def join(self, host: str, port: int) -> None:
        """Connect to the first process."""
        device = torch.device(resolve(self._training.device))
        join(self._ranks, host, port, device=device, seconds=self._training.seconds)

    def begin(self, job: dict[str, Any]) -> None:
        """Set the next run."""
        if self._epochs:
            self._epochs.close()
        self._job, self._epochs = job, None

    def epoch(self) -> None:
        """Train one epoch that is not recorded."""
        self._do(self._epoch)

    def test(self) -> None:
        """Test the run."""
        self._do(lambda: self._training.test(*self._run))

    @property
    def _run(self) -> tuple[Architecture, int, str]:
        return Architecture.from_json(self._job["architecture"]), self._job["seed"], self._job["name"]

    def _epoch(self) -> None:
        if self._epochs is None:
            self._epochs = self._training.run(*self._run, lambda text: None)
        next(epoch for epoch in self._epochs if epoch.epoch > self._job["recorded"])

    def _do(self, work: Callable[[], object]) -> None:
        show(f"TrainingPeer: device {self._ranks.rank + 1} of {self._ranks.count} of {self._job['name']}")
        try:
            work()
        except BaseException:
            leave()  # the others would wait for this process
            raise


class Team:
    """Directs the peers of a training worker; without peers, the worker does its work alone.

    Args:
        training: Settings and data of the stage; in Ray's store if there are peers.
        threads: Number of threads of a process.
        devices: Number of processes.
    """

    def __init__(self, training: Training | InStore[Training], threads: int, devices: int) -> None:
        self._peers: Peers | None = None
        if not isinstance(training, InStore):
            self.training = training
            return
        ranks = Ranks(0, devices)
        self.training = training.value.shared_by(ranks)
        self._peers = Peers(TrainingPeer, self.training.seconds, training, threads, devices)
        host = ray.util.get_node_ip_address()
        connect = partial(join, device=torch.device(resolve(self.training.device)), seconds=self.training.seconds)
        with listening(host) as server:
            port = server.getsockname()[1]
            self._peers.together(lambda: connect(ranks, host, port, server=server), "join", host, port)

    def begin(self, job: dict[str, Any]) -> None:
        """Set the next run of the peers."""
        self.together(lambda: None, "begin", job)

    def together(self, own: Callable[[], Made], method: str, *arguments: object) -> Made:
        """Do one's own part of an epoch or a test while the peers do theirs, as `Peers.together`."""
        return self._peers.together(own, method, *arguments) if self._peers else own()
