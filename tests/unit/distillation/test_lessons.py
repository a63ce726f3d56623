"""The loss of a teacher against its formula, what the teacher sees, and runs that go on with the same bits."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax
from torch import Tensor, nn

from zenfront import spaces
from zenfront.pipeline.distillation.program import Source, to_program
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.seeds import torch_generator
from zenfront.pipeline.training.data import Images, load
from zenfront.pipeline.training.loop import train, train_step
from zenfront.pipeline.training.teacher import Lesson, Teacher
from zenfront.spaces import Network, Task

CPU = torch.device("cpu")
DIGITS = Task(1, 8, 8, 10)


class Sums(nn.Module):
    """Logits k times the sum of all pixels, k = 0 .. 9, which shows size and normalisation; `scale` is a weight."""

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, x: Tensor) -> Tensor:
        """Compute (N, 10)."""
        return self.scale * x.sum((1, 2, 3))[:, None] * torch.arange(10.0)


def teacher_of(scale: float = 1e-3, weight: float = 0.3, temperature: float = 2.0) -> Teacher:
    program, digest = to_program(Source(Sums(scale), (4, 4), (100.0,), (50.0,)), DIGITS)
    return Teacher(program, digest, weight, temperature)


@pytest.fixture(scope="module")
def teacher() -> Teacher:
    return teacher_of()


@pytest.fixture(scope="module")
def digits() -> Images:
    return load(Data(limit=120), DIGITS, seed=0)


@pytest.fixture(scope="module")
def new_network() -> Callable[[], Network]:
    space = spaces.load("anynet3")
    genes = {f"{gene}{i}": value for i in (1, 2, 3) for gene, value in (("d", 1), ("w", 8), ("b", 2), ("g", 4))}
    return lambda: space.network(space.architecture(genes), DIGITS)


def test_the_loss_is_that_of_hinton(teacher: Teacher, digits: Images) -> None:
    """Grey images of the pixel value v have 4 x 4 pixels (v - 100) / 50 for the teacher, whatever the task's size."""
    values = np.array([130.0, 80.0, 101.0])
    pixels = torch.tensor(values).float()[:, None, None, None].expand(3, 1, 8, 8)
    logits = torch.randn(3, 10, generator=torch_generator(0, "logits"))
    p = softmax(np.outer(1e-3 * 16 * (values - 100) / 50, np.arange(10)) / 2, axis=1)
    q = softmax(logits.double().numpy() / 2, axis=1)
    wanted = 0.7 * 5.0 + 0.3 * 2**2 * (p * np.log(p / q)).sum(1).mean()
    found = Lesson(teacher, digits, CPU).mixed(torch.tensor(5.0), logits, digits.normalise(pixels))
    assert found.item() == pytest.approx(wanted, rel=1e-5)


def test_the_teacher_gets_no_gradient_and_parts_add_up(teacher: Teacher, digits: Images) -> None:
    def gradient(parts: int) -> Tensor:
        weight = nn.Parameter(torch.zeros(64, 10))
        network = Network(nn.Flatten(), nn.ParameterList())
        network.forward = lambda x: x.flatten(1) @ weight  # type: ignore[method-assign]
        x = torch.randn(9, 1, 8, 8, generator=torch_generator(0, "images"))
        recipe, lesson = Recipe(accumulate=parts), Lesson(teacher, digits, CPU)
        train_step(network, torch.optim.SGD([weight], 0.0), x, torch.eye(10)[:9], recipe, lesson=lesson)
        assert weight.grad is not None
        return weight.grad

    torch.testing.assert_close(gradient(4), gradient(1))


def test_a_run_goes_on_with_its_teacher_alone(
    teacher: Teacher, digits: Images, new_network: Callable[[], Network], tmp_path: Path
) -> None:
    def rows(folder: Path, given: Teacher | None) -> Iterator[dict[str, float]]:
        recipe = Recipe(batch_size=16, warmup_epochs=0)
        for row in train(new_network(), digits, recipe, epochs=2, seed=0, device=CPU, checkpoint=folder, teacher=given):
            yield {name: value for name, value in row.metrics.items() if name != "seconds"}

    whole = list(rows(tmp_path / "whole", teacher))
    assert whole[0] != next(rows(tmp_path / "alone", None))
    next(rows(tmp_path / "parts", teacher))
    assert list(rows(tmp_path / "parts", teacher)) == whole
    with pytest.raises(UserError, match=r"distillation.teacher: .* -> "):
        next(rows(tmp_path / "parts", teacher_of(scale=2e-3)))
    with pytest.raises(UserError, match=r"distillation"):
        next(rows(tmp_path / "alone", teacher))


@pytest.mark.parametrize(
    ("source", "task", "said"),
    [
        (Source(Sums(), (4, 4), (0.0,) * 3, (1.0,) * 3), DIGITS, "takes images of 3 channels, but the task has 1"),
        (Source(Sums(), (4, 4), (0.0,), (1.0,)), Task(1, 8, 8, 7), "two images 7 logits each, as the task has classes"),
        (Source(nn.Linear(5, 10), (4, 4), (0.0,), (1.0,)), DIGITS, "it cannot classify two images of 4 x 4 pixels"),
    ],
)
def test_a_network_that_does_not_fit_is_one_message(source: Source, task: Task, said: str) -> None:
    with torch.device("cpu"), pytest.raises(UserError) as raised:
        to_program(source, task)
    assert said in str(raised.value)


def test_the_digest_is_that_of_weights_size_and_normalisation(teacher: Teacher) -> None:
    sources = [
        Source(Sums(1e-3), (4, 4), (100.0,), (50.0,)),
        Source(Sums(2e-3), (4, 4), (100.0,), (50.0,)),
        Source(Sums(1e-3), (5, 4), (100.0,), (50.0,)),
        Source(Sums(1e-3), (4, 4), (101.0,), (50.0,)),
    ]
    found = [to_program(source, DIGITS)[1] for source in sources]
    assert found[0] == teacher.digest
    assert len(set(found)) == 4
