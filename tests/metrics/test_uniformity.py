from itertools import combinations

import numpy as np
import pytest

from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.functional import neighbors
from sklearnloss.metrics.uniformity import uniformity


def naive(X, t):
    """Return the formula, by loops."""
    units = [x / np.linalg.norm(x) for x in X]
    return np.log(np.mean([np.exp(-t * sum((a - b) ** 2)) for a, b in combinations(units, 2)]))


@pytest.mark.parametrize("t", [0.5, 2.0, 5.0])
@pytest.mark.parametrize("block", [20, neighbors.BLOCK])
def test_is_the_formula_written_with_loops(embedded, t, block, monkeypatch):
    monkeypatch.setattr(neighbors, "BLOCK", block)
    X, _ = embedded(0)
    assert uniformity(X, t=t) == pytest.approx(naive(X, t))


def test_directions_worked_by_hand():
    chords = [2 - 2 * np.cos(np.deg2rad(angle)) for angle in (90, 200, 110)]  # squared, between 0, 90 and 200 degrees
    assert uniformity(on_circle(0, 90, 200)) == pytest.approx(np.log(np.mean(np.exp(-2 * np.array(chords)))))
    assert uniformity(on_circle(0, 90, 200, 10, 80, 190)) == pytest.approx(-1.606386, abs=1e-6)


def on_circle(*degrees):
    return np.column_stack([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])


def test_many_random_directions_tend_to_minus_two_t():
    X = np.random.default_rng(0).normal(size=(512, 64))
    assert uniformity(X) == pytest.approx(-3.876, abs=0.01)


@pytest.mark.parametrize("X", [np.zeros((5, 3)), np.ones((5, 3)), np.arange(1, 6)[:, None] * np.ones((1, 3))])
def test_rows_that_all_point_the_same_way_have_zero(X):
    assert uniformity(X) == pytest.approx(0, abs=1e-12)


def test_two_opposite_rows_have_the_least_there_is_however_sharp():
    assert uniformity([[1.0, 0.0], [-2.0, 0.0]], t=3.0) == pytest.approx(-12)
    assert uniformity([[1.0, 0.0], [-2.0, 0.0]], t=1e4) == pytest.approx(-4e4)


def test_neither_length_nor_rotation_nor_order_matter(embedded, rotation):
    X, _ = embedded(0)
    order = np.random.default_rng(0).permutation(len(X))
    scaled = X * np.random.default_rng(0).uniform(0.1, 9, size=(len(X), 1))
    assert uniformity(scaled[order] @ rotation) == pytest.approx(uniformity(X))


def test_one_row_and_a_sharpness_that_is_none_are_refused():
    with pytest.raises(DataError, match="embeddings has one row"):
        uniformity([[1.0, 0.0]])
    for t in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ParameterError, match=r"t must be a float in \(0, inf\), got"):
            uniformity([[1.0, 0.0], [0.0, 1.0]], t=t)
