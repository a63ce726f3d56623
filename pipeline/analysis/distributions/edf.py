"""Empirical distribution functions of errors, with or without weights."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Edf:
    """An empirical distribution function F(e) = sum of w_i over all i with e_i < e.

    Attributes:
        errors: (n,), ascending.
        below: (n + 1,), F just above the first i errors: from 0 to the sum of the weights, which is 1.
    """

    errors: np.ndarray
    below: np.ndarray

    def __call__(self, at: np.ndarray) -> np.ndarray:
        """Return F at each value; the inequality is strict, so that F of the lowest error is 0."""
        return np.asarray(self.below[np.searchsorted(self.errors, at, side="left")])


def edf(errors: np.ndarray, weights: np.ndarray | None = None) -> Edf:
    """Return the empirical distribution function of errors.

    Args:
        errors: (n,), finite.
        weights: (n,), not negative, with sum 1; None: 1 / n each.

    Source: Radosavovic et al., ICCV 2019, arXiv:1905.13214, eq. 1 and 2.
    """
    weights = np.full(len(errors), 1 / len(errors)) if weights is None else weights
    order = np.argsort(errors, kind="stable")
    return Edf(errors[order], np.concatenate([[0.0], np.cumsum(weights[order])]))


def area(errors: np.ndarray, weights: np.ndarray, epsilon: float) -> np.ndarray:
    """Return the area under the distribution function up to an error, divided by that error.

    area = 1 - sum_i w_i min(1, e_i / epsilon), the integral of F from 0 to epsilon, over epsilon; from 0 (all errors
    are epsilon or more) to 1 (all are 0).

    Args:
        errors: (n,), not negative.
        weights: (..., n) with sum 1 along the last axis.
        epsilon: Largest error that counts, greater than 0.
    """
    return np.asarray(1 - weights @ np.minimum(1, errors / epsilon))
