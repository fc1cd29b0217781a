import numpy as np
import pytest
import torch
from sklearn.isotonic import isotonic_regression

from sklearnloss.functional.forecasts import pinball_values
from sklearnloss.functional.noncrossing import WAYS, crossing_margin, isotonic, uncrossed

LEVELS = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
ROWS = torch.tensor([[1.0, 3.0, 2.0], [0.0, -1.0, 2.0], [1.0, 2.0, 3.0]], dtype=torch.float64)
Y = np.array([1.5, 0.0, 2.5])


def drawn(seed, n=200, w=19):
    rng = np.random.default_rng(seed)
    levels = np.arange(1, w + 1) / (w + 1)
    values = rng.normal(size=(n, w)) + rng.choice([0, 5], size=(n, 1)) * levels  # some cross much, some little
    return rng.normal(size=n), torch.from_numpy(values), torch.from_numpy(levels)


def pinball(y, values, levels):
    return pinball_values(y, values.numpy(), levels.numpy()).mean(axis=1)


def test_the_worked_numbers_of_sorting():
    np.testing.assert_allclose(pinball(Y, ROWS, LEVELS), [0.283333, 0.233333, 0.15], atol=1e-6)
    ordered = uncrossed(ROWS, "sort", LEVELS)
    np.testing.assert_allclose(pinball(Y, ordered, LEVELS), [0.15, 0.10, 0.15], atol=1e-6)
    assert pinball(Y, ordered, LEVELS).mean() == pytest.approx(0.133333, abs=1e-6)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("how", ["sort", "isotonic"])
def test_sorting_and_pooling_never_raise_the_pinball_loss_of_a_row(how, seed):
    y, values, levels = drawn(seed)
    after = pinball(y, uncrossed(values, how, levels), levels)
    assert (after <= pinball(y, values, levels) + 1e-12).all()


@pytest.mark.parametrize("how", sorted(WAYS))
def test_nothing_crosses_afterwards_and_what_did_not_cross_stays_to_the_bit(how):
    _, values, levels = drawn(0)
    ordered = uncrossed(values, how, levels)
    assert (ordered.diff(dim=-1) >= 0).all()
    assert torch.equal(uncrossed(ordered, how, levels), ordered)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_pooling_is_the_isotonic_regression_of_scikit_learn(seed):
    _, values, _ = drawn(seed, w=12)
    expected = [isotonic_regression(row) for row in values.numpy()]
    np.testing.assert_allclose(isotonic(values).numpy(), expected, atol=1e-12)


def test_running_extremes_keep_the_median():
    values = torch.tensor([[3.0, 1.0, 2.0, 1.0, 5.0]])
    levels = torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9])
    assert uncrossed(values, "minmax", levels).tolist() == [[1.0, 1.0, 2.0, 2.0, 5.0]]


@pytest.mark.parametrize("how", sorted(WAYS))
def test_gradients_are_those_of_differences(how):
    _, values, levels = drawn(0, n=6, w=5)
    assert torch.autograd.gradcheck(lambda v: uncrossed(v, how, levels), values.requires_grad_())


@pytest.mark.parametrize("how", sorted(WAYS))
def test_leading_axes_and_single_levels_are_taken(how):
    _, values, levels = drawn(0, n=12, w=5)
    stacked = uncrossed(values.reshape(3, 4, 5), how, levels)
    assert torch.equal(stacked.reshape(12, 5), uncrossed(values, how, levels))
    assert torch.equal(uncrossed(values[:, :1], how, levels[:1]), values[:, :1])


def test_the_margin_of_pairs_is_the_formula_written_with_loops():
    _, values, levels = drawn(0, n=4, w=4)
    expected = [
        np.mean([max(0.0, row[i] - row[j] + 0.3 * (levels[j] - levels[i])) for i in range(4) for j in range(i + 1, 4)])
        for row in values.numpy()
    ]
    np.testing.assert_allclose(crossing_margin(values, levels, 0.3), expected)
    assert crossing_margin(values[:, :1], levels[:1], 0.3).tolist() == [0.0] * 4
