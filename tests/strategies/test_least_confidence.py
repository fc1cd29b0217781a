import numpy as np
from skactiveml.classifier import SklearnClassifier
from skactiveml.pool import UncertaintySampling
from sklearn.linear_model import LogisticRegression

from sklearnloss.strategies.least_confidence import least_confidence


def test_is_one_less_the_largest_probability(proba):
    np.testing.assert_allclose(least_confidence(proba), [1 - max(row) for row in proba.tolist()])
    np.testing.assert_allclose(least_confidence(np.array([[1.0, 0, 0, 0], [0.25] * 4])), [0, 0.75])


def test_a_learner_asks_what_scikit_activeml_asks(asked):
    found = asked("least_confidence", "digits")
    hidden = np.full(len(found.y), np.nan)
    hidden[found.seen] = found.y[found.seen]
    peer = SklearnClassifier(LogisticRegression(), classes=range(10)).fit(found.X, hidden)
    query = UncertaintySampling(method="least_confident", random_state=0)
    assert found.rows.tolist() == query.query(found.X, hidden, clf=peer, fit_clf=False, batch_size=8).tolist()
    found.teach()
