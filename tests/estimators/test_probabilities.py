import numpy as np
import pytest
import sklearn
import torch
from scipy.sparse import csr_array
from sklearn.metrics import log_loss
from torch.nn.functional import cross_entropy, sigmoid, softmax

from sklearnloss import Loss, loss

CALIBRATIONS = ["sigmoid", "isotonic", "temperature", "vector", "matrix"]


@loss("unlinked", task="multiclass", link="none")
def unlinked(logits, y):
    return cross_entropy(logits, y, reduction="none")


@loss("unlinked_binary", task="binary", link="none")
def unlinked_binary(scores, y):
    return torch.relu(1 - (2 * y - 1) * scores)


@loss("sharp", task="multiclass", link=lambda logits, *, tau: torch.softmax(logits / tau, dim=1))
def sharp(logits, y, *, tau: float = 0.1):
    return cross_entropy(logits / tau, y, reduction="none")


@loss("shifted", task="multiclass", link=lambda logits, *, priors: torch.softmax(logits - priors.log(), dim=1))
def shifted(logits, y):
    return cross_entropy(logits, y, reduction="none")


@loss("own_binary", task="binary", link="to_unit")
class OwnBinary(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.log_scale = torch.nn.Parameter(torch.zeros(()))

    def forward(self, scores, y):
        return torch.nn.functional.binary_cross_entropy_with_logits(self.log_scale.exp() * scores, y, reduction="none")

    def to_unit(self, scores):
        return torch.sigmoid(self.log_scale.exp() * scores)


@loss("own", task="multiclass", link="to_simplex")
class Own(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.log_scale = torch.nn.Parameter(torch.zeros(()))

    def forward(self, logits, y):
        return cross_entropy(self.log_scale.exp() * logits, y, reduction="none")

    def to_simplex(self, logits):
        return torch.softmax(self.log_scale.exp() * logits, dim=1)


def test_probabilities_are_the_link_of_the_output(quick, overlapping, two_blobs, labels):
    X, y = overlapping
    model = quick().fit(X, y)
    output = torch.from_numpy(model.decision_function(X))
    np.testing.assert_allclose(model.predict_proba(X), softmax(output, 1), rtol=1e-9)
    X, y = two_blobs
    model = quick("bce").fit(X, y)
    np.testing.assert_allclose(
        model.predict_proba(X)[:, 1], sigmoid(torch.from_numpy(model.decision_function(X))), rtol=1e-9
    )
    X, Y = labels
    model = quick("asl").fit(X, Y)
    np.testing.assert_allclose(model.predict_proba(X), sigmoid(torch.from_numpy(model.decision_function(X))), rtol=1e-9)


@pytest.mark.parametrize("calibrate", [None, *CALIBRATIONS])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("cross_entropy", "multiclass"),
        (unlinked, "multiclass"),
        ("cross_entropy", "binary"),
        (unlinked, "binary"),
        ("bce", "binary"),
        (unlinked_binary, "binary"),
        ("bce", "multilabel"),
        ("asl", "multilabel"),
        (unlinked_binary, "multilabel"),
    ],
)
def test_probabilities_and_predictions_agree(quick, overlapping, two_blobs, labels, name, kind, calibrate):
    X, y = {"multiclass": overlapping, "binary": two_blobs, "multilabel": labels}[kind]
    model = quick(name, calibrate=calibrate, validation_fraction=0.3).fit(X, y)
    if calibrate is None and callable(name):
        assert not hasattr(model, "predict_proba")
        return
    proba = model.predict_proba(X)
    assert (proba >= 0).all()
    assert (proba <= 1).all()
    np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), proba, rtol=1e-6)
    if kind == "multilabel":
        assert proba.shape == y.shape
        np.testing.assert_array_equal(model.predict(X), proba > 0.5)
        return
    np.testing.assert_allclose(proba.sum(1), 1, rtol=1e-6)
    np.testing.assert_array_equal(model.predict(X), model.classes_[proba.argmax(1)])


