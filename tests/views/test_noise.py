import pytest
import torch
from torch.testing import assert_close

from sklearnloss import View
from sklearnloss.exceptions import ParameterError
from sklearnloss.views.noise import noise


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_adds_independent_noise_of_mean_zero_and_the_given_deviation(seed):
    added = noise(torch.full((5000, 2), 3.0), rng=generator(seed), sigma=0.5) - 3.0
    assert added.mean(0).abs().max() < 4 * 0.5 / 5000**0.5
    assert added.std(0).tolist() == pytest.approx([0.5, 0.5], rel=0.05)
    assert torch.corrcoef(added.T)[0, 1].abs() < 0.06


def test_the_same_draw_scales_with_the_deviation():
    X = torch.zeros(4, 3)
    assert_close(noise(X, rng=generator(), sigma=2.0), 20 * noise(X, rng=generator(), sigma=0.1))


def test_no_deviation_leaves_rows_as_they_are():
    X = torch.arange(6.0).reshape(2, 3)
    assert torch.equal(noise(X, rng=generator(), sigma=0.0), X)


def test_draws_follow_the_generator_and_two_views_differ():
    X, rng = torch.zeros(4, 3), generator()
    first, second = noise(X, rng=rng), noise(X, rng=rng)
    assert torch.equal(first, noise(X, rng=generator()))
    assert not torch.equal(first, second)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_dtype_and_shape_and_leaves_its_input(dtype):
    X = torch.ones(2, 3, 4, dtype=dtype)
    seen = noise(X, rng=generator())
    assert (seen.dtype, seen.shape) == (dtype, X.shape)
    assert (X == 1).all()


def test_takes_the_deviation_as_a_tensor():
    X = torch.zeros(2, 2)
    assert_close(noise(X, rng=generator(), sigma=torch.tensor(0.3)), noise(X, rng=generator(), sigma=0.3))


def test_a_negative_deviation_is_refused():
    with pytest.raises(ParameterError, match=r"sigma must be a float in \[0, inf\), got -1"):
        View("noise", sigma=-1).choose()


def test_noise_is_in_units_of_each_column_where_they_are_known():
    X, scale = torch.zeros(4, 3), torch.tensor([1.0, 10.0, 0.5])
    assert_close(noise(X, rng=generator(), x_scale=scale), scale * noise(X, rng=generator()))
