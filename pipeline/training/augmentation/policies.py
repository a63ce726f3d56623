"""Augmentation policies: which operations are drawn, and what a strength means for each of them."""

from collections.abc import Callable, Mapping

Range = Callable[[float, float], float]
"""Function of a strength from 0 to 1 and a sign, -1 or 1, that returns the value of an operation."""
Table = Mapping[str, Range]


def _fixed(strength: float, sign: float) -> float:
    return 0.0


def _signed(most: float) -> Range:
    return lambda strength, sign: sign * most * strength


def _factor(most: float, least: float = 0.0) -> Range:
    return lambda strength, sign: max(least, 1 + sign * most * strength)


WIDE: Table = {
    "identity": _fixed,
    "autocontrast": _fixed,
    "equalize": _fixed,
    "rotate": _signed(135),
    "solarize": lambda strength, sign: round(256 * (1 - strength)),
    "posterize": lambda strength, sign: round(8 - 6 * strength),
    "colour": _factor(0.99),
    "contrast": _factor(0.99),
    "brightness": _factor(0.99),
    "sharpness": _factor(0.99),
    "shear_x": _signed(0.99),
    "shear_y": _signed(0.99),
    "translate_x": _signed(32),
    "translate_y": _signed(32),
}
"""TrivialAugment's wide space (Müller, Hutter, ICCV 2021, arXiv:2103.10158, table 1)."""

LEARNED: Table = {
    "autocontrast": _fixed,
    "equalize": _fixed,
    "invert": _fixed,
    "rotate": _signed(30),
    "solarize": lambda strength, sign: 256 * (1 - strength),
    "posterize": lambda strength, sign: 8 - round(4 * strength),
    "colour": _factor(0.9),
    "contrast": _factor(0.9),
    "brightness": _factor(0.9),
    "sharpness": _factor(0.9),
    "shear_x": _signed(0.3),
    "shear_y": _signed(0.3),
    "translate_x_rel": _signed(150 / 331),
    "translate_y_rel": _signed(150 / 331),
}
"""AutoAugment's ranges (Cubuk et al., CVPR 2019, arXiv:1805.09501, table 6), without Cutout and sample pairing."""

RANDOM: Table = {"identity": _fixed} | {name: values for name, values in LEARNED.items() if name != "invert"}
"""The 14 operations of RandAugment (Cubuk et al., 2019, arXiv:1909.13719, sec. 4), with AutoAugment's ranges."""

INCREASING: Table = {
    "autocontrast": _fixed,
    "equalize": _fixed,
    "invert": _fixed,
    "rotate": _signed(30),
    "posterize": lambda strength, sign: 4 - int(4 * strength),
    "solarize": lambda strength, sign: 256 - int(256 * strength),
    "solarize_add": lambda strength, sign: int(110 * strength),
    "colour": _factor(0.9, least=0.1),
    "contrast": _factor(0.9, least=0.1),
    "brightness": _factor(0.9, least=0.1),
    "sharpness": _factor(0.9, least=0.1),
    "shear_x": _signed(0.3),
    "shear_y": _signed(0.3),
    "translate_x_rel": _signed(0.45),
    "translate_y_rel": _signed(0.45),
}
"""The 15 operations of RandAugment in timm, with `inc1` (timm 1.0, data/auto_augment.py)."""

Step = tuple[str, float, int]
"""Name of an operation, the probability with which it is applied, and its strength on the scale from 0 to 9."""

AUTO_AUGMENT: Mapping[str, tuple[tuple[Step, Step], ...]] = {
    "cifar10": (
        (("invert", 0.1, 7), ("contrast", 0.2, 6)),
        (("rotate", 0.7, 2), ("translate_x_rel", 0.3, 9)),
        (("sharpness", 0.8, 1), ("sharpness", 0.9, 3)),
        (("shear_y", 0.5, 8), ("translate_y_rel", 0.7, 9)),
        (("autocontrast", 0.5, 8), ("equalize", 0.9, 2)),
        (("shear_y", 0.2, 7), ("posterize", 0.3, 7)),
        (("colour", 0.4, 3), ("brightness", 0.6, 7)),
        (("sharpness", 0.3, 9), ("brightness", 0.7, 9)),
        (("equalize", 0.6, 5), ("equalize", 0.5, 1)),
        (("contrast", 0.6, 7), ("sharpness", 0.6, 5)),
        (("colour", 0.7, 7), ("translate_x_rel", 0.5, 8)),
        (("equalize", 0.3, 7), ("autocontrast", 0.4, 8)),
        (("translate_y_rel", 0.4, 3), ("sharpness", 0.2, 6)),
        (("brightness", 0.9, 6), ("colour", 0.2, 8)),
        (("solarize", 0.5, 2), ("invert", 0.0, 3)),
        (("equalize", 0.2, 0), ("autocontrast", 0.6, 0)),
        (("equalize", 0.2, 8), ("equalize", 0.6, 4)),
        (("colour", 0.9, 9), ("equalize", 0.6, 6)),
        (("autocontrast", 0.8, 4), ("solarize", 0.2, 8)),
        (("brightness", 0.1, 3), ("colour", 0.7, 0)),
        (("solarize", 0.4, 5), ("autocontrast", 0.9, 3)),
        (("translate_y_rel", 0.9, 9), ("translate_y_rel", 0.7, 9)),
        (("autocontrast", 0.9, 2), ("solarize", 0.8, 3)),
        (("equalize", 0.8, 8), ("invert", 0.1, 3)),
        (("translate_y_rel", 0.7, 9), ("autocontrast", 0.9, 1)),
    ),
    "imagenet": (
        (("posterize", 0.4, 8), ("rotate", 0.6, 9)),
        (("solarize", 0.6, 5), ("autocontrast", 0.6, 5)),
        (("equalize", 0.8, 8), ("equalize", 0.6, 3)),
        (("posterize", 0.6, 7), ("posterize", 0.6, 6)),
        (("equalize", 0.4, 7), ("solarize", 0.2, 4)),
        (("equalize", 0.4, 4), ("rotate", 0.8, 8)),
        (("solarize", 0.6, 3), ("equalize", 0.6, 7)),
        (("posterize", 0.8, 5), ("equalize", 1.0, 2)),
        (("rotate", 0.2, 3), ("solarize", 0.6, 8)),
        (("equalize", 0.6, 8), ("posterize", 0.4, 6)),
        (("rotate", 0.8, 8), ("colour", 0.4, 0)),
        (("rotate", 0.4, 9), ("equalize", 0.6, 2)),
        (("equalize", 0.0, 7), ("equalize", 0.8, 8)),
        (("invert", 0.6, 4), ("equalize", 1.0, 8)),
        (("colour", 0.6, 4), ("contrast", 1.0, 8)),
        (("rotate", 0.8, 8), ("colour", 1.0, 2)),
        (("colour", 0.8, 8), ("solarize", 0.8, 7)),
        (("sharpness", 0.4, 7), ("invert", 0.6, 8)),
        (("shear_x", 0.6, 5), ("equalize", 1.0, 9)),
        (("colour", 0.4, 0), ("equalize", 0.6, 3)),
        (("equalize", 0.4, 7), ("solarize", 0.2, 4)),
        (("solarize", 0.6, 5), ("autocontrast", 0.6, 5)),
        (("invert", 0.6, 4), ("equalize", 1.0, 8)),
        (("colour", 0.6, 4), ("contrast", 1.0, 8)),
        (("equalize", 0.8, 8), ("equalize", 0.6, 3)),
    ),
}
"""Sub-policies that AutoAugment found (arXiv:1805.09501, tables 7 and 9), of which each image takes one."""
