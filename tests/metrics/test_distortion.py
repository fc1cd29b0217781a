import numpy as np
import pytest

from sklearnloss.metrics.distortion import distortion


def tables(n=6, seed=0):
    rng = np.random.default_rng(seed)
    given, found = rng.random((2, n, n)) + 0.1
    return [np.triu(t, 1) + np.triu(t, 1).T for t in (given, found)]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_is_the_formula_written_with_loops(seed):
    given, found = tables(seed=seed)
    pairs = [(i, j) for i in range(6) for j in range(i)]
    ratios = [found[i, j] / given[i, j] for i, j in pairs]
    mean = sum(abs(found[i, j] - given[i, j]) / given[i, j] for i, j in pairs) / len(pairs)
    assert distortion(given, found) == pytest.approx(mean)
    assert distortion(given, found, worst=True) == pytest.approx(max(ratios) / min(ratios))


def test_the_given_distances_have_none_and_a_scale_matters_to_the_mean_only():
    given, _ = tables()
    assert distortion(given, given) == 0
    assert distortion(given, 3 * given) == pytest.approx(2)
    assert distortion(given, 3 * given, worst=True) == pytest.approx(1)


def test_pairs_at_distance_zero_or_infinity_do_not_count():
    given = np.array([[0, 0, 2], [0, 0, np.inf], [2, np.inf, 0]])
    found = np.array([[0, 5, 3], [5, 0, 7], [3, 7, 0]])
    assert distortion(given, found) == 0.5


def test_points_that_coincide_are_infinitely_distorted_at_worst():
    given, found = tables()
    found[0, 1] = found[1, 0] = 0
    assert distortion(given, found, worst=True) == np.inf


@pytest.mark.parametrize(
    ("given", "found", "message"),
    [
        ([[0, 1]], [[0, 1]], r"distances must be a square array, .* got shape \(1, 2\)"),
        ([[0, 1], [1, 0]], [[0]], "embedded must have as many points as the first array, 2, got 1"),
        ([[0, 1], [1, 0]], [[0, -1], [-1, 0]], "embedded must hold no negative number and no nan, got the least -1"),
        ([[0, 0], [0, 0]], [[0, 1], [1, 0]], "distances must hold a pair at a positive, finite distance, got none"),
    ],
)
def test_what_is_no_table_of_distances_is_refused(given, found, message):
    with pytest.raises(ValueError, match=message):
        distortion(given, found)
