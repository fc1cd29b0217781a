import numpy as np
import pytest

from sklearnloss.functional.distributions import (
    Distribution,
    Ensemble,
    Gamma,
    Histogram,
    Laplace,
    Normal,
    NormalMixture,
    Quantiles,
    StudentT,
    TailedHistogram,
)
from sklearnloss.functional.distributions.lines import interpolate, lines_crps
from sklearnloss.testing.distributions import check_distribution

rng = np.random.default_rng(0)
MU, SIGMA = rng.normal(size=(4, 2)), rng.uniform(0.5, 2, size=(4, 2))
SHARES = rng.dirichlet(np.ones(5), size=(4, 2))
EDGES = np.cumsum(rng.uniform(0.2, 1, size=(4, 2, 6)), axis=-1) - 1.5
OUTCOMES = rng.normal(size=(4, 2))

DISTRIBUTIONS = [
    Normal(MU, SIGMA),
    Laplace(MU, SIGMA),
    StudentT(MU, SIGMA, 2.5 + SIGMA),
    Gamma(SIGMA, 1 + SIGMA),
    NormalMixture(SHARES, rng.normal(size=(4, 2, 5)), rng.uniform(0.2, 1, size=(4, 2, 5))),
    Quantiles(rng.normal(size=(4, 2, 5)), np.array([0.1, 0.3, 0.5, 0.7, 0.9])),
    Histogram(SHARES, EDGES),
    TailedHistogram(SHARES, EDGES),
    Ensemble(rng.normal(size=(4, 2, 7))),
]


def by_name(value):
    return type(value).__name__


@pytest.mark.parametrize("found", DISTRIBUTIONS, ids=by_name)
def test_quantiles_probabilities_draws_units_and_score_belong_together(found):
    outcomes = np.abs(OUTCOMES) if isinstance(found, Gamma) else OUTCOMES
    check_distribution(found, outcomes, by_name(found))


@pytest.mark.parametrize("found", DISTRIBUTIONS, ids=by_name)
@pytest.mark.parametrize("outcome", [-30.0, -1.2, 0.3, 0.9, 25.0])
def test_the_score_is_the_integral_of_the_squared_distance_to_the_outcome(found, outcome):
    if isinstance(found, Gamma):
        outcome = abs(outcome)
    first = [np.asarray(getattr(found, name))[0, 0] for name in ("members", "edges") if hasattr(found, name)]
    bends = [*found.quantiles(np.linspace(0.02, 0.98, 25))[0, 0], outcome, -400.0, -60.0, 60.0, 400.0]
    cuts = np.unique(np.concatenate([bends, *first]))
    nodes, weights = np.polynomial.legendre.leggauss(12)  # within each piece
    half = np.diff(cuts)[:, None] / 2
    x = ((cuts[1:] + cuts[:-1])[:, None] / 2 + half * nodes).ravel()
    distance = (found.cdf(x[:, None, None])[:, 0, 0] - (outcome <= x)) ** 2
    wanted = (distance * (half * weights).ravel()).sum()
    assert found.crps(outcome)[0, 0] == pytest.approx(wanted, rel=5e-3, abs=1e-4)


@pytest.mark.parametrize("found", DISTRIBUTIONS, ids=by_name)
def test_the_mean_is_that_of_the_quantiles(found):
    levels = (np.arange(4000) + 0.5) / 4000
    np.testing.assert_allclose(found.quantiles(levels).mean(-1), found.mean(), rtol=5e-3, atol=5e-3)


def test_standard_distributions_score_an_outcome_in_their_middle_as_they_should():
    zero, one = np.zeros(1), np.ones(1)
    assert Normal(zero, one).crps(0.0) == pytest.approx((np.sqrt(2) - 1) / np.sqrt(np.pi))
    assert Laplace(zero, one).crps(0.0) == pytest.approx(0.25)
    assert Gamma(one, one).crps(np.log(2)) == pytest.approx(np.log(2) - 0.5)  # of an exponential at its median
    assert Ensemble(np.array([[3.0, 0.0, 1.0]])).crps(1.0) == pytest.approx(1 / 3)


def test_a_mixture_of_one_is_normal():
    one = NormalMixture(np.ones((4, 2, 1)), MU[..., None], SIGMA[..., None])
    for what in ("cdf", "crps"):
        np.testing.assert_allclose(getattr(one, what)(OUTCOMES), getattr(Normal(MU, SIGMA), what)(OUTCOMES), rtol=1e-10)
    np.testing.assert_allclose(one.ppf(0.3), Normal(MU, SIGMA).ppf(0.3), rtol=1e-10)


def test_many_degrees_of_freedom_are_normal():
    one = StudentT(MU, SIGMA, np.full((4, 2), 1e7))
    np.testing.assert_allclose(one.crps(OUTCOMES), Normal(MU, SIGMA).crps(OUTCOMES), rtol=1e-5)


def test_an_ensemble_scores_like_its_pairs():
    members = rng.normal(size=(3, 2, 6))
    naive = np.zeros((3, 2))
    for i in range(3):
        for j in range(2):
            x, y = members[i, j], OUTCOMES[i, j]
            naive[i, j] = np.abs(x - y).mean() - np.abs(x[:, None] - x).mean() / 2
    np.testing.assert_allclose(Ensemble(members).crps(OUTCOMES[:3]), naive, rtol=1e-12)


def test_quantiles_that_cross_are_sorted_and_one_is_a_point():
    crossed = Quantiles(np.array([[3.0, 1.0, 2.0]]), np.array([0.25, 0.5, 0.75]))
    assert crossed.ppf([0.25]).tolist() == [1.0]
    point = Quantiles(np.array([[2.0]]), np.array([0.5]))
    assert (point.mean(), point.ppf(0.9), point.crps(5.0)) == (2.0, 2.0, 3.0)
    assert (point.cdf(1.9), point.cdf(2.0)) == (0.0, 1.0)


def test_level_ends_hold_what_lies_beyond_them():
    flat = Quantiles(np.array([[1.0, 1.0, 2.0, 2.0]]), np.array([0.2, 0.4, 0.6, 0.8]))
    assert [float(flat.cdf(y)[0]) for y in (0.9, 1.0, 1.5, 2.0)] == [0.0, pytest.approx(0.4), pytest.approx(0.5), 1.0]


def test_tails_have_half_their_probability_within_their_bin_and_go_on():
    one = TailedHistogram(np.array([[0.2, 0.5, 0.3]]), np.array([[-3.0, -1.0, 1.0, 2.0]]))
    assert one.cdf(-3.0)[0] == pytest.approx(0.1)
    assert one.cdf(2.0)[0] == pytest.approx(0.85)
    assert 0 < one.cdf(-12.0)[0] < 1e-3
    assert one.ppf(0.9999)[0] > 4


def test_a_gamma_distribution_does_not_move():
    with pytest.raises(ValueError, match="begins at zero"):
        Gamma(SIGMA, SIGMA).scaled(np.ones(2), np.ones(2))


def test_the_score_that_subclasses_inherit_is_near_the_closed_form():
    normal = Normal(MU, SIGMA)
    np.testing.assert_allclose(Distribution.crps(normal, OUTCOMES), normal.crps(OUTCOMES), rtol=5e-3)


def test_lines_and_their_score_by_hand():
    knots = np.array([0.0, 2.0])
    assert interpolate(np.array(3.0), knots, np.array([0.0, 1.0])) == 1.0
    assert lines_crps(knots, np.array([0.0, 1.0]), np.array(1.0)) == pytest.approx(
        1 / 6
    )  # two thirds of an eighth, twice
