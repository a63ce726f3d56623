"""Published architectures by name, as points of the search spaces."""

from collections.abc import Mapping

from zenfront.spaces._architecture import Architecture

DEPTHS = {"resnet20": 3, "resnet32": 5, "resnet44": 7, "resnet56": 9, "resnet110": 18}
"""Blocks in each of the three stages of ResNets for CIFAR: He et al., CVPR 2016, arXiv:1512.03385, sec. 4.2.

Some of these depths lie between those of space resnet. Shortcuts that change the shape are 1 x 1 convolutions, as in
pycls (option B of the paper, which pads with zeros on CIFAR).
"""
REGNETS = {
    "regnetx_200mf": (24, 36.44, 2.49, 13, 8, 0.0),
    "regnetx_400mf": (24, 24.48, 2.54, 22, 16, 0.0),
    "regnety_400mf": (48, 27.89, 2.09, 16, 8, 0.25),
}
"""w_0, w_a, w_m, d, g and se of RegNets: Radosavovic et al., CVPR 2020, arXiv:2003.13678; pycls' model zoo."""


def _resnet(depth: int) -> Architecture:
    return Architecture("resnet", (("d1", depth), ("w1", 16), ("d2", depth), ("w2", 32), ("d3", depth), ("w3", 64)))


def _regnet(w_0: int, w_a: float, w_m: float, d: int, g: int, se: float) -> Architecture:
    genes = {"w_0": w_0, "w_a": w_a, "w_m": w_m, "d": d, "g": g, "b": 1, "se": se}
    return Architecture("regnet", tuple(genes.items()))


PUBLISHED: Mapping[str, Architecture] = {name: _resnet(depth) for name, depth in DEPTHS.items()} | {
    name: _regnet(*genes) for name, genes in REGNETS.items()
}
"""Architectures by the name under which they were published, in small letters."""
