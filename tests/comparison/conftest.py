"""Small comparisons that take a moment."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs

from sklearnloss import LossClassifier, compare


@pytest.fixture(scope="session")
def blobs():
    """Three classes that overlap, 120 rows of 4 columns."""
    return make_blobs(120, n_features=4, centers=3, cluster_std=4.0, random_state=0)


@pytest.fixture(scope="session")
def quick():
    """Return what makes a fit take a few hundredths of a second."""
    return LossClassifier(hidden_layer_sizes=(8,), lr=0.05, max_epochs=6)


@pytest.fixture(scope="session")
def result(blobs, quick):
    """Three losses and one that fails, compared on two times three folds."""
    return compare(
        *blobs,
        losses={"gce": {"q": [0.4, 0.7]}, "ce": "cross_entropy", "broken": broken},
        baseline="ce",
        estimator=quick,
        cv=3,
        name="blobs",
    )


def broken(logits, y):
    """Fail."""
    raise RuntimeError("this loss\nis broken")


@pytest.fixture
def uneven():
    """Two classes, 12 times as many rows of one as of the other."""
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [120, 10])
    return rng.normal(size=(130, 3)) + y[:, None], y
