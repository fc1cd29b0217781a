import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from sklearnloss import ActiveLearner, Strategy
from sklearnloss.exceptions import ParameterError
from sklearnloss.strategies.margin import margin
from sklearnloss.strategies.margin_oracle import margin_oracle
from sklearnloss.strategies.random import random


@pytest.fixture
def table():
    return make_classification(200, 5, random_state=0)


def ask(X, oracle, seed=0, n=10, **params):
    return margin_oracle(X, n=n, rng=np.random.default_rng(seed), oracle=oracle, **params)


@pytest.mark.parametrize("model", [LogisticRegression(), LinearSVC()], ids=lambda m: type(m).__name__)
def test_is_minus_the_distance_to_the_separating_plane(table, model):
    X, y = table
    model.fit(X, y)
    weight, offset = model.coef_[0], model.intercept_[0]
    on_plane = X - ((X @ weight + offset) / (weight @ weight))[:, None] * weight  # the nearest point of each row
    np.testing.assert_allclose(ask(X, model), -np.linalg.norm(X - on_plane, axis=1), rtol=1e-9)


def test_without_exploring_the_order_is_that_of_margin_for_a_linear_model_of_two_classes(table):
    X, y = table
    model = LogisticRegression().fit(X, y)
    assert np.argsort(-ask(X, model)).tolist() == np.argsort(-margin(model.predict_proba(X))).tolist()


def test_exploring_always_asks_what_random_asks(table):
    X, y = table
    model = LogisticRegression().fit(X, y)
    expected = random(X, rng=np.random.default_rng(3))
    assert np.argsort(-ask(X, model, 3, explore=1.0))[:10].tolist() == np.argsort(-expected)[:10].tolist()
    np.testing.assert_array_equal(ask(X, None, 3), expected)


def test_each_row_of_a_batch_is_explored_with_the_given_chance(table):
    X, y = table
    model = LogisticRegression().fit(X, y)
    nearest = np.argsort(-ask(X, model))
    explored, at_random = [], np.zeros(len(X))
    for seed in range(600):
        found = ask(X, model, seed, explore=0.3)
        first = np.argsort(-found)[:10]
        random_ones = first[found[first] >= 1]
        explored.append(len(random_ones))
        at_random[random_ones] += 1
        rest = [row for row in nearest.tolist() if row not in random_ones][: 10 - len(random_ones)]
        assert first[len(random_ones) :].tolist() == rest
    assert abs(np.mean(explored) - 3) < 4 * np.sqrt(10 * 0.3 * 0.7 / 600)
    share = 3 / len(X)
    assert np.abs(at_random / 600 - share).max() < 4.5 * np.sqrt(share * (1 - share) / 600)


def test_of_several_classes_it_is_the_lead_of_the_first_score():
    X, y = make_classification(100, 6, n_informative=4, n_classes=3, random_state=0)
    linear = LinearDiscriminantAnalysis().fit(X, y)
    scores = np.sort(linear.decision_function(X), axis=1)
    np.testing.assert_allclose(ask(X, linear), scores[:, -2] - scores[:, -1])
    forest = RandomForestClassifier(7, random_state=0).fit(X, y)
    proba = np.sort(forest.predict_proba(X), axis=1)
    np.testing.assert_allclose(ask(X, forest), proba[:, -2] - proba[:, -1])


def test_an_oracle_that_knows_nothing_is_refused(table):
    X, y = table
    model = LogisticRegression().fit(X, y)
    model.coef_[:] = 0
    with pytest.raises(ParameterError, match="the oracle's coefficients are all zero; it knows nothing"):
        ask(X, model)


@pytest.mark.parametrize("seed", range(3))
def test_in_many_dimensions_even_the_oracle_is_behind_random_rows(seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(2, size=3000)
    X = rng.normal(size=(3000, 400))
    X[:, 0] += 2.0 * (2 * y - 1)
    oracle = LogisticRegression(C=np.inf, max_iter=1000).fit(X[:2000, :1], y[:2000])
    scores = {}
    for explore in (0.0, 1.0):
        rows = np.arange(20)
        asked = margin_oracle(X[20:2000, :1], n=100, rng=np.random.default_rng(seed), oracle=oracle, explore=explore)
        rows = np.concatenate([rows, 20 + np.argsort(-asked)[:100]])
        scores[explore] = LogisticRegression(C=1e6, max_iter=1000).fit(X[rows], y[rows]).score(X[2000:], y[2000:])
    assert scores[1.0] > scores[0.0]


def test_a_learner_asks_the_rows_nearest_to_the_oracle(table, asked):
    X, y = table
    oracle = LogisticRegression().fit(X, y)
    known = np.where(np.arange(200) < 20, y, -1)
    learner = ActiveLearner(LogisticRegression(), Strategy("margin_oracle", oracle=oracle), random_state=0)
    rows = learner.fit(X, known).query()
    distance = np.abs(oracle.decision_function(X))
    assert rows.tolist() == (20 + np.argsort(distance[20:]))[:10].tolist()
    assert asked("margin_oracle", "digits").rows.tolist() == asked("random", "digits").rows.tolist()
