import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.exceptions import MissingFactError
from sklearnloss.losses.multiclass.kd import kd

TEACHER = torch.tensor([[1.0, 0.5, 0.0], [0.0, 2.0, 1.0], [-3.0, 0.0, 1.0]], dtype=torch.float64)


def softmax(row, tau):
    masses = [math.exp(z / tau) for z in row]
    return [m / sum(masses) for m in masses]


def naive(logits, y, teacher, tau, alpha):
    values = []
    for row, label, wise in zip(logits.tolist(), y.tolist(), teacher.tolist(), strict=True):
        pairs = list(zip(softmax(wise, tau), softmax(row, tau), strict=True))
        divergence = sum(t * math.log(t / s) for t, s in pairs)
        values.append(-(1 - alpha) * math.log(softmax(row, 1)[label]) + alpha * tau**2 * divergence)
    return torch.tensor(values, dtype=logits.dtype)


@pytest.mark.parametrize("tau", [0.5, 1.0, 2.0, 64.0])
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_equals_the_formula_in_plain_loops(three_rows, tau, alpha):
    assert_close(kd(*three_rows, teacher=TEACHER, tau=tau, alpha=alpha), naive(*three_rows, TEACHER, tau, alpha))


def test_agrees_with_torch(three_rows):
    logits, y = three_rows
    divergence = F.kl_div((logits / 3).log_softmax(1), (TEACHER / 3).softmax(1), reduction="none").sum(1)
    wanted = 0.4 * F.cross_entropy(logits, y, reduction="none") + 0.6 * 9 * divergence
    assert_close(kd(logits, y, teacher=TEACHER, tau=3.0, alpha=0.6), wanted)


def test_is_cross_entropy_without_the_teacher(three_rows):
    wanted = F.cross_entropy(*three_rows, reduction="none")
    assert_close(kd(*three_rows, teacher=TEACHER, alpha=0.0), wanted)


def test_a_student_like_its_teacher_has_nothing_to_learn_from_it(three_rows):
    logits, y = three_rows
    leaf = (logits + 5).requires_grad_()
    value = kd(leaf, y, teacher=logits, alpha=1.0)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert_close(value.detach(), torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0)
    assert_close(gradient, torch.zeros(3, 3, dtype=torch.float64), atol=1e-12, rtol=0)


def test_tends_to_half_the_mean_squared_difference_of_centred_scores(three_rows):
    logits, y = three_rows
    difference = (TEACHER - TEACHER.mean(1, keepdim=True)) - (logits - logits.mean(1, keepdim=True))
    wanted = difference.square().mean(1) / 2
    assert_close(kd(logits, y, teacher=TEACHER, tau=1e4, alpha=1.0), wanted, atol=1e-3, rtol=1e-3)


def test_the_gradient_keeps_its_size_as_the_temperature_rises(three_rows):
    logits, y = three_rows

    def size(tau):
        leaf = logits.clone().requires_grad_()
        return torch.autograd.grad(kd(leaf, y, teacher=TEACHER, tau=tau, alpha=1.0).sum(), leaf)[0].norm().item()

    assert size(100.0) == pytest.approx(size(200.0), rel=0.02)


def test_gradient_is_that_of_the_value_and_none_reaches_the_teacher(three_rows):
    logits, y = three_rows
    assert torch.autograd.gradcheck(lambda z: kd(z, y, teacher=TEACHER), logits.clone().requires_grad_())
    teacher = TEACHER.clone().requires_grad_()
    assert not kd(logits, y, teacher=teacher).requires_grad


def test_value_and_gradient_are_finite_for_a_student_and_a_teacher_that_are_sure():
    leaf = torch.tensor([[200.0, -200.0], [-200.0, 200.0]], requires_grad=True)
    value = kd(leaf, torch.tensor([0, 0]), teacher=torch.tensor([[-200.0, 200.0], [200.0, -200.0]]), tau=1.0)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert value.isfinite().all()
    assert gradient.isfinite().all()


def test_the_teacher_may_have_another_precision(three_rows):
    logits, y = three_rows
    assert kd(logits.float(), y, teacher=TEACHER).dtype == torch.float32


def test_learns_from_the_teacher_even_where_the_labels_are_noise():
    X, y = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])
    noise = np.random.default_rng(0).permutation(names[y])
    model = LossClassifier(Loss("kd", alpha=1.0), max_epochs=60, lr=1e-2, random_state=0)
    model.fit(X, noise, teacher=5.0 * np.eye(3)[y])
    assert model.score(X, names[y]) > 0.9


def test_a_missing_teacher_is_asked_for():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(MissingFactError, match=r"loss 'kd' needs 'teacher', .*: fit\(X, y, teacher=\.\.\.\)"):
        LossClassifier("kd").fit(X, y)