@pytest.mark.parametrize("name", [unlinked, "hinge"])
def test_without_a_link_there_are_no_probabilities_and_the_reason_is_said(quick, blobs, name):
    X, y = blobs
    for model in (quick(name), quick(name).fit(X, y)):
        assert not hasattr(model, "predict_proba")
        assert not hasattr(model, "predict_log_proba")
        with pytest.raises(AttributeError) as caught:
            model.predict_proba(X)
        reason = str(caught.value.__cause__ or caught.value)
        assert "has no link to probabilities; set calibrate='temperature' or another (sklearnloss list cal" in reason
        assert reason.startswith("loss '")
    assert quick(name).fit(X, y).decision_function(X).shape == (90, 3)
    assert hasattr(quick(name, calibrate="sigmoid"), "predict_proba")


def test_a_link_takes_the_hyperparameters_it_names(quick, overlapping):
    X, y = overlapping
    model = quick(sharp).set_params(loss__tau=0.5).fit(X, y)
    output = torch.from_numpy(model.decision_function(X))
    np.testing.assert_allclose(model.predict_proba(X), softmax(output / 0.5, 1), rtol=1e-6)


def test_a_link_takes_the_fit_facts_it_names(quick, overlapping):
    X, y = overlapping
    model = quick(shifted).fit(X, y)
    output = torch.from_numpy(model.decision_function(X))
    priors = torch.bincount(torch.from_numpy(y)) / 300
    np.testing.assert_allclose(model.predict_proba(X), softmax(output - priors.log(), 1), rtol=1e-6)


def test_a_link_may_be_a_method_of_a_loss_with_parameters(quick, overlapping):
    X, y = overlapping
    model = quick(Own, loss_lr=5.0).fit(X, y)
    scale = model.net_.criterion_.terms[0].modules_[0].log_scale.exp().item()
    assert scale != 1
    output = torch.from_numpy(model.decision_function(X))
    np.testing.assert_allclose(model.predict_proba(X), softmax(scale * output, 1), rtol=1e-6)


def test_the_link_is_that_of_the_first_term_with_a_head(quick, overlapping):
    X, y = overlapping
    model = quick(0.1 * Loss("supcon") + Loss(Own) + Loss("cross_entropy"), loss_lr=5.0).fit(X, y)
    scale = model.net_.criterion_.terms[1].modules_[0].log_scale.exp().item()
    output = torch.from_numpy(model.decision_function(X))
    np.testing.assert_allclose(model.predict_proba(X), softmax(scale * output, 1), rtol=1e-6)


def test_a_link_of_a_loss_with_parameters_is_applied_label_by_label(quick, labels):
    X, Y = labels
    model = quick(OwnBinary, loss_lr=5.0).fit(X, Y)
    scales = torch.stack([m.log_scale.exp().detach() for m in model.net_.criterion_.terms[0].modules_])
    assert len(set(scales.tolist())) == 3
    output = torch.from_numpy(model.decision_function(X))
    np.testing.assert_allclose(model.predict_proba(X), sigmoid(scales * output), rtol=1e-6)


@pytest.mark.parametrize("calibrate", CALIBRATIONS)
def test_calibration_brings_scores_nearer_to_the_truth(quick, overlapping, calibrate):
    X, y = overlapping
    params = {"max_epochs": 150, "lr": 0.1, "hidden_layer_sizes": (50,)}  # enough to be too sure of itself
    train, test = np.arange(0, 300, 2), np.arange(1, 300, 2)
    plain = quick(**params).fit(X[train], y[train])
    calibrated = quick(calibrate=calibrate, validation_fraction=0.4, **params).fit(X[train], y[train])
    floor = 1e-3  # isotonic steps may say zero

    def surprise(model):
        clipped = np.clip(model.predict_proba(X[test]), floor, 1)
        return log_loss(y[test], clipped / clipped.sum(1, keepdims=True))

    assert surprise(calibrated) < surprise(plain)


