import math

import numpy as np
import pytest
from scipy.stats import entropy as entropy_of_scipy
from skactiveml.classifier import SklearnClassifier
from skactiveml.pool import UncertaintySampling
from sklearn.linear_model import LogisticRegression

from sklearnloss.strategies.entropy import entropy


def test_is_that_of_scipy(proba):
    np.testing.assert_allclose(entropy(proba), entropy_of_scipy(proba, axis=1), rtol=1e-12)


@pytest.mark.parametrize("k", [2, 10, 100])
def test_is_zero_of_a_certain_row_and_log_k_of_an_even_one(k):
    rows = np.stack([np.eye(k)[0], np.full(k, 1 / k)])
    np.testing.assert_allclose(entropy(rows), [0, math.log(k)], atol=1e-12)


def test_is_swayed_by_classes_that_are_hardly_possible():
    even = [0.5, 0.5] + [0.0] * 20
    spread = [0.8, 0.0] + [0.01] * 20  # one class is far ahead
    assert entropy(np.array([even, spread])).argmax() == 1


def test_a_learner_asks_what_scikit_activeml_asks(asked):
    found = asked("entropy", "digits")
    hidden = np.full(len(found.y), np.nan)
    hidden[found.seen] = found.y[found.seen]
    peer = SklearnClassifier(LogisticRegression(), classes=range(10)).fit(found.X, hidden)
    query = UncertaintySampling(method="entropy", random_state=0)
    assert found.rows.tolist() == query.query(found.X, hidden, clf=peer, fit_clf=False, batch_size=8).tolist()
    found.teach()
