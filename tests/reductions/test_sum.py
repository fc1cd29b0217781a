import pytest
import torch
from sklearn.datasets import load_iris
from torch.testing import assert_close

from sklearnloss import LossClassifier
from sklearnloss.reductions.sum import sum as weighted_sum

VALUES, WEIGHTS = torch.tensor([3.0, -1.0, 4.0, 2.0]), torch.tensor([0.5, 2.0, 1.0, 0.5])


def test_is_the_sum_of_the_weighted_values():
    assert weighted_sum(VALUES, WEIGHTS).item() == pytest.approx(1.5 - 2.0 + 4.0 + 1.0)


def test_the_gradient_of_a_value_is_its_weight():
    values = VALUES.clone().requires_grad_()
    weighted_sum(values, WEIGHTS).backward()
    assert_close(values.grad, WEIGHTS)


def test_parts_of_a_batch_add_up():
    parts = weighted_sum(VALUES[:1], WEIGHTS[:1]) + weighted_sum(VALUES[1:], WEIGHTS[1:])
    assert_close(parts, weighted_sum(VALUES, WEIGHTS))


@pytest.mark.parametrize("wild", [torch.inf, -torch.inf, torch.nan])
def test_a_value_of_weight_zero_counts_for_nothing(wild):
    assert weighted_sum(torch.tensor([1.0, 2.0, wild]), torch.tensor([1.0, 2.0, 0.0])) == 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_the_dtype(dtype):
    assert weighted_sum(VALUES.to(dtype), WEIGHTS.to(dtype)).dtype == dtype


def test_trains_as_the_mean_with_a_rate_divided_by_the_batch():
    X, y = load_iris(return_X_y=True)
    fits = [
        LossClassifier(reduction=reduction, lr=lr, optimizer="sgd", batch_size=50, max_epochs=5, random_state=0).fit(
            X, y
        )
        for reduction, lr in (("mean", 0.05), ("sum", 0.001))
    ]
    outputs = [torch.as_tensor(fit.decision_function(X)) for fit in fits]
    assert_close(*outputs, rtol=1e-6, atol=1e-6)
