"""Policies of operations, against values that torchvision 0.28 and timm 1.0.31 computed, and their frequencies."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from zenfront.pipeline.experiment.recipe import RandAugment
from zenfront.pipeline.training.augmentation import recolour
from zenfront.pipeline.training.augmentation.operations import OPERATIONS, Change
from zenfront.pipeline.training.augmentation.policies import AUTO_AUGMENT, INCREASING, LEARNED, RANDOM, WIDE, Table
from zenfront.pipeline.training.augmentation.recolour import auto_augment, rand_augment, trivial_augment

MANY = 4000
OF_TIMM = {
    "autocontrast": (0, "7da14485", "d3cacaec"),
    "equalize": (0, "6aa257c2", "45bdadd8"),
    "invert": (0, "b9476c0d", "0d69bc95"),
    "rotate": (-20.0, "18cb71a0", "d6a3abe1"),
    "solarize": (100, "620d2b09", "5a13b767"),
    "solarize_add": (60, "aeebdc34", "ebf0d9ae"),
    "posterize": (3, "e32dae50", "84cc6de5"),
    "colour": (0.4, "9009cb88", "d3cacaec"),
    "contrast": (1.6, "f4b63e67", "0464820b"),
    "brightness": (0.7, "c2354cf4", "bfecb468"),
    "sharpness": (1.9, "6b73d578", "58027e31"),
    "shear_x": (-0.25, "25aea027", "2562b6a7"),
    "shear_y": (0.3, "7dedb966", "487649b4"),
    "translate_x": (2, "ebd1e961", "0abf8b78"),
    "translate_y": (-3, "bd27f5d2", "09139cd5"),
    "translate_x_rel": (0.4, "62f5e84e", "763181ec"),
    "translate_y_rel": (-0.3, "9d679237", "037e8e73"),
}
UNVALUED = {"identity", "autocontrast", "equalize", "invert"}
Drawn = Callable[[Callable[[Tensor], Tensor]], list[Sequence[Change]]]


def picture(mode: str) -> Image.Image:
    pixels = np.fromfunction(lambda y, x, c: (37 * y + 53 * x + 91 * c + y * x * c) % 256, (30, 40, 3))
    return Image.fromarray(pixels.astype(np.uint8) if mode == "RGB" else pixels.astype(np.uint8)[..., 0])


@pytest.mark.parametrize("name", OF_TIMM)
def test_an_operation_is_that_of_timm(name: str) -> None:
    """First bytes of the SHA-256 of the pixels, with the fill 128 and the nearest pixel."""
    value, *wanted = OF_TIMM[name]
    changed = [np.asarray(OPERATIONS[name](picture(mode), value, 128)).tobytes() for mode in ("RGB", "L")]
    assert [hashlib.sha256(each).hexdigest()[:8] for each in changed] == wanted


@pytest.mark.parametrize(("name", "wanted"), [("cifar10", "926e8bf53964f6b2"), ("imagenet", "122941e680bd9e67")])
def test_the_pairs_are_those_of_torchvision(name: str, wanted: str) -> None:
    pairs = [
        [[step[0], step[1], None if step[0] in UNVALUED else step[2]] for step in pair] for pair in AUTO_AUGMENT[name]
    ]
    assert hashlib.sha256(json.dumps(pairs).encode()).hexdigest()[:16] == wanted


def test_the_strengths_of_auto_augment_are_those_of_torchvision() -> None:
    """Solarize begins at 256, as in the paper, where torchvision begins at 255."""
    found = {name: [round(LEARNED[name](level / 9, 1.0), 6) for level in (0, 1, 5, 9)] for name in LEARNED}
    factor, shear, share = [1.0, 1.1, 1.5, 1.9], [0.0, 0.033333, 0.166667, 0.3], [0.0, 0.050352, 0.251762, 0.453172]
    assert found == {
        "rotate": [0.0, 3.333333, 16.666667, 30.0],
        "posterize": [8, 8, 6, 4], "solarize": [256, 227.555556, 113.777778, 0],
        "shear_x": shear, "shear_y": shear, "translate_x_rel": share, "translate_y_rel": share,
    } | dict.fromkeys(("colour", "contrast", "brightness", "sharpness"), factor) | dict.fromkeys(
        ("autocontrast", "equalize", "invert"), [0.0] * 4
    )  # fmt: skip
    assert [round(RANDOM[name](9 / 30, -1.0), 6) for name in ("rotate", "shear_x", "translate_y_rel", "colour")] == [
        -9.0, -0.09, -0.135952, 0.73,
    ]  # fmt: skip
    assert RANDOM["posterize"](9 / 30, 1.0) == 7
    assert set(RANDOM) == set(LEARNED) - {"invert"} | {"identity"}


def test_the_strengths_of_the_form_of_timm_are_those_of_timm() -> None:
    found = {name: [round(INCREASING[name](level / 10, -1.0), 6) for level in (0, 6, 9.7, 10)] for name in INCREASING}
    factor, shear, share = [1.0, 0.46, 0.127, 0.1], [0.0, -0.18, -0.291, -0.3], [0.0, -0.27, -0.4365, -0.45]
    assert found == {
        "rotate": [0.0, -18.0, -29.1, -30.0], "posterize": [4, 2, 1, 0], "solarize": [256, 103, 8, 0],
        "solarize_add": [0, 66, 106, 110], "shear_x": shear, "shear_y": shear,
        "translate_x_rel": share, "translate_y_rel": share,
    } | dict.fromkeys(("colour", "contrast", "brightness", "sharpness"), factor) | dict.fromkeys(
        ("autocontrast", "equalize", "invert"), [0.0] * 4
    )  # fmt: skip


@pytest.mark.parametrize("name", sorted(set(WIDE) - {"autocontrast", "equalize"}))
def test_an_operation_of_no_strength_changes_nothing(name: str) -> None:
    image = picture("RGB")
    assert np.array_equal(np.asarray(OPERATIONS[name](image, WIDE[name](0.0, 1.0), 0)), np.asarray(image))
    strongest = np.asarray(OPERATIONS[name](image, WIDE[name](1.0, -1.0), 0))
    assert name == "identity" or not np.array_equal(strongest, np.asarray(image))


@pytest.mark.parametrize("table", [WIDE, LEARNED, RANDOM, INCREASING])
@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_every_operation_can_be_applied_at_the_ends_of_its_range(table: Table, strength: float) -> None:
    for name in table:
        for image in (picture("RGB"), picture("L"), Image.new("RGB", (1, 1)), Image.new("L", (1, 2))):
            for sign in (-1.0, 1.0):
                assert OPERATIONS[name](image, table[name](strength, sign), 128).size == image.size


def test_posterize_without_any_bit_is_black_as_that_of_timm() -> None:
    """The mask of the bits that are kept is 0 then; Pillow 13 refuses it."""
    changed = np.asarray(OPERATIONS["posterize"](picture("RGB"), INCREASING["posterize"](1.0, 1.0), 128))
    assert changed.shape == (30, 40, 3)
    assert not changed.any()


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """Return what a policy draws for many images, without applying it."""

    def draw(policy: Callable[[Tensor], Tensor]) -> list[Sequence[Change]]:
        found: list[Sequence[Change]] = []

        def keep(pixels: Tensor, changes: list[Sequence[Change]], fill: int) -> Tensor:
            found.extend(changes)
            return pixels

        monkeypatch.setattr(recolour, "change_each", keep)
        policy(torch.zeros(MANY, 3, 1, 1, dtype=torch.uint8))
        return found

    return draw


def assert_frequencies(counts: Counter[str], expected: dict[str, float], of: int = MANY) -> None:
    """Assert frequencies within 6 standard deviations (false alarms < 1e-6)."""
    assert set(counts) <= {name for name, p in expected.items() if p}
    for name, p in expected.items():
        assert abs(counts[name] - of * p) <= 6 * np.sqrt(of * p * (1 - p)), name


def test_trivial_augment_draws_operation_strength_and_sign_uniformly(drawn: Drawn) -> None:
    changes = [change for (change,) in drawn(lambda x: trivial_augment(x, np.random.default_rng(0)))]
    assert_frequencies(Counter(name for name, _ in changes), dict.fromkeys(WIDE, 1 / 14))
    angles = Counter(str(round(value / 4.5)) for name, value in changes if name == "rotate")
    levels = {str(level): (1 + (level == 0)) / 62 if level else 1 / 31 for level in range(-30, 31)}
    assert_frequencies(angles, levels, of=sum(angles.values()))


def test_auto_augment_draws_pairs_uniformly_and_applies_each_with_its_probability(drawn: Drawn) -> None:
    changes = drawn(lambda x: auto_augment(x, "cifar10", np.random.default_rng(0)))
    invert = (0.1 + 0.0 + 0.1) / 25  # pairs 1, 15 and 24 of the paper's table 7
    rotate, posterize = 0.7 / 25, 0.3 / 25
    counts = Counter(name for each in changes for name, _ in each)
    assert_frequencies(
        Counter({name: counts[name] for name in ("invert", "rotate", "posterize")}),
        {"invert": invert, "rotate": rotate, "posterize": posterize},
    )
    angles = [value for each in changes for name, value in each if name == "rotate"]
    assert {round(abs(angle), 6) for angle in angles} == {6.666667}
    assert 0 < sum(angle > 0 for angle in angles) < len(angles)
    both = sum([name for name, _ in each] == ["rotate", "translate_x_rel"] for each in changes)
    assert abs(both - MANY * 0.7 * 0.3 / 25) < 6 * np.sqrt(MANY * 0.7 * 0.3 / 25)


def test_rand_augment_applies_operations_of_one_strength(drawn: Drawn) -> None:
    changes = drawn(lambda x: rand_augment(x, RandAugment(operations=3, magnitude=15), np.random.default_rng(0)))
    assert {len(each) for each in changes} == {3}
    assert_frequencies(Counter(each[1][0] for each in changes), dict.fromkeys(RANDOM, 1 / 14))
    assert {abs(value) for each in changes for name, value in each if name == "rotate"} == {15.0}


def test_the_form_of_timm_applies_half_of_the_operations_with_noise(drawn: Drawn) -> None:
    form = RandAugment(form="timm", magnitude=6, noise=0.5)
    changes = drawn(lambda x: rand_augment(x, form, np.random.default_rng(0)))
    assert_frequencies(Counter(str(len(each)) for each in changes), {"0": 0.25, "1": 0.5, "2": 0.25})
    names = Counter(name for each in changes for name, _ in each)
    assert_frequencies(names, dict.fromkeys(INCREASING, 1 / 15), of=sum(names.values()))
    angles = [abs(value) / 3 for each in changes for name, value in each if name == "rotate"]
    assert np.mean(angles) == pytest.approx(6, abs=6 * 0.5 / np.sqrt(len(angles)))
    assert np.std(angles) == pytest.approx(0.5, abs=6 * 0.5 / np.sqrt(2 * len(angles)))


def test_what_is_moved_in_is_grey_but_black_in_trivial_augment() -> None:
    white = torch.full((200, 1, 8, 8), 255, dtype=torch.uint8)
    form = RandAugment(operations=1, magnitude=30)
    assert 128 in rand_augment(white, form, np.random.default_rng(0))
    assert 128 in auto_augment(white, "cifar10", np.random.default_rng(0))
    assert 0 in trivial_augment(white, np.random.default_rng(0))
