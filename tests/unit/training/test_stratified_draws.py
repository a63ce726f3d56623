"""Stratified draws: the exact count, the share of each class, and equal chances for each member."""

import numpy as np
import pytest

from zenfront.pipeline.training.images.split import stratified


@pytest.mark.parametrize("count", [0, 1, 7, 50, 100])
def test_a_draw_splits_all_items_in_proportion(count: int) -> None:
    labels = np.repeat([0, 1, 2], [60, 30, 10])
    drawn, others = stratified(labels, count, np.random.default_rng(0))
    assert len(drawn) == count
    assert sorted([*drawn, *others]) == list(range(100))
    assert np.abs(np.bincount(labels[drawn], minlength=3) - count * np.array([0.6, 0.3, 0.1])).max() <= 1


def test_every_member_of_a_class_is_drawn_equally_often() -> None:
    labels, trials = np.repeat([0, 1], [24, 12]), 4000
    counts = np.zeros(36)
    for seed in range(trials):
        counts[stratified(labels, 9, np.random.default_rng(seed))[0]] += 1
    # 9 of 36; 6 standard deviations: false alarms < 1e-6
    assert np.abs(counts - trials / 4).max() < 6 * np.sqrt(trials * 0.25 * 0.75)
