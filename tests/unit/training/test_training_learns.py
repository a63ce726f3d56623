"""The training loop: learning, losses and schedules against closed forms, divergence, and odd sizes."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR

from zenfront import spaces
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.experiment.train_config import Data
from zenfront.pipeline.seeds import torch_generator
from zenfront.pipeline.training.data import Images, ImageSet, load
from zenfront.pipeline.training.loop import evaluate, train
from zenfront.pipeline.training.optimisation.optimiser import new_optimizer, rate_factor
from zenfront.spaces import Network, Task, initialise

CPU = torch.device("cpu")
FROZEN = Recipe(learning_rate=1e-30, weight_decay=0, warmup_epochs=0, batch_size=4096)


def test_digits_are_learnt(new_network: Callable[[int], Network]) -> None:
    images = load(Data(), Task(1, 8, 8, 10), seed=0)
    recipe = Recipe(batch_size=32, learning_rate=0.1, warmup_epochs=1)
    results = list(train(new_network(32), images, recipe, epochs=5, seed=0, device=CPU))
    assert [r.epoch for r in results] == [1, 2, 3, 4, 5]
    assert set(results[0].metrics) == {"train_loss", "val_loss", "val_accuracy", "learning_rate", "seconds"}
    assert results[-1].metrics["val_accuracy"] > 0.9


@pytest.mark.parametrize("epochs", [1, 3])
def test_a_diverging_run_reports_it_and_ends(
    epochs: int, digits: Images, new_network: Callable[[], Network], tmp_path: Path
) -> None:
    recipe = Recipe(warmup_epochs=0, batch_size=16).model_copy(update={"learning_rate": 1e30})
    for _ in range(2):  # the second time on the checkpoints of the first
        results = list(train(new_network(), digits, recipe, epochs=epochs, seed=0, device=CPU, checkpoint=tmp_path))
        last = results[-1]
        assert last.failure is not None
        assert "train_loss is nan (learning rate at most 1e+30)" in last.failure
        assert not last.metrics
        assert [r.epoch for r in results] == list(range(1, len(results) + 1))
        assert all(r.failure is None and all(map(math.isfinite, r.metrics.values())) for r in results[:-1])


def loss_by_hand(network: Network, images: Images, smoothing: float) -> float:
    """Return (1 - e) * -log p(true class) + e * mean over classes of -log p, averaged over the images."""
    initialise(network, torch_generator(0, "weights")).train()
    with torch.no_grad():
        log_p = network(images.normalise(images.train.images)).double().log_softmax(1)
    true = log_p[torch.arange(len(log_p)), images.train.labels]
    return float(-((1 - smoothing) * true + smoothing * log_p.mean(1)).mean())


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_the_loss_is_that_of_label_smoothing(
    smoothing: float, digits: Images, new_network: Callable[[], Network]
) -> None:
    recipe = FROZEN.model_copy(update={"label_smoothing": smoothing})
    result = next(train(new_network(), digits, recipe, epochs=1, seed=0, device=CPU))
    expected = loss_by_hand(new_network(), digits, smoothing)
    assert result.metrics["train_loss"] == pytest.approx(expected, rel=1e-5)  # float32 against float64


def test_mixup_does_not_change_a_constant_problem(digits: Images, new_network: Callable[[], Network]) -> None:
    """Mixing equal images of one class does not change them, so the loss must be that without mixup."""
    same = ImageSet(digits.train.images[:1].expand(64, -1, -1, -1).clone(), torch.full((64,), 3))
    images = Images(same, same, digits.mean, digits.std, digits.test, 10)
    losses = [
        next(train(new_network(), images, FROZEN.model_copy(update=update), epochs=1, seed=0, device=CPU))
        for update in ({}, {"mixup": 1.0})
    ]
    assert losses[0].metrics["train_loss"] == pytest.approx(losses[1].metrics["train_loss"], rel=1e-5)


def test_evaluation_of_an_uninformed_network(digits: Images, new_network: Callable[[], Network]) -> None:
    network = initialise(new_network(), torch_generator(0, "weights"))
    for parameter in network.head.parameters():
        nn.init.zeros_(parameter)
    loss, accuracy, balanced = evaluate(network, digits.train, digits)
    assert loss == pytest.approx(math.log(10), rel=1e-6)
    assert accuracy == pytest.approx((digits.train.labels == 0).double().mean().item())  # argmax of equals is the first
    assert balanced == pytest.approx(1 / 10)


def test_weight_decay_is_off_norms_and_biases(new_network: Callable[[], Network]) -> None:
    """Without gradients a step multiplies by 1 - rate * decay * (1 + momentum), Nesterov's first step, or by 1."""
    network = initialise(new_network(), torch_generator(0, "weights"))
    recipe = Recipe(learning_rate=0.5, weight_decay=0.1, momentum=0.9)
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    new_optimizer(network, recipe).step()
    shrunk = set()
    for module_name, module in network.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            full = f"{module_name}.{name}"
            decays = isinstance(module, nn.Conv2d | nn.Linear) and name == "weight"
            factor = 1 - 0.5 * 0.1 * 1.9 if decays else 1.0
            torch.testing.assert_close(parameter, before[full] * factor)
            shrunk |= {decays}
    assert shrunk == {True, False}


