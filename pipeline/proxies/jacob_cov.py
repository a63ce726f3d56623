"""jacob_cov: correlation of the input gradients between images."""

import torch

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._gradients import check_rows, correlation_of, flags_of, input_jacobian
from zenfront.pipeline.proxies._host import to_host
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed
from zenfront.spaces import Network

K = 1e-5  # constant of the published code


def jacob_cov(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Compute how uncorrelated the input gradients of different images are.

    The score is -sum_i (log(v_i + k) + 1 / (v_i + k)), where v are the eigenvalues of the (N, N) correlation matrix of
    the gradients of the summed logits with respect to the images, and k = 1e-5.

    Args:
        network: Network with PyTorch's default weights; BN runs in train mode. Left unchanged.
        batch: Real images (N, C, H, W); the labels are unused.
        generator: Random number generator; affects the score only if the network contains dropout.

    Returns:
        The score, at most -N (reached for uncorrelated gradients); higher is better.

    Raises:
        ScoreUndefined: The logits do not depend on an image, or the gradient of an image is constant.

    Source: Mellor et al., arXiv:2006.04647v1 (a different score from NASWOT, which is in the later version), as in
    Abdelfattah et al., ICLR 2021, code ``jacob_cov.py``. Deviations: float64 and `eigvalsh`, with rounding errors below
    0 set to 0; the published code uses ``np.linalg.eig``, which may return complex values for a symmetric matrix.
    """
    with borrowed(network, generator):
        rows, _ = input_jacobian(network, batch.images)
    flags, correlation = to_host(flags_of(rows), correlation_of(rows.double()))
    check_rows(flags)
    if not correlation.isfinite().all():
        raise ScoreUndefined("the gradient with respect to an image is equal for all its pixels")
    values = torch.linalg.eigvalsh(correlation).clamp(min=0)
    return -float(((values + K).log() + 1 / (values + K)).sum())


PROXY = Proxy(
    "jacob_cov",
    jacob_cov,
    "1",
    "maximise",
    "Mellor et al., arXiv:2006.04647v1; Abdelfattah et al., ICLR 2021",
    needs=frozenset({"images", "gradients"}),
)
