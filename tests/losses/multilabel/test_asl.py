import math

import pytest
import torch
from sklearn.datasets import make_multilabel_classification
from sklearn.metrics import label_ranking_average_precision_score
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.multilabel.asl import asl

ONE, ZERO = torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64)


def batch(n=6, labels=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, labels, generator=generator, dtype=torch.float64)
    return logits, torch.randint(2, (n, labels), generator=generator).double()


def naive(logits, y, gamma_neg, gamma_pos, shift):
    values = []
    for z, label in zip(logits.flatten().tolist(), y.flatten().tolist(), strict=True):
        p = 1 / (1 + math.exp(-z))
        shifted = max(p - shift, 0.0)
        if label:
            values.append(-((1 - p) ** gamma_pos) * math.log(p))
        else:
            values.append(-(shifted**gamma_neg) * math.log(1 - shifted))
    return torch.tensor(values, dtype=logits.dtype).reshape(logits.shape)


def slope(z, y, **params):
    z = torch.tensor([[z]], dtype=torch.float64, requires_grad=True)
    asl(z, torch.full((1, 1), y, dtype=torch.float64), **params).sum().backward()
    return z.grad.item()


@pytest.mark.parametrize("gamma_neg", [0.0, 0.5, 4.0])
@pytest.mark.parametrize("gamma_pos", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("shift", [0.0, 0.05, 0.3])
def test_equals_the_formula_in_plain_loops(gamma_neg, gamma_pos, shift):
    logits, y = batch()
    got = asl(logits, y, gamma_neg=gamma_neg, gamma_pos=gamma_pos, shift=shift)
    assert_close(got, naive(logits, y, gamma_neg, gamma_pos, shift))


@pytest.mark.parametrize(("z", "y", "value"), [(0, 1, 0.346574), (0, 0, 0.024515), (-3, 0, 0.0)])
def test_gives_the_worked_numbers(z, y, value):
    assert asl(z + ZERO, y + ZERO).item() == pytest.approx(value, abs=1e-6)


def test_an_easy_negative_has_neither_value_nor_gradient():
    assert slope(-3.0, 0.0) == 0


def test_is_binary_cross_entropy_without_powers_and_shift():
    logits, y = batch()
    logits = torch.cat([logits, torch.tensor([[-200.0, 200.0, 0.0, -20.0, 20.0]]).double()])
    y = torch.cat([y, torch.tensor([[1.0, 0.0, 1.0, 0.0, 1.0]]).double()])
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    values = asl(ours, y, gamma_neg=0.0, gamma_pos=0.0, shift=0.0)
    wanted = F.binary_cross_entropy_with_logits(theirs, y, reduction="none")
    assert_close(values, wanted)
    values.sum().backward()
    wanted.sum().backward()
    assert_close(ours.grad, theirs.grad)


def test_is_the_focal_loss_with_equal_powers_and_no_shift():
    logits, y = batch()
    cross_entropy = F.binary_cross_entropy_with_logits(logits, y, reduction="none")
    wanted = (1 - torch.exp(-cross_entropy)) ** 2 * cross_entropy
    assert_close(asl(logits, y, gamma_neg=2.0, gamma_pos=2.0, shift=0.0), wanted)


def test_exchanging_classes_exchanges_the_powers():
    logits, y = batch()
    first = asl(logits, y, gamma_neg=3.0, gamma_pos=1.0, shift=0.0)
    assert_close(asl(-logits, 1 - y, gamma_neg=1.0, gamma_pos=3.0, shift=0.0), first)


def test_a_very_hard_negative_loses_gradient_again():
    assert 0 < slope(12.0, 0.0) < slope(2.0, 0.0)


def test_a_detached_factor_keeps_the_value_and_scales_the_gradient():
    logits, y = batch()
    assert_close(asl(logits, y, detach_focal=True), asl(logits, y))
    p = 1 / (1 + math.exp(-1.0))
    assert slope(1.0, 1.0, gamma_pos=2.0, detach_focal=True) == pytest.approx(-((1 - p) ** 3))
    assert slope(1.0, 0.0, gamma_neg=2.0, shift=0.0, detach_focal=True) == pytest.approx(p**3)


@pytest.mark.parametrize("gamma", [0.0, 0.3, 1.0, 4.0])
@pytest.mark.parametrize("shift", [0.0, 0.05])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_is_finite_at_wild_scores(gamma, shift, dtype):
    logits = torch.tensor([[-200.0, -20.0, 0.0, 20.0, 200.0]] * 2, dtype=dtype, requires_grad=True)
    y = torch.tensor([[0.0] * 5, [1.0] * 5], dtype=dtype)
    values = asl(logits, y, gamma_neg=gamma, gamma_pos=gamma, shift=shift)
    values.sum().backward()
    assert values.dtype == dtype
    assert values.isfinite().all()
    assert (values >= 0).all()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("shift", [0.0, 0.05])
def test_has_the_gradient_of_its_value(shift):
    logits, y = batch(3, 4)
    assert torch.autograd.gradcheck(
        lambda z: asl(z, y, gamma_neg=2.5, gamma_pos=0.5, shift=shift), logits.clone().requires_grad_()
    )


def test_takes_hyperparameters_as_tensors():
    logits, y = batch()
    given = {"gamma_neg": 3.0, "gamma_pos": 0.5, "shift": 0.1}
    tensors = {name: torch.tensor(value, dtype=torch.float64) for name, value in given.items()}
    assert_close(asl(logits, y, **tensors), asl(logits, y, **given))


def test_trains_by_name():
    X, y = make_multilabel_classification(300, n_classes=6, n_labels=2, random_state=0)
    model = LossClassifier(loss="asl", max_epochs=40, lr=1e-2, random_state=0).fit(X, y)
    assert label_ranking_average_precision_score(y, model.predict_proba(X)) > 0.9


def test_trains_on_two_classes_as_one_label():
    X, y = make_multilabel_classification(300, n_classes=6, n_labels=2, random_state=0)
    model = LossClassifier(loss=Loss("asl", gamma_neg=1.0, shift=0.0), max_epochs=40, lr=1e-2, random_state=0)
    assert model.fit(X, y[:, 0]).score(X, y[:, 0]) > 0.8
