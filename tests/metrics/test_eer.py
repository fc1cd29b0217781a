import numpy as np
import pytest

from sklearnloss.exceptions import DataError
from sklearnloss.metrics.eer import eer


def test_a_case_worked_by_hand():
    # same: 1, 2; different: 2, 3, 4, 5. Within 1 no wrong one and half of the right ones; within 2 a quarter and all
    # on the way from (0, 1/2) to (1/4, 0) both are 1/6
    assert eer([[0.0], [1.0], [3.0], [5.0]], ["a", "a", "b", "b"], distance="euclidean") == pytest.approx(1 / 6)


def test_separated_classes_have_zero_and_interleaved_ones_one():
    assert eer([[0.0], [1.0], [10.0], [11.0]], [0, 0, 1, 1], distance="euclidean") == 0
    assert eer([[0.0], [10.0], [5.0]], [0, 0, 1], distance="euclidean") == 1


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_embeddings_that_fell_together_have_a_half(value):
    assert eer(np.full((9, 3), value), np.arange(9) % 2) == pytest.approx(0.5)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_random_embeddings_have_about_a_half(seed):
    rng = np.random.default_rng(seed)
    assert eer(rng.normal(size=(300, 8)), rng.integers(3, size=300)) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_neither_rotation_nor_scale_nor_the_order_of_rows_matter(embedded, rotation, distance):
    X, y = embedded(0)
    order = np.random.default_rng(0).permutation(len(y))
    expected = eer(X, y, distance=distance)
    assert eer(2.5 * X[order] @ rotation, y[order], distance=distance) == pytest.approx(expected)


def test_queries_and_gallery_may_change_places(embedded):
    (X, y), (G, g) = embedded(0), embedded(1)
    assert eer(X, y, G, g) == pytest.approx(eer(G, g, X, y))


def test_without_pairs_of_both_sorts_there_is_no_error_rate():
    with pytest.raises(DataError, match="no class of two rows"):
        eer(np.eye(3), [0, 1, 2])
    with pytest.raises(DataError, match="y has one class"):
        eer(np.eye(3), [0, 0, 0])
