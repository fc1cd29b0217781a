"""Small data that the estimators learn in a few epochs."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs, make_multilabel_classification

from sklearnloss import LossClassifier


@pytest.fixture
def two_blobs():
    """Two well separated classes, 80 rows of 3 columns in float64."""
    return make_blobs(80, n_features=3, centers=2, cluster_std=1.5, random_state=1)


@pytest.fixture
def labels():
    """Three labels per row, 120 rows of 6 columns."""
    return make_multilabel_classification(120, n_features=6, n_classes=3, n_labels=2, random_state=0)


@pytest.fixture
def overlapping():
    """Three classes that overlap, 300 rows, so that probabilities and scores are not all certain."""
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=300)
    return rng.normal(size=(300, 4)) + 0.9 * np.eye(3, 4)[y], y


@pytest.fixture
def quick():
    """Return a small `LossClassifier` that learns in a few epochs; keywords override."""

    def make(loss="cross_entropy", **params):
        small = {"hidden_layer_sizes": (8,), "lr": 0.05, "max_epochs": 20, "random_state": 0}
        return LossClassifier(loss, **(small | params))

    return make