def test_the_moving_average_covers_weights_and_batch_statistics(
    digits: Images, new_network: Callable[[], Network]
) -> None:
    """With one step per epoch, the average is d times the first state plus 1 - d times the second."""
    plain, averaged = new_network(), new_network()
    recipe = Recipe(batch_size=4096, learning_rate=0.1, warmup_epochs=0)
    states = [
        {name: value.clone() for name, value in plain.state_dict().items()}
        for _ in train(plain, digits, recipe, epochs=2, seed=0, device=CPU)
    ]
    list(train(averaged, digits, recipe.model_copy(update={"ema": 0.75}), epochs=2, seed=0, device=CPU))
    for name, value in averaged.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.75 * states[0][name] + 0.25 * states[1][name])


def test_every_epoch_has_its_own_order(digits: Images, new_network: Callable[[], Network]) -> None:
    """With constant weights, the loss depends only on which images share a mini-batch, and thus its batch norm."""
    recipe = FROZEN.model_copy(update={"batch_size": 16})
    losses = [r.metrics["train_loss"] for r in train(new_network(), digits, recipe, epochs=3, seed=0, device=CPU)]
    assert len(set(losses)) == 3


def test_momentum_may_be_absent(digits: Images, new_network: Callable[[], Network]) -> None:
    recipe = Recipe(momentum=0, warmup_epochs=0, batch_size=16)
    assert next(train(new_network(), digits, recipe, epochs=1, seed=0, device=CPU)).failure is None


def rates(factor: Callable[[int], float], steps: int) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = LambdaLR(optimizer, factor)
    values = []
    for _ in range(steps):
        values.append(float(schedule.get_last_lr()[0]))
        optimizer.step()
        schedule.step()
    return values


def test_the_schedule_is_linear_then_torchs_cosine() -> None:
    values = rates(lambda step: rate_factor(step, recipe=Recipe(warmup_epochs=2), epoch=2, total=24), 25)
    assert values[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    cosine = CosineAnnealingLR(optimizer, T_max=20)
    for value in values[4:]:
        assert value == pytest.approx(cosine.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        cosine.step()
    assert values[14] == pytest.approx(0.5)
    assert values[24] == pytest.approx(0)


@pytest.mark.parametrize("warmup", [0, 3])
def test_the_reported_learning_rate_is_that_of_the_last_step(
    warmup: int, digits: Images, new_network: Callable[[], Network]
) -> None:
    recipe = Recipe(learning_rate=0.1, warmup_epochs=warmup, batch_size=27)  # 108 images: 4 steps an epoch
    results = list(train(new_network(), digits, recipe, epochs=3, seed=0, device=CPU))
    found = [r.metrics["learning_rate"] for r in results]
    if warmup:
        assert found == pytest.approx([0.1 * 4 / 12, 0.1 * 8 / 12, 0.1])
    else:
        assert found == pytest.approx([0.05 * (1 + math.cos(math.pi * s / 12)) for s in (3, 7, 11)])


@pytest.mark.parametrize("size", [2, 107, 108, 5000])
def test_every_batch_size_works(size: int, digits: Images, new_network: Callable[[], Network]) -> None:
    recipe = Recipe(batch_size=size, warmup_epochs=0, learning_rate=0.01)
    assert next(train(new_network(), digits, recipe, epochs=1, seed=0, device=CPU)).failure is None


def test_a_last_batch_of_one_image_does_not_reach_batch_normalisation() -> None:
    """4 x 4 images end as 1 x 1 maps, on which BN refuses a mini-batch of one."""
    task = Task(1, 4, 4, 2)
    space = spaces.load("anynet3")
    genes = {f"{gene}{i}": value for i in (1, 2, 3) for gene, value in (("d", 1), ("w", 8), ("b", 1), ("g", 1))}
    part = ImageSet(torch.arange(9 * 16, dtype=torch.uint8).reshape(9, 1, 4, 4), torch.tensor([0, 1] * 4 + [0]))
    images = Images(part, part, torch.tensor([72.0]), torch.tensor([40.0]), lambda: part, 2)
    network = space.network(space.architecture(genes), task)
    recipe = Recipe(batch_size=8, warmup_epochs=0)
    assert next(train(network, images, recipe, epochs=1, seed=0, device=CPU)).failure is None


def test_bfloat16_is_used_when_asked_for(digits: Images, new_network: Callable[[], Network]) -> None:
    losses = {}
    for precision in ("auto", "float32", "bfloat16"):
        recipe = FROZEN.model_copy(update={"precision": precision})
        result = next(train(new_network(), digits, recipe, epochs=1, seed=0, device=CPU))
        losses[precision] = result.metrics["train_loss"]
    assert losses["auto"] == losses["float32"]  # there is no GPU
    assert 0 < abs(losses["bfloat16"] - losses["float32"]) < 0.1  # 8 bits of mantissa


@pytest.mark.parametrize("name", ["cutout", "crop_padding"])
def test_a_recipe_that_removes_the_whole_image_is_refused(
    name: str, digits: Images, new_network: Callable[[], Network]
) -> None:
    recipe = Recipe.model_validate({name: 8})
    with pytest.raises(UserError, match=rf"train\.recipe\.{name} must be less than .* 8 pixels, but got 8"):
        next(train(new_network(), digits, recipe, epochs=9, seed=0, device=CPU))
