"""Learners of every kind, asked once by the name of a strategy."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits, make_multilabel_classification
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearnloss import ActiveLearner, LossClassifier

N, SEEN, ASKED = 300, 60, 8


def digits():
    X, y = load_digits(return_X_y=True)
    return X[:N] / 16, y[:N], -1, LogisticRegression()


def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return X[:N], y[:N], np.nan, make_pipeline(StandardScaler(), Ridge())


def several():
    X, Y = make_multilabel_classification(N, n_classes=4, random_state=0)
    return X, Y, -1, LossClassifier("bce", max_epochs=5, random_state=0)


TABLES = {"digits": digits, "diabetes": diabetes, "several": several}


class Asked:
    """A learner of which 60 of 300 rows have labels, and the 8 rows that it asked for."""

    def __init__(self, strategy, table, **params):
        self.X, self.y, hidden, self.model = TABLES[table]()
        known = np.full(self.y.shape, hidden, dtype=np.float64 if np.isnan(hidden) else self.y.dtype)
        self.seen = np.sort(np.random.default_rng(0).choice(N, SEEN, replace=False))
        known[self.seen] = self.y[self.seen]
        self.learner = ActiveLearner(self.model, strategy, batch_size=ASKED, random_state=0, **params)
        self.learner.fit(self.X, known)
        self.rows = self.learner.query()
        self.rest = np.setdiff1d(np.arange(N), self.seen)
        assert len(set(self.rows.tolist())) == ASKED
        assert not set(self.rows.tolist()) & set(self.seen.tolist())

    @property
    def fitted(self):
        return self.learner.estimator_

    @property
    def pool(self):
        return self.X[self.rest]

    def first(self, utilities):
        """Return the rows of the pool with the largest of numbers without ties."""
        return self.rest[np.argsort(-utilities)[:ASKED]].tolist()

    def teach(self):
        """Learn the answers, so that the learner has them."""
        self.learner.teach(self.X[self.rows], self.y[self.rows])
        assert len(self.learner.y_labeled_) == SEEN + ASKED
        return self.learner


@pytest.fixture
def asked():
    """Return ``asked(strategy, table)``: a learner on digits, diabetes or several labels a row, asked once."""
    return Asked


@pytest.fixture
def proba():
    """Probabilities of 40 rows and 5 classes without ties."""
    return np.random.default_rng(0).dirichlet(np.ones(5), size=40)
