import numpy as np
import pytest

from sklearnloss.exceptions import DataError
from sklearnloss.metrics.map_at_r import map_at_r
from sklearnloss.metrics.r_precision import r_precision


def average_precision(hits, r):
    return sum(sum(hits[: i + 1]) / (i + 1) for i in range(r) if hits[i]) / r


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_is_the_formula_written_with_loops(embedded, naive, seed, distance):
    X, y = embedded(seed)
    assert map_at_r(X, y, distance=distance) == pytest.approx(naive(average_precision, X, y, None, None, distance))
    G, g = embedded(seed + 10, n=25)
    expected = naive(average_precision, X, y, G, g, distance)
    assert map_at_r(X, y, G, g, distance=distance) == pytest.approx(expected)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ties_are_averaged_over_their_orders(naive, seed):
    rng = np.random.default_rng(seed)
    X, y = rng.integers(4, size=(14, 1)).astype(float), rng.integers(3, size=14)
    X = X * rng.integers(1, 3, size=(14, 1))
    expected = naive(average_precision, X[:3], y[:3], X[3:], y[3:], "euclidean")
    assert map_at_r(X[:3], y[:3], X[3:], y[3:], distance="euclidean") == pytest.approx(expected)


def test_embeddings_that_fell_together_are_worth_as_much_as_chance():
    # any r of the others are hits: the chance of one at a rank, times the precision there if it is one
    y = np.repeat([0, 1], 10)
    r, others = 9, 19
    chance = r / others * np.mean([(1 + (i - 1) * (r - 1) / (others - 1)) / i for i in range(1, r + 1)])
    for X in (np.zeros((20, 3)), np.ones((20, 3)), np.arange(1, 21)[:, None] * np.ones((1, 3))):
        assert map_at_r(X, y) == pytest.approx(chance)
    drawn = [map_at_r(np.random.default_rng(s).normal(size=(20, 30)), y) for s in range(200)]
    assert np.mean(drawn) == pytest.approx(chance, abs=0.02)


def test_a_case_worked_by_hand():
    X, y = [[0.0], [1.0], [2.0], [4.0], [7.0]], ["a", "a", "b", "a", "b"]
    by_hand = [
        (1 + 0) / 2,  # a b, of which two are looked at
        (1 / 2 + 1 / 4) / 2,  # the rows at 0 (a) and 2 (b) are as far: a b is worth 1 / 2, b a is worth 1 / 4
        0,  # one is looked at: a
        (0 + 1 / 4) / 2,  # b, then the rows at 1 (a) and 7 (b): half the time a hit at rank two
        0,
    ]
    assert map_at_r(X, y, distance="euclidean") == pytest.approx(np.mean(by_hand))


def test_a_row_of_zeros_is_as_far_as_one_at_a_right_angle():
    gallery, labels = [[1.0, 1.0], [0.0, 0.0], [0.0, 1.0]], [1, 0, 1]
    # the nearest is of the other class; of the two behind it, either may come first
    assert map_at_r([[1.0, 0.0]], [0], gallery, labels) == 0
    assert map_at_r([[1.0, 0.0]], [0], gallery, [0, 0, 1]) == pytest.approx((1 + 1 / 2) / 2)


def test_agrees_with_pytorch_metric_learning(labelled):
    expected = [(1 / 2 + 2 / 3) / 3, (1 + 2 / 3) / 3, (1 / 5) / 5, (1 + 2 / 3) / 4, (1 / 3) / 5]
    for (label, gallery, labels), value in zip(labelled, expected, strict=True):
        # the fourth query has four of its class, of which the fifth rank is no more looked at
        assert map_at_r([[0.0]], [label], gallery, labels, distance="euclidean") == pytest.approx(value)


def test_agrees_with_pytorch_metric_learning_on_a_line():
    # its test_accuracy_calculator_and_faiss: all queries but that at 1 are alone with their class
    places, labels = np.arange(20) / 2, np.ones(20, dtype=int)
    labels[::2] = np.arange(10)
    others = np.arange(20) != 2
    found = map_at_r([[1.0]], [1], places[others, None], labels[others], distance="euclidean")
    assert found == pytest.approx((1 + 2 / 2 + 3 / 5 + 4 / 7 + 5 / 9) / 10)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_neither_rotation_nor_scale_nor_the_order_of_rows_nor_names_matter(embedded, rotation, distance):
    X, y = embedded(0)
    order = np.random.default_rng(0).permutation(len(y))
    expected = map_at_r(X, y, distance=distance)
    assert map_at_r(3 * X @ rotation, y, distance=distance) == pytest.approx(expected)
    names = np.array(list("abcdefghij"))
    assert map_at_r(X[order], names[y[order]], distance=distance) == pytest.approx(expected)
    if distance == "euclidean":
        assert map_at_r(X + 100, y, distance=distance) == pytest.approx(expected)


def test_the_length_of_a_row_matters_to_euclidean_distance_alone(embedded):
    X, y = embedded(0)
    scaled = X * np.random.default_rng(0).uniform(0.5, 2, size=(len(y), 1))
    assert map_at_r(scaled, y) == pytest.approx(map_at_r(X, y))
    assert map_at_r(scaled, y, distance="euclidean") != pytest.approx(map_at_r(X, y, distance="euclidean"))


def test_separated_classes_have_one_and_interleaved_ones_zero():
    assert map_at_r([[0.0], [1.0], [10.0], [11.0]], [0, 0, 1, 1], distance="euclidean") == 1
    assert map_at_r([[0.0], [1.0], [10.0], [11.0]], [0, 1, 0, 1], distance="euclidean") == 0


def test_a_query_without_another_row_of_its_class_is_left_out():
    X, y = [[0.0], [1.0], [0.4], [10.0], [11.0]], [0, 0, 5, 1, 1]
    assert map_at_r(X, y, distance="euclidean") == pytest.approx((1 / 2 * 0 + 0 + 1 + 1) / 4)


def test_is_at_most_r_precision_and_both_agree_where_a_class_has_one_other_row(embedded):
    X, y = embedded(0)
    assert map_at_r(X, y) <= r_precision(X, y)
    pairs = np.arange(40) // 2
    assert map_at_r(X, pairs) == pytest.approx(r_precision(X, pairs))


def test_classes_of_different_size_are_cut_at_their_own_rank():
    X = np.concatenate([np.linspace(0, 1, 30), [5.0, 5.1]])[:, None]
    assert map_at_r(X, np.repeat([0, 1], [30, 2]), distance="euclidean") == 1


def test_a_gallery_that_has_nothing_to_find_is_refused():
    with pytest.raises(DataError, match="y has no class of two rows, so no query has anything to find"):
        map_at_r(np.eye(3), [0, 1, 2])
    with pytest.raises(DataError, match="no class of y is among gallery_labels"):
        map_at_r(np.eye(2), [0, 1], np.eye(2), [2, 3])
