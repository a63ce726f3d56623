"""The same seed gives the same bits, also after repetition, interruption and resuming."""

import pickle
import random  # noqa: TID251  # only looked at
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from zenfront.pipeline.experiment.recipe import Recipe
from zenfront.pipeline.results.stage_rows import Epoch
from zenfront.pipeline.training.data import Images
from zenfront.pipeline.training.loop import evaluate, train
from zenfront.spaces import Network

CPU = torch.device("cpu")
EVERYTHING = Recipe(
    batch_size=16,
    learning_rate=0.05,
    warmup_epochs=1,
    label_smoothing=0.1,
    flip=True,
    crop_padding=1,
    cutout=3,
    mixup=0.2,
    trivial_augment=True,
    colour_jitter=0.2,
    random_erasing=0.3,
    cutmix=1.0,
    ema=0.9,
)


def timeless(results: list[Epoch]) -> list[tuple[int, Mapping[str, float]]]:
    return [(r.epoch, {k: v for k, v in r.metrics.items() if k != "seconds"}) for r in results]


def same_weights(one: Network, other: Network) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def run(network: Network, images: Images, recipe: Recipe = EVERYTHING, seed: int = 0) -> list[Epoch]:
    return list(train(network, images, recipe, epochs=4, seed=seed, device=CPU))


@pytest.mark.parametrize("recipe", [EVERYTHING, Recipe(batch_size=16, warmup_epochs=0)], ids=["everything", "plain"])
@pytest.mark.parametrize("interrupted_after", [1, 2, 3])
def test_a_resumed_run_ends_with_the_same_bits(
    recipe: Recipe, interrupted_after: int, digits: Images, new_network: Callable[[], Network], tmp_path: Path
) -> None:
    whole, first, second = new_network(), new_network(), new_network()
    expected = run(whole, digits, recipe)
    interrupted = train(first, digits, recipe, epochs=4, seed=0, device=CPU, checkpoint=tmp_path)
    before = [next(interrupted) for _ in range(interrupted_after)]
    interrupted.close()
    resumed = list(train(second, digits, recipe, epochs=4, seed=0, device=CPU, checkpoint=tmp_path))
    assert resumed[:interrupted_after] == before  # their seconds too: they were not trained again
    assert timeless(resumed) == timeless(expected)
    assert same_weights(second, whole)


def test_a_finished_run_gives_its_results_and_weights_again(
    digits: Images, new_network: Callable[[], Network], tmp_path: Path
) -> None:
    first, second = new_network(), new_network()
    results = list(train(first, digits, EVERYTHING, epochs=2, seed=0, device=CPU, checkpoint=tmp_path))
    assert list(train(second, digits, EVERYTHING, epochs=2, seed=0, device=CPU, checkpoint=tmp_path)) == results
    assert same_weights(second, first)


def test_the_weights_at_the_last_epoch_are_those_of_its_metrics(
    digits: Images, new_network: Callable[[], Network]
) -> None:
    network = new_network()
    for result in train(network, digits, EVERYTHING, epochs=2, seed=0, device=CPU):
        if result.epoch == 2:
            loss, accuracy, _ = evaluate(network, digits.validation, digits)
            assert (loss, accuracy) == (result.metrics["val_loss"], result.metrics["val_accuracy"])


def test_checkpoints_of_earlier_versions_have_no_newer_keys() -> None:
    """Return the keys of version 0.1, which the checkpoints of its runs have."""
    first = {"batch_size", "learning_rate", "momentum", "weight_decay", "warmup_epochs", "label_smoothing", "flip"}
    first |= {"crop_padding", "cutout", "mixup", "ema", "precision"}
    assert Recipe().identity().keys() == first
    assert EVERYTHING.identity().keys() == first | {"trivial_augment", "colour_jitter", "random_erasing", "cutmix"}


def test_the_seed_decides(digits: Images, new_network: Callable[[], Network]) -> None:
    one, same, other = new_network(), new_network(), new_network()
    results, again, others = run(one, digits), run(same, digits), run(other, digits, seed=1)
    assert timeless(results) == timeless(again)
    assert same_weights(one, same)
    assert timeless(results) != timeless(others)


def test_weights_that_the_network_had_before_do_not_matter(digits: Images, new_network: Callable[[], Network]) -> None:
    fresh, used = new_network(), new_network()
    run(used, digits, seed=5)
    assert timeless(run(used, digits)) == timeless(run(fresh, digits))


def test_global_generators_are_left_alone(digits: Images, new_network: Callable[[], Network]) -> None:
    before = (torch.get_rng_state(), pickle.dumps(np.random.get_state()), random.getstate())  # noqa: NPY002
    run(new_network(), digits)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert pickle.dumps(np.random.get_state()) == before[1]  # noqa: NPY002
    assert random.getstate() == before[2]
