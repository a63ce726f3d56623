"""A small network and few digits, so that an epoch takes milliseconds."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, Listener
from typing import Any

import pytest
import torch

from zenfront import spaces
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.training.data import Images, load
from zenfront.pipeline.training.parallel.ranks import Ranks, join, leave, listening
from zenfront.spaces import Network, Task

DIGITS = Task(1, 8, 8, 10)
NewNetwork = Callable[..., Network]


@pytest.fixture
def digits() -> Images:
    """Digits with 108 training images and 12 validation images."""
    return load(Data(limit=120), DIGITS, seed=0)


@pytest.fixture
def new_network() -> NewNetwork:
    """Return a function that makes a network of anynet3 on the meta device, with three blocks of the given width."""

    def build(width: int = 8) -> Network:
        space = spaces.load("anynet3")
        genes = {f"{gene}{i}": value for i in (1, 2, 3) for gene, value in (("d", 1), ("w", width), ("b", 2), ("g", 4))}
        return space.network(space.architecture(genes), DIGITS)

    return build


RANK = """
import pickle, sys
from importlib.util import module_from_spec, spec_from_file_location
from multiprocessing.connection import Client
import torch
from zenfront.pipeline.training.parallel.ranks import Ranks, join

torch.set_num_threads(1)
host, port, place, key = sys.argv[1:]
line = Client(place, authkey=bytes.fromhex(key))
join(Ranks(1, 2), host, int(port), device=torch.device("cpu"), seconds=60)
while (work := line.recv()) is not None:
    name, path, payload = work
    if name not in sys.modules:  # the module of a test, which pytest has imported under this name
        spec = spec_from_file_location(name, path)
        sys.modules[name] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    function, *arguments = pickle.loads(payload)
    line.send_bytes(pickle.dumps(function(Ranks(1, 2), *arguments)))
"""
OnTwoRanks = Callable[..., tuple[Any, Any]]


@pytest.fixture(scope="session")
def second_rank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A process that is joined with this one as rank 1 of 2."""
    place, key = str(tmp_path_factory.mktemp("ranks") / "line"), os.urandom(16)
    with listening("127.0.0.1") as server, Listener(place, authkey=key) as listener:
        port = server.getsockname()[1]
        command = [sys.executable, "-c", RANK, "127.0.0.1", str(port), place, key.hex()]
        with subprocess.Popen(command) as process, listener.accept() as line:
            join(Ranks(0, 2), "127.0.0.1", port, device=torch.device("cpu"), seconds=60, server=server)
            yield line
            line.send(None)
            leave()
            process.wait()


@pytest.fixture(scope="session")
def on_two_ranks(second_rank: Connection) -> OnTwoRanks:
    """Call function(ranks, *arguments) in two processes at the same time; return both results."""

    def call(function: Callable[..., Any], *arguments: Any) -> tuple[Any, Any]:
        name = function.__module__
        second_rank.send((name, sys.modules[name].__file__, pickle.dumps((function, *arguments))))
        return function(Ranks(0, 2), *arguments), pickle.loads(second_rank.recv_bytes())

    return call
