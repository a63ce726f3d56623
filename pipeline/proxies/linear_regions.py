"""Number of linear regions that a sample meets: expressivity."""

import torch
from torch import Tensor

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._activations import agreement
from zenfront.pipeline.proxies._options import Mode, one_of
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed
from zenfront.spaces import Network


def linear_regions(
    network: Network,
    batch: Batch,
    generator: torch.Generator,
    *,
    mode: Mode = "paper",
    samples: int = 1000,
    crop: int = 3,
) -> float:
    """Number of distinct patterns of ReLU states over a sample.

    R_N = |{(s_1(x), ..., s_A(x)) : x in the sample}|, s_a(x) in {0, 1} the state of ReLU unit a on input x.

    Args:
        network: With Kaiming weights; BN in train mode. Left as found.
        batch: images (N, C, H, W), real; labels unused.
        generator: Chooses the crops.
        mode: ``paper``: random crops of the images, as TE-NAS samples. ``reference``: what its ``linear_region.py``
            counts on the batch that it is given.
        samples: Number of crops; TE-NAS takes 3,000.
        crop: Side of a crop in pixels.

    Returns:
        The number of regions, from 1 to the number of inputs, where it saturates: TE-NAS evaluates networks of one
        channel for that reason. Higher is more expressive.

    Raises:
        ScoreUndefined: There is no ReLU, or a crop is too small for the network.

    Source: Chen, Gong, Wang, TE-NAS, ICLR 2021, arXiv:2102.11535, sec. 3.2; code ``linear_region.py``. Deviation: one
    pass over all crops, the code makes three of 1,000. Known error of ZenNAS' copy: it hooks `nn.ReLU` modules, but
    its networks call the function.
    """
    inputs = one_of("mode", mode, {"paper": _crops, "reference": _whole})(batch.images, samples, crop, generator)
    with borrowed(network, generator):
        try:
            kernel, units = agreement(network, inputs)
        except RuntimeError as error:
            if mode == "paper":
                raise ScoreUndefined(f"the network does not take crops of {crop} x {crop} pixels: {error}") from error
            raise
    same = kernel == units
    return float((1 / same.sum(1, dtype=torch.float64)).sum().round())


def _crops(images: Tensor, samples: int, crop: int, generator: torch.Generator) -> Tensor:
    """`samples` random squares of random images."""
    sides = [min(crop, side) for side in images.shape[2:]]

    def draw(count: int) -> Tensor:
        return torch.randint(count, (samples,), generator=generator, device=generator.device).to(images.device)

    image = draw(len(images))
    top, left = (draw(side - size + 1) for side, size in zip(images.shape[2:], sides, strict=True))
    rows, columns = (torch.arange(size, device=images.device) for size in sides)
    picked = images.permute(0, 2, 3, 1)[
        image[:, None, None], top[:, None, None] + rows[:, None], left[:, None, None] + columns
    ]
    return picked.permute(0, 3, 1, 2)


def _whole(images: Tensor, samples: int, crop: int, generator: torch.Generator) -> Tensor:
    return images


PROXY = Proxy(
    "linear_regions",
    linear_regions,
    "regions",
    "maximise",
    "Chen, Gong, Wang, TE-NAS, ICLR 2021, sec. 3.2",
    needs=frozenset({"images"}),
    weights="kaiming",
)
