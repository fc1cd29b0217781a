import numpy as np
import pytest

from sklearnloss.metrics.ece import ece
from sklearnloss.metrics.ks_error import ks_error


def made(seed, n=300, k=3):
    """Return classes and probabilities that are too sure of themselves, with ties."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k)).round(1)
    true, claimed = (np.exp(s * z) / np.exp(s * z).sum(axis=1, keepdims=True) for s in (1, 3))
    return np.array([rng.choice(k, p=row) for row in true]), claimed


def naive(confidence, correct, weight):
    """Return the largest running gap over thresholds, by loops."""
    worst = 0.0
    for threshold in confidence:
        rows = zip(confidence, correct, weight, strict=True)
        worst = max(worst, abs(sum(w * (c - p) for p, c, w in rows if p <= threshold)))
    return worst / sum(weight)


def test_a_case_worked_by_hand():
    # gaps by confidence: -.2, +.5, -.8, +.1; running sums -.2, .3, -.5, -.4
    assert ks_error([0, 1, 0, 1], [0.2, 0.5, 0.8, 0.9]) == pytest.approx(0.5 / 4)


def test_three_classes_worked_by_hand():
    # top labels by confidence: 1 (wrong, .6), 2 (right, .7), 0 (right, .8); running sums -.6, -.3, -.1
    proba = [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.1, 0.7]]
    assert ks_error([0, 0, 2], proba) == pytest.approx(0.6 / 3)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_is_the_formula_written_with_loops(seed):
    y, proba = made(seed, n=120)
    weight = np.random.default_rng(seed).random(len(y))
    correct = [int(np.argmax(p) == c) for p, c in zip(proba, y, strict=True)]
    assert ks_error(y, proba, weight) == pytest.approx(naive(proba.max(axis=1), correct, weight))
    positive = (y == 1).astype(int)
    assert ks_error(positive, proba[:, 1]) == pytest.approx(naive(proba[:, 1], positive, np.ones(len(y))))


def test_the_order_of_rows_of_equal_confidence_does_not_matter():
    assert ks_error([1, 1, 0, 0], [0.5] * 4) == ks_error([0, 1, 0, 1], [0.5] * 4) == 0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_lies_between_the_gap_of_the_means_and_the_mean_distance(seed):
    y, proba = made(seed)
    p, positive = proba[:, 0], (y == 0).astype(int)
    assert abs(positive.mean() - p.mean()) - 1e-12 <= ks_error(positive, p) <= np.abs(positive - p).mean()


@pytest.mark.parametrize("n_bins", [1, 5, 15])
def test_bounds_the_gap_of_every_bin(n_bins):
    y, proba = made(0)  # a bin is the difference of two running sums
    assert ece(y, proba, n_bins=n_bins) <= 2 * n_bins * ks_error(y, proba) + 1e-12


def test_is_the_expected_calibration_error_where_confidence_is_always_too_high():
    p = np.linspace(0.51, 0.99, 40)
    assert ks_error(np.zeros(40), p) == pytest.approx(p.mean())
    assert ks_error(np.zeros(40), p) == pytest.approx(ece(np.zeros(40), p))


def test_extremes_are_zero_and_one():
    assert ks_error([0, 1, 1], [0.0, 1.0, 1.0]) == 0
    assert ks_error([0, 0], [1.0, 1.0]) == 1


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_probabilities_that_classes_were_drawn_from_are_calibrated(seed):
    rng = np.random.default_rng(seed)
    p = rng.random(20_000)
    y = (rng.random(20_000) < p).astype(int)
    assert ks_error(y, p) < 0.015
    assert ks_error(y, p**3) > 0.1


def test_an_integer_weight_counts_like_so_many_repetitions():
    y, proba = made(1, n=100)
    times = np.random.default_rng(0).integers(0, 4, size=100)
    assert ks_error(y, proba, times) == pytest.approx(ks_error(np.repeat(y, times), np.repeat(proba, times, axis=0)))


def test_of_two_columns_it_is_the_binary_error_where_one_class_leads_everywhere():
    y, proba = made(0, k=2)
    leads = proba[:, 1] > 0.5
    assert ks_error(y[leads], proba[leads]) == pytest.approx(ks_error(y[leads], proba[leads, 1]))


def test_labels_name_the_columns_in_any_order():
    y, proba = made(0)
    names = np.array(["dog", "ant", "cat"])
    assert ks_error(names[y], proba, labels=names) == ks_error(y, proba)


def test_what_is_no_probability_is_refused():
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\], got 1.5"):
        ks_error([0, 1], [0.5, 1.5])
