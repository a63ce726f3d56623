"""EPE-NAS: correlation of the input gradients within classes."""

import torch
from torch import Tensor

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._gradients import check_rows, correlation_of, flags_of, input_jacobian
from zenfront.pipeline.proxies._host import to_host
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed
from zenfront.spaces import Network

K = 1e-5  # constant of the published code
MANY_CLASSES = 100  # above this number the published code compares the classes with each other


def epe_nas(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Compute the correlation of the input gradients of the images within each class.

    s_c = sum_ij log(|corr_ij| + k) over the images i, j of class c, where corr is the correlation of the gradients of
    the summed logits with respect to the images, and k = 1e-5. The score is sum_c |s_c| for at most 100 classes, and
    sum_{c, c'} |s_c / n_c - s_c' / n_c'| / C for more, where n_c is the number of images of class c, and c and c' are
    the C classes with two images or more: the published code fails on the others and leaves them out.

    Args:
        network: Network with PyTorch's default weights; BN runs in train mode. Left unchanged.
        batch: Real images (N, C, H, W) and labels (N,).
        generator: Random number generator; affects the score only if the network contains dropout.

    Returns:
        The score, >= 0; higher is better.

    Raises:
        ScoreUndefined: No class has two images, or only one of more than 100 classes has; the logits do not depend on
            an image, or a gradient is constant.

    Source: Lopes, Alirezazadeh, Alexandre, EPE-NAS, ICANN 2021, arXiv:2102.08099; code as in NASLib.
    Deviation: an undefined correlation within a class is an error, which the published code ignores.
    """
    with borrowed(network, generator):
        gradients, logits = input_jacobian(network, batch.images)
    flags, rows, labels = to_host(flags_of(gradients), gradients, batch.labels)
    check_rows(flags)
    classes = [rows[labels == label] for label in sorted(set(labels.tolist()))]
    if max(len(images) for images in classes) < 2:
        raise ScoreUndefined("no class has two images in the batch")
    many = logits.shape[1] > MANY_CLASSES
    if many:
        classes = [images for images in classes if len(images) > 1]
    if many and len(classes) < 2:
        raise ScoreUndefined("fewer than two classes have two images in the batch")
    sums = torch.stack([_log_correlation(images) for images in classes])
    if not many:
        return float(sums.abs().sum())
    sizes = torch.tensor([len(images) for images in classes])
    means = sums / sizes
    return float((means[:, None] - means[None, :]).abs().sum() / len(classes))


def _log_correlation(rows: Tensor) -> Tensor:
    correlation = correlation_of(rows).reshape(len(rows), len(rows))
    if not correlation.isfinite().all():
        raise ScoreUndefined("the gradient with respect to an image is equal for all its pixels")
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
