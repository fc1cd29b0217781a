"""The package's calibrators as torch modules."""

import numpy as np
import pytest
import torch

from sklearnloss import Calibrator, components
from sklearnloss.estimators._calibrated import CalibratedScores, interpolate
from sklearnloss.estimators._calibration import Calibration
from sklearnloss.exceptions import TaskError

NAMES = sorted(c.name for c in components("calibrator") if c.plugin == "core")


def scores_and_classes(k, n=200):
    rng = np.random.default_rng(0)
    y = rng.integers(k, size=n)
    return (rng.normal(size=n) + 2 * y - 1, y) if k == 2 else (rng.normal(size=(n, k)) + 1.5 * np.eye(k)[y], y)


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("name", NAMES)
def test_probabilities_are_those_of_the_calibrator(name, k):
    scores, y = scores_and_classes(k)
    calibration = Calibration.fit(Calibrator(name).choose(), scores, y, np.arange(k), None)
    new = np.concatenate([scores, 3 * scores, scores * 0, scores - 50, scores + 50])
    found = CalibratedScores(calibration)(torch.as_tensor(new))
    np.testing.assert_allclose(found, calibration.predict_proba(new), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_each_label_is_calibrated_by_itself(name):
    rng = np.random.default_rng(0)
    Y = rng.integers(2, size=(100, 3))
    scores = rng.normal(size=(100, 3)) + Y
    calibration = Calibration.fit(Calibrator(name).choose(), scores, Y, np.arange(3), None)
    found = CalibratedScores(calibration)(torch.as_tensor(scores))
    np.testing.assert_allclose(found, calibration.predict_proba(scores), rtol=1e-10, atol=1e-14)


def test_rows_of_which_every_class_says_never_get_equal_shares():
    y = np.array([0, 1, 2, 0, 1, 2])
    scores = np.eye(3)[y] * 8 - 4
    calibration = Calibration.fit(Calibrator("isotonic").choose(), scores, y, np.arange(3), None)
    np.testing.assert_allclose(CalibratedScores(calibration)(torch.full((1, 3), -9.0)), 1 / 3)


@pytest.mark.parametrize("knots", [1, 2, 3, 4, 5, 8, 9, 100])
def test_a_piecewise_line_is_that_of_numpy_at_knots_between_them_and_beyond(knots):
    rng = np.random.default_rng(knots)
    x, values = np.sort(rng.normal(size=knots)), np.sort(rng.uniform(size=knots))
    asked = np.concatenate([x, rng.normal(size=300) * 2, (x[1:] + x[:-1]) / 2, [-np.inf, np.inf]])
    found = interpolate(*(torch.as_tensor(part) for part in (asked, x, values)))
    np.testing.assert_allclose(found, np.interp(asked, x, values), rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(interpolate(*(torch.as_tensor(part) for part in (x, x, values))), values)


def test_the_numbers_are_buffers_that_move_with_a_module():
    scores, y = scores_and_classes(3)
    module = CalibratedScores(Calibration.fit(Calibrator("sigmoid").choose(), scores, y, np.arange(3), None))
    assert {name for name, _ in module.named_buffers()} == {"maps.0.slope", "maps.0.shift"}
    assert list(module.parameters()) == []


def test_a_calibrator_of_a_stranger_is_refused():
    class Mine:
        pass

    with pytest.raises(TaskError, match="calibrator Mine has no form in torch; export the scores"):
        CalibratedScores(Calibration([Mine()], labelwise=False))
