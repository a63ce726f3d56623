"""Which architectures share weights, and in which order they take mini-batches."""

from collections import Counter

import pytest

from zenfront import spaces
from zenfront.pipeline.errors import UserError
from zenfront.pipeline.supernet.child_order import child_order
from zenfront.pipeline.supernet.groups import form_groups
from zenfront.spaces import Architecture, Space


def test_lexicographic_groups_are_blocks_in_the_order_of_the_genes(space: Space, every: list[Architecture]) -> None:
    """Eight groups of eight: the first edge and half of the second are equal within each."""
    groups = form_groups(space, every[::-1], 8, "lexicographic", seed=0)
    assert {index for group in groups for index in group} == set(range(64))
    for group in groups:
        cells = [space.encode(every[::-1][index]) for index in group]
        assert len({cell[0] for cell in cells}) == 1
        assert {cell[1] for cell in cells} in ({0, 1}, {2, 3})


def test_groups_by_distance_differ_in_few_genes(space: Space, every: list[Architecture]) -> None:
    def distance(group: list[int]) -> int:
        cells = [space.encode(every[index]) for index in group]
        return sum(a != b for one in cells for two in cells for a, b in zip(one, two, strict=True))

    near = form_groups(space, every, 16, "distance", seed=0)
    assert sorted(index for group in near for index in group) == list(range(64))
    assert {len(group) for group in near} == {4}
    drawn = form_groups(space, every, 16, "random", seed=0)
    assert sum(map(distance, near)) < 0.7 * sum(map(distance, drawn))


def test_random_groups_follow_the_seed(space: Space, every: list[Architecture]) -> None:
    first, again, other = (form_groups(space, every, 8, "random", seed) for seed in (0, 0, 1))
    assert first == again != other


def test_one_group_has_all_and_many_have_one(space: Space, every: list[Architecture]) -> None:
    assert form_groups(space, every, 1, "distance", 0) == [list(range(64))]
    assert sorted(form_groups(space, every, 64, "random", 0)) == [[index] for index in range(64)]


def test_groups_must_divide(space: Space, every: list[Architecture]) -> None:
    with pytest.raises(UserError, match=r"\(architectures=64, groups=10\). Possible are 1, 2, 4, 8, 16, 32, 64"):
        form_groups(space, every, 10, "random", 0)


def test_a_fixed_order_repeats_and_a_shuffled_one_does_not() -> None:
    fixed = [child_order("fixed", range(8), 3, cycle) for cycle in range(3)]
    assert fixed[0] == fixed[1] == fixed[2] != list(range(8))
    shuffled = [child_order("shuffled", range(8), 3, cycle) for cycle in range(3)]
    assert len(set(map(tuple, shuffled))) == 3
    assert all(sorted(order) == list(range(8)) for order in (*fixed, *shuffled))
    assert child_order("fixed", range(8), 4, 0) != fixed[0]


def test_random_draws_are_uniform_and_independent() -> None:
    drawn = Counter(child for cycle in range(500) for child in child_order("random", range(8), 0, cycle))
    assert min(drawn.values()) > 500 - 4 * 500**0.5
    assert max(drawn.values()) < 500 + 4 * 500**0.5
    assert any(len(set(child_order("random", range(8), 0, cycle))) < 8 for cycle in range(3))


def test_only_the_architectures_that_are_left_are_in_the_order() -> None:
    assert sorted(child_order("shuffled", [1, 5, 6], 0, 2)) == [1, 5, 6]


def test_other_spaces_can_be_grouped() -> None:
    space = spaces.load("nasbench201")
    some = [space.literal([i, 0, 1, 2, j, 3]) for i in range(5) for j in range(2)]
    assert form_groups(space, some, 5, "lexicographic", 0) == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]
