from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import tukey_hsd

from zenfront.pipeline.analysis.noise import noise_groups


def test_a_worked_example() -> None:
    # Standard deviation 1 in each, so pooled 1 with 6 degrees of freedom; q(0.95; 3, 6) = 4.339 in the tables.
    # Least difference for three values each: 4.339 / sqrt(3) = 2.505.
    near, far = [8.6, 9.6, 10.6], [7.4, 8.4, 9.4]
    assert noise_groups([near, [10, 11, 12], far]) == [0, 0, 1]


def test_single_seeds_form_no_groups() -> None:
    assert noise_groups([[0.9], [0.1]]) is None
    assert noise_groups([]) is None


def test_one_architecture_is_a_group() -> None:
    assert noise_groups([[0.9, 0.8]]) == [0]


def test_without_spread_every_difference_counts() -> None:
    assert noise_groups([[0.5, 0.5], [0.9, 0.9], [0.5, 0.5]]) == [1, 0, 1]


@settings(deadline=None, max_examples=30)  # scipy integrates the distribution: 0.1 s each
@given(st.lists(st.lists(st.floats(0, 1), min_size=2, max_size=4), min_size=2, max_size=4))
def test_two_heads_of_groups_differ_by_tukeys_test(samples: list[list[float]]) -> None:
    groups = noise_groups(samples)
    assert groups is not None
    means = [sum(sample) / len(sample) for sample in samples]
    best = means.index(max(means))
    assert groups[best] == 0
    spread = max(max(sample) - min(sample) for sample in samples)
    if spread < 1e-3:
        return  # scipy divides by a spread of zero
    p_values = tukey_hsd(*samples).pvalue
    for other, group in enumerate(groups):
        p_value = p_values[best, other]
        if abs(p_value - 0.05) > 1e-6:
            assert (group == 0) == (p_value > 0.05)


def test_higher_confidence_separates_fewer_groups() -> None:
    samples = [[0.90, 0.91], [0.87, 0.88], [0.80, 0.81]]
    found = [noise_groups(samples, confidence) or [] for confidence in (0.5, 0.95, 0.99, 0.9999)]
    counts = [len(set(groups)) for groups in found]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1] == 1
