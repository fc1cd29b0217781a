import numpy as np
import pytest
from scipy.stats import spearmanr

from sklearnloss.strategies.learning_loss import learning_loss


def noisy(seed, n=400):
    """Return rows of which the second column tells how large losses are, and losses."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, 4))
    return rows, rng.exponential(np.exp(rows[:, 1]))


@pytest.mark.parametrize("seed", range(3))
def test_orders_rows_that_it_never_saw_by_their_loss(seed):
    rows, losses = noisy(seed)
    found = learning_loss(
        rows[200:], embeddings_labeled=rows[:200], losses_labeled=losses[:200], rng=np.random.default_rng(seed)
    )
    assert spearmanr(found, losses[200:]).statistic > 0.3


def test_does_not_depend_on_units_of_the_columns():
    rows, losses = noisy(0, 60)
    units = np.array([1.0, 1000.0, 0.01, 1.0])
    found = [
        learning_loss(
            rows * u + 5 * u, embeddings_labeled=rows * u + 5 * u, losses_labeled=losses, rng=np.random.default_rng(0)
        )
        for u in (np.ones(4), units)
    ]
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


def test_a_learner_asks_the_rows_with_the_largest_predictions(asked):
    found = asked("learning_loss", "digits")
    assert found.rows.tolist() == found.first(found.learner.utilities_[found.rest])
    found.teach()


def test_a_regressor_is_judged_by_squared_errors(asked):
    found = asked("learning_loss", "diabetes")
    assert found.rows.tolist() == found.first(found.learner.utilities_[found.rest])
    found.teach()
