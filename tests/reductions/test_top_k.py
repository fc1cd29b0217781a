import math

import pytest
import torch
from sklearn.datasets import load_iris
from torch.testing import assert_close

from sklearnloss import LossClassifier, Reduction
from sklearnloss.exceptions import ParameterError
from sklearnloss.reductions.cvar import cvar
from sklearnloss.reductions.mean import mean
from sklearnloss.reductions.top_k import top_k

VALUES = torch.tensor([3.0, -1.0, 4.0, 2.0, 0.5], dtype=torch.float64)
WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 0.25, 1.25], dtype=torch.float64)


def in_loops(values, weights, k):
    order = sorted(range(len(values)), key=lambda i: -values[i])[:k]
    return sum(values[i] * weights[i] for i in order) / k


@pytest.mark.parametrize("k", [1, 2, 4, 5])
def test_is_the_mean_of_the_largest_weighted_values(k):
    assert top_k(VALUES, WEIGHTS, k=k).item() == pytest.approx(in_loops(VALUES.tolist(), WEIGHTS.tolist(), k))


@pytest.mark.parametrize(
    ("fraction", "n", "kept"), [(0.5, 5, 3), (0.1, 30, 3), (0.01, 5, 1), (1.0, 7, 7), (0.3, 10, 3)]
)
def test_a_share_is_rounded_up_to_whole_rows(fraction, n, kept):
    values = torch.arange(n, dtype=torch.float64)
    expected = sum(range(n - kept, n)) / kept
    assert top_k(values, torch.ones_like(values), fraction=fraction).item() == pytest.approx(expected)


def test_rows_are_ordered_by_value_and_not_by_weight():
    assert top_k(torch.tensor([3.0, 2.0]), torch.tensor([0.1, 1.9]), k=1).item() == pytest.approx(0.3)


@pytest.mark.parametrize("params", [{"fraction": 1.0}, {"k": 5}, {"k": 100}])
def test_all_rows_are_the_mean(params):
    assert_close(top_k(VALUES, WEIGHTS, **params), mean(VALUES, WEIGHTS))


def test_one_row_is_the_largest_value():
    assert top_k(VALUES, torch.ones_like(VALUES), k=1) == 4


@pytest.mark.parametrize("k", [1, 2, 3])
def test_agrees_with_cvar_where_the_share_is_whole_rows(k):
    ones = torch.ones_like(VALUES)
    assert_close(top_k(VALUES, ones, k=k), cvar(VALUES, ones, beta=1 - k / 5))


def test_only_the_rows_that_are_kept_have_a_gradient():
    values = VALUES.clone().requires_grad_()
    top_k(values, WEIGHTS, k=2).backward()
    assert values.grad.tolist() == [0.25, 0, 0.5, 0, 0]


@pytest.mark.parametrize("wild", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("k", [1, 3, 4])
def test_a_value_of_weight_zero_counts_for_nothing(wild, k):
    values = torch.tensor([1.0, 2.0, wild, 3.0], requires_grad=True)
    value = top_k(values, torch.tensor([1.0, 1.0, 0.0, 1.0]), k=k)
    value.backward()
    assert value.item() == pytest.approx(sum([3.0, 2.0, 1.0][:k]) / k)
    assert torch.isfinite(values.grad[[0, 1, 3]]).all()


def test_a_batch_without_weight_is_zero_with_a_valid_gradient():
    values = VALUES.clone().requires_grad_()
    value = top_k(values, torch.zeros_like(VALUES))
    value.backward()
    assert value == 0
    assert (values.grad == 0).all()


def test_the_gradient_is_that_of_the_value():
    values = VALUES.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: top_k(v, WEIGHTS, k=3), values)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_the_dtype(dtype):
    assert top_k(VALUES.to(dtype), WEIGHTS.to(dtype)).dtype == dtype


@pytest.mark.parametrize(("params", "words"), [({"fraction": 0.0}, r"\(0, 1\]"), ({"k": 0}, r"\[1, inf\)")])
def test_values_out_of_range_are_refused(params, words):
    with pytest.raises(ParameterError, match=words):
        Reduction("top_k", **params).choose()


@pytest.mark.parametrize("reduction", ["top_k", Reduction("top_k", k=8)])
def test_trains_by_name(reduction):
    X, y = load_iris(return_X_y=True)
    assert LossClassifier(reduction=reduction, max_epochs=60, random_state=0).fit(X, y).score(X, y) > 0.9
