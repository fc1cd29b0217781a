import copy
import io
import pickle

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
    learning_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from torch import nn
from torch.nn.functional import cross_entropy

from sklearnloss import Loss, loss
from sklearnloss.exceptions import TaskError


@loss("kept", task="multiclass")
class Kept(nn.Module):
    def __init__(self, *, generator, priors):
        super().__init__()
        self.generator = generator

    def forward(self, logits, y, *, priors):
        return cross_entropy(logits + priors, y, reduction="none")


def saved_with_joblib(model):
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    return joblib.load(file)


COPIES = {"pickle": lambda m: pickle.loads(pickle.dumps(m)), "deepcopy": copy.deepcopy, "joblib": saved_with_joblib}
SPECS = {
    "name": "cross_entropy",
    "spec": Loss("ldr", lam=0.5),
    "sum": Loss("cross_entropy") + 0.1 * Loss("focal"),
    "torch": nn.CrossEntropyLoss(label_smoothing=0.1),
    "state": Kept,
}


@pytest.mark.parametrize("way", list(COPIES))
@pytest.mark.parametrize("spec", list(SPECS.values()), ids=list(SPECS))
def test_a_copy_of_a_fitted_estimator_predicts_the_same_and_can_go_on(quick, blobs, way, spec):
    X, y = blobs
    model = quick(spec, max_epochs=3).fit(X, y)
    copied = COPIES[way](model)
    np.testing.assert_array_equal(copied.predict_proba(X), model.predict_proba(X))
    assert copied.loss_curve_ == model.loss_curve_
    assert copied.partial_fit(X, y).n_iter_ == 4
    assert model.n_iter_ == 3
    np.testing.assert_array_equal(copied.predict_proba(X), model.partial_fit(X, y).predict_proba(X))


@pytest.mark.parametrize("spec", list(SPECS.values()), ids=list(SPECS))
def test_a_clone_has_equal_parameters_and_is_trained_alike(quick, blobs, spec):
    X, y = blobs
    model = quick(spec, max_epochs=3, sampler="per_class", optimizer="sgd")
    cloned = clone(model)
    assert repr(cloned) == repr(model)
    np.testing.assert_array_equal(cloned.fit(X, y).predict_proba(X), model.fit(X, y).predict_proba(X))


def test_a_pickle_does_not_grow_with_the_rows(quick, blobs):
    X, y = blobs
    few, many = (quick(max_epochs=2).fit(np.vstack([X] * n), np.tile(y, n)) for n in (1, 50))
    assert abs(len(pickle.dumps(few)) - len(pickle.dumps(many))) < 100


def test_the_diagram_shows_the_loss_and_what_differs_from_the_defaults(quick, blobs):
    shown = quick(Loss("ldr", lam=0.5)).fit(*blobs)._repr_html_()
    assert "LossClassifier" in shown
    assert "ldr" in shown
    assert "0.05" in shown


def test_the_repr_says_what_was_given(quick):
    assert repr(quick(Loss("ldr", lam=0.5), lr=0.5)).startswith(
        "LossClassifier(hidden_layer_sizes=(8,), loss=Loss('ldr'"
    )


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_grid_search_over_losses_and_their_parameters_runs(quick, blobs, n_jobs):
    X, y = blobs
    grid = [
        {"loss": ["cross_entropy"]},
        {"loss": ["ldr"], "loss__lam": [0.5, 2.0]},
        {"loss": [Loss("cross_entropy") + 0.1 * Loss("focal")], "loss__focal__gamma": [1.0, 2.0]},
    ]
    search = GridSearchCV(quick(), grid, cv=2, n_jobs=n_jobs, error_score="raise").fit(X, y)
    assert len(search.cv_results_["params"]) == 5
    assert search.score(X, y) > 0.9


def test_a_halving_search_may_spend_epochs(quick, blobs):
    search = HalvingGridSearchCV(
        quick(),
        {"lr": [1e-5, 1e-3, 0.05]},
        resource="max_epochs",
        min_resources=2,
        max_resources=18,
        cv=2,
        random_state=0,
    ).fit(*blobs)
    assert search.n_resources_ == [2, 6]
    assert search.best_params_["lr"] == 0.05
    assert search.best_estimator_.n_iter_ == search.best_params_["max_epochs"] == 6


def test_a_randomized_search_runs_over_the_parameters_of_a_string(quick, blobs):
    space = {"loss__lam": [0.1, 1.0, 10.0], "loss__margin": [0.0, 1.0]}
    search = RandomizedSearchCV(quick("ldr"), space, n_iter=3, cv=2, random_state=0, error_score="raise").fit(*blobs)
    assert search.best_estimator_.loss.get_params()["lam"] in (0.1, 1.0, 10.0)


@pytest.mark.parametrize("name", ["ldr", "hinge", "cross_entropy"])
def test_calibrated_classifier_cv_takes_it_with_and_without_probabilities(quick, overlapping, name):
    X, y = overlapping
    model = CalibratedClassifierCV(quick(name), cv=2).fit(X, y)
    np.testing.assert_allclose(model.predict_proba(X).sum(1), 1)
    assert model.score(X, y) > 0.4


@pytest.mark.parametrize("name", ["cross_entropy", "bce", "hinge"])
def test_the_threshold_can_be_tuned(quick, two_blobs, name):
    X, y = two_blobs
    tuned = TunedThresholdClassifierCV(quick(name), scoring="balanced_accuracy", cv=2).fit(X, y)
    assert tuned.score(X, y) > 0.9


def test_it_stacks_and_votes(quick, blobs):
    X, y = blobs
    members = [("a", quick()), ("b", quick("ldr")), ("c", LogisticRegression())]
    assert StackingClassifier(members, cv=2).fit(X, y).score(X, y) > 0.9
    assert VotingClassifier(members, voting="soft").fit(X, y).score(X, y) > 0.9


def test_permutation_importance_finds_the_column_that_counts(quick):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 3))
    y = (X[:, 1] > 0).astype(int)
    result = permutation_importance(quick().fit(X, y), X, y, n_repeats=2, random_state=0)
    assert result.importances_mean.argmax() == 1


def test_a_loss_on_scores_learns_three_classes_one_against_the_rest(quick, blobs):
    X, y = blobs
    with pytest.raises(TaskError, match=r"wrap it: sklearn.multiclass.OneVsRestClassifier\(LossClassifier\('bce'\)\)"):
        quick("bce").fit(X, y)
    assert OneVsRestClassifier(quick("bce")).fit(X, y).score(X, y) > 0.9
    assert OneVsOneClassifier(quick("bce")).fit(X, y).score(X, y) > 0.9


@pytest.mark.parametrize("many", [MultiOutputClassifier, ClassifierChain])
def test_it_works_label_by_label_inside_scikit_learn(quick, labels, many):
    X, Y = labels
    assert many(quick("bce")).fit(X, Y).predict(X).shape == Y.shape


def test_it_works_in_a_pipeline_and_in_cross_validation(quick, blobs):
    X, y = blobs
    pipeline = make_pipeline(MinMaxScaler(), quick())
    assert cross_val_predict(pipeline, X, y, cv=2, method="predict_proba").shape == (90, 3)
    assert pipeline.set_params(lossclassifier__loss="ldr", lossclassifier__loss__lam=0.5).fit(X, y).score(X, y) > 0.9
    assert learning_curve(quick(max_epochs=3), X, y, cv=2, train_sizes=[0.5, 1.0], error_score="raise")[1].shape == (
        2,
        2,
    )
