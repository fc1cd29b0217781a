import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import LossClassifier
from sklearnloss.losses.multiclass.elr import EarlyLearning


def made(n_samples=3, n_classes=3, **params):
    return EarlyLearning(n_samples=n_samples, n_classes=n_classes, **params).double()


def naive(logits, y, averages, momentum, weight):
    """Return values, gradients and averages after a visit, the averages being constants."""
    values, gradients, after = [], [], []
    for row, label, old in zip(logits.tolist(), y.tolist(), averages, strict=True):
        total = sum(math.exp(z) for z in row)
        p = [math.exp(z) / total for z in row]
        new = [momentum * t + (1 - momentum) * q for t, q in zip(old, p, strict=True)]
        agreement = sum(q * t for q, t in zip(p, new, strict=True))
        values.append(-math.log(p[label]) + weight * math.log(1 - agreement))
        gradients.append(
            [
                q - (j == label) - weight * q * (t - agreement) / (1 - agreement)
                for j, (q, t) in enumerate(zip(p, new, strict=True))
            ]
        )
        after.append(new)
    return (torch.tensor(v, dtype=torch.float64) for v in (values, gradients, after))


@pytest.mark.parametrize("momentum", [0.0, 0.7, 0.9])
@pytest.mark.parametrize("weight", [0.0, 3.0])
def test_equals_the_formula_in_plain_loops_over_three_visits(three_rows, momentum, weight):
    elr = made(momentum=momentum, weight=weight)
    before = [[0.0] * 3] * 3
    for factor in (1.0, -0.5, 1.5):
        leaf = (factor * three_rows[0] + 0.1).requires_grad_()
        value = elr(leaf, three_rows[1], index=torch.arange(3))
        (gradient,) = torch.autograd.grad(value.sum(), leaf)
        values, gradients, after = naive(leaf, three_rows[1], before, momentum, weight)
        assert_close(value.detach(), values)
        assert_close(gradient, gradients)
        assert_close(elr.average, after)
        before = after.tolist()


def test_is_cross_entropy_without_its_weight(three_rows):
    assert_close(made(weight=0.0)(*three_rows, index=torch.arange(3)), F.cross_entropy(*three_rows, reduction="none"))


def test_before_any_visit_it_is_cross_entropy(three_rows):
    assert_close(made().eval()(*three_rows, index=torch.arange(3)), F.cross_entropy(*three_rows, reduction="none"))


def test_a_row_whose_label_contradicts_what_was_thought_of_it_is_hardly_pulled_to_the_label():
    elr = made(1)
    sure = torch.tensor([[3.0, 0.0, 0.0]], dtype=torch.float64)
    for _ in range(20):
        elr(sure, torch.tensor([0]), index=torch.tensor([0]))
    pulls = {}
    for label in (0, 1):
        leaf = sure.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(elr.eval()(leaf, torch.tensor([label]), index=torch.tensor([0])).sum(), leaf)
        pulls[label] = gradient[0]
    plain = torch.softmax(sure, 1)[0] - F.one_hot(torch.tensor(1), 3)
    assert plain[0] > 0.8  # cross entropy takes from the class that was thought
    assert pulls[1][0] < 0.1
    assert pulls[0][0] < 0


def test_in_evaluation_the_gradient_is_that_of_the_value(three_rows):
    logits, y = three_rows
    elr = made()
    elr(logits, y, index=torch.arange(3))
    elr.eval()
    assert torch.autograd.gradcheck(lambda z: elr(z, y, index=torch.arange(3)), logits.clone().requires_grad_())


def test_state_moves_only_in_training_and_only_for_the_rows_given(three_rows):
    logits, y = three_rows
    elr = made(10)
    elr(logits, y, index=torch.tensor([7, 2, 4]))
    wanted = torch.zeros(10, 3, dtype=torch.float64)
    wanted[[7, 2, 4]] = 0.3 * torch.softmax(logits, 1)
    assert_close(elr.average, wanted)
    elr.eval()(3 * logits, y, index=torch.tensor([7, 2, 4]))
    assert_close(elr.average, wanted)
    assert not elr.average.requires_grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("momentum", [0.0, 0.7])
def test_stays_finite_however_sure_a_row_has_been_for_long(momentum, dtype):
    elr = EarlyLearning(n_samples=2, n_classes=3, momentum=momentum).to(dtype)
    leaf = torch.tensor([[200.0, -200.0, 0.0], [-200.0, 200.0, 0.0]], dtype=dtype, requires_grad=True)
    for _ in range(200):
        value = elr(leaf, torch.tensor([0, 0]), index=torch.arange(2))
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert value.isfinite().all()
    assert gradient.isfinite().all()
    assert value[0] >= 3 * math.log(1e-4) - 1e-3


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_learns_by_name_from_wrong_labels_far_better_than_cross_entropy(seed):
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, train_size=600, stratify=y, random_state=seed)
    rng = np.random.default_rng(seed)
    wrong = np.where(rng.random(len(y)) < 0.4, rng.integers(10, size=len(y)), y)

    def score(loss):
        return LossClassifier(loss, max_epochs=40, lr=5e-3, random_state=seed).fit(X, wrong).score(X_test, y_test)

    assert score("elr") > score("cross_entropy") + 0.1


def test_a_fit_keeps_an_average_for_every_row():
    X, y = load_digits(return_X_y=True)
    model = LossClassifier("elr", max_epochs=10, lr=5e-3, random_state=0).fit(X, y)
    (state,) = [value for name, value in model.net_.criterion_.named_buffers() if name.endswith("average")]
    assert state.shape == (len(X), 10)
    np.testing.assert_allclose(state.sum(1), 1 - 0.7**10)
    assert (state.argmax(1).numpy() == y).mean() > 0.95
