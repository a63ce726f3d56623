"""Two processes that share each mini-batch train as one does."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zenfront.pipeline.errors import UserError
from zenfront.pipeline.experiment.recipe import AUGMENTATION, Recipe
from zenfront.pipeline.results.stage_rows import Epoch
from zenfront.pipeline.seeds import numpy_generator
from zenfront.pipeline.training import checkpoint as checkpoints
from zenfront.pipeline.training.data import Images, ImageSet
from zenfront.pipeline.training.loop import draw_batches, evaluate, train
from zenfront.pipeline.training.parallel.batch_norm import synchronise
from zenfront.pipeline.training.parallel.ranks import ALONE, Ranks
from zenfront.pipeline.training.parallel.shares import Share, misfit
from zenfront.spaces import Network

OnTwoRanks = Callable[..., tuple[Any, Any]]
NewNetwork = Callable[..., Network]
CPU = torch.device("cpu")
STRENGTHS: dict[str, Any] = {
    "flip": True,
    "crop_padding": 2,
    "cutout": 3,
    "random_erasing": 0.7,
    "trivial_augment": True,
    "auto_augment": "cifar10",
    "rand_augment": {"operations": 2, "magnitude": 9, "noise": 0.5, "form": "timm"},
    "colour_jitter": 0.4,
    "colour_noise": 0.1,
    "mixup": 0.3,
    "cutmix": 1.0,
}
"""Every kind of augmentation, at work."""


def epochs_of(
    ranks: Ranks, network: Network, images: Images, recipe: Recipe, checkpoint: Path | None = None, count: int = 2
) -> list[Epoch]:
    run = train(
        network, images, recipe, epochs=2, seed=0, device=CPU, checkpoint=checkpoint, balanced=True, ranks=ranks
    )
    return [epoch for epoch, _ in zip(run, range(count), strict=False)]


def measured(epochs: list[Epoch]) -> list[dict[str, float]]:
    return [{name: value for name, value in epoch.metrics.items() if name != "seconds"} for epoch in epochs]


def close(epochs: list[Epoch], expected: list[Epoch]) -> bool:
    pairs = zip(measured(epochs), measured(expected), strict=True)
    return all(mine == pytest.approx(other, rel=1e-4, abs=1e-4) for mine, other in pairs)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"batch_size": 27, "flip": True, "crop_padding": 1, "mixup": 0.3, "ema": 0.9},
        {
            "batch_size": 32,
            "accumulate": 3,
            "clip_norm": 0.5,
            "stochastic_depth": 0.3,
            "cutmix": 1.0,
            "optimizer": "adamw",
            "learning_rate": 0.01,
        },
    ],
    ids=["plain", "uneven shares, augmented, averaged", "accumulated, clipped, dropped branches"],
)
def test_two_ranks_give_the_curve_of_one(
    settings: dict[str, Any], digits: Images, new_network: NewNetwork, on_two_ranks: OnTwoRanks
) -> None:
    usual = {"batch_size": 36, "learning_rate": 0.01, "warmup_epochs": 1, "sync_batch_norm": True}
    recipe = Recipe(**(usual | settings))
    alone = epochs_of(ALONE, new_network(), digits, recipe)
    first, second = on_two_ranks(epochs_of, new_network(), digits, recipe)
    assert close(first, alone)
    assert measured(first) == measured(second)


def test_checkpoints_do_not_depend_on_the_number_of_ranks(
    digits: Images, new_network: NewNetwork, on_two_ranks: OnTwoRanks, tmp_path: Path
) -> None:
    recipe = Recipe(batch_size=36, learning_rate=0.01, warmup_epochs=1, sync_batch_norm=True, ema=0.5)
    alone = epochs_of(ALONE, new_network(), digits, recipe, tmp_path / "alone")
    whole = on_two_ranks(epochs_of, new_network(), digits, recipe, tmp_path / "two")[0]
    state_of_one, state_of_two = (checkpoints.read(tmp_path / place / "000002.pt") for place in ("alone", "two"))
    assert state_of_one
    assert state_of_two
    assert state_of_two["identity"] == state_of_one["identity"]
    assert names_of(state_of_two["state"]) == names_of(state_of_one["state"])

    for place in ("one, then two", "two, then one", "two, then two"):
        (tmp_path / place).mkdir()
    epochs_of(ALONE, new_network(), digits, recipe, tmp_path / "one, then two", count=1)
    for place in ("two, then one", "two, then two"):
        on_two_ranks(epochs_of, new_network(), digits, recipe, tmp_path / place, 1)
    assert close(on_two_ranks(epochs_of, new_network(), digits, recipe, tmp_path / "one, then two")[0], alone)
    assert close(epochs_of(ALONE, new_network(), digits, recipe, tmp_path / "two, then one"), alone)
    resumed = on_two_ranks(epochs_of, new_network(), digits, recipe, tmp_path / "two, then two")[0]
    assert measured(resumed) == measured(whole)  # the same bits


def names_of(state: Any) -> Any:
    """Return the structure of a state without its numbers, but with the shapes of its tensors."""
    if isinstance(state, Mapping):
        return {name: names_of(each) for name, each in state.items()}
    return tuple(state.shape) if isinstance(state, Tensor) else type(state)


@pytest.mark.parametrize("key", sorted({*AUGMENTATION} - {"mixup", "cutmix"}))
def test_the_shares_of_a_mini_batch_are_those_of_the_whole(key: str) -> None:
    """Every augmentation draws for all images, whoever has them; three ranks, of which two have one image more."""
    images = colours()
    recipe = Recipe(batch_size=20, accumulate=2, warmup_epochs=0, **{key: STRENGTHS[key]})
    expected = batches_of(ALONE, images, recipe)
    shares = [Share(Ranks(rank, 3), 20, 2) for rank in range(3)]
    found = [batches_of(share.ranks, images, recipe) for share in shares]
    assert sorted(np.concatenate([share.rows for share in shares])) == list(range(20))
    for index, (x, y) in enumerate(expected):
        for share, batches in zip(shares, found, strict=True):
            assert torch.equal(batches[index][0], x[share.rows])
            assert torch.equal(batches[index][1], y[share.rows])


@pytest.mark.parametrize("keys", [("mixup",), ("cutmix",), ("mixup", "cutmix", "flip")])
def test_images_are_mixed_with_those_of_the_other_rank(keys: tuple[str, ...], on_two_ranks: OnTwoRanks) -> None:
    recipe = Recipe(batch_size=20, warmup_epochs=0, **{key: STRENGTHS[key] for key in keys})
    expected = batches_of(ALONE, colours(), recipe)
    for own, other, (x, y) in zip(*on_two_ranks(batches_of, colours(), recipe), expected, strict=True):
        assert torch.equal(torch.cat([own[0], other[0]]), x)
        assert torch.equal(torch.cat([own[1], other[1]]), y)


def colours() -> Images:
    pixels = numpy_generator(0, "pixels").integers(256, size=(50, 3, 16, 16), dtype=np.uint8)
    part = ImageSet(torch.from_numpy(pixels), torch.arange(50) % 3)
    nothing = partial(ImageSet, part.pixels[:0], part.labels[:0])
    return Images(part, part, torch.full((3,), 127.0), torch.full((3,), 70.0), nothing, 3)


def batches_of(ranks: Ranks, images: Images, recipe: Recipe) -> list[tuple[Tensor, Tensor]]:
    share = Share(ranks, recipe.batch_size, recipe.accumulate)
    return list(draw_batches(images.train, images, recipe, numpy_generator(0, "epoch", "1"), share))


def test_an_augmentation_that_draws_otherwise_is_refused() -> None:
    draws = Share(Ranks(0, 2), 8).draws(np.random.default_rng(0))
    assert draws.beta(1.0, 1.0) == np.random.default_rng(0).beta(1.0, 1.0)  # one number for the whole mini-batch
    with pytest.raises(ValueError, match="the last axis of `size` must be the 4 images"):
        draws.random((4, 3))
    with pytest.raises(NotImplementedError, match="permutation"):
        draws.permutation(8)


def normalised(ranks: Ranks, layer: nn.Module, x: Tensor) -> dict[str, Tensor]:
    """Return what a layer gives for a rank's images, its buffers, and the gradients of the sum of fourth powers."""
    network = nn.Sequential(layer)
    if ranks.count > 1:
        x = (x[:5], x[5:])[ranks.rank]  # 5 of 8 images, and 3
        synchronise(network, CPU)
    own = x.clone().requires_grad_()
    y = network.train()(own)
    y.pow(4).sum().backward()
    if parameters := dict(network.named_parameters()):
        ranks.add_gradients(parameters.values())
    gradients: dict[str, Any] = {f"{name}.grad": parameter.grad for name, parameter in parameters.items()}
    shared = {"y": y.detach(), "x.grad": own.grad, "evaluated": network.eval()(x).detach()}
    return gradients | network.state_dict() | shared


