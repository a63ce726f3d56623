"""jacob_cov: how differently the network's output depends on different images."""

import torch

from zenfront.pipeline.errors import ScoreUndefined
from zenfront.pipeline.proxies._gradients import input_jacobian
from zenfront.pipeline.proxies._proxy import Batch, Proxy
from zenfront.pipeline.proxies._state import borrowed
from zenfront.spaces import Network

K = 1e-5  # the authors' constant


def jacob_cov(network: Network, batch: Batch, generator: torch.Generator) -> float:
    """Spread of the correlation between the images' input gradients.

    -sum_i (log(v_i + k) + 1 / (v_i + k)), v the eigenvalues of the correlation matrix (N, N) of the rows of the
    gradient of the summed logits with respect to the images, k = 1e-5.

    Args:
        network: With PyTorch's default weights; BN in train mode. Left as found.
        batch: images (N, C, H, W), real; labels unused.
        generator: Source of all randomness (there is none without dropout).

    Returns:
        At most -N, reached by uncorrelated gradients; higher is better.

    Raises:
        ScoreUndefined: The logits do not depend on an image, or the gradient of an image is constant.

    Source: Mellor et al., arXiv:2006.04647v1 (another score than NASWOT, its later version), as in Abdelfattah et al.,
    ICLR 2021, code ``jacob_cov.py``. Deviations: float64, `eigvalsh`, rounding errors below 0 become 0; the code's
    ``np.linalg.eig`` of a symmetric matrix may turn complex.
    """
    with borrowed(network, generator):
        rows, _ = input_jacobian(network, batch.images)
    correlation = torch.corrcoef(rows.double())
    if not correlation.isfinite().all():
        raise ScoreUndefined("the gradient with respect to an image is the same for all its pixels")
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
