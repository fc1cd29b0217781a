import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.nn import functional as F

from sklearnloss import ActiveLearner, LossClassifier
from sklearnloss.active.gradients import gradient_norms
from sklearnloss.exceptions import TaskError

X, y = load_iris(return_X_y=True)
TWO = y < 2


def fitted(loss, X=X, y=y, **params):
    params = {"hidden_layer_sizes": (6,), "max_epochs": 20, "random_state": 0} | params
    return LossClassifier(loss, **params).fit(X, y)


def norms(model, X, proba=None):
    last = model[-1] if hasattr(model, "steps") else model
    rows = model[:-1].transform(X) if hasattr(model, "steps") else X
    seen = last._features(rows) if isinstance(last, LossClassifier) else rows
    return gradient_norms(model, X, model.predict_proba(X) if proba is None else proba, seen)


def by_autograd(model, X, loss, codes=None):
    """Return norms of the gradients by the weights of the head, row by row and class by class."""
    net = model.net_.module_
    rows = []
    for row in torch.as_tensor(X, dtype=torch.float64):
        columns = []
        for c in range(len(model.classes_)) if codes is None else codes:
            net.zero_grad()
            value = loss(net(row[None]), torch.tensor([c]))
            gradients = torch.autograd.grad(value.sum(), list(net.head.parameters()))
            columns.append(torch.cat([g.ravel() for g in gradients]).norm().item())
        rows.append(columns)
    return np.array(rows)


def focal(logits, y, gamma=2.0):
    log_p = F.log_softmax(logits, dim=1)[0, y]
    return -((1 - log_p.exp()) ** gamma) * log_p