@pytest.mark.parametrize(
    "settings", [{}, {"affine": False}, {"momentum": None}], ids=["usual", "no weights", "cumulative"]
)
def test_synchronised_batch_norm_is_that_of_the_whole_mini_batch(
    settings: dict[str, Any], on_two_ranks: OnTwoRanks
) -> None:
    """Reference: torch's own layer on all images; their mean is far above their deviation."""
    x = 10 + torch.from_numpy(numpy_generator(0, "x").normal(size=(8, 3, 4, 4))).float()
    expected = normalised(ALONE, nn.BatchNorm2d(3, **settings), x)
    found = on_two_ranks(normalised, nn.BatchNorm2d(3, **settings), x)
    for name, value in expected.items():
        shared = name in ("y", "x.grad", "evaluated")
        got = torch.cat([each[name] for each in found]) if shared else found[0][name]
        torch.testing.assert_close(got, value, rtol=1e-4, atol=1e-4)


def test_without_synchronisation_each_rank_normalises_its_share(
    digits: Images, new_network: NewNetwork, on_two_ranks: OnTwoRanks
) -> None:
    recipe = Recipe(batch_size=36, warmup_epochs=1)
    first, second = on_two_ranks(epochs_of, new_network(), digits, recipe)
    assert measured(first) == measured(second)
    assert not close(first, epochs_of(ALONE, new_network(), digits, recipe))


