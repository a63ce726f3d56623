"""One ranking from several scores: the sum of the logarithms of their ranks."""

import numpy as np
from scipy.stats import rankdata


def log_rank_sum(losses: np.ndarray) -> np.ndarray:
    """Return the AZ-NAS score of every row: higher is better, 0 means best in every column.

    s_i = sum_k log(r_ik / n), where r_ik counts the rows whose loss k is not lower than that of row i: the best row
    has r = n, the worst r = 1. Equal values share their mean rank. The logarithm makes one bad rank cost more than
    good ranks of the other scores repay.

    Args:
        losses: (n, m), lower is better; inf ranks as worst.

    Returns:
        (n,), at most 0.

    Source: Lee and Ham, AZ-NAS, CVPR 2024, arXiv:2403.19232, eq. 7, and its `evolution_search_az.py`.
    """
    ranks = rankdata(-losses, axis=0)
    return np.asarray(np.log(ranks / len(losses)).sum(1))
