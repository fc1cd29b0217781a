import numpy as np
import pytest
from skactiveml.classifier import SklearnClassifier
from skactiveml.pool import UncertaintySampling
from sklearn.linear_model import LogisticRegression

from sklearnloss.strategies.entropy import entropy
from sklearnloss.strategies.least_confidence import least_confidence
from sklearnloss.strategies.margin import margin


@pytest.mark.parametrize(
    ("proba", "expected"), [([0.5, 0.5, 0], 1), ([1, 0, 0], 0), ([0.4, 0.35, 0.25], 0.95), ([0.2, 0.1, 0.7], 0.5)]
)
def test_is_one_less_the_lead_of_the_first_class(proba, expected):
    assert margin(np.array([proba])) == pytest.approx(expected)


def test_is_that_of_a_sort_whatever_the_order_of_the_classes(proba):
    expected = [1 - (sorted(row)[-1] - sorted(row)[-2]) for row in proba.tolist()]
    np.testing.assert_allclose(margin(proba), expected, atol=1e-15)
    np.testing.assert_array_equal(margin(proba[:, [3, 1, 0, 4, 2]]), margin(proba))


def test_of_two_classes_the_order_is_that_of_entropy_and_least_confidence_at_every_temperature():
    logits = np.random.default_rng(0).normal(size=50) * 2
    order = None
    for temperature in (0.5, 1.0, 3.0):
        p = 1 / (1 + np.exp(-logits / temperature))
        two = np.column_stack([1 - p, p])
        for measure in (margin, entropy, least_confidence):
            found = np.argsort(-measure(two)).tolist()
            assert order is None or found == order
            order = found


def test_of_more_classes_temperature_changes_the_order():
    logits = np.random.default_rng(0).normal(size=(50, 3)) * 2
    orders = set()
    for temperature in (0.5, 3.0):
        e = np.exp(logits / temperature)
        orders.add(tuple(np.argsort(-margin(e / e.sum(axis=1, keepdims=True)))))
    assert len(orders) == 2


def test_a_learner_asks_what_scikit_activeml_asks(asked):
    found = asked("margin", "digits")
    hidden = np.full(len(found.y), np.nan)
    hidden[found.seen] = found.y[found.seen]
    peer = SklearnClassifier(LogisticRegression(), classes=range(10)).fit(found.X, hidden)
    query = UncertaintySampling(method="margin_sampling", random_state=0)
    assert found.rows.tolist() == query.query(found.X, hidden, clf=peer, fit_clf=False, batch_size=8).tolist()
    found.teach()
