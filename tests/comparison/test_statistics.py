import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import gamma
from scipy.stats import false_discovery_control, t, ttest_rel

from sklearnloss.comparison.statistics import bayesian_t_test, corrected_interval, corrected_t_test, holm
from sklearnloss.exceptions import DataError, ParameterError

A = np.array([0.81, 0.79, 0.85, 0.80, 0.83, 0.78, 0.84, 0.82, 0.80, 0.86])
B = np.array([0.80, 0.80, 0.81, 0.79, 0.80, 0.79, 0.82, 0.80, 0.79, 0.82])


# -- the corrected test -----------------------------------------------------------------------------------------------


def test_the_statistic_is_that_of_the_paper_in_plain_loops():
    # ten times, n_test / n_train = 1 / 9
    d = [x - y for x, y in zip(A, B, strict=True)]
    mean = sum(d) / 10
    variance = sum((x - mean) ** 2 for x in d) / 9
    expected = mean / ((1 / 10 + 1 / 9) * variance) ** 0.5
    result = corrected_t_test(A, B, 0.1)
    assert result.difference == pytest.approx(mean)
    assert result.t == pytest.approx(expected)
    assert result.df == 9
    assert result.p == pytest.approx(2 * (1 - t(9).cdf(expected)))


def test_of_two_splits_the_p_value_is_that_of_a_cauchy_distribution():
    # d = (0, 2): mean 1, s^2 = 2, error sqrt((1/2 + 1) 2) = sqrt 3, and one degree of freedom is Cauchy's distribution
    result = corrected_t_test([1.0, 3.0], [1.0, 1.0], 0.5)
    assert result.t == pytest.approx(1 / np.sqrt(3))
    assert result.p == pytest.approx(1 - 2 * np.arctan(1 / np.sqrt(3)) / np.pi)  # 2/3


def test_without_a_test_share_it_is_the_paired_t_test():
    expected = ttest_rel(A, B)
    result = corrected_t_test(A, B, 0.0)
    assert (result.t, result.p) == (pytest.approx(expected.statistic), pytest.approx(expected.pvalue))
    assert corrected_t_test(A, B, 1e-9).p == pytest.approx(expected.pvalue)


def test_a_larger_test_share_makes_it_more_careful():
    p = [corrected_t_test(A, B, share).p for share in (0.0, 0.1, 0.2, 0.5, 0.99)]
    assert p == sorted(p)
    assert len(set(p)) == 5
    widths = [np.diff(corrected_interval(A, share))[0] for share in (0.0, 0.1, 0.2, 0.5, 0.99)]
    assert widths == sorted(widths)


def test_swapping_the_models_turns_the_sign():
    one, other = corrected_t_test(A, B, 0.2), corrected_t_test(B, A, 0.2)
    assert (one.difference, one.t, one.p) == (-other.difference, -other.t, other.p)


@pytest.mark.parametrize("factor", [1e-6, 3.0, 1e6])
def test_shift_scale_and_order_of_the_splits_do_not_matter(factor):
    plain = corrected_t_test(A, B, 0.2)
    order = np.random.default_rng(0).permutation(10)
    for a, b in ((A + 5, B + 5), (factor * A, factor * B), (A[order], B[order])):
        assert corrected_t_test(a, b, 0.2).p == pytest.approx(plain.p)


@pytest.mark.parametrize("step", [0.0, 0.1, -0.1])
@pytest.mark.parametrize("size", [1e-9, 1.0, 1e9])
def test_differences_without_variance_are_certain(step, size):
    result = corrected_t_test(size * (B + step), size * B, 0.2)  # 0.1 is no binary fraction: they differ by rounding
    assert result.p == (0.0 if step else 1.0)
    assert result.t == (np.copysign(np.inf, step) if step else 0.0)
    assert result.difference == pytest.approx(size * step)


def test_small_differences_that_vary_are_no_rounding():
    noise = np.array([1.0, -2.0, 3.0, -1.0]) * 1e-9
    assert 0 < corrected_t_test(1 + noise, np.ones(4), 0.2).p < 1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_of_folds_that_are_correlated_the_naive_test_is_wrong_far_too_often_and_the_corrected_one_is_not(seed):
    rng = np.random.default_rng(seed)
    share, J, n = 0.2, 25, 2000
    common, own = rng.normal(size=(n, 1)), rng.normal(size=(n, J))  # any two splits have the correlation `share`
    differences = np.sqrt(share) * common + np.sqrt(1 - share) * own  # (n, J); no model is better
    naive, corrected = (
        np.mean([corrected_t_test(d, np.zeros(J), rho).p < 0.05 for d in differences]) for rho in (0.0, share)
    )
    assert naive > 0.25
    assert 0.03 < corrected < 0.07
    covered = np.mean([low < 0 < high for low, high in (corrected_interval(d, share) for d in differences)])
    assert covered == pytest.approx(1 - corrected)


