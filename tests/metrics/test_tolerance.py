from itertools import combinations

import numpy as np
import pytest

from sklearnloss.exceptions import DataError
from sklearnloss.metrics.tolerance import tolerance


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_is_the_formula_written_with_loops(embedded, seed):
    X, y = embedded(seed)
    units = [x / np.linalg.norm(x) for x in X]
    expected = np.mean([units[i] @ units[j] for i, j in combinations(range(len(y)), 2) if y[i] == y[j]])
    assert tolerance(X, y) == pytest.approx(expected)


def test_three_pairs_worked_by_hand():
    angles = np.deg2rad([0, 90, 200, 10, 80, 190])
    X = np.column_stack([np.cos(angles), np.sin(angles)])
    assert tolerance(X, [0, 1, 2, 0, 1, 2]) == pytest.approx(0.984808, abs=1e-6)


def test_classes_that_point_one_way_have_one_and_opposite_pairs_minus_one():
    assert tolerance([[1.0, 0.0], [3.0, 0.0], [0.0, 1.0], [0.0, 0.1]], list("aabb")) == pytest.approx(1)
    assert tolerance([[1.0, 0.0], [-3.0, 0.0]], ["a", "a"]) == pytest.approx(-1)


def test_a_row_of_zeros_has_the_cosine_zero():
    assert tolerance([[1.0, 0.0], [0.0, 0.0], [1.0, 0.0]], [0, 0, 0]) == pytest.approx(1 / 3)


def test_rows_alone_with_their_class_do_not_count():
    assert tolerance([[1.0, 0.0], [1.0, 1.0], [-1.0, 5.0]], [0, 0, 1]) == pytest.approx(np.sqrt(0.5))


def test_neither_length_nor_rotation_nor_order_matter(embedded, rotation):
    X, y = embedded(0)
    order = np.random.default_rng(0).permutation(len(X))
    scaled = X * np.random.default_rng(0).uniform(0.1, 9, size=(len(X), 1))
    assert tolerance(scaled[order] @ rotation, y[order]) == pytest.approx(tolerance(X, y))


def test_without_a_pair_there_is_nothing_to_compare():
    with pytest.raises(DataError, match="y has no class of two rows"):
        tolerance(np.eye(3), [0, 1, 2])
    with pytest.raises(DataError, match="same number of rows, got 3 and 2"):
        tolerance(np.eye(3), [0, 1])
