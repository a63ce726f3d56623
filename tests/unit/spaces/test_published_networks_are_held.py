"""Every space of a paper holds the networks that the paper published; no search draws what lies beyond its ranges."""

from typing import Any

import pytest

from zenfront import spaces
from zenfront.pipeline.seeds import numpy_generator
from zenfront.spaces import Task

# idstcv/ZenNAS, folder ZenNet; three ImageNet networks in both of their published versions.
ZENNETS = {
    "cifar 0.5M": "SuperConvK3BNRELU(3,64,1,1)SuperResK1K5K1(64,168,1,16,3)SuperResK1K3K1(168,80,2,32,4)"
    "SuperResK1K5K1(80,112,2,16,3)SuperResK1K5K1(112,144,1,24,3)SuperResK1K3K1(144,32,2,40,1)"
    "SuperConvK1BNRELU(32,512,1,1)",
    "latency 01": "SuperConvK3BNRELU(3,24,2,1)SuperResK3K3(24,32,2,64,1)SuperResK5K5(32,64,2,32,1)"
    "SuperResK5K5(64,168,2,96,1)SuperResK1K5K1(168,320,1,120,1)SuperResK1K5K1(320,640,2,304,3)"
    "SuperResK1K5K1(640,512,1,384,1)SuperConvK1BNRELU(512,2384,1,1)",
    "latency 02": "SuperConvK3BNRELU(3,24,2,1)SuperResK1K5K1(24,32,2,32,1)SuperResK1K7K1(32,104,2,64,1)"
    "SuperResK1K5K1(104,512,2,160,1)SuperResK1K5K1(512,344,1,192,1)SuperResK1K5K1(344,688,2,320,4)"
    "SuperResK1K5K1(688,680,1,304,3)SuperConvK1BNRELU(680,2552,1,1)",
    "latency 03": "SuperConvK3BNRELU(3,24,2,1)SuperResK1K5K1(24,64,2,32,1)SuperResK1K3K1(64,128,2,128,1)"
    "SuperResK1K7K1(128,432,2,128,1)SuperResK1K5K1(432,272,1,160,1)SuperResK1K5K1(272,848,2,384,4)"
    "SuperResK1K5K1(848,848,1,320,3)SuperResK1K5K1(848,456,1,320,3)SuperConvK1BNRELU(456,6704,1,1)",
    "latency 05": "SuperConvK3BNRELU(3,8,2,1)SuperResK1K7K1(8,64,2,32,1)SuperResK1K3K1(64,152,2,128,1)"
    "SuperResK1K5K1(152,640,2,192,4)SuperResK1K5K1(640,640,1,192,2)SuperResK1K5K1(640,1536,2,384,4)"
    "SuperResK1K5K1(1536,816,1,384,3)SuperResK1K5K1(816,816,1,384,3)SuperConvK1BNRELU(816,5304,1,1)",
    "latency 08": "SuperConvK3BNRELU(3,16,2,1)SuperResK1K5K1(16,64,2,64,1)SuperResK1K3K1(64,240,2,128,2)"
    "SuperResK1K7K1(240,640,2,160,3)SuperResK1K7K1(640,768,1,192,4)SuperResK1K5K1(768,1536,2,384,5)"
    "SuperResK1K5K1(1536,1536,1,384,3)SuperResK1K5K1(1536,2304,1,384,5)SuperConvK1BNRELU(2304,4912,1,1)",
    "latency 12": "SuperConvK3BNRELU(3,32,2,1)SuperResK1K5K1(32,80,2,32,1)SuperResK1K7K1(80,432,2,128,5)"
    "SuperResK1K7K1(432,640,2,192,3)SuperResK1K7K1(640,1008,1,160,5)SuperResK1K7K1(1008,976,1,160,4)"
    "SuperResK1K5K1(976,2304,2,384,5)SuperResK1K5K1(2304,2496,1,384,5)SuperConvK1BNRELU(2496,3072,1,1)",
    "latency 03, later": "SuperConvK3BNRELU(3,8,2,1)SuperResK3K3(8,32,2,72,1)SuperResK3K3(32,80,2,112,4)"
    "SuperResK1K5K1(80,344,2,32,3)SuperResK1K5K1(344,184,1,120,3)SuperResK1K5K1(184,576,2,320,3)"
    "SuperResK1K5K1(576,384,1,320,3)SuperResK1K5K1(384,824,1,304,3)SuperResK1K5K1(824,656,1,312,5)"
    "SuperConvK1BNRELU(656,1368,1,1)",
    "flops 400M": "SuperConvK3BNRELU(3,16,2,1)SuperResIDWE1K7(16,40,2,40,1)SuperResIDWE1K7(40,64,2,64,1)"
    "SuperResIDWE4K7(64,96,2,96,5)SuperResIDWE2K7(96,224,2,224,5)SuperConvK1BNRELU(224,2048,1,1)",
    "flops 600M": "SuperConvK3BNRELU(3,24,2,1)SuperResIDWE1K7(24,48,2,48,1)SuperResIDWE2K7(48,72,2,72,1)"
    "SuperResIDWE6K7(72,96,2,88,5)SuperResIDWE4K7(96,192,2,168,5)SuperConvK1BNRELU(192,2048,1,1)",
    "flops 900M": "SuperConvK3BNRELU(3,16,2,1)SuperResIDWE1K7(16,48,2,72,1)SuperResIDWE2K7(48,72,2,64,3)"
    "SuperResIDWE2K7(72,152,2,144,3)SuperResIDWE2K7(152,360,2,352,4)SuperResIDWE4K7(360,288,1,264,3)"
    "SuperConvK1BNRELU(288,2048,1,1)",
}
# w_0, w_a, w_m, g, d of pycls' RegNets, and the parameters that its model zoo gives, in millions.
REGNETS = {
    "X-200MF": (24, 36.44, 2.49, 8, 13, 0.0, 2.7),
    "X-400MF": (24, 24.48, 2.54, 16, 22, 0.0, 5.2),
    "X-600MF": (48, 36.97, 2.24, 24, 16, 0.0, 6.2),
    "X-800MF": (56, 35.73, 2.28, 16, 16, 0.0, 7.3),
    "X-1.6GF": (80, 34.01, 2.25, 24, 18, 0.0, 9.2),
    "X-3.2GF": (88, 26.31, 2.25, 48, 25, 0.0, 15.3),
    "X-4.0GF": (96, 38.65, 2.43, 40, 23, 0.0, 22.1),
    "X-6.4GF": (184, 60.83, 2.07, 56, 17, 0.0, 26.2),
    "X-8.0GF": (80, 49.56, 2.88, 120, 23, 0.0, 39.6),
    "X-12GF": (168, 73.36, 2.37, 112, 19, 0.0, 46.1),
    "X-16GF": (216, 55.59, 2.1, 128, 22, 0.0, 54.3),
    "X-32GF": (320, 69.86, 2.0, 168, 23, 0.0, 107.8),
    "Y-200MF": (24, 36.44, 2.49, 8, 13, 0.25, 3.2),
    "Y-400MF": (48, 27.89, 2.09, 8, 16, 0.25, 4.3),
    "Y-600MF": (48, 32.54, 2.32, 16, 15, 0.25, 6.1),
    "Y-800MF": (56, 38.84, 2.4, 16, 14, 0.25, 6.3),
    "Y-1.6GF": (48, 20.71, 2.65, 24, 27, 0.25, 11.2),
    "Y-3.2GF": (80, 42.63, 2.66, 24, 21, 0.25, 19.4),
    "Y-4.0GF": (96, 31.41, 2.24, 64, 22, 0.25, 20.6),
    "Y-6.4GF": (112, 33.22, 2.27, 72, 25, 0.25, 30.6),
    "Y-8.0GF": (192, 76.82, 2.19, 56, 17, 0.25, 39.2),
    "Y-12GF": (168, 73.36, 2.37, 112, 19, 0.25, 51.8),
    "Y-16GF": (200, 106.23, 2.48, 112, 18, 0.25, 83.6),
    "Y-32GF": (232, 115.89, 2.53, 232, 20, 0.25, 145.0),
}
# Blocks per stage and parameters in millions; He et al., CVPR 2016, table 6.
RESNETS = {20: (3, 0.27), 32: (5, 0.46), 44: (7, 0.66), 56: (9, 0.85), 110: (18, 1.7)}
IMAGENET = Task(3, 224, 224, 1000)


