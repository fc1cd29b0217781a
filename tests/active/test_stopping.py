import numpy as np
import pytest
from sklearn.datasets import load_digits, load_iris, make_multilabel_classification
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import cohen_kappa_score
from sklearn.multioutput import MultiOutputClassifier

from sklearnloss import simulate
from sklearnloss.active.stopping import Budget, ConfidentPool, KappaAverage, StablePredictions
from sklearnloss.exceptions import ParameterError, TaskError


class Said:
    """A learner that answers what it is told to."""

    _estimator_type = "classifier"
    y_labeled_ = np.zeros(3)

    def __init__(self, answers, proba=None):
        self.answers, self.proba = np.asarray(answers), proba

    def __sklearn_tags__(self):
        return LogisticRegression().__sklearn_tags__() if self.answers.dtype.kind != "f" else Ridge().__sklearn_tags__()

    def predict(self, X):
        return self.answers

    def predict_proba(self, X):
        return np.asarray(self.proba)


def replay(rule, rounds):
    rule.begin()
    return [rule(learner, None) for learner in rounds]


def test_predictions_are_stable_after_calm_rounds_in_a_row():
    same, other = Said(["a"] * 10), Said(["b", *["a"] * 9])
    assert replay(StablePredictions(rounds=2), [same, same, other, other, other]) == [False] * 4 + [True]
    assert replay(StablePredictions(rounds=2, change=0.1), [same, other, same]) == [False, False, True]


def test_numbers_are_stable_where_they_move_little():
    base = np.linspace(0, 1, 50)
    rounds = [Said(base), Said(base + 0.5), Said(base + 0.501), Said(base + 0.502)]
    assert replay(StablePredictions(rounds=2), rounds) == [False, False, False, True]


def test_kappa_is_averaged_over_the_last_rounds():
    rng = np.random.default_rng(0)
    answers = [rng.integers(3, size=40) for _ in range(3)]
    rounds = [Said(a) for a in (answers[0], answers[1], answers[1], answers[1])]
    first = cohen_kappa_score(answers[0], answers[1])
    assert replay(KappaAverage(rounds=2, kappa=(first + 1) / 2 - 1e-9), rounds) == [False, False, True, True]
    assert replay(KappaAverage(rounds=2, kappa=(first + 1) / 2 + 1e-9), rounds) == [False, False, False, True]
    assert replay(KappaAverage(rounds=1), [Said(["a"] * 5)] * 2) == [False, True]  # one class alone


def test_a_pool_is_certain_where_so_many_rows_are():
    proba = np.array([[0.95, 0.05]] * 9 + [[0.5, 0.5]])
    assert replay(ConfidentPool(quantile=0.9), [Said(["a"] * 10, proba)]) == [True]
    assert replay(ConfidentPool(quantile=0.95), [Said(["a"] * 10, proba)]) == [False]


def test_labels_of_a_row_are_certain_each_for_itself():
    X, Y = make_multilabel_classification(120, n_classes=3, random_state=0)
    model = MultiOutputClassifier(LogisticRegression())
    curve = simulate(model, X, Y, X, Y, strategy="random", stop=ConfidentPool(uncertainty=0.5), random_state=0)
    assert curve.stopped
    assert len(curve.scores) == 1


@pytest.mark.parametrize(
    "rule",
    [StablePredictions(change=0.02), KappaAverage(kappa=0.95), ConfidentPool(uncertainty=0.5), Budget(55)],
    ids=lambda r: type(r).__name__,
)
def test_a_simulation_stops_by_a_rule_and_begins_it_anew(rule):
    X, y = load_digits(return_X_y=True)
    model = LogisticRegression(max_iter=500)
    first, again = (
        simulate(model, X[:500] / 16, y[:500], X[1500:] / 16, y[1500:], stop=rule, n_rounds=40, random_state=0)
        for _ in range(2)
    )
    assert first.stopped
    assert first.n_labels[-1] < 420
    assert np.array_equal(first.n_labels, again.n_labels)


def test_a_budget_ends_at_once_where_it_is_spent():
    X, y = load_iris(return_X_y=True)
    assert len(simulate(LogisticRegression(max_iter=500), X, y, X, y, stop=Budget(20), random_state=0).scores) == 1


def test_kappa_is_of_classes():
    with pytest.raises(TaskError, match="for a regressor use StablePredictions"):
        replay(KappaAverage(), [Said([0.5, 1.5])])


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        (StablePredictions(change=2.0), "change"),
        (StablePredictions(rounds=0), "rounds"),
        (KappaAverage(kappa=-0.1), "kappa"),
        (KappaAverage(rounds=1.5), "rounds"),
        (ConfidentPool(uncertainty="a"), "uncertainty"),
        (ConfidentPool(quantile=1.1), "quantile"),
        (Budget(0), "n_labels"),
    ],
)
def test_parameters_out_of_range_are_refused(rule, name):
    with pytest.raises(ParameterError, match=f"{type(rule).__name__}: {name} must be"):
        rule.begin()
