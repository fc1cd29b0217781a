import numpy as np
import pytest
from scipy.optimize import brentq

from sklearnloss.functional.pivotal import inclusion_probabilities, pivotal_rows, space_order

# -- probabilities ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 5, 20, 39])
def test_probabilities_are_those_of_a_search_for_the_factor(n):
    scores = np.random.default_rng(0).exponential(size=40) ** 2
    c = brentq(lambda c: np.minimum(1, c * scores).sum() - n, 0, 1e6, xtol=1e-12)
    found = inclusion_probabilities(scores, n)
    np.testing.assert_allclose(found, np.minimum(1, c * scores), rtol=1e-8)
    assert found.sum() == pytest.approx(n, abs=1e-9)


def test_probabilities_are_all_one_where_all_rows_are_drawn():
    np.testing.assert_allclose(inclusion_probabilities(np.arange(5.0), 5), 1)
    assert inclusion_probabilities(np.arange(1, 6.0), 5).max() <= 1


def test_rows_without_a_score_share_what_is_missing():
    np.testing.assert_allclose(inclusion_probabilities(np.array([3.0, 0, 0, 0, 1.0]), 3), [1, 1 / 3, 1 / 3, 1 / 3, 1])
    np.testing.assert_allclose(inclusion_probabilities(np.zeros(4), 1), 0.25)


def test_no_probability_is_zero():
    found = inclusion_probabilities(np.array([1.0, 1.0, 0.0]), 1)
    assert (found > 0).all()
    np.testing.assert_allclose(found, [0.5, 0.5, 0], atol=1e-11)


# -- the tree ---------------------------------------------------------------------------------------------------------


def by_halves(rows, places, depth=0):
    """Return the leaves in order, one column after the other."""
    if len(rows) < 2:
        return list(rows)
    rows = sorted(rows, key=lambda row: places[row, depth % places.shape[1]])
    middle = (len(rows) + 1) // 2
    return by_halves(rows[:middle], places, depth + 1) + by_halves(rows[middle:], places, depth + 1)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 37])
def test_leaves_are_halves_by_the_median_of_one_column_after_the_other(n):
    places = np.random.default_rng(n).normal(size=(n, 3))
    order = space_order(places, "coordinate", np.random.default_rng(0))
    assert order.tolist() == by_halves(range(n), places)


@pytest.mark.parametrize("columns", [1, 2, 50])
def test_the_first_principal_direction_parts_two_clusters_and_orders_a_line(columns):
    rng = np.random.default_rng(0)
    direction = rng.normal(size=columns)
    along = rng.permutation(33)
    places = np.outer(along - 16.0, direction) + 1e-6 * rng.normal(size=(33, columns))
    order = space_order(places, "pca", rng)
    first, second = along[order[:17]], along[order[17:]]
    assert first.max() < second.min() or second.max() < first.min()
    for half in (first[:9], first[9:], second[:8], second[8:]):
        assert np.ptp(half) == len(half) - 1


