import math

import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import LossClassifier
from sklearnloss.losses.multiclass.asl_single import asl_single


def naive(logits, y, gamma_neg, gamma_pos, smoothing):
    values = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        total = sum(math.exp(z) for z in row)
        value = 0.0
        for j, z in enumerate(row):
            p = math.exp(z) / total
            target = (1 - smoothing) * (j == label) + smoothing / len(row)
            value -= target * ((1 - p) ** gamma_pos if j == label else p**gamma_neg) * math.log(p)
        values.append(value)
    return torch.tensor(values, dtype=logits.dtype)


@pytest.mark.parametrize("gamma_neg", [0.0, 0.5, 4.0])
@pytest.mark.parametrize("gamma_pos", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_equals_the_formula_in_plain_loops(three_rows, gamma_neg, gamma_pos, smoothing):
    given = {"gamma_neg": gamma_neg, "gamma_pos": gamma_pos, "smoothing": smoothing}
    assert_close(asl_single(*three_rows, **given), naive(*three_rows, **given))


@pytest.mark.parametrize("gamma_neg", [0.0, 4.0])
def test_without_smoothing_it_is_cross_entropy_whatever_the_power_of_the_negatives(three_rows, gamma_neg):
    wanted = F.cross_entropy(*three_rows, reduction="none")
    assert_close(asl_single(*three_rows, gamma_neg=gamma_neg, smoothing=0.0), wanted)


def test_without_smoothing_it_is_the_focal_loss(three_rows):
    cross_entropy = F.cross_entropy(*three_rows, reduction="none")
    wanted = (1 - (-cross_entropy).exp()) ** 2 * cross_entropy
    assert_close(asl_single(*three_rows, gamma_pos=2.0, smoothing=0.0), wanted)


def test_without_powers_it_is_label_smoothing(three_rows):
    wanted = F.cross_entropy(*three_rows, reduction="none", label_smoothing=0.2)
    assert_close(asl_single(*three_rows, gamma_neg=0.0, smoothing=0.2), wanted)


def test_an_improbable_class_is_left_alone():
    def slope(gamma_neg):
        leaf = torch.tensor([[3.0, -3.0, 0.0]], dtype=torch.float64, requires_grad=True)
        total = asl_single(leaf, torch.tensor([0]), gamma_neg=gamma_neg)
        plain = asl_single(leaf, torch.tensor([0]), smoothing=0.0)
        return (torch.autograd.grad(total - 0.9 * plain, leaf)[0])[0, 1].item()

    assert slope(0.0) < -0.02
    assert abs(slope(4.0)) < 0.001


@pytest.mark.parametrize("gamma", [0.0, 0.3, 4.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_is_finite_at_wild_scores(gamma, dtype):
    logits = torch.tensor([[200.0, -200.0, 0.0], [-200.0, 200.0, 200.0]], dtype=dtype, requires_grad=True)
    values = asl_single(logits, torch.tensor([0, 0]), gamma_neg=gamma, gamma_pos=gamma)
    values.sum().backward()
    assert values.dtype == dtype
    assert values.isfinite().all()
    assert (values >= 0).all()
    assert logits.grad.isfinite().all()


def test_has_the_gradient_of_its_value(three_rows):
    logits, y = three_rows
    assert torch.autograd.gradcheck(
        lambda z: asl_single(z, y, gamma_neg=2.5, gamma_pos=0.5), logits.clone().requires_grad_()
    )


def test_takes_hyperparameters_as_tensors(three_rows):
    given = {"gamma_neg": 3.0, "gamma_pos": 0.5, "smoothing": 0.2}
    tensors = {name: torch.tensor(value, dtype=torch.float64) for name, value in given.items()}
    assert_close(asl_single(*three_rows, **tensors), asl_single(*three_rows, **given))


def test_trains_by_name():
    X, y = load_digits(return_X_y=True)
    model = LossClassifier("asl_single", max_epochs=8, lr=1e-2, random_state=0).fit(X[::2], y[::2])
    assert model.score(X[1::2], y[1::2]) > 0.9
