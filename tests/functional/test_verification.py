import numpy as np
import pytest
from scipy.optimize import brentq
from sklearn.metrics import det_curve, roc_curve

from sklearnloss.exceptions import DataError
from sklearnloss.functional import neighbors
from sklearnloss.functional.neighbors import measure
from sklearnloss.functional.verification import crossings, equal_error, error_rates, pair_totals, sample_pairs


def made(seed, n=50, whole=False):
    rng = np.random.default_rng(seed)
    y = rng.integers(4, size=n)
    X = rng.normal(size=(n, 3)) + np.eye(4, 3)[y]
    return np.round(X) if whole else X, y  # whole numbers tie


def all_pairs(measured):
    block = np.vstack([block for _, block in measured.blocks()])
    same = measured.y[:, None] == measured.gallery_y
    kept = np.triu_indices(len(block), 1) if measured.itself else np.indices(block.shape).reshape(2, -1)
    return block[tuple(kept)], same[tuple(kept)]


CASES = [
    (seed, distance, whole) for seed in (0, 1, 2) for distance in ("cosine", "euclidean") for whole in (False, True)
]


@pytest.mark.parametrize(("seed", "distance", "whole"), CASES)
def test_the_equal_error_rate_is_where_the_roc_curve_of_scikit_learn_meets_the_diagonal(seed, distance, whole):
    measured = measure(*made(seed, whole=whole), distance=distance)
    distances, same = all_pairs(measured)
    far, tar, _ = roc_curve(same, -distances, drop_intermediate=False)
    expected = brentq(lambda rate: 1 - rate - np.interp(rate, far, tar), 0, 1, xtol=1e-14)
    rate, threshold = equal_error(measured)
    assert rate == pytest.approx(expected, abs=1e-12)
    accepted = [(distances[same == s] <= threshold).mean() for s in (0, 1)]
    nearer = [(distances[same == s] < threshold).mean() for s in (0, 1)]
    assert accepted[0] >= 1 - accepted[1]
    assert nearer[0] < 1 - nearer[1]


@pytest.mark.parametrize(("seed", "distance", "whole"), CASES)
def test_rates_are_those_of_the_det_curve_of_scikit_learn(seed, distance, whole):
    measured = measure(*made(seed, whole=whole), distance=distance)
    distances, same = all_pairs(measured)
    false_positive, false_negative, thresholds = det_curve(same, -distances)
    far, frr = error_rates(measured, -thresholds)
    np.testing.assert_allclose(far, false_positive)
    np.testing.assert_allclose(frr, false_negative)


@pytest.mark.parametrize("block", [1, 200])
def test_the_size_of_blocks_does_not_matter(block, monkeypatch):
    X, y = made(0)
    whole = measure(X, y, distance="cosine")
    expected = equal_error(whole), error_rates(whole, np.array([0.3, 0.9]))
    monkeypatch.setattr(neighbors, "BLOCK", block)
    measured = measure(X, y, distance="cosine")
    assert equal_error(measured) == expected[0]
    np.testing.assert_array_equal(error_rates(measured, np.array([0.3, 0.9])), expected[1])


@pytest.mark.parametrize("share", [1e-9, 0.01, 0.5, 1.0])
@pytest.mark.parametrize("whole", [False, True])
def test_a_crossing_is_the_first_distance_that_fulfils_its_condition(share, whole):
    measured = measure(*made(3, whole=whole), distance="euclidean")
    distances, same = all_pairs(measured)
    ((found, below, within),) = crossings(measured, [lambda different, same: different >= share])
    assert found == np.quantile(distances[~same], share, method="inverted_cdf")
    assert below == pytest.approx([(distances[same == s] < found).mean() for s in (0, 1)])
    assert within == pytest.approx([(distances[same == s] <= found).mean() for s in (0, 1)])


def test_several_conditions_are_found_in_the_same_passes():
    measured = measure(*made(0), distance="cosine")
    conditions = [lambda different, same, share=share: different >= share for share in (0.1, 0.11, 0.9)]
    together = crossings(measured, conditions)
    for one, condition in zip(together, conditions, strict=True):
        ((distance, below, within),) = crossings(measured, [condition])
        assert one[0] == distance
        np.testing.assert_array_equal(np.stack(one[1:]), [below, within])


def test_pairs_are_counted_as_loops_count_them():
    (X, y), (G, g) = made(0), made(1, n=13)
    same = sum(y[i] == y[j] for i in range(50) for j in range(i))
    assert pair_totals(measure(X, y, distance="cosine")) == (50 * 49 // 2 - same, same)
    same = sum(a == b for a in y for b in g)
    assert pair_totals(measure(X, y, G, g, distance="cosine")) == (50 * 13 - same, same)


def test_without_a_pair_of_one_class_there_is_nothing_to_accept():
    with pytest.raises(DataError, match="y has no class of two rows, so there is no pair to accept"):
        equal_error(measure(np.eye(3), [0, 1, 2], distance="cosine"))
    with pytest.raises(DataError, match="no class of y is among gallery_labels"):
        equal_error(measure(np.eye(3), [0, 1, 2], np.eye(3), [3, 4, 5], distance="cosine"))


@pytest.mark.parametrize("gallery", [False, True])
def test_few_pairs_are_all_taken(gallery):
    (X, y), (G, g) = made(0), made(1, n=13)
    measured = measure(X, y, G, g, distance="cosine") if gallery else measure(X, y, distance="cosine")
    distances, same = all_pairs(measured)
    taken = sample_pairs(measured, 10**6, np.random.default_rng(0))
    for sort in (0, 1):
        np.testing.assert_array_equal(np.sort(taken[sort]), np.sort(distances[same == sort]))


@pytest.mark.parametrize("gallery", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_drawn_pairs_are_of_their_sort_and_each_as_likely(gallery, seed):
    (X, y), (G, g) = made(seed, n=14), made(seed + 10, n=9)
    measured = measure(X, y, G, g, distance="euclidean") if gallery else measure(X, y, distance="euclidean")
    distances, same = all_pairs(measured)
    rng = np.random.default_rng(seed)
    drawn = sample_pairs(measured, int(min(pair_totals(measured))) - 1, rng)
    assert [len(d) for d in drawn] == [min(pair_totals(measured)) - 1] * 2
    many = [np.concatenate([sample_pairs(measured, 8, rng)[s] for _ in range(1000)]) for s in (0, 1)]
    for sort in (0, 1):
        known, times = np.unique(distances[same == sort].round(8), return_counts=True)
        found, seen = np.unique(many[sort].round(8), return_counts=True)
        np.testing.assert_array_equal(found, known)  # every pair, and none of the other sort
        expected = 8000 * times / times.sum()
        assert (np.square(seen - expected) / expected).sum() < 2 * len(known)  # chi square; its mean is their number


def test_the_same_seed_draws_the_same_pairs():
    measured = measure(*made(0), distance="cosine")
    one, two = (sample_pairs(measured, 50, np.random.default_rng(4)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