@pytest.mark.parametrize("name", ZENNETS)
def test_zennets(name: str) -> None:
    space = spaces.load("plainnet")
    architecture = space.architecture(space.parse(ZENNETS[name]))
    assert space.notation(architecture) == ZENNETS[name]
    assert space.decode(space.encode(architecture)) == architecture
    assert space.violation(architecture, IMAGENET) is None or name.startswith("cifar")


@pytest.mark.parametrize("name", REGNETS)
def test_regnets(name: str, complexity: Any) -> None:
    w_0, w_a, w_m, g, d, se, millions = REGNETS[name]
    space = spaces.load("regnet")
    genes = {"w_0": w_0, "w_a": w_a, "w_m": w_m, "d": d, "g": g, "b": 1, "se": se}
    network = space.network(space.architecture(genes), IMAGENET)
    assert complexity(network, IMAGENET).params / 1e6 == pytest.approx(millions, abs=0.06)


@pytest.mark.parametrize("depth", RESNETS)
def test_resnets_for_cifar(depth: int, complexity: Any) -> None:
    blocks, millions = RESNETS[depth]
    space, task = spaces.load("resnet"), Task(3, 32, 32, 10)
    genes = {f"d{i}": blocks for i in (1, 2, 3)} | {"w1": 16, "w2": 32, "w3": 64}
    network = space.network(space.architecture(genes), task)
    assert complexity(network, task).params / 1e6 == pytest.approx(millions, rel=0.03)


@pytest.mark.parametrize("name", ["plainnet", "regnet", "resnet"])
def test_no_search_draws_what_lies_beyond_the_ranges(name: str) -> None:
    space = spaces.load(name)
    generator = numpy_generator(0, "published")
    for _ in range(200):
        levels = space.random_levels(generator)
        assert all(level < known.drawn for level, known in zip(levels, space.levels.values(), strict=True))
    assert any(known.drawn < len(known.values) for known in space.levels.values())
