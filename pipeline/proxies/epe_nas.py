"""EPE-NAS: correlation of the input gradients within the classes."""

import torch
from torch import Tensor

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._gradients import input_jacobian
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed
from zenfront.spaces import Network

K = 1e-5  # the authors' constant
MANY_CLASSES = 100  # above it the authors compare the classes with each other


def epe_nas(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Intra-class correlation of the images' input gradients.

    s_c = sum_ij log(|corr_ij| + k) over the images of class c, corr the correlation of the rows of the gradient of
    the summed logits with respect to the images, k = 1e-5. The score is sum_c |s_c| with at most 100 classes; else
    sum_{c, c'} |s_c / n_c - s_c' / n_c'| / (classes in the batch), n_c the images of class c.

    Args:
        network: With PyTorch's default weights; BN in train mode. Left as found.
        batch: images (N, C, H, W), real, and labels (N,).
        generator: Source of all randomness (there is none without dropout).

    Returns:
        The score, > 0; higher is better.

    Raises:
        ScoreUndefined: No class has two images, the logits do not depend on an image, or a gradient is constant.

    Source: Lopes, Alirezazadeh, Alexandre, EPE-NAS, ICANN 2021, arXiv:2102.08099; code as in NASLib.
    Deviation: a class without a correlation is an error; the code swallows it.
    """
    with borrowed(network, generator):
        rows, logits = input_jacobian(network, batch.images)
    classes = [rows[batch.labels == label].double() for label in sorted(set(batch.labels.tolist()))]
    if max(len(images) for images in classes) < 2:
        raise ScoreUndefined("no class has two images in the batch")
    sums = torch.stack([_log_correlation(images) for images in classes])
    if logits.shape[1] <= MANY_CLASSES:
        return float(sums.abs().sum())
    sizes = torch.tensor([len(images) for images in classes], device=sums.device)
    means = sums / sizes
    return float((means[:, None] - means[None, :]).abs().sum() / len(classes))


def _log_correlation(rows: Tensor) -> Tensor:
    correlation = torch.corrcoef(rows).reshape(len(rows), len(rows))
    if not correlation.isfinite().all():
        raise ScoreUndefined("the gradient with respect to an image is the same for all its pixels")
    total: Tensor = (correlation.abs() + K).log().sum()
    return total


PROXY = Proxy(
    "epe_nas",
    epe_nas,
    "1",
    "maximise",
    "Lopes et al., EPE-NAS, ICANN 2021",
    needs=frozenset({"images", "labels", "gradients"}),
)
