import math

import pytest
import torch
from sklearn.datasets import load_iris
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import LossClassifier
from sklearnloss.losses.multiclass.label_smoothing import label_smoothing


def naive(logits, y, smoothing):
    values = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        total = math.log(sum(math.exp(z) for z in row))
        target = [smoothing / len(row) + (1 - smoothing) * (j == label) for j in range(len(row))]
        values.append(sum(t * (total - z) for t, z in zip(target, row, strict=True)))
    return torch.tensor(values, dtype=logits.dtype)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.8])
def test_equals_the_formula_in_plain_loops(three_rows, smoothing):
    assert_close(label_smoothing(*three_rows, smoothing=smoothing), naive(*three_rows, smoothing))


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.8])
def test_agrees_with_torch(three_rows, smoothing):
    wanted = F.cross_entropy(*three_rows, reduction="none", label_smoothing=smoothing)
    assert_close(label_smoothing(*three_rows, smoothing=smoothing), wanted)


def test_is_cross_entropy_without_smoothing(three_rows):
    wanted = torch.tensor([0.169846, 0.680270, 0.065884], dtype=torch.float64)
    assert_close(label_smoothing(*three_rows, smoothing=0.0), wanted, atol=1e-6, rtol=0)


def test_is_least_at_the_smoothed_label():
    best = torch.tensor([[0.9 + 0.025, 0.025, 0.025, 0.025]], dtype=torch.float64)
    leaf = best.log().requires_grad_()
    value = label_smoothing(leaf, torch.tensor([0]), smoothing=0.1)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert_close(gradient, torch.zeros_like(gradient), atol=1e-12, rtol=0)
    assert_close(value.detach(), -(best * best.log()).sum(1))


def test_certainty_without_end_costs():
    sure = torch.tensor([[5.0, 0.0, 0.0], [50.0, 0.0, 0.0]])
    near, far = label_smoothing(sure, torch.tensor([0, 0]))
    assert far > near


def test_learns_by_name():
    X, y = load_iris(return_X_y=True)
    assert LossClassifier("label_smoothing", max_epochs=60, lr=1e-2, random_state=0).fit(X, y).score(X, y) > 0.95
