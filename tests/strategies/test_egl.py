import numpy as np
import pytest

from sklearnloss.strategies.egl import egl


def test_is_the_norm_expected_by_the_probabilities(proba):
    norms = np.random.default_rng(1).random(proba.shape)
    expected = [sum(p * g for p, g in zip(*rows, strict=True)) for rows in zip(proba, norms, strict=True)]
    np.testing.assert_allclose(egl(proba, gradient_norms=norms), expected)


@pytest.mark.parametrize("name", ["egl", "expected_gradient_length"])
def test_a_learner_with_a_linear_model_asks_where_it_would_move_most(asked, name):
    found = asked(name, "digits")
    proba, k = found.fitted.predict_proba(found.pool), 10
    expected = []
    for p, x in zip(proba, found.pool, strict=True):
        steps = [np.outer(p - np.eye(k)[c], np.append(x, 1)) for c in range(k)]  # of the log loss, by weight and bias
        expected.append(sum(p[c] * np.linalg.norm(steps[c]) for c in range(k)))
    np.testing.assert_allclose(found.learner.utilities_[found.rest], expected, rtol=1e-9)
    assert found.rows.tolist() == found.first(np.array(expected))
    found.teach()
