"""What code of other authors does to the process, to the network or to the mini-batch changes no other score."""

import os
import random  # noqa: TID251
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.modules.module import register_module_forward_hook

from zenfront import spaces
from zenfront.pipeline import proxies
from zenfront.pipeline.errors import LONGEST_REASON
from zenfront.pipeline.proxies import Batch, Proxy
from zenfront.pipeline.scoring import Scoring, noise_batch
from zenfront.spaces import Network, Task

SPACE = spaces.load("anynet3")
TASK = Task(1, 8, 8, 10)
SMALL = SPACE.architecture(SPACE.parse("d1=1,w1=16,b1=2,g1=4,d2=1,w2=16,b2=1,g2=8,d3=2,w3=24,b3=2,g3=1"))
SCORING = Scoring(SPACE, TASK, ["zen"], noise_batch(TASK, 8, 0), seed=0)
ZEN = SCORING.score(SMALL).values["zen"]
Trick = Callable[[Network, Batch], object]
WithTrick = Callable[[Trick], Scoring]


@pytest.fixture
def with_trick(monkeypatch: pytest.MonkeyPatch) -> Iterator[WithTrick]:
    """Return a function that makes a scoring of ``own``, which plays a trick, and of ``zen`` after it."""
    load = proxies.load

    def make(trick: Trick) -> Scoring:
        def own(network: Network, batch: Batch, generator: torch.Generator) -> float:
            trick(network, batch)
            return random.random() + np.random.rand() + float(torch.rand((), device="cpu"))  # noqa: NPY002, TID251

        known = {"own": Proxy("own", own, "1", "maximise", "a test", weights="gaussian")}
        monkeypatch.setattr(proxies, "load", lambda name, code=(): known.get(name) or load(name))
        return replace(SCORING, names=["own", "zen"])

    yield make
    torch.set_grad_enabled(True)
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)


def overwrite(network: Network, batch: Batch) -> None:
    next(network.parameters()).data.zero_()


def negate(network: Network, batch: Batch) -> None:
    with torch.no_grad():
        next(network.parameters()).neg_()


def hook(network: Network, batch: Batch) -> None:
    network.features.register_forward_hook(lambda module, inputs, output: 2 * output)


def freeze(network: Network, batch: Batch) -> None:
    network.requires_grad_(False)


def leave_gradients(network: Network, batch: Batch) -> None:
    network(batch.images).sum().backward()


def change_a_setting(network: Network, batch: Batch) -> None:
    next(m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)).eps = 1.0


def cut_off(network: Network, batch: Batch) -> None:
    network.features = torch.nn.Identity()


@pytest.mark.parametrize("trick", [overwrite, negate, hook, freeze, leave_gradients, change_a_setting, cut_off])
def test_a_score_that_changes_the_network_fails_by_name(trick: Trick, with_trick: WithTrick) -> None:
    scoring = with_trick(trick)
    assert "own: the score changed the network" in (scoring.score(SMALL).failure or "")
    partial = replace(scoring, keep_partial=True).score(SMALL)
    assert partial.values == {"zen": ZEN}
    assert partial.undefined["own"].startswith("own: the score changed the network")


def test_a_score_that_changes_the_mini_batch_fails_by_name(with_trick: WithTrick) -> None:
    partial = replace(with_trick(lambda _, batch: batch.images.add_(1.0)), keep_partial=True).score(SMALL)
    assert partial.values == {"zen": ZEN}
    assert partial.undefined["own"].startswith("own: the score changed the mini-batch")


def seed_all() -> None:
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002, TID251
    torch.manual_seed(1)  # noqa: TID251


@pytest.mark.parametrize(
    "trick",
    [
        lambda: torch.set_default_dtype(torch.float64),
        lambda: torch.set_grad_enabled(False),
        lambda: torch.set_default_device("meta"),
        lambda: torch.set_autocast_enabled("cpu", True),
        lambda: register_module_forward_hook(lambda module, inputs, output: output + 1),
        lambda: os.chdir("/"),
        lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
        seed_all,
    ],
    ids=["dtype", "gradients", "device", "autocast", "hooks", "folder", "signals", "generators"],
)
def test_the_state_of_the_process_is_restored(trick: Callable[[], object], with_trick: WithTrick) -> None:
    before = (torch.get_default_dtype(), torch.is_grad_enabled(), os.getcwd(), signal.getsignal(signal.SIGINT))
    generators = (torch.get_rng_state(), random.getstate(), str(np.random.get_state()))  # noqa: NPY002
    scores = with_trick(lambda network, batch: trick()).score(SMALL)
    assert scores.failure is None
    assert scores.values["zen"] == ZEN
    after = (torch.get_default_dtype(), torch.is_grad_enabled(), os.getcwd(), signal.getsignal(signal.SIGINT))
    assert after == before
    assert torch.equal(torch.get_rng_state(), generators[0])
    assert (random.getstate(), str(np.random.get_state())) == generators[1:]  # noqa: NPY002


def test_a_score_that_draws_from_the_global_generators_is_the_same_again(with_trick: WithTrick) -> None:
    scoring = with_trick(lambda network, batch: None)
    first = scoring.score(SMALL)
    with torch.random.fork_rng():
        torch.manual_seed(1)  # noqa: TID251
        assert scoring.score(SMALL).values == first.values


class Odd(BaseException):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (SystemExit(3), "own: SystemExit: 3"),
        (KeyboardInterrupt(), "own: KeyboardInterrupt: "),
        (Odd(), "own: Odd: (its message cannot be shown)"),
        (ValueError("\ud800"), "own: ValueError: ?"),
        (ValueError("x" * 10**6), "own: ValueError: " + "x" * (LONGEST_REASON - 20) + "..."),
    ],
)
def test_whatever_a_score_raises_is_the_failure_of_the_candidate(
    error: BaseException, reason: str, with_trick: WithTrick
) -> None:
    def fail(network: Network, batch: Batch) -> None:
        overwrite(network, batch)
        raise error

    scoring = with_trick(fail)
    assert scoring.score(SMALL).failure == reason
    assert replace(scoring, keep_partial=True).score(SMALL).values == {"zen": ZEN}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_work_whatever_the_score_makes_of_it(number: int, with_trick: WithTrick) -> None:
    handler = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            with_trick(lambda network, batch: os.kill(os.getpid(), number)).score(SMALL)
    finally:
        signal.signal(number, handler)


def test_a_forked_copy_of_the_process_ends_with_its_score(with_trick: WithTrick) -> None:
    children: list[int] = []
    scores = with_trick(lambda network, batch: children.append(os.fork())).score(SMALL)
    assert scores.values["zen"] == ZEN
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [1]


def test_scores_are_taken_in_other_threads_too(with_trick: WithTrick) -> None:
    scoring, found = with_trick(lambda network, batch: None), []
    thread = threading.Thread(target=lambda: found.append(scoring.score(SMALL).values["zen"]))
    thread.start()
    thread.join()
    assert found == [ZEN]
