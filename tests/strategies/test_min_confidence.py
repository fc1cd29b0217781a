import numpy as np

from sklearnloss.strategies.min_confidence import min_confidence


def test_is_the_doubt_of_the_least_certain_label():
    proba = np.random.default_rng(0).random((30, 4))
    expected = [max(2 * min(p, 1 - p) for p in row) for row in proba.tolist()]
    np.testing.assert_allclose(min_confidence(proba), expected, atol=1e-15)


def test_is_zero_of_certain_labels_and_one_of_an_even_one():
    np.testing.assert_array_equal(min_confidence(np.array([[0.0, 1.0, 1.0], [0.5, 1.0, 0.0]])), [0, 1])


def test_a_learner_of_several_labels_asks_by_its_name(asked):
    found = asked("min_confidence", "several")
    doubt = np.minimum(found.fitted.predict_proba(found.pool), 1 - found.fitted.predict_proba(found.pool)).max(axis=1)
    assert found.rows.tolist() == found.first(doubt)
    found.teach()
