import math

import pytest
import torch
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import label_ranking_average_precision_score
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import LossClassifier
from sklearnloss.exceptions import TaskError
from sklearnloss.losses.multilabel.decoupled_softmax import decoupled_softmax

ROW = torch.tensor([[2.0, 1.0, 0.0, -1.0]], dtype=torch.float64)
FIRST, BOTH = torch.tensor([[1.0, 0, 0, 0]]).double(), torch.tensor([[1.0, 1.0, 0, 0]]).double()


def batch(n=8, labels=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(n, labels, generator=generator, dtype=torch.float64)
    return logits, (torch.rand(n, labels, generator=generator) < 0.4).double()


def naive(logits, y, tau):
    values = []
    for row, labels in zip(logits.tolist(), y.tolist(), strict=True):
        negatives = sum(math.exp(z / tau) for z, label in zip(row, labels, strict=True) if not label)
        terms = [
            math.log(math.exp(z / tau) + negatives) - z / tau for z, label in zip(row, labels, strict=True) if label
        ]
        values.append(sum(terms) / len(terms) if terms else 0.0)
    return torch.tensor(values, dtype=logits.dtype)


@pytest.mark.parametrize("tau", [0.5, 1.0, 3.0])
def test_equals_the_formula_in_plain_loops(tau):
    logits, y = batch()
    assert_close(decoupled_softmax(logits, y, tau=tau), naive(logits, y, tau))


def test_gives_the_worked_numbers():
    assert decoupled_softmax(ROW, BOTH).item() == pytest.approx(0.288726, abs=1e-6)
    terms = [decoupled_softmax(ROW[:, [j, 2, 3]], FIRST[:, :3]).item() for j in (0, 1)]
    assert terms == pytest.approx([0.169846, 0.407606], abs=1e-6)


def test_is_not_a_softmax_over_all_labels():
    log_softmax = -torch.log_softmax(ROW, 1)[0, :2].mean().item()
    assert log_softmax == pytest.approx(0.940190, abs=1e-6)
    assert decoupled_softmax(ROW, BOTH).item() < log_softmax


def test_is_cross_entropy_with_one_positive_in_a_row():
    logits = batch()[0]
    y = torch.arange(8) % 6
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    values = decoupled_softmax(ours, F.one_hot(y, 6).double(), tau=0.7)
    wanted = F.cross_entropy(theirs / 0.7, y, reduction="none")
    assert_close(values, wanted)
    values.sum().backward()
    wanted.sum().backward()
    assert_close(ours.grad, theirs.grad)


def test_a_positive_far_ahead_leaves_the_other_as_it_is():
    ahead = ROW.clone()
    ahead[0, 0] = 1e4
    # the term of the one ahead is zero, so twice the mean is the other's term
    assert 2 * decoupled_softmax(ahead, BOTH).item() == pytest.approx(0.407606, abs=1e-6)
    ahead.requires_grad_()
    decoupled_softmax(ahead, BOTH).backward()
    assert ahead.grad[0, 0] == 0
    assert ahead.grad[0, 1] < 0


def test_masks_with_infinity_so_that_very_low_scores_count():
    # a mask of -100 would stand above the negatives, and the value would be about 200
    logits = torch.tensor([[-300.0, -310.0]])
    assert decoupled_softmax(logits, torch.tensor([[1.0, 0.0]])).item() == pytest.approx(math.exp(-10), rel=1e-3)


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_a_row_without_positives_or_negatives_gives_zero_with_a_valid_gradient(label):
    logits = ROW.clone().requires_grad_()
    value = decoupled_softmax(logits, torch.full_like(ROW, label))
    value.sum().backward()
    assert value.item() == 0
    assert (logits.grad == 0).all()


def test_does_not_see_the_level_of_a_row():
    logits, y = batch()
    assert_close(decoupled_softmax(logits + 7, y), decoupled_softmax(logits, y))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_is_finite_at_wild_scores(dtype):
    logits = torch.tensor([[-200.0, 200.0, 0.0, -200.0], [200.0, 200.0, -200.0, -200.0]], dtype=dtype)
    logits.requires_grad_()
    values = decoupled_softmax(logits, torch.tensor([[1.0, 0, 0, 1], [0, 1, 1, 1]], dtype=dtype), tau=0.01)
    values.sum().backward()
    assert values.dtype == dtype
    assert values.isfinite().all()
    assert (values >= 0).all()
    assert logits.grad.isfinite().all()


def test_has_the_gradient_of_its_value():
    logits, y = batch(4, 4)
    y[0], y[1] = 0, 1
    assert torch.autograd.gradcheck(lambda z: decoupled_softmax(z, y, tau=0.8), logits.requires_grad_())


def test_takes_the_temperature_as_a_tensor():
    logits, y = batch()
    tau = torch.tensor(0.5, dtype=torch.float64)
    assert_close(decoupled_softmax(logits, y, tau=tau), decoupled_softmax(logits, y, tau=0.5))


def test_trains_by_name():
    X, y = make_multilabel_classification(300, n_classes=6, n_labels=2, random_state=0)
    model = LossClassifier(loss="decoupled_softmax", max_epochs=40, lr=1e-2, random_state=0).fit(X, y)
    assert label_ranking_average_precision_score(y, model.decision_function(X)) > 0.9
    assert not hasattr(model, "predict_proba")


def test_calibration_gives_probabilities_of_labels():
    X, y = make_multilabel_classification(300, n_classes=4, n_labels=2, random_state=0)
    model = LossClassifier(loss="decoupled_softmax", calibrate="sigmoid", max_epochs=20, lr=1e-2, random_state=0)
    proba = model.fit(X, y).predict_proba(X)
    assert proba.shape == y.shape
    assert ((proba > 0.5) == y).mean() > 0.75


def test_refuses_a_single_label():
    with pytest.raises(TaskError, match="needs two or more, got 1"):
        decoupled_softmax(ROW[:, :1], FIRST[:, :1])
    with pytest.raises(TaskError, match="with one it is always zero"):
        LossClassifier("decoupled_softmax", max_epochs=1).fit(ROW.T.numpy(), [0, 1, 0, 1])
