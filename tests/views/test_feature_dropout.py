import pytest
import torch
from torch.testing import assert_close

from sklearnloss import View
from sklearnloss.exceptions import ParameterError
from sklearnloss.views.feature_dropout import feature_dropout


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_leaves_out_the_given_share_of_each_column_independently(seed):
    left_out = (feature_dropout(torch.ones(5000, 2), rng=generator(seed), fraction=0.3) == 0).double()
    assert_close(left_out.mean(0), torch.full((2,), 0.3, dtype=torch.float64), atol=0.03, rtol=0)
    assert torch.corrcoef(left_out.T)[0, 1].abs() < 0.06


def test_what_stays_is_not_scaled():
    X = torch.randn(20, 3, 4)
    seen = feature_dropout(X, rng=generator(), fraction=0.5)
    assert torch.equal(seen[seen != 0], X[seen != 0])


def test_no_share_leaves_rows_as_they_are_even_where_they_are_missing():
    X = torch.tensor([[1.0, torch.nan, torch.inf]])
    assert_close(feature_dropout(X, rng=generator(), fraction=0.0), X, equal_nan=True)


def test_draws_follow_the_generator_and_two_views_differ():
    X, rng = torch.ones(4, 30), generator()
    first, second = feature_dropout(X, rng=rng), feature_dropout(X, rng=rng)
    assert torch.equal(first, feature_dropout(X, rng=generator()))
    assert not torch.equal(first, second)


def test_a_share_of_all_is_refused():
    with pytest.raises(ParameterError, match=r"fraction must be a float in \[0, 1\), got 1"):
        View("feature_dropout", fraction=1).choose()
