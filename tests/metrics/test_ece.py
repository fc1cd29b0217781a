import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer

from sklearnloss import Metric
from sklearnloss.exceptions import ParameterError
from sklearnloss.metrics.ece import ece


def made(seed, n=600, k=3):
    """Return classes and probabilities that are too sure of themselves."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k))
    true, claimed = (np.exp(s * z) / np.exp(s * z).sum(axis=1, keepdims=True) for s in (1, 3))
    return np.array([rng.choice(k, p=row) for row in true]), claimed


def naive(confidence, correct, weight, n_bins):
    """Return the error of bins of equal width, by loops."""
    error = 0.0
    for b in range(n_bins):
        inside = [i for i, p in enumerate(confidence) if b / n_bins < p <= (b + 1) / n_bins or (b == 0 and p == 0)]
        mass = sum(weight[i] for i in inside)
        if mass:
            accuracy = sum(weight[i] * correct[i] for i in inside) / mass
            mean = sum(weight[i] * confidence[i] for i in inside) / mass
            error += mass * abs(accuracy - mean)
    return error / sum(weight)


def test_a_binary_case_worked_by_hand():
    # bin (0, .5]: .1, .4 with one positive, gap |1/2 - 1/4|; bin (.5, 1]: .6, .8, .9 with two, gap |2/3 - 2.3/3|
    assert ece([0, 1, 1, 0, 1], [0.1, 0.4, 0.6, 0.8, 0.9], n_bins=2) == pytest.approx((0.5 + 0.3) / 5)


def test_three_classes_worked_by_hand():
    # the top labels are 0 (right, .8), 1 (wrong, .6), 2 (right, .7); with one bin |2/3 - .7|, with ten each alone
    proba = [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.2, 0.1, 0.7]]
    assert ece([0, 0, 2], proba, n_bins=1) == pytest.approx(abs(2 / 3 - 0.7))
    assert ece([0, 0, 2], proba, n_bins=10) == pytest.approx((0.2 + 0.6 + 0.3) / 3)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("n_bins", [1, 4, 15])
def test_is_the_formula_written_with_loops(seed, n_bins):
    y, proba = made(seed)
    weight = np.random.default_rng(seed).random(len(y))
    correct = [int(np.argmax(p) == c) for p, c in zip(proba, y, strict=True)]
    assert ece(y, proba, weight, n_bins=n_bins) == pytest.approx(naive(proba.max(axis=1), correct, weight, n_bins))
    positive = (y == 1).astype(int)
    assert ece(positive, proba[:, 1], weight, n_bins=n_bins) == pytest.approx(
        naive(proba[:, 1], positive, weight, n_bins)
    )


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_bins_are_those_of_the_calibration_curve_of_scikit_learn(strategy):
    y, proba = made(0)
    p, positive = proba[:, 0], (y == 0).astype(int)
    frequency, mean = calibration_curve(positive, p, n_bins=10, strategy=strategy)
    if strategy == "quantile":
        count = np.full(10, len(y) // 10)
    else:
        count = np.histogram(p, bins=10, range=(0, 1))[0]
        count = count[count > 0]
    expected = np.average(np.abs(frequency - mean), weights=count)
    assert ece(positive, p, n_bins=10, strategy=strategy) == pytest.approx(expected)


@pytest.mark.parametrize("n_bins", [2, 3, 5, 6, 10, 15, 30])
def test_quantile_bins_of_different_confidences_have_equal_size(n_bins):
    # the first row of each bin is positive: a bin of s rows has the gap |mean(p) - 1/s|
    p, size = np.arange(1, 31) / 40, 30 // n_bins
    y = (np.arange(30) % size == 0).astype(int)
    groups = p.reshape(n_bins, size).mean(axis=1)
    assert ece(y, p, n_bins=n_bins, strategy="quantile") == pytest.approx(np.abs(groups - 1 / size).mean())


def test_quantile_bins_hold_the_same_rows_wherever_the_probabilities_lie():
    y, p = np.array([0, 1, 0, 1, 1, 0, 1, 1]), np.array([0.05, 0.1, 0.2, 0.3, 0.6, 0.7, 0.9, 0.95])
    by_hand = np.mean([abs(y[i : i + 2].mean() - p[i : i + 2].mean()) for i in (0, 2, 4, 6)])
    squeezed = 0.5 + p / 10
    by_hand_squeezed = np.mean([abs(y[i : i + 2].mean() - squeezed[i : i + 2].mean()) for i in (0, 2, 4, 6)])
    assert ece(y, p, n_bins=4, strategy="quantile") == pytest.approx(by_hand)
    assert ece(y, squeezed, n_bins=4, strategy="quantile") == pytest.approx(by_hand_squeezed)


def test_equal_confidences_share_a_quantile_bin():
    assert ece([0, 1, 0, 1], [0.5] * 4, n_bins=4, strategy="quantile") == 0


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
@pytest.mark.parametrize("classwise", [False, True])
def test_an_integer_weight_counts_like_so_many_repetitions(strategy, classwise):
    y, proba = made(1, n=100)
    times = np.random.default_rng(0).integers(0, 4, size=100)  # zero drops the row
    options = {"n_bins": 7, "strategy": strategy, "classwise": classwise}
    repeated = ece(np.repeat(y, times), np.repeat(proba, times, axis=0), **options)
    assert ece(y, proba, times, **options) == pytest.approx(repeated)


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_neither_the_order_of_rows_nor_the_scale_of_weights_matters(strategy):
    y, proba = made(2)
    shuffled = np.random.default_rng(0).permutation(len(y))
    expected = ece(y, proba, strategy=strategy)
    assert ece(y[shuffled], proba[shuffled], strategy=strategy) == pytest.approx(expected)
    assert ece(y, proba, np.full(len(y), 4.0), strategy=strategy) == pytest.approx(expected)


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_classwise_is_the_mean_of_the_binary_errors_of_the_columns(strategy):
    y, proba = made(0)
    columns = [ece((y == j).astype(int), proba[:, j], strategy=strategy) for j in range(3)]
    assert ece(y, proba, classwise=True, strategy=strategy) == pytest.approx(np.mean(columns))


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_classwise_of_two_columns_is_the_binary_error(strategy):
    # bins are mirrored about 1/2; this holds where no probability is on an edge and bins have equal size
    y, proba = made(0, k=2)
    assert ece(y, proba, classwise=True, strategy=strategy) == pytest.approx(ece(y, proba[:, 1], strategy=strategy))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_of_two_columns_the_top_label_error_is_at_most_the_binary_one(seed):
    # an even number of bins folds onto itself at 1/2: two gaps become one, and the absolute value comes after the sum
    y, proba = made(seed, k=2)
    assert ece(y, proba, n_bins=10) <= ece(y, proba[:, 1], n_bins=10) + 1e-12


def test_of_two_columns_the_top_label_error_is_the_binary_one_where_one_class_leads_everywhere():
    y, proba = made(0, k=2)
    leads = proba[:, 1] > 0.5
    assert ece(y[leads], proba[leads]) == pytest.approx(ece(y[leads], proba[leads, 1]))


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_probabilities_that_classes_were_drawn_from_are_calibrated(seed, strategy):
    rng = np.random.default_rng(seed)
    p = rng.random(20_000)
    y = (rng.random(20_000) < p).astype(int)
    assert ece(y, p, strategy=strategy) < 0.02
    assert ece(y, p**3, strategy=strategy) > 0.1


def test_extremes_are_zero_and_one():
    assert ece([0, 1, 1], [0.0, 1.0, 1.0]) == 0
    assert ece([1, 0, 0], [0.0, 1.0, 1.0]) == 1


def test_labels_name_the_columns_in_any_order():
    y, proba = made(0)
    names = np.array(["dog", "ant", "cat"])
    assert ece(names[y], proba, labels=names) == ece(y, proba)
    assert ece(names[:2][y[y < 2]], proba[y < 2, 1], labels=["dog", "ant"]) == ece(y[y < 2], proba[y < 2, 1])


def test_booleans_and_floats_and_float32_are_taken():
    y, proba = made(0, k=2)
    assert ece(y == 1, proba[:, 1]) == ece(y.astype(float), proba[:, 1]) == ece(y, proba[:, 1])
    assert ece(y, proba.astype(np.float32)) == pytest.approx(ece(y, proba), abs=1e-6)


def test_is_found_by_name():
    y, proba = made(0)
    assert Metric("expected_calibration_error", n_bins=5).choose().build()(y, proba) == ece(y, proba, n_bins=5)


def test_makes_a_scorer_that_takes_weights_and_names():
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    weight = np.arange(150) % 3
    model = LogisticRegression(max_iter=1000).fit(X, names)
    scorer = make_scorer(ece, response_method="predict_proba", greater_is_better=False, labels=model.classes_)
    assert scorer(model, X, names, sample_weight=weight) == -ece(y, model.predict_proba(X), weight)


@pytest.mark.parametrize(
    ("y", "proba", "options", "message"),
    [
        ([0, 1], [0.5], {}, "same number of rows, got 2 and 1"),
        ([], [], {}, "no rows"),
        ([[0], [1]], [0.5, 0.5], {}, r"y_true must have shape \(n,\), got \(2, 1\)"),
        ([0], [[0.5]], {}, r"k >= 2, got \(1, 1\)"),
        ([0], [[[0.5]]], {}, r"k >= 2, got \(1, 1, 1\)"),
        ([0, 1], [0.5, 1.5], {}, r"must lie in \[0, 1\], got 1.5"),
        ([0, 1], [0.5, float("nan")], {}, r"must lie in \[0, 1\], got nan"),
        ([0, 1], [[0.5, 0.5], [0.5, 0.4]], {}, "must sum to one, row 1 sums to 0.9"),
        ([0, 2], [0.5, 0.5], {}, r"among \[0, 1\], got 2; pass labels="),
        (["a", "b"], [0.5, 0.5], {}, r"among \[0, 1\], got 'a'; pass labels="),
        (["a", "c"], [0.5, 0.5], {"labels": ["a", "b"]}, r"among \['a', 'b'\], got 'c'$"),
        ([0, 1], [0.5, 0.5], {"labels": [0, 1, 2]}, "2 different classes"),
        ([0, 1], [0.5, 0.5], {"labels": [1, 1]}, "2 different classes"),
        ([0, 1], [0.5, 0.5], {"classwise": True}, "one column per class"),
        ([0, 1], [0.5, 0.5], {"sample_weight": [1]}, r"sample_weight must have shape \(2,\), got \(1,\)"),
        ([0, 1], [0.5, 0.5], {"sample_weight": [1, -1]}, "not negative"),
        ([0, 1], [0.5, 0.5], {"sample_weight": [0, 0]}, "not zero everywhere"),
    ],
)
def test_what_cannot_be_judged_is_refused_with_the_reason(y, proba, options, message):
    with pytest.raises(ValueError, match=message):
        ece(y, proba, **options)


@pytest.mark.parametrize("options", [{"n_bins": 0}, {"n_bins": 2.5}, {"n_bins": True}, {"strategy": "mass"}])
def test_an_option_out_of_range_is_refused(options):
    with pytest.raises(ParameterError, match=f"{next(iter(options))} must be"):
        ece([0, 1], [0.5, 0.5], **options)
