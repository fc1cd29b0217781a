import pytest
import torch
from torch.testing import assert_close

from sklearnloss.functional.effective_number import effective_weights


def numbers(*values):
    return torch.tensor(values, dtype=torch.float64)


def summing_to_k(weights):
    return weights * len(weights) / weights.sum()


def test_gives_the_worked_numbers():
    weights = effective_weights(numbers(100, 50, 10), 0.999)
    assert_close(summing_to_k(weights), numbers(0.239714, 0.467731, 2.292555), atol=1e-6, rtol=0)


def test_a_beta_for_each_class_gives_the_worked_numbers():
    weights = effective_weights(numbers(100, 50, 10), numbers(0.9999, 0.9944, 0.99))
    assert_close(summing_to_k(weights), numbers(0.219252, 0.499060, 2.281688), atol=1e-6, rtol=0)


@pytest.mark.parametrize("beta", [0.0, 0.3, 0.9, 0.9999])
def test_is_the_inverse_of_a_geometric_sum(beta):
    counts = [7, 2, 1]
    inverse = [1 / sum(beta**i for i in range(n)) for n in counts]
    mean = sum(n * w for n, w in zip(counts, inverse, strict=True)) / sum(counts)
    assert_close(effective_weights(numbers(*counts), beta), numbers(*inverse) / mean)


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.99999])
def test_the_mean_over_the_rows_is_one(beta):
    counts = numbers(900, 0, 40, 3)
    assert_close((counts * effective_weights(counts, beta)).sum() / counts.sum(), torch.ones((), dtype=torch.float64))


def test_beta_zero_weighs_all_classes_alike():
    assert_close(effective_weights(numbers(900, 3), 0.0), numbers(1, 1))


def test_beta_near_one_gives_the_inverse_of_the_counts():
    counts = numbers(100, 50, 10)
    assert_close(effective_weights(counts, 1 - 1e-10), counts.sum() / (3 * counts), rtol=1e-6, atol=0)


def test_a_class_without_rows_counts_as_the_rarest_that_has_any():
    weights = effective_weights(numbers(100, 0, 5), 0.99)
    assert weights[1] == weights[2]
    assert_close(weights[[0, 2]], effective_weights(numbers(100, 5), 0.99))


def test_counts_in_single_precision_stay_in_it():
    weights = effective_weights(torch.tensor([1000.0, 1.0]), 0.9999)
    assert weights.dtype == torch.float32
    assert_close(weights.double(), effective_weights(numbers(1000, 1), 0.9999), rtol=1e-3, atol=0)
