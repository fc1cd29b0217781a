import math

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import brier_score_loss
from torch.nn import functional as F
from torch.testing import assert_close

from sklearnloss import LossClassifier
from sklearnloss.losses.multiclass.brier import brier


def naive(logits, y):
    values = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        total = sum(math.exp(z) for z in row)
        values.append(sum((math.exp(z) / total - (j == label)) ** 2 for j, z in enumerate(row)))
    return torch.tensor(values, dtype=logits.dtype)


def test_equals_the_formula_in_plain_loops(three_rows):
    assert_close(brier(*three_rows), naive(*three_rows))


def test_the_mean_is_the_brier_score_of_scikit_learn(three_rows):
    logits, y = three_rows
    wanted = brier_score_loss(y.numpy(), torch.softmax(logits, 1).numpy(), labels=[0, 1, 2], scale_by_half=False)
    assert brier(logits, y).mean().item() == pytest.approx(wanted)


def test_two_classes_give_twice_the_squared_error():
    logits = torch.tensor([[0.3, -1.0], [2.0, 2.5]], dtype=torch.float64)
    p = torch.softmax(logits, 1)[:, 1]
    assert_close(brier(logits, torch.tensor([1, 1])), 2 * (1 - p) ** 2)


def test_the_expected_loss_exceeds_its_minimum_by_the_squared_distance_from_the_truth():
    truth = torch.tensor([0.1, 0.2, 0.7], dtype=torch.float64)

    def expected(p):
        return (truth * brier(p.log().expand(3, 3), torch.arange(3))).sum()

    for p in (truth, torch.tensor([0.3, 0.3, 0.4]), torch.tensor([0.05, 0.05, 0.9])):
        p = p.double()
        assert_close(expected(p) - expected(truth), (p - truth).square().sum())


def test_sure_rows_cost_nothing_or_two():
    assert_close(brier(torch.tensor([[50.0, 0.0], [0.0, 50.0]]), torch.tensor([0, 0])), torch.tensor([0.0, 2.0]))


def test_gradient_is_that_of_the_value(three_rows):
    logits, y = three_rows
    assert torch.autograd.gradcheck(lambda z: brier(z, y), logits.clone().requires_grad_())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_value_and_gradient_are_finite_for_large_scores(dtype):
    leaf = torch.tensor([[200.0, -200.0, 0.0], [-200.0, 200.0, 0.0]], dtype=dtype, requires_grad=True)
    value = brier(leaf, torch.tensor([0, 2]))
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    assert value.dtype == dtype
    assert_close(value.detach(), torch.tensor([0.0, 2.0], dtype=dtype))
    assert gradient.isfinite().all()


def test_an_almost_sure_row_keeps_its_digits():
    value = brier(torch.tensor([[40.0, 0.0]], dtype=torch.float64), torch.tensor([0]))
    assert_close(value, torch.tensor([2 * math.exp(-80)], dtype=torch.float64), rtol=1e-12, atol=0)


def test_estimates_the_shares_of_classes_that_cannot_be_told_apart():
    y = torch.repeat_interleave(torch.arange(3), torch.tensor([20, 50, 30])).numpy()
    X = torch.ones(100, 1).numpy()
    model = LossClassifier("brier", hidden_layer_sizes=(), max_epochs=300, lr=0.05, batch_size=100, random_state=0)
    assert model.fit(X, y).predict_proba(X[:1])[0] == pytest.approx([0.2, 0.5, 0.3], abs=1e-3)


def test_learns_by_name():
    X, y = load_digits(return_X_y=True)
    assert LossClassifier("brier", max_epochs=10, lr=5e-3, random_state=0).fit(X, y).score(X, y) > 0.95


def test_labels_as_one_hot_rows_give_the_squared_distance(three_rows):
    logits, y = three_rows
    assert_close(
        brier(logits, y), F.mse_loss(torch.softmax(logits, 1), F.one_hot(y, 3).double(), reduction="none").sum(1)
    )
