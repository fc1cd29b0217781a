import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import check_estimator

from sklearnloss import ActiveLearner, LossClassifier, components
from sklearnloss.estimators.frechet import FrechetClassifier
from sklearnloss.exceptions import DataError, ParameterError

PATH = np.abs(np.subtract.outer(np.arange(5.0), np.arange(5.0)))
LEVELS = ["never", "seldom", "sometimes", "often", "always"]


@pytest.fixture
def table():
    """Rows on a line whose labels are three of the five levels."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 2, 4], 20)
    return y[:, None] + 0.8 * rng.normal(size=(60, 1)), y


class Given(LogisticRegression):
    """Its first columns are the probabilities."""

    def predict_proba(self, X):
        return np.asarray(X)[:, : len(self.classes_)]


def test_predicts_the_label_with_the_least_expected_square():
    rng = np.random.default_rng(0)
    proba, y = rng.dirichlet(np.ones(3), size=40), np.tile(["seldom", "always", "never"], 14)[:40]
    model = FrechetClassifier(Given(), PATH, LEVELS).fit(proba, y)
    assert model.classes_.tolist() == ["always", "never", "seldom"]
    for p, found in zip(proba, model.predict(proba), strict=True):
        cost = [p[0] * (4 - level) ** 2 + p[1] * level**2 + p[2] * (level - 1) ** 2 for level in range(5)]
        assert found == LEVELS[cost.index(min(cost))]
    np.testing.assert_array_equal(model.predict_proba(proba), proba)


def test_the_middle_of_three_levels_may_be_better_than_the_most_probable():
    proba = np.array([[0.4, 0.25, 0.35]] * 3)
    model = FrechetClassifier(Given()).fit(proba, [0, 1, 2])
    assert model.predict(proba).tolist() == [1, 1, 1]


def test_with_distances_of_zero_and_one_it_predicts_as_its_model_does():
    X, y = load_digits(return_X_y=True)
    plain = LogisticRegression(max_iter=200).fit(X[:300] / 16, y[:300])
    model = FrechetClassifier(LogisticRegression(max_iter=200), 1 - np.eye(10)).fit(X[:300] / 16, y[:300])
    np.testing.assert_array_equal(model.predict(X / 16), plain.predict(X / 16))


def test_a_large_power_approaches_the_most_probable_label_and_a_small_one_the_middle(table):
    X, y = table
    labels = range(5)
    sharp, plain, flat = (
        FrechetClassifier(LogisticRegression(), PATH, labels, power=power).fit(X, y) for power in (1e3, 1.0, 1e-3)
    )
    np.testing.assert_array_equal(sharp.predict(X), sharp.estimator_.predict(X))
    assert (flat.predict(X) == 2).all()
    assert 0 < (plain.predict(X) == 1).sum()


def test_powers_are_those_of_the_probabilities_brought_to_sum_to_one():
    proba = np.random.default_rng(0).dirichlet(np.ones(3), size=40)
    proba[0] = [0, 1, 0]
    model = FrechetClassifier(Given(), power=2.5).fit(proba, np.arange(40) % 3)
    expected = [int(np.argmin([sum(p[k] ** 2.5 * (k - y) ** 2 for k in range(3)) for y in range(3)])) for p in proba]
    assert model.predict(proba).tolist() == expected


@pytest.mark.parametrize("seed", range(3))
def test_digits_as_levels_of_which_some_were_never_seen_are_missed_by_less(seed):
    X, y = load_digits(return_X_y=True)
    unseen = np.random.default_rng(seed).choice(np.arange(1, 9), 3, replace=False)
    train, test = train_test_split(np.arange(len(y)), train_size=0.5, random_state=seed)
    train = train[~np.isin(y[train], unseen)]
    table = np.abs(np.subtract.outer(np.arange(10), np.arange(10)))
    model = FrechetClassifier(LogisticRegression(max_iter=200), table, range(10)).fit(X[train] / 16, y[train])
    found, most_probable = model.predict(X[test] / 16), model.estimator_.predict(X[test] / 16)
    assert ((found - y[test]) ** 2).mean() < ((most_probable - y[test]) ** 2).mean()
    assert np.isin(found, unseen).any()
    assert model.reachable_.tolist() == list(range(10))


# -- which labels there are -------------------------------------------------------------------------------------------


def test_says_what_can_be_predicted_and_what_to_see_next():
    X, y = np.arange(4.0)[:, None], ["never", "sometimes"] * 2
    model = FrechetClassifier(LogisticRegression(), PATH, LEVELS).fit(X, y)
    assert model.reachable_.tolist() == ["never", "seldom", "sometimes"]
    assert model.next_class() == "always"
    model.fit(X, ["never", "always"] * 2)
    assert model.next_class() is None
    np.testing.assert_array_equal(model.distances_, PATH[[4, 0]])


def test_without_a_table_labels_are_numbers():
    X, y = np.array([[0.0], [0.1], [9.9], [10.0]]), np.array([0, 0, 10, 10])
    assert set(FrechetClassifier(LogisticRegression()).fit(X, y).predict(np.linspace(0, 10, 9)[:, None])) == {0, 10}
    model = FrechetClassifier(LogisticRegression(), labels=[0, 5, 10, 20]).fit(X, y)
    assert set(model.predict(np.linspace(0, 10, 9)[:, None])) == {0, 5, 10}
    assert model.next_class() == 20


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({}, DataError, "without label_distances labels are taken for numbers, got <U6"),
        ({"label_distances": PATH[:4, :4], "labels": LEVELS}, ParameterError, r"must be \(5, 5\).*got \(4, 4\)"),
        ({"label_distances": -PATH, "labels": LEVELS}, ParameterError, "must be finite, not negative, symmetric"),
        ({"label_distances": PATH + 1, "labels": LEVELS}, ParameterError, "zero from a label to itself"),
        ({"label_distances": np.triu(PATH), "labels": LEVELS}, ParameterError, "symmetric"),
        ({"label_distances": np.where(PATH > 3, np.inf, PATH), "labels": LEVELS}, ParameterError, "finite"),
        (
            {"label_distances": PATH, "labels": [*LEVELS[:4], "alway"]},
            ParameterError,
            "'always', which is not.*'alway'",
        ),
        ({"label_distances": PATH, "labels": [*LEVELS[:4], "never"]}, ParameterError, "labels must be different"),
    ],
)
def test_tables_that_are_no_metric_of_the_labels_are_refused(params, error, message):
    with pytest.raises(error, match=message):
        FrechetClassifier(LogisticRegression(), **params).fit(np.arange(4.0)[:, None], ["never", "always"] * 2)


def test_rounding_of_computed_distances_is_forgiven():
    rng = np.random.default_rng(0)
    table = PATH + 1e-12 * rng.random((5, 5))
    model = FrechetClassifier(LogisticRegression(), table, LEVELS)
    assert model.fit(np.arange(4.0)[:, None], ["never", "always"] * 2).next_class() is None


def test_a_model_without_probabilities_is_refused():
    with pytest.raises(ValueError, match="'estimator' parameter of FrechetClassifier must be an object implementing"):
        FrechetClassifier(LinearSVC()).fit(np.arange(4.0)[:, None], [0, 1, 0, 1])


# -- an estimator of scikit-learn -------------------------------------------------------------------------------------


def test_passes_the_checks_of_scikit_learn_but_for_what_it_is_made_for():
    results = check_estimator(
        FrechetClassifier(LogisticRegression()),
        expected_failed_checks={
            "check_classifiers_train": "the predicted label need not be the most probable",
            "check_classifiers_classes": "labels that are words need a table of distances",
        },
        on_fail=None,
        on_skip=None,
    )
    assert {r["check_name"]: r["exception"] for r in results if r["status"] == "failed"} == {}


def test_parameters_nest_and_a_search_finds_a_power(table):
    X, y = table
    search = GridSearchCV(
        FrechetClassifier(LinearDiscriminantAnalysis(), PATH, range(5)), {"power": [0.1, 1.0]}, scoring="accuracy", cv=3
    ).fit(X, y)
    assert search.best_params_ == {"power": 1.0}
    model = FrechetClassifier(LogisticRegression()).set_params(estimator__C=3.0)
    assert clone(model).estimator.C == 3.0


def test_fit_passes_weights_on_and_names_of_columns_come_back(table):
    X, y = table
    frame, weights = pd.DataFrame(X, columns=["a"]), np.arange(60.0)
    model = FrechetClassifier(LogisticRegression(), PATH, range(5)).fit(frame, y, sample_weight=weights)
    alone = LogisticRegression().fit(frame, y, sample_weight=weights)
    np.testing.assert_array_equal(model.predict_proba(frame), alone.predict_proba(frame))
    assert model.feature_names_in_.tolist() == ["a"]
    assert model.n_features_in_ == 1
    assert not hasattr(model.fit(X, y), "feature_names_in_")


def test_wraps_a_network_and_learns_actively(table):
    X, y = table
    model = FrechetClassifier(LossClassifier("focal", max_epochs=30, random_state=0), PATH, range(5))
    known = np.where(np.arange(60) % 4 == 0, y, -1)
    learner = ActiveLearner(model, "margin", batch_size=5, random_state=0).fit(X, known)
    rows = learner.query()
    learner.teach(X[rows], y[rows])
    assert set(learner.predict(X).tolist()) <= {0, 1, 2, 3, 4}
    assert (np.abs(learner.predict(X) - y) <= 1).mean() > 0.7


def test_it_is_found_by_its_name():
    assert next(c for c in components("estimator") if c.name == "frechet_decode").obj is FrechetClassifier
