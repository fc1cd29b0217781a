import pytest
import torch
from torch.testing import assert_close

from sklearnloss.reductions.mean import mean

VALUES, WEIGHTS = torch.tensor([3.0, -1.0, 4.0, 2.0]), torch.tensor([0.5, 2.0, 1.0, 0.5])


def test_is_the_mean_of_the_weighted_values():
    assert mean(VALUES, WEIGHTS).item() == pytest.approx((1.5 - 2.0 + 4.0 + 1.0) / 4)


def test_is_the_plain_mean_with_weights_of_one():
    assert_close(mean(VALUES, torch.ones(4)), VALUES.mean())


def test_the_gradient_of_a_value_is_its_weight_over_the_number():
    values = VALUES.clone().requires_grad_()
    mean(values, WEIGHTS).backward()
    assert_close(values.grad, WEIGHTS / 4)


def test_divides_by_the_number_of_rows_and_not_by_their_weight():
    assert_close(mean(VALUES, 2 * WEIGHTS), 2 * mean(VALUES, WEIGHTS))


@pytest.mark.parametrize("size", [1, 5, 10])
def test_batches_average_to_the_weighted_mean_of_all_rows(size):
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(30, generator=generator, dtype=torch.float64)
    weights = torch.rand(30, generator=generator, dtype=torch.float64) ** 4
    weights = weights / weights.mean()  # mean one over the training rows, whatever it is in a batch
    batches = zip(values.split(size), weights.split(size), strict=True)
    estimates = torch.stack([mean(v, w) for v, w in batches])
    assert_close(estimates.mean(), (weights * values).sum() / weights.sum())


@pytest.mark.parametrize("wild", [torch.inf, -torch.inf, torch.nan])
def test_a_value_of_weight_zero_counts_for_nothing(wild):
    values = torch.tensor([1.0, 2.0, wild], requires_grad=True)
    value = mean(values, torch.tensor([1.0, 2.0, 0.0]))
    value.backward()
    assert_close(value.detach(), torch.tensor(5 / 3))
    assert values.grad[:2].tolist() == pytest.approx([1 / 3, 2 / 3])


def test_a_batch_without_weight_is_zero_with_a_valid_gradient():
    values = VALUES.clone().requires_grad_()
    value = mean(values, torch.zeros(4))
    value.backward()
    assert value == 0
    assert (values.grad == 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_the_dtype(dtype):
    assert mean(VALUES.to(dtype), WEIGHTS.to(dtype)).dtype == dtype
