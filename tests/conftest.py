"""Fixtures that many tests share."""

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_blobs

torch.set_num_threads(1)  # the tests run side by side


@pytest.fixture
def blobs():
    """Three well separated classes, 90 rows of 4 columns in float64."""
    return make_blobs(90, n_features=4, centers=3, cluster_std=1.0, random_state=0)


@pytest.fixture
def three_rows():
    """Logits and labels of the worked numbers: cross entropy is 0.169846, 0.680270, 0.065884."""
    logits = torch.tensor([[2.0, 0.0, -1.0], [0.5, 1.0, 0.0], [-1.0, 0.0, 3.0]], dtype=torch.float64)
    return logits, torch.tensor([0, 1, 2])


class Scores(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose rows are the scores themselves, for scikit-learn's calibrators."""

    def __init__(self, classes):
        self.classes = classes

    @property
    def classes_(self):
        return self.classes

    def fit(self, X, y, sample_weight=None):
        return self

    def decision_function(self, X):
        return X[:, 0] if X.shape[1] == 1 else X

    def predict(self, X):
        return self.classes[np.hstack([-X, X] if X.shape[1] == 1 else [X]).argmax(axis=1)]

    def __sklearn_is_fitted__(self):
        return True


@pytest.fixture
def peer():
    """Return scikit-learn's calibration of scores, a function from scores to probabilities."""

    def fit(method, scores, y, weights=None):
        rows = [(np.arange(len(y)), np.arange(len(y)))]  # one fold of all rows: nothing is left to train
        model = CalibratedClassifierCV(Scores(np.unique(y)), method=method, cv=rows, ensemble=False)
        model.fit(scores.reshape(len(y), -1), y, sample_weight=weights)
        return lambda scores: model.predict_proba(scores.reshape(len(scores), -1))

    return fit
