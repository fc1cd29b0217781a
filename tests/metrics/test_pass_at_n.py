import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer

from sklearnloss import Metric
from sklearnloss.exceptions import ParameterError
from sklearnloss.metrics.pass_at_n import pass_at_n


def made(seed, n=200, k=4):
    rng = np.random.default_rng(seed)
    return rng.integers(k, size=n), rng.dirichlet(np.ones(k), size=n)


@pytest.mark.parametrize("n_tries", [1, 2, 7, 100])
@pytest.mark.parametrize("seed", [0, 1])
def test_is_the_formula_written_with_loops(seed, n_tries):
    y, proba = made(seed)
    weight = np.random.default_rng(seed).random(len(y))
    total = sum(w * (1 - (1 - row[c]) ** n_tries) for w, row, c in zip(weight, proba, y, strict=True))
    assert pass_at_n(y, proba, weight, n_tries=n_tries) == pytest.approx(total / weight.sum())


def test_one_try_is_the_mean_probability_of_the_true_class():
    y, proba = made(0)
    assert pass_at_n(y, proba, n_tries=1) == pytest.approx(proba[np.arange(len(y)), y].mean())


def test_is_the_chance_that_a_drawn_guess_is_right():
    rng = np.random.default_rng(0)
    hits = [(rng.choice(3, p=[0.2, 0.5, 0.3], size=4) == 0).any() for _ in range(4000)]
    assert pass_at_n([0], [[0.2, 0.5, 0.3]], n_tries=4) == pytest.approx(np.mean(hits), abs=0.03)


def test_a_probability_for_two_classes_is_that_of_the_second():
    assert pass_at_n([1, 0], [0.3, 0.3], n_tries=2) == pytest.approx(((1 - 0.7**2) + (1 - 0.3**2)) / 2)
    p = np.array([0.1, 0.6, 0.9])
    y = np.array([0, 1, 0])
    assert pass_at_n(y, p, n_tries=5) == pytest.approx(pass_at_n(y, np.stack([1 - p, p], 1), n_tries=5))


def test_rises_with_the_tries_to_one():
    y, proba = made(1)
    values = [pass_at_n(y, proba, n_tries=n) for n in (1, 2, 8, 64, 10**9)]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(1, abs=1e-4)


def test_certainty_counts_fully_or_not_at_all():
    assert pass_at_n([0, 1], [[1.0, 0.0], [1.0, 0.0]], n_tries=16) == 0.5
    assert pass_at_n([1, 1], [1.0, 0.0], n_tries=16) == 0.5


def test_keeps_tiny_chances():
    assert pass_at_n([1], [1e-20], n_tries=3) == pytest.approx(3e-20)


@pytest.mark.parametrize("n_tries", [2, 4, 16])
def test_the_best_probabilities_are_flatter_than_those_of_the_classes(n_tries):
    shares = np.array([0.6, 0.3, 0.1])

    def missed(z):
        p = np.exp(z) / np.exp(z).sum()
        return -pass_at_n(np.arange(3), np.tile(p, (3, 1)), shares, n_tries=n_tries)

    z = minimize(missed, np.log(shares), tol=1e-12).x
    p = np.exp(z) / np.exp(z).sum()
    held = shares * (1 - p) ** (n_tries - 1)
    kept = p > 1e-3  # on the classes that are guessed at all, the marginal gains are equal
    assert kept.sum() >= 2
    assert held[kept] == pytest.approx(np.full(kept.sum(), held[0]), rel=1e-3)
    if n_tries > 2:
        assert p.max() < 0.6


def test_with_one_try_certainty_in_the_most_frequent_class_is_best():
    shares = np.array([0.6, 0.3, 0.1])
    best = [pass_at_n(np.arange(3), np.tile(p, (3, 1)), shares, n_tries=1) for p in (np.eye(3)[0], shares)]
    assert best == pytest.approx([0.6, (shares**2).sum()])


def test_an_integer_weight_counts_like_so_many_repetitions():
    y, proba = made(2, n=60)
    times = np.random.default_rng(0).integers(0, 4, size=60)
    assert pass_at_n(y, proba, times) == pytest.approx(pass_at_n(np.repeat(y, times), np.repeat(proba, times, axis=0)))


def test_labels_name_the_columns_in_any_order():
    y, proba = made(0, k=3)
    names = np.array(["dog", "ant", "cat"])
    assert pass_at_n(names[y], proba, labels=names) == pass_at_n(y, proba)


def test_is_found_by_name():
    y, proba = made(0)
    assert Metric("pass_at_n", n_tries=5).choose().build()(y, proba) == pass_at_n(y, proba, n_tries=5)


def test_makes_a_scorer_that_takes_weights_and_names():
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[y]
    weight = np.arange(150) % 3
    model = LogisticRegression(max_iter=1000).fit(X, names)
    scorer = make_scorer(pass_at_n, response_method="predict_proba", labels=model.classes_, n_tries=2)
    assert scorer(model, X, names, sample_weight=weight) == pass_at_n(y, model.predict_proba(X), weight, n_tries=2)


@pytest.mark.parametrize(
    ("y", "proba", "message"),
    [([0, 1], [0.5], "same number of rows"), ([0, 1], [0.5, 1.5], r"must lie in \[0, 1\]"), ([], [], "no rows")],
)
def test_what_cannot_be_judged_is_refused_with_the_reason(y, proba, message):
    with pytest.raises(ValueError, match=message):
        pass_at_n(y, proba)


@pytest.mark.parametrize("n_tries", [0, -1, 2.5, True])
def test_a_number_of_tries_out_of_range_is_refused(n_tries):
    with pytest.raises(ParameterError, match=r"metric 'pass_at_n': n_tries must be an int in \[1, inf\), got"):
        pass_at_n([0, 1], [0.5, 0.5], n_tries=n_tries)