SOME = X[::15]
LOSSES = {
    "cross_entropy": F.cross_entropy,
    "focal": focal,
    "label_smoothing": lambda z, c: F.cross_entropy(z, c, label_smoothing=0.1),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_are_those_of_the_loss_that_was_trained(loss):
    model = fitted(loss)
    np.testing.assert_allclose(norms(model, SOME), by_autograd(model, SOME, LOSSES[loss]), rtol=1e-6)


def test_of_a_binary_loss_on_scores_too():
    model = fitted("bce", X[TWO], y[TWO])
    expected = by_autograd(model, SOME, lambda z, c: F.binary_cross_entropy_with_logits(z, c.double()))
    np.testing.assert_allclose(norms(model, SOME), expected, rtol=1e-6)


@pytest.mark.parametrize("loss", ["normalized_softmax", "arcface"])
def test_of_cosines_they_are_by_the_proxies(loss):
    model = fitted(loss)
    term = model.net_.criterion_.terms[0]
    expected = by_autograd(model, SOME, lambda z, c: term.per_row(z, c))
    np.testing.assert_allclose(norms(model, SOME), expected, rtol=1e-6, atol=1e-9)


def test_columns_are_those_of_the_classes_whatever_their_order_in_training():
    model = fitted("cross_entropy", class_order=[2, 0, 1])
    assert model.classes_.tolist() == [0, 1, 2]
    expected = by_autograd(model, SOME, F.cross_entropy, codes=[1, 2, 0])
    found = norms(model, SOME)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    likely = model.predict_proba(SOME).argmax(axis=1)
    assert (found.argmin(axis=1) == likely).all()  # what the model expects moves it least


def test_a_head_without_a_bias_moves_by_its_weight_alone():
    model = fitted("cross_entropy", head=lambda h, k: nn.Linear(h, k, bias=False))
    np.testing.assert_allclose(norms(model, SOME), by_autograd(model, SOME, F.cross_entropy), rtol=1e-6)


def test_a_network_at_the_end_of_a_pipeline_sees_what_the_pipeline_makes():
    model = make_pipeline(StandardScaler(), LossClassifier(max_epochs=5, random_state=0)).fit(X, y)
    expected = by_autograd(model[-1], model[0].transform(SOME), F.cross_entropy)
    np.testing.assert_allclose(norms(model, SOME), expected, rtol=1e-6)


def test_of_a_logistic_regression_they_are_in_closed_form():
    model = LogisticRegression(max_iter=1000).fit(X, y)
    weight = torch.tensor(np.column_stack([model.coef_, model.intercept_]), requires_grad=True)
    rows = torch.tensor(np.column_stack([SOME, np.ones(len(SOME))]))
    expected = [
        [
            torch.autograd.grad(F.cross_entropy((row @ weight.T)[None], torch.tensor([c])), weight)[0].norm().item()
            for c in range(3)
        ]
        for row in rows
    ]
    np.testing.assert_allclose(norms(model, SOME), expected, rtol=1e-9)


def test_of_two_classes_a_column_each_is_the_root_of_two_times_a_single_column():
    model = LogisticRegression().fit(X[TWO], y[TWO])
    single = np.abs(model.predict_proba(SOME)[:, [1]] - [0, 1]) * np.sqrt(1 + (SOME**2).sum(axis=1))[:, None]
    np.testing.assert_allclose(norms(model, SOME), np.sqrt(2) * single)


def test_what_a_model_is_sure_of_does_not_move_it():
    model = LogisticRegression(max_iter=1000).fit(X, y)
    found = gradient_norms(model, SOME, np.tile([1.0, 0, 0], (len(SOME), 1)), SOME)
    np.testing.assert_allclose(found[:, 0], 0)
    np.testing.assert_allclose(found[:, 1], found[:, 2])


def test_the_model_is_left_as_it_was():
    model = fitted("focal")
    before = {k: v.clone() for k, v in model.net_.module_.state_dict().items()}
    first = norms(model, SOME)
    np.testing.assert_array_equal(norms(model, SOME), first)
    assert all(torch.equal(v, before[k]) for k, v in model.net_.module_.state_dict().items())
    assert all(p.grad is None for p in model.net_.module_.parameters())


# -- what has none ----------------------------------------------------------------------------------------------------


class Complete(nn.Sequential):
    def __init__(self, n_features, n_outputs):
        super().__init__(nn.Linear(n_features, n_outputs))


@pytest.mark.parametrize("loss", ["aldr", "soft_f1"])  # one knows a number for each row, one the whole batch
def test_losses_that_look_at_more_than_a_row_are_refused(loss):
    model = fitted(loss, X[TWO], y[TWO], max_epochs=2)
    with pytest.raises(TaskError, match=f"'{loss}' looks at more than a row's output and class; use another strategy"):
        norms(model, SOME)


@pytest.mark.parametrize(
    ("params", "what"),
    [({"module": Complete}, "module"), ({"head": lambda h, k: nn.Sequential(nn.Linear(h, k))}, "head")],
)
def test_a_network_that_shows_no_last_layer_is_refused(params, what):
    model = fitted("cross_entropy", **params)
    with pytest.raises(TaskError, match=f"LossClassifier with its own {what} does not show"):
        norms(model, SOME)


def test_several_labels_a_row_are_refused():
    rows, labels = make_multilabel_classification(40, n_classes=3, random_state=0)
    model = fitted("bce", rows, labels, max_epochs=2)
    with pytest.raises(TaskError, match="'bce' was trained on several labels; use 'max_loss' or 'min_confidence'"):
        norms(model, rows)


def test_a_learner_asks_by_the_gradients_of_its_own_loss():
    known = np.where(np.arange(150) % 10 == 0, y, -1)
    network = LossClassifier("focal", hidden_layer_sizes=(6,), max_epochs=10, random_state=0)
    learner = ActiveLearner(network, "egl", batch_size=4, random_state=0).fit(X, known)
    rows, rest = learner.query(), np.flatnonzero(known < 0)
    norms_ = by_autograd(learner.estimator_, X[rest], focal)
    expected = (learner.predict_proba(X[rest]) * norms_).sum(axis=1)
    np.testing.assert_allclose(learner.utilities_[rest], expected, rtol=1e-6)
    assert rows.tolist() == rest[np.argsort(-expected)[:4]].tolist()
