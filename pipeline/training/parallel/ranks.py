"""Processes that train one network together, by the collectives of torch.distributed; one process alone needs none."""

import os
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import TypeVar

import torch
from torch import Tensor, distributed, nn

JOINING = 60.0
"""Seconds that the ranks wait for each other at least; the time limit of an epoch ends a rank that waits longer."""
Made = TypeVar("Made")


@dataclass(frozen=True)
class Ranks:
    """The processes that train a network, and which of them this one is. All call the same methods in the same order.

    Attributes:
        rank: Number of this process, from 0. The first one has the checkpoint and its results are those that count.
        count: Number of processes. With one, the methods do nothing.
    """

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the process with the checkpoint."""
        return self.rank == 0

    def same(self, make: Callable[[], Made]) -> Made:
        """Return what a function returns in the first rank, in all of them; the others do not call it."""
        if self.count == 1:
            return make()
        made = [make() if self.is_first else None]
        distributed.broadcast_object_list(made, src=0)
        return made[0]  # type: ignore[return-value]

    def add(self, *tensors: Tensor) -> None:
        """Replace tensors by their sums over the ranks."""
        for tensor in tensors if self.count > 1 else ():
            distributed.all_reduce(tensor)

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace gradients by their sums over the ranks: one collective for all, always in the same order of adding.

        The order matters for resuming with the same bits; that of `DistributedDataParallel` changes after its first
        step, when it learns in which order the gradients arrive.
        """
        if self.count == 1:
            return
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        parts = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, part in zip(gradients, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def copy_first(self, module: nn.Module) -> None:
        """Give all ranks the parameters and buffers of the first one."""
        for tensor in module.state_dict().values() if self.count > 1 else ():
            values = tensor.contiguous()
            distributed.broadcast(values, src=0)
            tensor.copy_(values)


ALONE = Ranks()
"""One process that trains a network by itself."""


def listening(host: str) -> socket.socket:
    """Return a socket of the first rank on an address of this machine, at which the others join."""
    server = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    server.bind((host, 0))
    server.listen()
    return server


def join(
    ranks: Ranks, host: str, port: int, *, device: torch.device, seconds: float, server: socket.socket | None = None
) -> None:
    """Connect this process with the other ranks; `leave` disconnects it.

    Args:
        ranks: Which process this is.
        host: Address of the machine of the first rank.
        port: Port at which the first rank listens.
        device: Device of the network: NCCL connects GPUs, Gloo processors.
        seconds: Time limit of an epoch in seconds, after which a rank gives up waiting for another one.
        server: In the first rank, the result of `listening`.

    Raises:
        RuntimeError: The ranks do not find each other (torch.distributed.DistError).
    """
    if ip_address(host).is_loopback:
        _keep_to_this_machine()
    wait = timedelta(seconds=max(seconds, JOINING))
    listener = server.detach() if server else None
    store = distributed.TCPStore(host, port, is_master=server is not None, timeout=wait, master_listen_fd=listener)  # type: ignore[attr-defined]
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, store=store, rank=ranks.rank, world_size=ranks.count, timeout=wait)


def _keep_to_this_machine() -> None:
    """Let Gloo and NCCL listen on the loopback interface alone."""
    loopback = next((name for _, name in socket.if_nameindex() if name in ("lo", "lo0")), None)
    for variable in ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME") if loopback else ():
        os.environ[variable] = str(loopback)


def leave() -> None:
    """Disconnect this process; ranks that wait for it fail at once."""
    if distributed.is_initialized():
        distributed.destroy_process_group()
