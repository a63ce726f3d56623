"""Number of linear regions reached by a sample of inputs: expressivity."""

import torch
from torch import Tensor

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._activations import count_agreements
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
    """Count the distinct patterns of ReLU states over a sample of inputs.

    The score is R_N = |{(s_1(x), ..., s_A(x)) : x in the sample}|, where s_a(x) in {0, 1} is the state of ReLU unit a
    on input x.

    Args:
        network: Network with Kaiming weights; BN runs in train mode. Left unchanged.
        batch: Real images (N, C, H, W); the labels are unused.
        generator: Random number generator that selects the crops.
        mode: ``paper``: sample random crops of the images, as TE-NAS does. ``reference``: use the whole images of the
            batch, as its ``linear_region.py`` does.
        samples: Number of crops. TE-NAS uses 3,000.
        crop: Side of a crop in pixels.

    Returns:
        The number of regions, between 1 and the number of inputs. Higher is more expressive. The score saturates at the
        number of inputs, which is why TE-NAS evaluates networks with a single channel.

    Raises:
        ScoreUndefined: The network has no ReLU, or a crop is too small for the network.

    Source: Chen, Gong, Wang, TE-NAS, ICLR 2021, arXiv:2102.11535, sec. 3.2; code ``linear_region.py``. Deviation: one
    pass over all crops, whereas the published code makes three passes of 1,000 crops. Known error of ZenNAS' copy: it
    hooks `nn.ReLU` modules, but its networks call the function.
    """
    inputs = one_of("mode", mode, {"paper": _crop, "reference": _keep})(batch.images, samples, crop, generator)
    with borrowed(network, generator):
        try:
            kernel, units = count_agreements(network, inputs)
        except RuntimeError as error:
            if mode == "paper":
                raise ScoreUndefined(f"the network rejects crops of {crop} x {crop} pixels: {error}") from error
            raise
    same = kernel == units
    return float((1 / same.sum(1, dtype=torch.float64)).sum().round())


def _crop(images: Tensor, samples: int, crop: int, generator: torch.Generator) -> Tensor:
    """Cut random squares from random images: (N, C, H, W) to (samples, C, crop, crop)."""
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


def _keep(images: Tensor, samples: int, crop: int, generator: torch.Generator) -> Tensor:
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
