import math

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import ortho_group

from sklearnloss.functional import magnitude as module
from sklearnloss.functional.magnitude import Magnitude, magnitude, usual_scale


def solved(points, scale):
    """Return the weights w of Z w = 1, from a direct solution."""
    return np.linalg.solve(np.exp(-scale * cdist(points, points)), np.ones(len(points)))


@pytest.fixture
def points():
    return np.random.default_rng(0).normal(size=(15, 3))


# -- of a set ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("td", [0.1, 0.7, 3.0])
def test_of_two_points_is_known(td):
    found = magnitude(np.array([[0.0], [1.0]]), td)
    assert found == pytest.approx(2 / (1 + math.exp(-td)), abs=1e-8)
    assert magnitude(np.array([[0.0], [0.7]]), 1.0) == pytest.approx(1.33638, abs=5e-6)


def test_is_the_sum_of_the_weights(points):
    for scale in (0.3, 1.0, 10.0):
        assert magnitude(points, scale) == pytest.approx(solved(points, scale).sum(), abs=1e-7)


def test_runs_from_one_to_the_number_of_points(points):
    values = [magnitude(points, scale) for scale in (1e-6, 0.1, 1.0, 10.0, 1e3)]
    assert values[0] == pytest.approx(1, abs=1e-3)
    assert values[-1] == pytest.approx(15, abs=1e-6)
    assert values == sorted(values)


def test_duplicates_count_once(points):
    assert magnitude(np.vstack([points, points[:4]]), 1.0) == pytest.approx(magnitude(points, 1.0), abs=1e-9)


def test_does_not_change_with_place_and_turn(points):
    turned = points @ ortho_group.rvs(3, random_state=0) + 100
    assert magnitude(turned, 1.0) == pytest.approx(magnitude(points, 1.0), abs=1e-8)


def test_the_usual_scale_is_one_over_the_median_distance(points):
    distance = [np.linalg.norm(a - b) for i, a in enumerate(points) for b in points[:i]]
    assert usual_scale(points, np.random.default_rng(0)) == pytest.approx(1 / np.median(distance))
    assert usual_scale(points[:1], np.random.default_rng(0)) == usual_scale(np.ones((5, 2)), None) == 1.0
    many = np.random.default_rng(0).normal(size=(3000, 2))
    exact = 1 / np.median(cdist(many, many)[np.triu_indices(3000, 1)])
    assert usual_scale(many, np.random.default_rng(0)) == pytest.approx(exact, rel=0.05)


# -- what a point adds ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [0.3, 1.0, 10.0])
def test_an_increase_is_the_difference_of_two_direct_solutions(points, scale):
    pool, known = points[:6], points[6:]
    space = Magnitude(pool, known, scale)
    assert space.total == pytest.approx(solved(known, scale).sum())
    expected = [solved(np.vstack([known, row]), scale).sum() - solved(known, scale).sum() for row in pool]
    np.testing.assert_allclose(space.increase, expected, rtol=1e-8)


def test_an_increase_is_that_of_the_bordered_matrix(points):
    pool, known = points[:6], points[6:]
    Z = np.exp(-cdist(known, known))
    w, inverse = np.linalg.solve(Z, np.ones(9)), np.linalg.inv(Z)
    for row, found in zip(pool, Magnitude(pool, known, 1.0).increase, strict=True):
        k = np.exp(-np.linalg.norm(known - row, axis=1))
        assert found == pytest.approx((1 - k @ w) ** 2 / (1 - k @ inverse @ k))


@pytest.mark.parametrize("block", [1, 4, 64])
def test_increases_stay_right_as_the_set_grows(points, block, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", block)
    pool, known = points[:9], points[9:]
    space = Magnitude(pool, known, 1.0)
    for place in (4, 0, 7, 2):
        space.add(place)
        known = np.vstack([known, pool[place]])
        before = solved(known, 1.0).sum()
        assert space.total == pytest.approx(before)
        for row, found in zip(pool, space.increase, strict=True):
            again = np.linalg.norm(known - row, axis=1).min() == 0
            expected = 0.0 if again else solved(np.vstack([known, row]), 1.0).sum() - before
            assert found == pytest.approx(expected, abs=1e-9)


def test_a_duplicate_adds_nothing_before_and_after_it_is_added(points):
    known = np.vstack([points[6:], points[8:10]])  # two of them twice
    space = Magnitude(np.vstack([points[6], points[0]]), known, 1.0)
    assert space.increase[0] == 0
    increase, total = space.increase.copy(), space.total
    space.add(0)
    np.testing.assert_array_equal(space.increase, increase)
    assert space.total == total == pytest.approx(solved(points[6:], 1.0).sum())


def test_every_point_adds_one_to_nothing(points):
    space = Magnitude(points, points[:0], 1.0)
    assert space.total == 0
    np.testing.assert_array_equal(space.increase, 1)


@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3])
def test_points_that_are_almost_alike_or_all_apart_give_finite_increases(scale):
    rng = np.random.default_rng(0)
    pool, known = rng.normal(size=(200, 2)), rng.normal(size=(150, 2))
    space = Magnitude(pool, known, scale)
    assert np.isfinite(space.increase).all()
    assert (space.increase >= 0).all()
    assert 1 - 1e-6 <= space.total <= 150 + 1e-6