@pytest.mark.parametrize("calibrate", CALIBRATIONS)
@pytest.mark.parametrize("routing", [False, True])
def test_calibration_takes_weights_strings_and_few_rows(quick, blobs, calibrate, routing):
    X, y = blobs
    names = np.array(["a", "b", "c"])[y]
    model = quick(unlinked, calibrate=calibrate, validation_fraction=0.1)
    with sklearn.config_context(enable_metadata_routing=routing):
        model.fit(X, names, sample_weight=np.linspace(0.5, 1.5, 90))
    assert model.predict_proba(X).shape == (90, 3)
    assert set(model.predict(X)) <= {"a", "b", "c"}


def test_a_class_without_a_held_out_row_cannot_be_calibrated(quick, blobs):
    X, y = blobs
    few = np.concatenate([np.flatnonzero(y == 0), np.flatnonzero(y == 1), np.flatnonzero(y == 2)[:1]])
    wanted = r"^calibrate='sigmoid': no held-out row of class \[2\]; raise validation_fraction or leave calibrate off$"
    with pytest.raises(ValueError, match=wanted):
        quick(calibrate="sigmoid", random_state=1).fit(X[few], y[few])


def test_the_held_out_rows_of_calibration_are_not_trained_on(quick, blobs):
    seen = set()

    @loss("seeing_rows", task="multiclass")
    def seeing_rows(logits, y, *, index):
        seen.update(index.tolist())
        return cross_entropy(logits, y, reduction="none")

    quick(seeing_rows, calibrate="sigmoid", validation_fraction=0.3, max_epochs=2).fit(*blobs)
    assert len(seen) == 63


def test_an_interrupted_calibration_leaves_no_false_probabilities(quick, blobs):
    X, y = blobs
    calls = []

    @loss("stopping", task="multiclass", link="none")
    def stopping(logits, y):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return cross_entropy(logits, y, reduction="none")

    model = quick(stopping, calibrate="sigmoid")
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y)
    assert model.n_iter_ == 3
    assert model.predict(X).shape == (90,)
    assert not hasattr(model, "predict_proba")


def test_classes_in_another_order_change_no_column(quick, overlapping):
    X, y = overlapping
    names = np.array(["low", "mid", "top"])
    model = quick(class_order=["top", "low", "mid"]).fit(X, names[y])
    plain = quick().fit(X, names[y])
    assert model.classes_.tolist() == plain.classes_.tolist() == names.tolist()
    for method in ("predict_proba", "decision_function"):
        by_row = getattr(model, method)(X)
        assert np.mean(names[by_row.argmax(1)] == plain.predict(X)) > 0.8
    np.testing.assert_array_equal(names[model.predict_proba(X).argmax(1)], model.predict(X))
    np.testing.assert_array_equal(names[model.decision_function(X).argmax(1)], model.predict(X))


@pytest.mark.parametrize("name", ["cross_entropy", "bce", "asl", unlinked, unlinked_binary])
@pytest.mark.parametrize("calibrate", [None, "sigmoid"])
def test_two_classes_in_reverse_order_still_score_the_second_one(quick, two_blobs, name, calibrate):
    X, y = two_blobs
    names = np.array(["no", "yes"])[y]
    model = quick(name, class_order=["yes", "no"], calibrate=calibrate).fit(X, names)
    assert model.classes_.tolist() == ["no", "yes"]
    assert model.score(X, names) > 0.9
    np.testing.assert_array_equal(model.decision_function(X) > 0, model.predict(X) == "yes")
    if hasattr(model, "predict_proba"):
        np.testing.assert_array_equal(model.predict_proba(X)[:, 1] > 0.5, model.predict(X) == "yes")


def test_sparse_labels_are_calibrated_and_watched_like_dense_ones(quick, labels):
    X, Y = labels
    params = {"calibrate": "sigmoid", "early_stopping": True, "validation_fraction": 0.3}
    dense, sparse = (quick("bce", **params).fit(X, y) for y in (Y, csr_array(Y)))
    np.testing.assert_array_equal(dense.predict_proba(X), sparse.predict_proba(X))
