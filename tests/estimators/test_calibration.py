import pickle

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from torch.nn.functional import cross_entropy

from sklearnloss import Calibrator, Loss, LossClassifier, calibrator, loss, register
from sklearnloss.calibrators.vector import VectorScaling
from sklearnloss.exceptions import ParameterError, TaskError, UnknownNameError
from sklearnloss.registry import registry

NAMES = ["temperature", "vector", "matrix", "sigmoid", "isotonic"]


@pytest.fixture
def watched():
    """Return a loss that keeps the numbers of the rows it was trained on, and that set."""
    seen = set()

    @loss("watched", task="multiclass")
    def watched_loss(logits, y, *, index):
        seen.update(index.tolist())
        return cross_entropy(logits, y, reduction="none")

    return watched_loss, seen


@pytest.mark.parametrize("name", ["sigmoid", "isotonic", "temperature"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("k", [2, 3])
def test_probabilities_are_those_of_scikit_learn_on_the_held_out_rows(
    quick, overlapping, watched, peer, name, weighted, k
):
    X, y = overlapping
    y = np.minimum(y, k - 1)
    weights = np.random.default_rng(0).integers(1, 4, 300).astype(float) if weighted else np.ones(300)
    function, seen = watched
    model = quick(function, calibrate=name, validation_fraction=0.4).fit(X, y, weights if weighted else None)
    held = sorted(set(range(300)) - seen)
    assert len(held) == 120
    scores = model.decision_function(X)
    expected = peer(name, scores[held], y[held], weights[held])(scores)
    proba = model.predict_proba(X)
    np.testing.assert_allclose(proba, expected, atol=1e-3)
    if name == "temperature":
        ours, theirs = (log_loss(y[held], p[held], sample_weight=weights[held]) for p in (proba, expected))
        assert ours <= theirs + 1e-12


@pytest.mark.parametrize("name", NAMES)
def test_it_is_the_calibrator_fitted_on_the_scores_of_the_held_out_rows(quick, overlapping, watched, name):
    X, y = overlapping
    names = np.array(["ant", "bee", "cat"])[y]
    function, seen = watched
    model = quick(function, calibrate=name, validation_fraction=0.4).fit(X, names)
    held = sorted(set(range(300)) - seen)
    scores = model.decision_function(X)
    alone = Calibrator(name).choose().build().fit(scores[held], names[held])
    np.testing.assert_allclose(model.predict_proba(X), alone.predict_proba(scores), atol=1e-4)


@pytest.mark.parametrize("given", ["vector", "core:vector", {"spec": "vector"}, Calibrator("vector"), VectorScaling])
def test_every_way_of_naming_a_calibrator_takes_parameters(quick, overlapping, given):
    X, y = overlapping
    plain = quick(calibrate=given, validation_fraction=0.4).fit(X, y)
    pulled = quick(calibrate=given, validation_fraction=0.4).set_params(calibrate__l2=1e6).fit(X, y)
    temperature = quick(calibrate="temperature", validation_fraction=0.4).fit(X, y)
    np.testing.assert_array_equal(
        plain.predict_proba(X), quick(calibrate="vector", validation_fraction=0.4).fit(X, y).predict_proba(X)
    )
    np.testing.assert_allclose(pulled.predict_proba(X), temperature.predict_proba(X), atol=1e-5)
    assert abs(plain.predict_proba(X) - temperature.predict_proba(X)).max() > 1e-3


def test_a_parameter_of_a_plain_name_makes_a_spec_and_changes_none():
    spec = Calibrator("matrix", l2=0.5)
    assert LossClassifier(calibrate="matrix").set_params(calibrate__l2=0.1).calibrate == Calibrator("matrix", l2=0.1)
    assert LossClassifier(calibrate=spec).set_params(calibrate__l2=0.1).calibrate == Calibrator("matrix", l2=0.1)
    assert spec == Calibrator("matrix", l2=0.5)
    assert LossClassifier(calibrate=spec).get_params()["calibrate__l2"] == 0.5


def test_calibrators_and_their_parameters_stand_in_grids(quick, overlapping):
    X, y = overlapping
    grid = [
        {"calibrate": [None, "temperature"]},
        {"calibrate": ["vector", Calibrator("matrix")], "calibrate__l2": [0.01, 1.0]},
    ]
    search = GridSearchCV(
        quick(max_epochs=3, validation_fraction=0.3), grid, cv=2, scoring="neg_log_loss", error_score="raise"
    ).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    assert len(scores) == 6
    assert len(set(scores.round(9))) == 6


def test_each_label_has_a_calibrator_of_its_own(quick, labels):
    X, Y = labels
    weights = np.random.default_rng(0).integers(1, 4, 120).astype(float)
    model = quick("bce", calibrate=Calibrator("vector", l2=0.1), validation_fraction=0.4).fit(X, Y, weights)
    scores = model.decision_function(X)
    assert len(model.calibration_.maps) == 3
    for j, one in enumerate(model.calibration_.maps):
        np.testing.assert_allclose(model.predict_proba(X)[:, j], one.predict_proba(scores[:, [j]])[:, 1])
    assert len({float(one.coef_[1]) for one in model.calibration_.maps}) == 3
    plain = quick("bce", calibrate=Calibrator("vector", l2=0.1), validation_fraction=0.4).fit(X, Y)
    assert abs(plain.predict_proba(X) - model.predict_proba(X)).max() > 1e-3


@calibrator("flat")
class Flat(ClassifierMixin, BaseEstimator):
    """The same probabilities for each row: what a stranger's calibrator may be."""

    def fit(self, X, y, sample_weight=None):
        self.classes_, counts = np.unique(y, return_counts=True)
        self.shares_ = counts / counts.sum()
        return self

    def predict_proba(self, X):
        return np.tile(self.shares_, (len(X), 1))


def test_a_strangers_calibrator_is_taken_by_name_or_itself(quick, overlapping, monkeypatch):
    X, y = overlapping
    registry.plugins()  # all of them, before the names are copied
    monkeypatch.setattr(registry, "_names", registry._names.copy())
    register(Flat)
    for given in ("flat", "local:flat", Flat, Calibrator(Flat)):
        model = quick(calibrate=given, validation_fraction=0.3).fit(X, y)
        assert len(np.unique(model.predict_proba(X), axis=0)) == 1


def test_a_calibrated_model_is_cloned_and_pickled(quick, overlapping):
    X, y = overlapping
    model = quick(calibrate=Calibrator("matrix", l2=0.1), validation_fraction=0.3).fit(X, y)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), model.predict_proba(X))
    np.testing.assert_array_equal(clone(model).fit(X, y).predict_proba(X), model.predict_proba(X))


