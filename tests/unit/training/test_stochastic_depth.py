"""Stochastic depth: which branches are dropped, how often, and that nothing but training sees it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zenfront import spaces
from zenfront.pipeline.checks import check
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config_file import load_experiment
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.seeds import torch_generator
from zenfront.pipeline.training.data import Images
from zenfront.pipeline.training.loop import evaluate, train, train_step
from zenfront.pipeline.training.stochastic_depth import draw_factors, residuals, scaled_branches
from zenfront.spaces import Network, Residual, initialise

CPU = torch.device("cpu")
SMOKE = Path(__file__).parents[3] / "tune_configs" / "smoke.yaml"


class Double(nn.Module):
    """Branch without parameters: twice the images."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x


def chain(length: int) -> Network:
    connections = [Residual(Double(), nn.Identity()) for _ in range(length)]
    return Network(nn.Sequential(*connections), nn.Flatten())


def test_branches_are_dropped_in_proportion_to_their_place() -> None:
    """Huang et al., eq. 4: the survival falls linearly from the input, which always survives, to 1 - rate."""
    factors = draw_factors(chain(4), 0.4, 5000, np.random.default_rng(0))
    dropped = (factors == 0).double().mean(1)
    for found, wanted in zip(dropped.tolist(), (0.1, 0.2, 0.3, 0.4), strict=True):
        assert abs(found - wanted) < 6 * np.sqrt(wanted * (1 - wanted) / 5000)
    assert [each.max().item() for each in factors] == pytest.approx([1 / 0.9, 1 / 0.8, 1 / 0.7, 1 / 0.6])
    both = ((factors[2] == 0) & (factors[3] == 0)).double().mean().item()
    assert abs(both - 0.12) < 6 * np.sqrt(0.12 * 0.88 / 5000)  # independently


def test_an_image_passes_by_the_branches_that_are_dropped_for_it() -> None:
    """1 + 2 f for each branch with the factor f."""
    network, images = chain(2), torch.ones(3, 1, 1, 1)
    factors = torch.tensor([[1.0, 0.0, 1.5], [0.0, 0.0, 2.0]])
    with scaled_branches(network, factors):
        assert network(images).flatten().tolist() == [3.0, 1.0, 4.0 * 5.0]
    assert network(images).flatten().tolist() == [9.0, 9.0, 9.0]


def test_a_pass_that_fails_leaves_nothing_behind() -> None:
    network = chain(1)
    with pytest.raises(RuntimeError), scaled_branches(network, torch.zeros(1, 2)):
        network(torch.ones(3, 1, 1, 1))
    assert residuals(network)[0].factor is None


def gradient(parts: int) -> Tensor:
    with torch.device("meta"):
        network = Network(nn.Sequential(Residual(nn.Conv2d(2, 2, 1), nn.Identity())), nn.Flatten())
    initialise(network, torch_generator(0, "weights"))
    x = torch.randn(9, 2, 1, 1, generator=torch_generator(0, "images"))
    recipe = Recipe(stochastic_depth=0.5, accumulate=parts)
    optimizer = torch.optim.SGD(network.parameters(), 0.0)
    train_step(network, optimizer, x, torch.eye(2)[[0, 1, 1] * 3], recipe, generator=np.random.default_rng(3))
    weight = next(network.parameters()).grad
    assert weight is not None
    return weight


def test_parts_of_a_mini_batch_drop_what_the_whole_drops() -> None:
    torch.testing.assert_close(gradient(2), gradient(1))
    torch.testing.assert_close(gradient(9), gradient(1))


def test_a_run_goes_on_after_an_interruption_and_is_evaluated_with_all_branches(
    digits: Images, new_network: Callable[[], Network], tmp_path: Path
) -> None:
    def rows(network: Network, folder: Path | None, rate: float) -> Iterator[dict[str, float]]:
        recipe = Recipe(batch_size=16, warmup_epochs=0, stochastic_depth=rate)
        for row in train(network, digits, recipe, epochs=3, seed=0, device=CPU, checkpoint=folder):
            yield {name: value for name, value in row.metrics.items() if name != "seconds"}

    trained = new_network()
    whole = list(rows(trained, None, 0.5))
    assert whole[0] != next(rows(new_network(), None, 0.0))
    assert whole[0] != next(rows(new_network(), None, 0.4))
    next(rows(new_network(), tmp_path, 0.5))
    assert list(rows(new_network(), tmp_path, 0.5)) == whole
    assert all(connection.factor is None for connection in residuals(trained))
    assert evaluate(trained, digits.validation, digits).loss == whole[-1]["val_loss"]


def test_a_space_without_residual_branches_is_refused_before_anything_is_computed() -> None:
    refused = r"stochastic_depth: it drops residual branches, but networks of space 'vanilla' have none\. Remove it"
    asked = ["train.recipe.stochastic_depth=0.1", "task={channels: 3, height: 32, width: 32, classes: 10}"]
    with pytest.raises(UserError, match=refused):
        check(load_experiment(SMOKE, ["space=vanilla", *asked]))
    check(load_experiment(SMOKE, ["space=regnet", *asked]))


RESIDUAL = ("anynet3", "mobilenet", "nasbench_macro", "plainnet", "regnet", "resnet", "resnext_a", "transnas_macro")


@pytest.mark.parametrize("name", RESIDUAL)
def test_spaces_of_residual_networks_have_branches_that_can_be_dropped(name: str) -> None:
    space, task, generator = spaces.load(name), spaces.Task(3, 64, 64, 10), np.random.default_rng(0)
    samples = (space.sample(generator) for _ in range(100))
    assert residuals(next(space.network(each, task) for each in samples if space.violation(each, task) is None))
