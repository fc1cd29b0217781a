import numpy as np
import pytest
from sklearn.metrics import mean_pinball_loss

from sklearnloss import LossRegressor
from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.metrics.wis import wis
from sklearnloss.registry import lookup

LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9)
Y = [0.13, -0.13, 0.64, 0.1]
Q = [
    [-0.7, -0.54, 0.36, 0.95, 1.3],
    [-2.33, -1.27, -0.62, -0.22, 0.04],
    [-1.25, -0.73, -0.54, -0.32, 0.41],
    [-0.67, -0.13, 0.35, 1.04, 1.37],
]


def naive(y, quantiles, levels):
    """Return the score of one row: the median's error and the intervals' scores, with weights 1/2 and a/2."""
    pairs = len(levels) // 2
    total, divisor = 0.0, float(pairs)
    if len(levels) % 2:
        total, divisor = 0.5 * abs(y - quantiles[pairs]), pairs + 0.5
    for k in range(pairs):
        low, high, a = quantiles[k], quantiles[-1 - k], 2 * levels[k]
        score = (high - low) + 2 / a * max(low - y, 0) + 2 / a * max(y - high, 0)
        total += a / 2 * score
    return total / divisor


def made(seed, levels, n=50):
    rng = np.random.default_rng(seed)
    return rng.normal(size=n), rng.normal(size=(n, len(levels)))  # they cross, too


@pytest.mark.parametrize("levels", [(0.5,), (0.1, 0.9), LEVELS, (0.05, 0.2, 0.8, 0.95)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_is_the_mean_of_interval_scores_written_with_loops(levels, seed):
    y, q = made(seed, levels)
    expected = np.mean([naive(a, b, levels) for a, b in zip(y, q, strict=True)])
    assert wis(y, q, levels=levels) == pytest.approx(expected)


def test_agrees_with_scoringrules():
    # scoringrules 0.10: crps_quantile(y, q, levels), which is twice the mean pinball loss; its own
    # weighted_interval_score adds half the median where its docstring has half the median's error
    expected = [0.275, 0.3338, 0.8194, 0.2486]
    found = [wis([y], [q], levels=LEVELS) for y, q in zip(Y, Q, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_is_twice_the_mean_pinball_loss_of_scikit_learn():
    q = np.array(Q)
    expected = np.mean([mean_pinball_loss(Y, q[:, j], alpha=level) for j, level in enumerate(LEVELS)])
    assert wis(Y, Q, levels=LEVELS) == pytest.approx(2 * expected)


def test_one_point_for_all_levels_costs_the_absolute_error():
    assert wis([3.0, -1.0], np.zeros((2, 5)), levels=LEVELS) == pytest.approx(2.0)


def test_weights_count_like_repetitions_and_a_row_of_weight_zero_may_be_anything():
    q = [*Q, [np.nan] * 5]
    expected = wis(np.repeat(Y, [1, 2, 3, 1]), np.repeat(Q, [1, 2, 3, 1], axis=0), levels=LEVELS)
    assert wis([*Y, 0.0], q, [1, 2, 3, 1, 0], levels=LEVELS) == pytest.approx(expected)


def test_of_several_targets_it_is_the_mean():
    y, q = made(0, LEVELS)
    two = np.stack([q, q[::-1]], axis=1)
    expected = (wis(y, q, levels=LEVELS) + wis(y, q[::-1], levels=LEVELS)) / 2
    assert wis(np.stack([y, y], axis=1), two, levels=LEVELS) == pytest.approx(expected)


def test_takes_what_predict_quantiles_gives():
    X, y = np.random.default_rng(0).normal(size=(2, 40))
    model = LossRegressor("pinball", max_epochs=2, random_state=0).fit(X[:, None], y)
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    assert wis(y, model.predict_quantiles(X[:, None], levels), levels=levels) > 0


def test_is_registered_with_its_direction():
    component = lookup("metric", "weighted_interval_score")
    assert (component.name, component.greater_is_better) == ("wis", False)


def test_levels_that_are_not_symmetric_are_refused():
    with pytest.raises(ParameterError, match=r"^wis: levels must be symmetric around 0.5, .* got \(0.1, 0.5, 0.8\)"):
        wis([0.0], [[0.0, 1.0, 2.0]], levels=(0.1, 0.5, 0.8))


@pytest.mark.parametrize("levels", [(0.0, 0.5, 1.0), (0.9, 0.5, 0.1), (0.1, 0.1, 0.9), ()])
def test_levels_outside_falling_or_repeated_are_refused(levels):
    with pytest.raises(ParameterError, match=r"^levels must be a rising sequence of levels in \(0, 1\), got"):
        wis([0.0], [[0.0, 1.0, 2.0]], levels=levels)


@pytest.mark.parametrize(
    ("y", "q", "weight", "message"),
    [
        ([0.0], [[0.0, 1.0]], None, "quantiles must have a column for each of the 3 levels"),
        ([0.0, 1.0], [[0.0, 1.0, 2.0]], None, r"quantiles must have shape \(2, m\)"),
        ([], np.empty((0, 3)), None, "y_true must have shape .* at least one row"),
        ([np.nan], [[0.0, 1.0, 2.0]], None, "y_true holds NaN"),
        ([0.0], [[0.0, np.inf, 2.0]], None, "quantiles holds NaN or infinite"),
        ([0.0], [[0.0, 1.0, 2.0]], [1.0, 1.0], r"sample_weight must have shape \(1,\)"),
        ([0.0], [[0.0, 1.0, 2.0]], [0.0], "sample_weight must be finite and not negative, and not zero everywhere"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(y, q, weight, message):
    with pytest.raises(DataError, match=message):
        wis(y, q, weight, levels=(0.1, 0.5, 0.9))
