import numpy as np
import pytest

from sklearnloss.calibrators.isotonic import IsotonicCalibration


@pytest.mark.parametrize("k", [2, 4])
@pytest.mark.parametrize("weighted", [False, True])
def test_probabilities_are_those_of_scikit_learn(k, weighted, simulate, peer):
    data = simulate(k=k)
    weights = data.weights if weighted else None
    scores = data.biased[:, 1] - data.biased[:, 0] if k == 2 else data.biased
    expected = peer("isotonic", scores, data.y, weights)
    model = IsotonicCalibration().fit(scores, data.y, weights)
    for rows in (scores, 3 * scores, scores - 1):
        np.testing.assert_allclose(model.predict_proba(rows), expected(rows), atol=1e-12)


def test_neighbours_that_fall_are_pooled():
    # in the order of the scores the classes are 0 1 0 1 1: the middle pair falls, and shares 1/2
    model = IsotonicCalibration().fit([1.0, 2.0, 3.0, 4.0, 5.0], [0, 1, 0, 1, 1])
    p = model.predict_proba([0.0, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 9.0])[:, 1]
    np.testing.assert_allclose(p, [0, 0, 0.25, 0.5, 0.5, 0.5, 1, 1])


def test_knots_are_kept_line_by_line(simulate):
    data = simulate()
    model = IsotonicCalibration().fit(data.biased, data.y)
    assert model.n_knots_.shape == (4,)
    assert model.knots_.shape == (model.n_knots_.sum(), 2)
    for line in np.split(model.knots_, model.n_knots_.cumsum()[:-1]):
        assert (np.diff(line[:, 0]) > 0).all()
        assert (np.diff(line[:, 1]) >= 0).all()
        assert 0 <= line[0, 1] <= line[-1, 1] <= 1


def test_a_rising_map_of_the_scores_changes_nothing_at_the_rows_of_the_fit(simulate):
    data = simulate()
    expected = IsotonicCalibration().fit(data.scores, data.y).predict_proba(data.scores)
    bent = np.exp(data.scores / 5) - 3
    np.testing.assert_allclose(IsotonicCalibration().fit(bent, data.y).predict_proba(bent), expected, atol=1e-12)


def test_equal_scores_give_the_frequency():
    model = IsotonicCalibration().fit([2.0, 2.0, 2.0, 2.0], [0, 1, 1, 1])
    np.testing.assert_allclose(model.predict_proba([-5.0, 2.0, 7.0])[:, 1], 0.75)


def test_a_row_that_every_line_calls_impossible_is_shared_out():
    model = IsotonicCalibration().fit(np.eye(3).repeat(4, axis=0), np.arange(3).repeat(4))
    np.testing.assert_allclose(model.predict_proba([[-1.0, -1.0, -1.0]]), 1 / 3)
    np.testing.assert_array_equal(model.predict_log_proba([[1.0, 0.0, 0.0]]), [[0, -np.inf, -np.inf]])
