import numpy as np
import pytest

from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.functional import neighbors
from sklearnloss.functional.neighbors import check_labels, measure, ranks


def made(seed, n=60, d=5):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.integers(5, size=n)


def everything(measured):
    return np.vstack([block for _, block in measured.blocks()])


def direct(a, b, distance):
    if distance == "euclidean":
        return np.linalg.norm(a[:, None] - b, axis=2)
    return 1 - (a / np.linalg.norm(a, axis=1, keepdims=True)) @ (b / np.linalg.norm(b, axis=1, keepdims=True)).T


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("block", [1, 7 * 60, neighbors.BLOCK])
def test_blocks_are_the_distances_of_the_formula_without_oneself(distance, block, monkeypatch):
    monkeypatch.setattr(neighbors, "BLOCK", block)
    X, y = made(0)
    measured = measure(X, y, distance=distance)
    expected = direct(X, X, distance)
    np.fill_diagonal(expected, np.inf)
    np.testing.assert_allclose(measured.shown(everything(measured)), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("block", [1, 7 * 60, neighbors.BLOCK])
def test_pairs_are_each_pair_once(distance, block, monkeypatch):
    monkeypatch.setattr(neighbors, "BLOCK", block)
    X, y = made(1)
    measured = measure(X, y, distance=distance)
    seen = np.full((60, 60), np.nan)
    for block, rows, columns in measured.pairs():
        assert np.isnan(seen[rows, columns]).all()
        seen[rows, columns] = block
    upper = np.triu_indices(60, 1)
    np.testing.assert_allclose(seen[upper], everything(measured)[upper], atol=1e-9)
    assert np.isnan(seen[np.tril_indices(60)]).all()


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_of_a_gallery_every_pair_is_one(distance):
    (X, y), (G, g) = made(0), made(1, n=11)
    measured = measure(X, y, G, g, distance=distance)
    np.testing.assert_allclose(measured.shown(everything(measured)), direct(X, G, distance), rtol=1e-9, atol=1e-9)
    assert sum(block.size for block, _, _ in measured.pairs()) == 60 * 11
    singles = measured.of(np.array([3, 4]), np.array([10, 0]))
    np.testing.assert_allclose(singles, everything(measured)[[3, 4], [10, 0]], atol=1e-9)


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("d", [3, 64, 1000])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rows_that_are_the_same_are_as_far_from_every_query_to_the_bit(distance, d, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(150, d)) + 3
    places = rng.integers(150, size=401)
    found = everything(measure(X, np.arange(150), X[places], places, distance=distance))
    for place in range(150):
        same = found[:, places == place]
        np.testing.assert_array_equal(same, same[:, :1] + np.zeros(same.shape))
    assert (found[places, np.arange(401)] == 0).all()


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
@pytest.mark.parametrize("d", [3, 64])
def test_distances_of_whole_numbers_that_are_equal_on_paper_are_equal(distance, d):
    # every row has the same length and the products are whole; multiples of a third round, in any order of the sums
    rng = np.random.default_rng(0)
    X = rng.permuted(np.tile(np.arange(d) % 3 - 1.0, (80, 1)), axis=1)
    found = everything(measure(X / 3, distance=distance))
    products = np.where(np.eye(80), np.inf, X @ X.T)
    for product in np.unique(products):
        assert len(np.unique(found[products == product])) == 1


@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_a_pair_is_as_far_seen_from_either_side(distance):
    X, y = made(0)
    found = everything(measure(X, y, distance=distance))
    np.testing.assert_allclose(found, found.T, rtol=0, atol=2 * neighbors.GRID * np.square(X).sum(axis=1).max())


def test_one_outlier_does_not_blur_the_others():
    X = np.array([[1.0, 0.0], [1.0, 1e-3], [1.0, 3e-3], [1e9, 0.0], [1e9, 0.0]])
    measured = measure(X, np.arange(5) % 2, distance="euclidean")
    assert measured.shown(everything(measured))[0, 1:3] == pytest.approx([1e-3, 3e-3], rel=1e-6)
    assert everything(measured)[3, 4] == everything(measured)[4, 3] == 0


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
@pytest.mark.parametrize("distance", ["cosine", "euclidean"])
def test_very_small_and_very_large_rows_are_measured(scale, distance):
    X, y = made(0)
    measured = measure(scale * X, y, distance=distance)
    factor = 1.0 if distance == "cosine" else scale
    expected = direct(X, X, distance) * factor
    np.fill_diagonal(expected, np.inf)
    np.testing.assert_allclose(measured.shown(everything(measured)), expected, rtol=1e-9, atol=1e-9 * factor)


@pytest.mark.parametrize("at_centre", [0, 9])
def test_pairs_that_are_equally_far_on_paper_are_so_wherever_they_lie(at_centre):
    X = np.concatenate([np.arange(-6, 7), np.zeros(at_centre)])[:, None] / 3
    measured = measure(X, distance="euclidean")
    found, whole = everything(measured), np.rint(3 * np.abs(X - X.T))
    for steps in range(1, 13):
        assert len(np.unique(found[whole == steps])) == 1


def test_a_large_offset_of_all_rows_leaves_euclidean_distances_as_they_are():
    X, y = made(0)
    near, away = (everything(measure(x, y, distance="euclidean")) for x in (X, X + 2.0**20))
    assert (np.argsort(near, axis=1) == np.argsort(away, axis=1)).all()


@pytest.mark.parametrize("k", [1, 3, 10, 19])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ranks_are_counted_by_loops(k, seed):
    rng = np.random.default_rng(seed)
    block = rng.integers(6, size=(8, 20)).astype(float)
    block[0] = np.arange(20)  # without ties
    same = rng.random((8, 20)) < 0.4
    found = ranks(block, same, k)
    for i in range(8):
        for rank, distance in enumerate(sorted(block[i])[:k]):
            assert found.start[i, rank] == (block[i] < distance).sum()
            assert found.before[i, rank] == (same[i] & (block[i] < distance)).sum()
            assert found.size[i, rank] == (block[i] == distance).sum()
            assert found.positives[i, rank] == (same[i] & (block[i] == distance)).sum()


def test_ranks_without_ties_are_those_with_a_tie_elsewhere():
    rng = np.random.default_rng(0)
    block, same = rng.random((4, 30)), rng.random((4, 30)) < 0.5
    tied = np.vstack([block, np.ones((1, 30))])
    plain, mixed = ranks(block, same, 6), ranks(tied, np.vstack([same, same[:1]]), 6)
    for name in ("before", "start", "positives", "size"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(mixed, name)[:4])


def test_labels_may_be_words_numbers_booleans_or_objects():
    words = np.array(["b", "a"], dtype=object)
    assert check_labels(words, 2).tolist() == ["b", "a"]
    assert check_labels(np.array([2, 1], dtype=object), 2).tolist() == [2, 1]
    assert check_labels([True, False], 2).tolist() == [True, False]


X2, Y2 = [[0.0], [1.0]], [0, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0.0], [float("nan")]], Y2), "embeddings must be finite, but row 1 is not"),
        (([[0.0], [float("inf")]], Y2), "embeddings must be finite, but row 1 is not"),
        (([0.0, 1.0], Y2), r"embeddings must have shape \(n, d\), one row for each sample, got \(2,\)"),
        (([[[0.0]], [[1.0]]], Y2), r"embeddings must have shape \(n, d\)"),
        (([[], []], Y2), r"embeddings must have shape \(n, d\)"),
        ((np.zeros((0, 3)), []), "embeddings has no rows"),
        (([["a"], ["b"]], Y2), "embeddings must be numbers"),
        (([[0.0]], [0]), "embeddings has one row; without a gallery there must be two"),
        ((X2, [0, 1, 1]), "embeddings and y must have the same number of rows, got 2 and 3"),
        ((X2, [[0], [1]]), r"y must have shape \(2,\), one class for each row of embeddings, got \(2, 1\)"),
        ((X2, [0, 0]), "y has one class"),
        ((X2, [0.0, float("nan")]), "y has NaN for row 1"),
        ((X2, np.array(["a", None])), "y must hold labels of one kind, got NoneType, str"),
        ((X2, Y2, X2), "gallery was given without gallery_labels"),
        ((X2, Y2, None, Y2), "gallery_labels was given without a gallery"),
        ((X2, Y2, [[0.0, 1.0]], [0]), "embeddings and gallery must have the same columns, got 1 and 2"),
        ((X2, Y2, X2, [1, 1]), "gallery_labels has one class"),
        ((X2, Y2, X2, ["a", "b"]), "y and gallery_labels must be of one kind"),
        ((X2, Y2, X2, [1]), "gallery and gallery_labels must have the same number of rows, got 2 and 1"),
    ],
)
def test_what_cannot_be_compared_is_refused_with_the_reason(arguments, message):
    with pytest.raises(DataError, match=message):
        measure(*arguments, distance="cosine")


def test_sparse_embeddings_are_refused():
    from scipy.sparse import csr_array

    with pytest.raises(DataError, match=r"got a sparse one; use \.toarray"):
        measure(csr_array(np.eye(3)), [0, 1, 1], distance="cosine")


def test_an_unknown_distance_is_refused():
    with pytest.raises(ParameterError, match=r"distance must be one of 'cosine', 'euclidean', got 'manhattan'"):
        measure(X2, Y2, distance="manhattan")
