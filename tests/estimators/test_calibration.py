"""The numbers of scikit-learn's calibrators, used as scikit-learn uses them."""

import numpy as np
import pytest
import torch
from sklearn.calibration import CalibratedClassifierCV

from sklearnloss.estimators._calibration import CalibratedScores, Calibration, Scores, _interpolate

METHODS = ["sigmoid", "isotonic", "temperature"]


def scores_and_classes(k, dtype=np.float64, n=200):
    rng = np.random.default_rng(0)
    y = rng.integers(k, size=n)
    if k == 2:
        return (rng.normal(size=n) + 2 * y - 1).astype(dtype), y
    return (rng.normal(size=(n, k)) + 1.5 * np.eye(k)[y]).astype(dtype), y


def by_sklearn(method, scores, y, weights, new):
    columns = scores.reshape(len(y), -1)
    everything = [(np.arange(len(y)), np.arange(len(y)))]
    calibrated = CalibratedClassifierCV(Scores(np.unique(y)), method=method, cv=everything, ensemble=False)
    return calibrated.fit(columns, y, sample_weight=weights).predict_proba(new.reshape(len(new), -1))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("method", METHODS)
def test_probabilities_are_those_of_scikit_learn(method, k, weighted):
    scores, y = scores_and_classes(k)
    new = np.concatenate([scores, 3 * scores, scores * 0, scores - 50, scores + 50])
    weights = np.random.default_rng(1).uniform(0.5, 2, len(y)) if weighted else None
    found = Calibration.fit(method, scores, y, np.arange(k), weights).predict_proba(new)
    np.testing.assert_allclose(found, by_sklearn(method, scores, y, weights, new), rtol=1e-9, atol=1e-12)
    assert found.dtype == np.float64


@pytest.mark.parametrize("method", METHODS)
def test_scores_of_single_precision_give_the_same_to_single_precision(method):
    scores, y = scores_and_classes(3)
    double = Calibration.fit(method, scores, y, np.arange(3), None).predict_proba(scores)
    single = scores.astype(np.float32)
    found = Calibration.fit(method, single, y, np.arange(3), None).predict_proba(single)
    np.testing.assert_allclose(found, double, atol=1e-5)


def test_each_label_is_calibrated_by_itself():
    rng = np.random.default_rng(0)
    Y = rng.integers(2, size=(100, 3))
    scores = rng.normal(size=(100, 3)) + Y
    found = Calibration.fit("sigmoid", scores, Y, np.arange(3), None).predict_proba(scores)
    for j in range(3):
        alone = by_sklearn("sigmoid", scores[:, j], Y[:, j], None, scores[:, j])
        np.testing.assert_allclose(found[:, j], alone[:, 1], rtol=1e-12)


def test_scores_that_are_probabilities_are_divided_as_logarithms_whatever_rows_are_asked():
    scores, y = scores_and_classes(3)
    proba = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    calibration = Calibration.fit("temperature", proba, y, np.arange(3), None)
    assert calibration.maps[0].logarithm
    np.testing.assert_allclose(
        calibration.predict_proba(proba), by_sklearn("temperature", proba, y, None, proba), rtol=1e-9
    )
    np.testing.assert_array_equal(calibration.predict_proba(proba[:1]), calibration.predict_proba(proba)[:1])
    # a batch of logits that happen to look like probabilities is taken for what the others are
    logits = Calibration.fit("temperature", scores, y, np.arange(3), None)
    assert not logits.maps[0].logarithm
    alike = np.array([[0.2, 0.3, 0.5]])
    both = np.concatenate([alike, scores])
    np.testing.assert_array_equal(logits.predict_proba(alike), logits.predict_proba(both)[:1])


def test_an_isotonic_map_of_one_value_is_constant():
    y = np.array([0, 1, 0, 1])
    found = Calibration.fit("isotonic", np.zeros(4), y, np.arange(2), None).predict_proba(np.array([-1.0, 0.0, 9.0]))
    np.testing.assert_allclose(found, 0.5)


def test_rows_of_which_every_class_says_never_get_equal_shares():
    scores = np.eye(3)[np.array([0, 1, 2, 0, 1, 2])] * 8 - 4
    y = np.array([0, 1, 2, 0, 1, 2])
    found = Calibration.fit("isotonic", scores, y, np.arange(3), None).predict_proba(np.full((1, 3), -9.0))
    np.testing.assert_allclose(found, 1 / 3)


@pytest.mark.parametrize("knots", [1, 2, 3, 4, 5, 8, 9, 100])
def test_a_piecewise_line_is_that_of_numpy_at_knots_between_them_and_beyond(knots):
    rng = np.random.default_rng(knots)
    x, values = np.sort(rng.normal(size=knots)), np.sort(rng.uniform(size=knots))
    asked = np.concatenate([x, rng.normal(size=300) * 2, (x[1:] + x[:-1]) / 2, [-np.inf, np.inf]])
    found = _interpolate(*(torch.as_tensor(part) for part in (asked, x, values)))
    np.testing.assert_allclose(found, np.interp(asked, x, values), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(_interpolate(*(torch.as_tensor(part) for part in (x, x, values))), values)


def test_the_numbers_are_buffers_that_move_with_a_module():
    scores, y = scores_and_classes(3)
    module = CalibratedScores(Calibration.fit("sigmoid", scores, y, np.arange(3), None))
    assert {name for name, _ in module.named_buffers()} == {"maps.0.number_0", "maps.0.number_1"}
    assert list(module.parameters()) == []
