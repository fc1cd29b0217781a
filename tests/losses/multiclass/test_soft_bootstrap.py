import math

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import Loss, LossClassifier
from sklearnloss.losses.multiclass.soft_bootstrap import soft_bootstrap


def naive(logits, y, beta):
    values = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        total = sum(math.exp(z) for z in row)
        p = [math.exp(z) / total for z in row]
        values.append(-sum((beta * (j == label) + (1 - beta) * q) * math.log(q) for j, q in enumerate(p)))
    return torch.tensor(values, dtype=logits.dtype)


@pytest.mark.parametrize("beta", [0.0, 0.5, 0.95, 1.0])
def test_equals_the_formula_in_plain_loops(three_rows, beta):
    assert_close(soft_bootstrap(*three_rows, beta=beta), naive(*three_rows, beta))


def test_is_cross_entropy_where_the_label_has_all(three_rows):
    assert_close(soft_bootstrap(*three_rows, beta=1.0), F.cross_entropy(*three_rows, reduction="none"))


def test_is_the_entropy_where_the_label_has_nothing(three_rows):
    logits, y = three_rows
    wanted = torch.distributions.Categorical(logits=logits).entropy()
    assert_close(soft_bootstrap(logits, y, beta=0.0), wanted)
    assert_close(soft_bootstrap(logits, (y + 1) % 3, beta=0.0), wanted)


def test_equals_cross_entropy_of_torch_with_soft_targets(three_rows):
    logits, y = three_rows
    targets = 0.8 * F.one_hot(y, 3) + 0.2 * torch.softmax(logits, 1)
    assert_close(soft_bootstrap(logits, y, beta=0.8), F.cross_entropy(logits, targets, reduction="none"))


@pytest.mark.parametrize("beta", [0.0, 0.7])
def test_gradient_flows_through_the_target_too(three_rows, beta):
    logits, y = three_rows
    assert torch.autograd.gradcheck(lambda z: soft_bootstrap(z, y, beta=beta), logits.clone().requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_value_and_gradient_are_finite_for_sure_rows_right_or_wrong(dtype):
    leaf = torch.tensor([[200.0, -200.0], [-200.0, 200.0]], dtype=dtype, requires_grad=True)
    value = soft_bootstrap(leaf, torch.tensor([0, 0]), beta=0.5)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert_close(value.detach(), torch.tensor([0.0, 200.0], dtype=dtype))
    assert gradient.isfinite().all()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_learns_by_name_from_wrong_labels_better_than_cross_entropy(seed):
    X, y = load_digits(return_X_y=True)
    X, X_test, y, y_test = train_test_split(X, y, train_size=600, stratify=y, random_state=seed)
    rng = np.random.default_rng(seed)
    wrong = np.where(rng.random(len(y)) < 0.4, rng.integers(10, size=len(y)), y)

    def score(loss):
        return LossClassifier(loss, max_epochs=20, lr=5e-3, random_state=seed).fit(X, wrong).score(X_test, y_test)

    assert score(Loss("soft_bootstrap", beta=0.6)) > score("cross_entropy")