def qualities(ranks: Ranks, network: Network, images: Images) -> list[tuple[float, ...]]:
    sets = [images.validation, ImageSet(images.validation.images[:1], images.validation.labels[:1])]
    return [evaluate(network, part, images, ranks) for part in sets]


def test_the_evaluation_is_shared(digits: Images, new_network: NewNetwork, on_two_ranks: OnTwoRanks) -> None:
    """Also of a single image, which leaves one rank without any."""
    network = new_network()
    epochs_of(ALONE, network, digits, Recipe(warmup_epochs=0), count=1)
    expected = qualities(ALONE, network, digits)
    for found in on_two_ranks(qualities, network, digits):
        assert [each[1:] for each in found] == [each[1:] for each in expected]
        assert [each[0] for each in found] == pytest.approx([each[0] for each in expected], rel=1e-5)


def test_a_mini_batch_that_is_too_small_to_be_shared_is_refused(digits: Images, new_network: NewNetwork) -> None:
    assert misfit(10, 4, 1) is None
    assert misfit(10, 4, 2) == (
        "a mini-batch of 10 images in 4 parts (accumulate), of which the smallest has 1, is too small for 2 devices: "
        "each must get an image of it"
    )
    with pytest.raises(UserError, match="a mini-batch of 3 images is too small for 4 devices"):
        epochs_of(Ranks(0, 4), new_network(), digits, Recipe(batch_size=3))
