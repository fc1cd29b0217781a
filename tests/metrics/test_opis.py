from itertools import combinations, product

import numpy as np
import pytest

from sklearnloss import Metric
from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.metrics.opis import opis
from sklearnloss.metrics.recall_at_k import recall_at_k


def naive(pairs, thresholds, classes):
    """Return the formula, by loops over pairs (distance, class, class)."""
    variances = []
    for threshold in thresholds:
        utilities = []
        for c in classes:
            within = [d for d, a, b in pairs if a == b == c]
            across = [d for d, a, b in pairs if (a == c) != (b == c)]
            if within and across:
                sensitivity = np.mean([d <= threshold for d in within])
                specificity = np.mean([d > threshold for d in across])
                both = sensitivity + specificity
                utilities.append(2 * sensitivity * specificity / both if both else 0.0)
        variances.append(np.mean((np.array(utilities) - np.mean(utilities)) ** 2))
    return np.mean(variances)


def grid(pairs, low, high, n):
    different = np.sort([d for d, a, b in pairs if a != b])
    ends = [different[int(np.ceil(round(rate * len(different), 6))) - 1] for rate in (low, high)]
    spaced = np.linspace(*ends, n)
    spaced[1:-1] += 1e-10  # no pair is at an inner threshold; the ends are pairs themselves
    return spaced + 1e-10


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("rates", [(0.01, 0.1), (0.1, 0.5), (0.3, 0.3)])
def test_is_the_formula_written_with_loops(embedded, seed, rates):
    X, y = embedded(seed)
    pairs = [(np.linalg.norm(X[i] - X[j]), y[i], y[j]) for i, j in combinations(range(len(y)), 2)]
    expected = naive(pairs, grid(pairs, *rates, 7), set(y))
    found = opis(X, y, far_low=rates[0], far_high=rates[1], n_thresholds=7, distance="euclidean")
    assert found == pytest.approx(expected, abs=1e-12)
    assert found > 0


def test_of_a_gallery_it_is_the_formula_over_pairs_of_a_query_and_a_row(embedded):
    (X, y), (G, g) = embedded(0), embedded(1, n=25)
    units = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (X, G)]
    pairs = [
        (1 - a @ b, c, d) for (a, c), (b, d) in product(zip(units[0], y, strict=True), zip(units[1], g, strict=True))
    ]
    expected = naive(pairs, grid(pairs, 0.05, 0.4, 9), set(y) | set(g))
    assert opis(X, y, G, g, far_low=0.05, far_high=0.4, n_thresholds=9) == pytest.approx(expected, abs=1e-12)


def test_classes_of_the_same_shape_have_zero():
    corners = np.array([[0.0, 0.0], [9.0, 0.0], [9.0, 9.0], [0.0, 9.0]])  # each class sees the others as the next does
    turned = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]
    X = np.vstack([corner + np.array(turned) @ np.array([[c, s], [-s, c]])
                   for corner, (c, s) in zip(corners, [(1, 0), (0, 1), (-1, 0), (0, -1)], strict=True)])  # fmt: skip
    assert opis(X, np.repeat(range(4), 3), far_high=0.5, distance="euclidean") == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_class_wider_than_the_others_raises_it(seed):
    rng = np.random.default_rng(seed)
    y = np.repeat(range(4), 40)
    X = 3 * np.eye(4)[y] + rng.normal(size=(160, 4))
    wider = np.where((y == 0)[:, None], 3 * np.eye(4)[y] + 3 * (X - 3 * np.eye(4)[y]), X)
    assert opis(wider, y, distance="euclidean") > 2 * opis(X, y, distance="euclidean")


def test_is_no_error_of_nearest_neighbours():
    # every nearest neighbour is right, yet no threshold serves both classes: within 98 is one of nine strangers' pairs,
    # all of the first class and two of three of the second
    X, y = [[0.0], [1.0], [2.0], [100.0], [180.0], [260.0]], list("aaabbb")
    assert recall_at_k(X, y, distance="euclidean") == 1
    expected = np.var([2 * 1 * (8 / 9) / (1 + 8 / 9), 2 * (2 / 3) * (8 / 9) / (2 / 3 + 8 / 9)])
    assert opis(X, y, n_thresholds=1, distance="euclidean") == pytest.approx(expected)


def test_a_class_that_accepts_all_strangers_and_no_one_of_its_own_has_utility_zero():
    # within 0 the pair of a and b is accepted, nobody else: sensitivity 0, specificity 1/2 or 1
    X, y = [[0.0], [5.0], [0.0], [9.0]], list("aabb")
    assert opis(X, y, far_low=0.25, far_high=0.25, n_thresholds=1, distance="euclidean") == 0


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_neither_rotation_nor_scale_nor_the_order_of_rows_matter(embedded, rotation, distance):
    X, y = embedded(0)
    order = np.random.default_rng(0).permutation(len(y))
    expected = opis(X, y, distance=distance)
    assert opis(2.5 * X[order] @ rotation, y[order], distance=distance) == pytest.approx(expected, abs=1e-9)


def test_a_class_of_one_row_is_left_out_but_counts_among_the_strangers(embedded):
    X, y = embedded(0)  # its last row is alone
    assert opis(X, y, far_low=0.2, far_high=0.2) != opis(X[:-1], y[:-1], far_low=0.2, far_high=0.2)
    assert np.isfinite(opis(X, y))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"far_low": 0.0}, r"far_low must be a float in \(0, 1\], got 0.0"),
        ({"far_high": 1.5}, r"far_high must be a float in \(0, 1\], got 1.5"),
        ({"far_low": float("nan")}, "far_low must be a float"),
        ({"far_low": 0.5}, "far_low must be at most far_high, got 0.5 and 0.1"),
        ({"n_thresholds": 0}, r"n_thresholds must be an int in \[1, inf\), got 0"),
    ],
)
def test_an_option_out_of_range_is_refused(options, message, embedded):
    X, y = embedded(0)
    with pytest.raises(ParameterError, match=message):
        opis(X, y, **options)


def test_one_class_is_refused_and_the_declared_range_is_that_of_the_function(embedded):
    with pytest.raises(DataError, match="y has one class"):
        opis(np.eye(3), [0, 0, 0])
    with pytest.raises(ParameterError, match=r"metric 'opis': far_low must be a float in \(0, 1\], got 0.0"):
        Metric("opis", far_low=0.0).choose()
