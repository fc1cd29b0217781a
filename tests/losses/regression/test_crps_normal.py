import numpy as np
import torch
from torch.testing import assert_close

from sklearnloss.functional.columns import normal
from sklearnloss.losses.regression.crps_normal import crps_normal

COLUMNS = torch.randn(6, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.randn(6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_is_the_score_of_the_linked_distribution():
    wanted = normal(COLUMNS, min_scale=0.1).crps(Y.numpy())
    np.testing.assert_allclose(crps_normal(COLUMNS, Y, min_scale=0.1).numpy(), wanted, rtol=1e-10)


def test_equals_the_mean_distance_to_a_draw_less_half_that_between_draws():
    draws = torch.from_numpy(normal(COLUMNS, min_scale=0.1).sample(20_000, random_state=0))
    far = (draws - Y).abs().mean(0)
    apart = (draws[::2] - draws[1::2]).abs().mean(0)
    assert_close(crps_normal(COLUMNS, Y, min_scale=0.1), far - apart / 2, atol=0.03, rtol=0)


def test_is_the_absolute_error_for_a_small_scale():
    sure = torch.stack([COLUMNS[..., 0], torch.full((6, 2), -50.0, dtype=torch.float64)], -1)
    assert_close(crps_normal(sure, Y, min_scale=1e-9), (COLUMNS[..., 0] - Y).abs(), atol=1e-8, rtol=0)


def test_gradients_are_those_of_finite_differences():
    assert torch.autograd.gradcheck(lambda c: crps_normal(c, Y), COLUMNS.clone().requires_grad_())
