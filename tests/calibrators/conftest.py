import numpy as np
import pytest
from sklearn.metrics import log_loss


def softmax_rows(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def drawn(logits, rng):
    """Draw a class of each row with the probabilities that the logits say."""
    return (softmax_rows(logits).cumsum(axis=1) < rng.random((len(logits), 1))).sum(axis=1)


class Simulation:
    """Scores that are 2.5 times too sure, and not equally so for each class; y[i] is drawn from the truth."""

    def __init__(self, n=600, k=4, temperature=2.5, seed=0):
        rng = np.random.default_rng(seed)
        truth = rng.normal(size=(n, k))
        self.y = drawn(truth, rng)
        self.scores = temperature * truth
        self.weights = rng.integers(1, 4, n)
        self.biased = self.scores * np.linspace(0.5, 1.5, k) + np.linspace(-1, 1, k)
        self.mixed = self.scores @ (np.eye(k) + 0.3 * rng.normal(size=(k, k)))


@pytest.fixture
def simulate():
    return Simulation


@pytest.fixture
def uncalibrated():
    """Return the log loss of the scores as they are."""
    return lambda scores, y, weights=None: log_loss(y, softmax_rows(scores), sample_weight=weights)