def test_a_tree_of_chance_is_any_order():
    places = np.zeros((20, 2))
    orders = [space_order(places, "random", np.random.default_rng(s)).tolist() for s in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == list(range(20))


# -- the draw ---------------------------------------------------------------------------------------------------------

P = inclusion_probabilities(np.random.default_rng(1).exponential(size=23), 7)
ORDER = np.random.default_rng(2).permutation(23)
DRAWS = 2500


def frequencies(draw):
    counts, rng = np.zeros((23, 23)), np.random.default_rng(0)
    for _ in range(DRAWS):
        rows = draw(rng)
        counts[np.ix_(rows, rows)] += 1
    return counts / DRAWS


@pytest.fixture(scope="module")
def together():
    """Share of the draws in which two rows come together; on the diagonal, in which a row comes."""
    return frequencies(lambda rng: pivotal_rows(P, ORDER, rng))


def error(share, p):
    return np.abs(share - p) / np.sqrt(np.maximum(p * (1 - p), 1e-12) / DRAWS)


def test_every_row_is_drawn_with_its_own_probability(together):
    assert error(np.diag(together), P).max() < 4


def naive(p, order, rng, swapped):
    """Play the tournament from a list, two neighbors of a level after the other."""

    def play(part):
        if len(part) == 1:
            return part[0], p[part[0]], []
        middle = (len(part) + 1) // 2
        (i, a, first), (j, b, second) = play(part[:middle]), play(part[middle:])
        drawn = first + second
        if a + b <= 1:
            return (i if rng.random() < a / (a + b) else j), a + b, drawn
        chance = (1 - b) / (2 - a - b)
        if rng.random() < (1 - chance if swapped else chance):
            return j, a + b - 1, [*drawn, i]
        return i, a + b - 1, [*drawn, j]

    last, left, drawn = play(order.tolist())
    return [*drawn, last] if rng.random() < left + 1e-9 else drawn


def test_the_rule_played_recursively_has_the_same_pairs_and_with_its_branches_swapped_other_rows(together):
    some, rng = 2000, np.random.default_rng(1)
    right, wrong = np.zeros((23, 23)), np.zeros(23)
    for _ in range(some):
        rows = naive(P, ORDER, rng, swapped=False)
        right[np.ix_(rows, rows)] += 1 / some
        rows = naive(P, ORDER, rng, swapped=True)
        assert len(rows) == 7
        wrong[rows] += 1 / some
    share = (right * some + together * DRAWS) / (some + DRAWS)
    spread = np.sqrt(np.maximum(share * (1 - share), 1 / DRAWS) * (1 / some + 1 / DRAWS))
    assert (np.abs(right - together) / spread).max() < 4.5
    assert (np.abs(wrong - P) / np.sqrt(P * (1 - P) / some + 1e-12))[P < 1].max() > 8


def first_pairs(n):
    """Return the rows that meet in the first round: the parts of two rows that halves end with."""
    parts = [(0, n)]
    while max(end - start for start, end in parts) > 2:
        halves = [(start, start + (end - start + 1) // 2, end) for start, end in parts if end - start > 1]
        parts = [part for start, middle, end in halves for part in ((start, middle), (middle, end))]
    return [(ORDER[start], ORDER[start + 1]) for start, end in parts if end - start == 2]


def test_neighbors_come_together_as_seldom_as_their_probabilities_allow(together):
    neighbors = [(a, b) for a, b in first_pairs(23) if max(P[a], P[b]) < 1]
    least = np.array([max(0.0, P[a] + P[b] - 1) for a, b in neighbors])
    found = np.array([together[a, b] for a, b in neighbors])
    independent = np.array([P[a] * P[b] for a, b in neighbors])
    assert len(neighbors) > 4
    assert (found[least == 0] == 0).all()
    assert error(found, least)[least > 0].max(initial=0) < 4
    assert (found < independent).all()


@pytest.mark.parametrize("n", [1, 6, 100, 199, 200])
def test_exactly_as_many_rows_are_drawn_as_the_probabilities_add_up_to(n):
    rng = np.random.default_rng(n)
    p = inclusion_probabilities(rng.exponential(size=200) ** 3, n)
    for _ in range(50):
        rows = pivotal_rows(p, rng.permutation(200), rng)
        assert len(rows) == len(set(rows.tolist())) == n
        assert set(np.flatnonzero(p > 1 - 1e-12).tolist()) <= set(rows.tolist())  # certain rows are there


def test_with_probabilities_of_one_everything_is_drawn():
    assert pivotal_rows(np.ones(9), np.arange(9)[::-1], np.random.default_rng(0)).tolist() == list(range(9))


def test_of_a_fraction_that_is_left_a_row_is_drawn_as_often():
    rng = np.random.default_rng(0)
    counts = [len(pivotal_rows(np.full(5, 0.5), np.arange(5), rng)) for _ in range(1000)]
    assert set(counts) == {2, 3}
    assert abs(np.mean(counts) - 2.5) < 4 * 0.5 / np.sqrt(1000)


def test_a_sum_weighted_by_one_over_the_probabilities_is_unbiased_and_steadier_than_of_independent_rows():
    rng = np.random.default_rng(0)
    places = np.sort(rng.uniform(size=64))[:, None]
    values, p = 2 + np.sin(5 * places[:, 0]), np.full(64, 0.25)
    order = space_order(places, "coordinate", rng)
    drawn = [pivotal_rows(p, order, rng) for _ in range(600)]
    sums = np.array([(values[rows] / p[rows]).sum() for rows in drawn])
    assert abs(sums.mean() - values.sum()) < 4 * sums.std() / np.sqrt(600)
    independent = (values**2 * (1 - p) / p).sum()
    assert sums.var() < independent / 50


def test_rounding_of_many_small_probabilities_leaves_the_number_of_rows():
    p = np.full(3001, 1e-12)
    p[:7] = 1 - 3e-9 / 7
    rng = np.random.default_rng(0)
    assert {len(pivotal_rows(p, rng.permutation(3001), rng)) for _ in range(20)} == {7}
