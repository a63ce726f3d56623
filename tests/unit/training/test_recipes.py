"""Optimisers, schedules, clipping, accumulation and presets of recipes, against torch's own and closed forms."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler, MultiStepLR, OneCycleLR

from zenfront.pipeline.checks import check
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.config import Experiment
from zenfront.pipeline.experiment.config_file import load_experiment, to_yaml, with_overrides
from zenfront.pipeline.experiment.presets import PRESETS, Preset
from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.seeds import torch_generator
from zenfront.pipeline.training import checkpoint as checkpoints
from zenfront.pipeline.training.data import Images
from zenfront.pipeline.training.loop import train, train_step
from zenfront.pipeline.training.optimisation.lamb import Lamb
from zenfront.pipeline.training.optimisation.losses import loss_of
from zenfront.pipeline.training.optimisation.optimiser import new_optimizer, rate_factor
from zenfront.spaces import Network, Task, initialise

CPU = torch.device("cpu")
SMOKE = Path(__file__).parents[3] / "tune_configs" / "smoke.yaml"


def rates(schedule: Callable[[torch.optim.Optimizer], LRScheduler], steps: int) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = schedule(optimizer)
    values = []
    for _ in range(steps):
        values.append(float(scheduler.get_last_lr()[0]))
        optimizer.step()
        scheduler.step()
    return values


@pytest.mark.parametrize("total", [10, 37, 400])
def test_one_cycle_is_that_of_torch(total: int) -> None:
    recipe = Recipe(schedule="one_cycle", warmup_epochs=3)
    found = [rate_factor(step, recipe=recipe, epoch=1, total=total) for step in range(total)]
    wanted = rates(lambda o: OneCycleLR(o, 1.0, total_steps=total, cycle_momentum=False), total - 1)
    assert found[:-1] == pytest.approx(wanted)
    assert found[-1] == pytest.approx(1 / 25e4)


def test_steps_are_those_of_torch_after_the_warm_up() -> None:
    recipe = Recipe(schedule="step", warmup_epochs=1, steps_at=(0.25, 0.5), step_factor=0.2)
    found = [rate_factor(step, recipe=recipe, epoch=4, total=40) for step in range(40)]
    assert found[:4] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert found[4:] == pytest.approx(rates(lambda o: MultiStepLR(o, [10, 20], gamma=0.2), 40)[4:])


def test_adamw_decays_matrices_alone(new_network: Callable[[], Network]) -> None:
    """Without gradients a step multiplies by 1 - rate * decay, or by 1."""
    network = initialise(new_network(), torch_generator(0, "weights"))
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    recipe = Recipe(optimizer="adamw", learning_rate=0.5, weight_decay=0.1, momentum=0.8, beta2=0.95)
    optimizer = new_optimizer(network, recipe)
    optimizer.step()
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.95)
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter, before[name] * (1 - 0.5 * 0.1 * (parameter.ndim >= 2)))


def test_lamb_is_that_of_timm() -> None:
    """Values of timm 1.0.31 after five steps on a matrix, a bias without decay, and a matrix of zeros."""
    generator = torch.Generator().manual_seed(0)
    shapes = (3, 4), (4,), (2, 2)
    values = [torch.randn(shape, generator=generator) for shape in shapes[:2]]
    matrix, bias, zeros = parameters = [nn.Parameter(each) for each in (*values, torch.zeros(2, 2))]
    groups = [{"params": [matrix, zeros], "weight_decay": 0.02}, {"params": [bias], "weight_decay": 0.0}]
    optimizer = Lamb(groups, 0.1)
    for step in range(5):
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=generator) * (step + 1)
        optimizer.step()
    assert matrix.flatten().tolist() == pytest.approx(
        [2.1148374, -0.2666616, -2.087254, 1.2284969, -1.2879695, -2.0169821, -0.0281355, 0.5434864, -0.2111953,
         -0.7594017, 0.0515887, 0.3649256], abs=1e-5,
    )  # fmt: skip
    assert bias.tolist() == pytest.approx([-1.0091696, 1.2030274, -1.2475687, 0.4961365], abs=1e-5)
    assert zeros.flatten().tolist() == pytest.approx([-0.0958357, -0.1543805, 0.1068704, -0.0492586], abs=1e-5)


def test_the_binary_cross_entropy_counts_each_class_by_itself() -> None:
    """-log s(z) where the class is present and -log s(-z) where not, s the logistic function."""
    logits, targets = torch.tensor([[2.0, -1.0, 0.5]]), torch.tensor([[0.3, 0.7, 0.0]])
    present, absent = -nn.functional.logsigmoid(logits), -nn.functional.logsigmoid(-logits)
    recipe = Recipe(loss="binary_cross_entropy", label_smoothing=0.3)
    smooth = torch.tensor([[0.31, 0.59, 0.1]])
    torch.testing.assert_close(loss_of(logits, targets, recipe), (smooth * present + (1 - smooth) * absent).mean())
    counted = recipe.model_copy(update={"target_threshold": 0.2})
    wanted = (present[0, 0] + present[0, 1] + absent[0, 2]) / 3
    torch.testing.assert_close(loss_of(logits, targets, counted), wanted)


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(optimizer="adamw", learning_rate=3e-3, warmup_epochs=0, batch_size=16),
        Recipe(optimizer="lamb", learning_rate=0.02, warmup_epochs=0, batch_size=16, loss="binary_cross_entropy"),
    ],
    ids=["adamw", "lamb"],
)
def test_a_run_goes_on_after_an_interruption(
    recipe: Recipe, digits: Images, new_network: Callable[[], Network], tmp_path: Path
) -> None:
    def losses(folder: Path, count: int) -> list[float]:
        run = train(new_network(), digits, recipe, epochs=3, seed=0, device=CPU, checkpoint=folder)
        return [next(run).metrics["train_loss"] for _ in range(count)]

    whole = losses(tmp_path / "whole", 3)
    assert whole[2] < whole[0]
    losses(tmp_path / "parts", 1)
    assert losses(tmp_path / "parts", 3) == whole


def gradients(recipe: Recipe, size: int = 10) -> tuple[list[torch.Tensor], float]:
    """Return the gradients and the loss of a step of a network without batch normalisation."""
    generator = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        network = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 3))
    network.to_empty(device=CPU)
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    x = torch.randn(size, 3, 2, 2, generator=generator)
    y = torch.eye(3)[torch.randint(3, (size,), generator=generator)]
    loss = train_step(network, torch.optim.SGD(network.parameters(), 0.0), x, y, recipe)
    return [parameter.grad for parameter in network.parameters() if parameter.grad is not None], loss.item()


@pytest.mark.parametrize("parts", [2, 3, 10])
def test_accumulated_gradients_are_those_of_the_mini_batch(parts: int) -> None:
    wanted, loss = gradients(Recipe(label_smoothing=0.1))
    found, same = gradients(Recipe(label_smoothing=0.1, accumulate=parts))
    assert same == pytest.approx(loss, rel=1e-6)
    torch.testing.assert_close(found, wanted)


def test_gradients_are_scaled_to_the_largest_norm() -> None:
    plain, _ = gradients(Recipe())
    norm = float(torch.cat([g.flatten() for g in plain]).norm())
    clipped, _ = gradients(Recipe(clip_norm=norm / 4))
    torch.testing.assert_close(clipped, [g / 4 for g in plain], rtol=1e-4, atol=1e-7)
    untouched, _ = gradients(Recipe(clip_norm=2 * norm))
    torch.testing.assert_close(untouched, plain)


def test_a_checkpoint_of_version_0_1_belongs_to_the_same_run(
    digits: Images, new_network: Callable[[], Network], tmp_path: Path
) -> None:
    """The keys of version 0.1, as its checkpoints hold them."""
    recipe = Recipe(batch_size=16, warmup_epochs=0)
    next(train(new_network(), digits, recipe, epochs=2, seed=0, device=CPU, checkpoint=tmp_path))
    stored = checkpoints.read(tmp_path / "000001.pt")
    assert stored is not None
    assert set(stored["identity"]["recipe"]) == {
        "batch_size", "learning_rate", "momentum", "weight_decay", "warmup_epochs", "label_smoothing", "flip",
        "crop_padding", "cutout", "mixup", "ema", "precision",
    }  # fmt: skip
    other = recipe.model_copy(update={"clip_norm": 1.0})
    with pytest.raises(UserError, match=r"recipe.clip_norm: null -> 1.0"):
        next(train(new_network(), digits, other, epochs=2, seed=0, device=CPU, checkpoint=tmp_path))


@pytest.mark.parametrize("name", Preset.__args__)  # type: ignore[attr-defined]
def test_a_preset_is_written_out(name: str) -> None:
    by_name = load_experiment(SMOKE, [f"train.recipe={name}", "train.epochs=10"])
    assert by_name.train.recipe == Recipe(**PRESETS[name])
    assert "preset" not in to_yaml(by_name)
    stored = load_experiment(SMOKE, ["train.epochs=10"])
    assert with_overrides(stored, [f"train.recipe.preset={name}"]).train.recipe == by_name.train.recipe
    changed = load_experiment(SMOKE, [f"train.recipe={{preset: {name}, ema: 0.5, flip: false}}", "train.epochs=10"])
    assert changed.train.recipe == Recipe(**dict(PRESETS[name]) | {"ema": 0.5, "flip": False})


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ("zennas", "but got 'zennas'. Did you mean 'zennas_cifar'?"),
        ("{preset: zennas}", "train.recipe.preset: must be 'zennas_cifar', 'pycls_cifar', 'pycls_regnet' or 'timm_a3'"),
        ("{target_threshold: 0.2}", "`target_threshold` counts with `loss: binary_cross_entropy` alone, but got 0.2"),
        ("{schedule: step, steps_at: []}", "train.recipe.steps_at: must have at least 1 item, but got []."),
        ("{preset: timm_a3, loss: cross_entropy}", "but got 0.2. Set it to 0"),
        ("{preset: zennas_cifar, rand_augment: {}}", "Disable all but one, as with `auto_augment: null`."),
        ("{schedule: step, steps_at: [0.5, 0.5]}", "`steps_at` must ascend, but got [0.5, 0.5]"),
        ("{accumulate: 200}", "`accumulate <= batch_size` must hold, but got (accumulate=200, batch_size=128)"),
        ("{rand_augment: {form: timm, magnitude: 12}}", "`magnitude` must be at most 10 with `form: timm`, but got 12"),
        ("{auto_augment: svhn}", "train.recipe.auto_augment: must be 'cifar10' or 'imagenet'"),
        (
            "{trivial_augment: true, rand_augment: {}}",
            "only one of trivial_augment, auto_augment, rand_augment can be used, but got trivial_augment and rand_aug",
        ),
        ("{random_erasing: 1.5}", "train.recipe.random_erasing: must be less than or equal to 1"),
    ],
)
def test_a_wrong_recipe_is_one_message(recipe: str, said: str) -> None:
    with pytest.raises(UserError) as raised:
        load_experiment(SMOKE, [f"train.recipe={recipe}"])
    assert said in str(raised.value)


def test_other_keys_can_be_set_beside_a_preset() -> None:
    """In whatever order, whether the preset is in its short form or a key, and whether a run is stored."""
    wanted = Recipe(**dict(PRESETS["pycls_cifar"]) | {"ema": 0.5})
    stored = load_experiment(SMOKE, ["train.recipe.clip_norm=1"])
    changes = ["train.recipe.preset=pycls_cifar", "train.recipe.ema=0.5"]
    for short in (False, True):
        given = [changes[0].replace(".preset", "") if short else changes[0], changes[1]]
        fresh = load_experiment(SMOKE, given if short else ["train.recipe={}", *given])
        assert fresh.train.recipe == with_overrides(stored, given).train.recipe == wanted
    assert with_overrides(stored, changes[::-1]).train.recipe == wanted
    with pytest.raises(
        UserError, match=r"--set train.recipe.preset=pycls: train.recipe.preset: must be 'zennas_cifar'"
    ):
        with_overrides(stored, ["train.recipe.preset=pycls"])


@pytest.mark.parametrize(
    ("recipe", "shape", "problem"),
    [
        (
            {"colour_noise": 0.1},
            (1, 32, 32),
            "colour_noise changes images of 3 channels, but these have 1. Set it to 0",
        ),
        ({"trivial_augment": True}, (4, 32, 32), "trivial_augment changes images of 1 or 3 channels, but these have 4"),
        ({"auto_augment": "cifar10"}, (2, 32, 32), "these have 2. Set it to null"),
        ({"rand_augment": {}}, (4, 32, 32), "these have 4. Set it to null"),
        ({"cutmix": 1.0}, (3, 2, 32), "cutmix needs images of at least 3 pixels, but their side is 2. Set it to 0"),
        ({"cutout": 8}, (3, 32, 8), "cutout must be less than the side of the images, 8 pixels, but got 8"),
        ({"colour_noise": 0.1, "rand_augment": {}, "cutmix": 1.0}, (3, 3, 3), None),
        ({"auto_augment": "imagenet", "colour_jitter": 0.4}, (1, 1, 1), None),
    ],
)
def test_augmentation_that_would_do_nothing_is_refused(
    recipe: dict[str, object], shape: tuple[int, int, int], problem: str | None
) -> None:
    found = Recipe.model_validate(recipe).misfit(*shape)
    assert (problem in found if found else False) if problem else found is None
    if problem and not problem.startswith("cutout"):
        with pytest.raises(UserError, match=r"train.recipe.\w+ (changes|needs) images of "):
            check(_with_task(recipe, shape))


def _with_task(recipe: dict[str, object], shape: tuple[int, int, int]) -> Experiment:
    named = load_experiment(SMOKE, [f"train.recipe={json.dumps(recipe | {'warmup_epochs': 0})}"])
    return named.model_copy(update={"task": Task(*shape, 10)})