def test_a_calibrator_that_cannot_be_is_refused_before_training(quick, blobs):
    @loss("never", task="multiclass")
    def never(logits, y):
        raise AssertionError("training began")

    for given, error, message in (
        ("temprature", UnknownNameError, r"^unknown calibrator 'temprature'; did you mean 'temperature'\? \("),
        ("ldr", UnknownNameError, r"^unknown calibrator 'ldr'; it is a loss"),
        (
            Calibrator("vector", l2=-1),
            ParameterError,
            r"^calibrator 'vector': l2 must be a float in \[0, inf\)",
        ),
        (Loss("ldr"), TaskError, r"is a loss; a calibrator is wanted here, such as Calibrator\('...'\)$"),
    ):
        with pytest.raises(error, match=message):
            quick(never, calibrate=given).fit(*blobs)
    with pytest.raises(ParameterError, match=r"^calibrator 'temperature' has no parameter 'l2'; it has none$"):
        quick(calibrate="temperature").set_params(calibrate__l2=1.0)
    with pytest.raises(ParameterError, match="calibrate is None, so calibrate__l2 has nothing to change"):
        quick().set_params(calibrate__l2=1.0)


def test_a_class_whose_held_out_rows_weigh_nothing_cannot_be_calibrated(quick, blobs, watched):
    X, y = blobs
    function, seen = watched
    quick(function, calibrate="vector", validation_fraction=0.3).fit(X, y)
    held = np.array(sorted(set(range(90)) - seen))
    weights = np.ones(90)
    weights[held[y[held] == 2]] = 0
    with pytest.raises(ValueError, match=r"^calibrate='vector': no held-out row of class \[2\]; raise validation_frac"):
        quick(function, calibrate=Calibrator("vector"), validation_fraction=0.3).fit(X, y, weights)