# -- the interval -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.99])
def test_the_interval_is_the_mean_and_so_many_errors(confidence):
    low, high = corrected_interval(A, 0.2, confidence=confidence)
    half = t(9).ppf(1 - (1 - confidence) / 2) * np.sqrt((1 / 10 + 1 / 4) * A.var(ddof=1))
    assert (low, high) == (pytest.approx(A.mean() - half), pytest.approx(A.mean() + half))


def test_the_interval_of_differences_touches_zero_where_the_test_has_that_level():
    p = corrected_t_test(A, B, 0.1).p
    assert corrected_interval(A - B, 0.1, confidence=1 - p)[0] == pytest.approx(0, abs=1e-12)


def test_the_interval_of_equal_scores_is_a_point():
    assert corrected_interval([0.7, 0.7, 0.7], 0.2) == (pytest.approx(0.7), pytest.approx(0.7))
    low, high = corrected_interval([0.1 + 0.2, 0.3], 0.2)  # equal but for rounding
    assert low == high


def test_the_interval_moves_with_shift_and_scale():
    low, high = corrected_interval(A, 0.2)
    assert corrected_interval(3 * A + 1, 0.2) == (pytest.approx(3 * low + 1), pytest.approx(3 * high + 1))


def test_a_single_split_says_nothing_of_variance():
    assert np.isnan(corrected_interval([0.7], 0.2)).all()
    result = corrected_t_test([0.7], [0.6], 0.2)
    assert (result.difference, result.df) == (pytest.approx(0.1), 0)
    assert np.isnan([result.t, result.p]).all()
    probabilities = bayesian_t_test([0.7], [0.6], 0.2)
    assert np.isnan([probabilities.worse, probabilities.equivalent, probabilities.better]).all()


# -- the Bayesian test ------------------------------------------------------------------------------------------------


def parts(result):
    return result.worse, result.equivalent, result.better


@pytest.mark.parametrize("rope", [0.0, 0.01, 0.05])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.3])
def test_probabilities_are_areas_under_the_posterior_density(rope, share):
    d = A - B
    scale = np.sqrt((1 / 10 + share / (1 - share)) * d.var(ddof=1))

    def density(x):  # Student's, nine degrees of freedom, written out
        z = (x - d.mean()) / scale
        return gamma(5) / (np.sqrt(9 * np.pi) * gamma(4.5)) * (1 + z**2 / 9) ** -5 / scale

    expected = (quad(density, -np.inf, -rope)[0], quad(density, -rope, rope)[0], quad(density, rope, np.inf)[0])
    assert parts(bayesian_t_test(A, B, share, rope=rope)) == pytest.approx(expected, abs=1e-7)
    assert sum(parts(bayesian_t_test(A, B, share, rope=rope))) == pytest.approx(1)


def test_probabilities_are_those_of_draws_from_the_hierarchical_posterior():
    # given the precision, the mean is normal; the precision has a gamma distribution
    rng = np.random.default_rng(0)
    d = A - B
    variance = 9 * d.var(ddof=1) / rng.chisquare(9, 400_000)
    mean = rng.normal(d.mean(), np.sqrt((1 / 10 + 0.2 / 0.8) * variance))
    expected = ((mean < -0.01).mean(), (abs(mean) <= 0.01).mean(), (mean > 0.01).mean())
    assert parts(bayesian_t_test(A, B, 0.2)) == pytest.approx(expected, abs=4e-3)


def test_better_is_the_first_and_swapping_turns_it_into_worse():
    result, swapped = bayesian_t_test(A, B, 0.2), bayesian_t_test(B, A, 0.2)
    assert result.better > result.worse
    assert parts(result) == pytest.approx(parts(swapped)[::-1])


def test_without_a_region_nothing_is_equivalent_and_the_rest_is_half_the_p_value():
    result = bayesian_t_test(A, B, 0.2, rope=0.0)
    assert result.equivalent == 0
    assert result.worse == pytest.approx(corrected_t_test(A, B, 0.2).p / 2)


def test_a_wide_region_holds_everything():
    assert bayesian_t_test(A, B, 0.2, rope=100.0).equivalent == pytest.approx(1)


def test_the_region_is_in_units_of_the_score():
    assert parts(bayesian_t_test(10 * A, 10 * B, 0.2, rope=0.1)) == pytest.approx(
        parts(bayesian_t_test(A, B, 0.2, rope=0.01))
    )
    assert parts(bayesian_t_test(A + 1, B + 1, 0.2)) == pytest.approx(parts(bayesian_t_test(A, B, 0.2)))


