import numpy as np
import pytest
from sklearn.linear_model import Ridge

from sklearnloss.strategies.leverage import leverage


@pytest.mark.parametrize("ridge", [0.0, 3.0])
def test_is_how_much_a_fit_follows_a_change_of_the_target(ridge):
    X = np.random.default_rng(0).normal(size=(30, 4))
    follow = []
    for i in range(30):
        model = Ridge(alpha=ridge, fit_intercept=False).fit(X, np.eye(30)[i])
        follow.append(model.predict(X[i : i + 1])[0])
    np.testing.assert_allclose(leverage(X, ridge=ridge), follow, rtol=1e-6)


def test_rows_at_the_border_come_first():
    rows = np.linspace(-1, 1, 21)
    found = leverage(np.column_stack([np.ones(21), rows]))
    assert set(np.argsort(-found)[:4].tolist()) == {0, 1, 19, 20}


def test_a_learner_asks_by_the_columns_of_the_last_step(asked):
    found = asked("leverage", "diabetes")
    scaled = found.fitted[0].transform(found.pool)
    hat = scaled @ np.linalg.pinv(scaled)
    assert found.rows.tolist() == found.first(np.diag(hat))
    found.teach()
