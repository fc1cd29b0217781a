import numpy as np
import pytest

from sklearnloss.exceptions import DataError
from sklearnloss.metrics.utilization import utilization


def naive(Q, X, itself):
    """Return the formula, by loops."""
    nearest = [min(sum((q - x) ** 2) for j, x in enumerate(X) if not (itself and i == j)) for i, q in enumerate(Q)]
    return np.mean(nearest)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_is_the_formula_written_with_loops(embedded, seed):
    (Q, _), (X, _) = embedded(seed), embedded(seed + 10)
    assert utilization(Q, X, distance="euclidean") == pytest.approx(naive(Q, X, False))
    assert utilization(Q, distance="euclidean") == pytest.approx(naive(Q, Q, True))
    units = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (Q, X)]
    assert utilization(Q, X) == pytest.approx(naive(*units, False))


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_adding_rows_to_the_gallery_can_only_lower_it(embedded, distance):
    (Q, _), (X, _) = embedded(0), embedded(1)
    rng = np.random.default_rng(0)
    mixed = 0.5 * (X[rng.permutation(len(X))] + X)
    values = [utilization(Q, np.vstack([X, mixed[:m]]), distance=distance) for m in (0, 5, 20, 40)]
    assert np.diff(values).max() <= 0
    assert values[-1] < values[0]


def test_queries_that_are_in_the_gallery_have_zero(embedded):
    X, _ = embedded(0)
    assert utilization(X, X) == 0
    assert utilization(np.ones((4, 2))) == 0
    assert utilization(np.zeros((4, 2))) == 0


def test_a_row_of_zeros_is_in_the_middle():
    assert utilization([[0.0, 0.0]], [[0.0, 7.0]]) == pytest.approx(1)
    assert utilization([[0.0, -3.0]], [[0.0, 7.0]]) == pytest.approx(4)


def test_scale_matters_to_euclidean_distance_by_its_square(embedded):
    X, _ = embedded(0)
    assert utilization(3 * X, distance="euclidean") == pytest.approx(9 * utilization(X, distance="euclidean"))
    assert utilization(3 * X) == pytest.approx(utilization(X))


def test_other_columns_are_refused():
    with pytest.raises(DataError, match="embeddings and gallery must have the same columns, got 2 and 3"):
        utilization(np.eye(2), np.eye(3))
    with pytest.raises(DataError, match="gallery must be finite"):
        utilization(np.eye(2), [[np.nan, 0.0]])