@pytest.mark.parametrize(
    ("step", "rope", "expected"),
    [
        (0.1, 0.01, (0, 0, 1)),
        (-0.1, 0.01, (1, 0, 0)),
        (0.005, 0.01, (0, 1, 0)),
        (0.0, 0.01, (0, 1, 0)),
        (0.1, 0.0, (0, 0, 1)),
        (0.0, 0.0, (0.5, 0, 0.5)),
    ],
)
def test_constant_differences_leave_no_doubt(step, rope, expected):
    assert parts(bayesian_t_test(B + step, B, 0.2, rope=rope)) == expected


def test_small_probabilities_keep_their_digits():
    a, b = A + 10, B
    assert 0 < bayesian_t_test(a, b, 0.2).worse < 1e-12
    assert bayesian_t_test(b, a, 0.2).better == pytest.approx(bayesian_t_test(a, b, 0.2).worse)


# -- Holm -------------------------------------------------------------------------------------------------------------


def test_holm_of_a_worked_example():
    # 4 * 0.01, then max with 3 * 0.02, 2 * 0.025 (less, so the step before), 1 * 0.9
    np.testing.assert_allclose(holm([0.9, 0.01, 0.025, 0.02]), [0.9, 0.04, 0.06, 0.06])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_holm_rejects_what_the_step_down_procedure_rejects(seed):
    p = np.random.default_rng(seed).beta(0.3, 2, size=12)
    adjusted = holm(p)
    for alpha in (0.01, 0.05, 0.3):
        rejected = set()
        for step, j in enumerate(sorted(range(12), key=lambda j: p[j])):
            if p[j] > alpha / (12 - step):
                break
            rejected.add(j)
        assert set(np.flatnonzero(adjusted <= alpha)) == rejected
    assert (adjusted <= np.minimum(12 * p, 1) + 1e-15).all()  # Bonferroni
    assert (adjusted >= false_discovery_control(p)).all()  # Benjamini and Hochberg


def test_holm_leaves_tests_out_that_were_not_made():
    np.testing.assert_array_equal(holm([np.nan, 0.03, np.nan, 0.02]), [np.nan, 0.04, np.nan, 0.04])
    np.testing.assert_array_equal(holm([np.nan]), [np.nan])
    assert holm([]).shape == (0,)


def test_equal_p_values_get_equal_ones():
    np.testing.assert_allclose(holm([0.02, 0.02, 0.02]), 0.06)


# -- refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("test", [corrected_t_test, bayesian_t_test])
def test_a_score_that_is_no_number_is_refused_by_name_and_place(test):
    spoilt = A.copy()
    spoilt[3] = np.nan
    with pytest.raises(DataError, match=rf"^{test.__name__}: b must be finite, got nan at split 3; leave out"):
        test(A, spoilt, 0.2)
    with pytest.raises(DataError, match=rf"^{test.__name__}: a must be finite, got nan at split 3"):
        test(spoilt, A, 0.2)


def test_scores_that_cannot_be_used_are_refused():
    with pytest.raises(DataError, match=r"^corrected_t_test: a and b must be scores of the same splits, got 10 and 9$"):
        corrected_t_test(A, B[:9], 0.2)
    with pytest.raises(DataError, match=r"^corrected_interval: scores must be finite, got inf at split 1"):
        corrected_interval([0.5, np.inf], 0.2)
    for scores in ([], [[0.5, 0.6]], 0.5):
        with pytest.raises(DataError, match=r"scores must have shape \(J,\), one score for each of J splits"):
            corrected_interval(scores, 0.2)


@pytest.mark.parametrize("share", [-0.1, 1.0, np.nan])
def test_a_share_that_is_none_is_refused(share):
    for test in (lambda: corrected_interval(A, share), lambda: corrected_t_test(A, B, share)):
        with pytest.raises(ParameterError, match=r"test_share must be a float in \[0, 1\), .*, got"):
            test()


def test_levels_regions_and_p_values_out_of_range_are_refused():
    with pytest.raises(ParameterError, match=r"confidence must be a float in \(0, 1\), got 95"):
        corrected_interval(A, 0.2, confidence=95)
    with pytest.raises(ParameterError, match=r"rope must be a float in \[0, inf\), got -0.1"):
        bayesian_t_test(A, B, 0.2, rope=-0.1)
    with pytest.raises(ParameterError, match=r"^holm: p must lie in \[0, 1\] or be NaN, got 1.5$"):
        holm([0.5, 1.5])
    with pytest.raises(ParameterError, match=r"^holm: p must have shape \(m,\), got \(1, 2\)$"):
        holm([[0.5, 0.5]])
