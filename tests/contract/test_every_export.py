"""Every search space can be exported: the file computes what the network computes, and learns what it learns."""

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from zenfront import spaces
from zenfront.pipeline.export.graph.onnx_file import export_onnx
from zenfront.pipeline.export.graph.pt2_file import export_pt2
from zenfront.pipeline.export.model_source import ModelSource, model_source
from zenfront.pipeline.export.subject import Subject, fresh_subject
from zenfront.pipeline.seeds import numpy_generator, torch_generator
from zenfront.spaces import Architecture, Space, Task

SIDES = (8, 16, 32, 64)
DRAWN, COUNT = 60, 20
FEW = slice(0, 6, 3)
SMALL = {"depth": 4, "width": 16}
"""Sizes of the spaces of cells, whose kinds of cells are the point here."""


@cache
def architectures(name: str) -> tuple[Task, list[Architecture]]:
    """Return 20 architectures, the cheapest first, and the smallest images that a third of the space takes."""
    space, generator = spaces.load(name), numpy_generator(0, name, "export")
    small = {gene: value for gene, value in SMALL.items() if gene in space.levels}
    drawn = [space.architecture({**space.sample(generator).mapping, **small}) for _ in range(DRAWN)]
    for task in (Task(3, side, side, 5) for side in SIDES):
        valid = [each for each in dict.fromkeys(drawn) if space.violation(each, task) is None][:COUNT]
        if len(valid) == COUNT:
            return task, sorted(valid, key=lambda each: size(space, each, task))
    raise AssertionError(f"fewer than {COUNT} of {DRAWN} architectures of {name} can be built")


def size(space: Space, architecture: Architecture, task: Task) -> int:
    return sum(value.numel() for value in space.network(architecture, task).parameters())


def subjects(name: str, which: slice = slice(None)) -> Iterator[Subject]:
    task, drawn = architectures(name)
    for seed, architecture in enumerate(drawn[which]):
        subject = fresh_subject(spaces.load(name), architecture, task, seed)
        for buffer in subject.network.buffers():  # as after a training
            if buffer.is_floating_point():
                buffer.uniform_(0.5, 2, generator=torch_generator(seed, "buffers"))
        yield subject


def images(subject: Subject, count: int) -> Tensor:
    task = subject.task
    return torch.randn(count, task.channels, task.height, task.width, generator=torch_generator(count, "images"))


@pytest.fixture(scope="module", params=spaces.names())
def exported(request: pytest.FixtureRequest) -> list[tuple[Subject, ModelSource]]:
    """Return a few networks of a space and the modules that stand for them."""
    return [(subject, model_source(subject)) for subject in subjects(request.param, FEW)]


def assert_same_logits(subject: Subject, network: nn.Module) -> None:
    with torch.inference_mode():
        for count in (1, 7):
            assert torch.equal(network(images(subject, count)), subject.network(images(subject, count)))


def test_logits_are_the_same_bits(exported: list[tuple[Subject, ModelSource]]) -> None:
    for subject, source in exported:
        assert_same_logits(subject, source.network())


@pytest.mark.soak  # a minute for the slowest space; `test_logits_are_the_same_bits` has two networks of each
@pytest.mark.parametrize("name", spaces.names())
def test_logits_of_twenty_are_the_same_bits(name: str) -> None:
    for subject in subjects(name):
        assert_same_logits(subject, model_source(subject).network())


def test_gradients_are_the_same_bits(exported: list[tuple[Subject, ModelSource]]) -> None:
    """In training mode, with the running statistics that it leaves."""
    subject, source = exported[-1]
    original, network = deepcopy(subject.network).train(), source.network().train()
    for each in (original, network):
        logits = each(images(subject, 2))
        (logits + logits.square()).sum().backward()
    expected, found = tensors(original), tensors(network)
    assert len(expected) == len(found)
    assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))
    assert any(gradient.any() for gradient in gradients(network))


@pytest.mark.soak
@pytest.mark.parametrize("name", spaces.names())
def test_graphs_compute_the_same(name: str, tmp_path: Path) -> None:
    """Each export compares the file with the network; of 20 architectures this takes minutes a space."""
    for subject in subjects(name):
        assert export_onnx(subject, tmp_path / "model.onnx") < 1e-5
        assert export_pt2(subject, tmp_path / "model.pt2") < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", ["nasbench101", "regnet"])
def test_a_graph_computes_the_same(name: str, tmp_path: Path) -> None:
    [subject] = subjects(name, slice(1))
    assert export_onnx(subject, tmp_path / "model.onnx") < 1e-5


def tensors(network: nn.Module) -> list[Tensor]:
    """Return all gradients and buffers, in an order that does not depend on names."""
    found = [*gradients(network), *(buffer.float() for buffer in network.buffers())]
    return sorted(found, key=lambda value: (tuple(value.shape), value.flatten().tolist()))


def gradients(network: nn.Module) -> list[Tensor]:
    return [value.grad for value in network.parameters() if value.grad is not None]


def test_the_code_is_plain(exported: list[tuple[Subject, ModelSource]]) -> None:
    for _, source in exported:
        imported = {
            line.split()[1] for line in source.text.splitlines() if line.lstrip().startswith(("import", "from"))
        }
        assert imported <= {"pathlib", "torch", "torch.nn.functional", "safetensors.torch"}
        assert max(map(len, source.text.splitlines())) <= 120


@pytest.mark.filterwarnings("ignore:.torch.jit.script_method. is deprecated:DeprecationWarning")  # of the compiler's
@pytest.mark.soak  # the compiler takes ten seconds to start, and is not on every machine
def test_it_can_be_compiled() -> None:
    subject = next(subjects("nasbench201", FEW))
    network = model_source(subject).network()
    compiled = torch.compile(network)
    with torch.inference_mode():
        torch.testing.assert_close(compiled(images(subject, 7)), network(images(subject, 7)))
