import pytest
import torch
from sklearn.metrics import f1_score, jaccard_score
from torch.testing import assert_close

from sklearnloss.functional.overlap import dice_of_batch, dice_of_row, mean_of_present, self_adjusted, tversky_of_batch

P = torch.tensor([0.9, 0.2, 0.6], dtype=torch.float64)
T = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)
ONES = torch.ones(3, dtype=torch.float64)


def adjusted(gamma):
    return self_adjusted(P, 1 - P, gamma, detach=True)


@pytest.mark.parametrize(("gamma", "value"), [(0.0, 0.1183319), (1.0, 0.3042078)])
def test_the_form_of_rows_gives_the_worked_numbers(gamma, value):
    assert (1 - dice_of_row(adjusted(gamma), T, 1.0)).mean().item() == pytest.approx(value, abs=1e-7)


@pytest.mark.parametrize(("gamma", "value"), [(0.0, 0.1891841), (1.0, 0.7349102)])
def test_the_form_of_a_batch_gives_the_worked_numbers(gamma, value):
    # of sums over three rows 1e-4 is added, of means a third of it
    assert 1 - dice_of_batch(adjusted(gamma), T, ONES, 1e-4 / 3).item() == pytest.approx(value, abs=1e-7)


def test_the_two_forms_differ():
    assert abs(dice_of_row(P, T, 1.0).mean() - dice_of_batch(P, T, ONES, 1.0)) > 0.01


@pytest.mark.parametrize("squared", [False, True])
def test_perfect_predictions_overlap_fully_whatever_is_added(squared):
    for smooth in (0.5, 1.0):
        assert_close(dice_of_row(T, T, smooth, squared=squared), ONES)
        assert dice_of_batch(T, T, ONES, smooth, squared=squared).item() == pytest.approx(1)
        assert tversky_of_batch(T, 1 - T, T, ONES, smooth, false_pos=0.3, false_neg=0.7).item() == pytest.approx(1)


@pytest.mark.parametrize("squared", [False, True])
def test_of_decisions_dice_is_the_f1_score_and_tversky_the_jaccard_index_of_scikit_learn(squared):
    generator = torch.Generator().manual_seed(0)
    y, found = (torch.randint(2, (200,), generator=generator).double() for _ in range(2))
    weight = torch.rand(200, generator=generator, dtype=torch.float64)
    got = dice_of_batch(found, y, weight, 0.0, squared=squared).item()
    assert got == pytest.approx(f1_score(y, found, sample_weight=weight))
    got = tversky_of_batch(found, 1 - found, y, weight, 0.0, false_pos=1.0, false_neg=1.0).item()
    assert got == pytest.approx(jaccard_score(y, found, sample_weight=weight))


@pytest.mark.parametrize("smooth", [0.0, 0.05])
def test_tversky_at_halves_is_dice_with_twice_as_much_added(smooth):
    got = tversky_of_batch(P, 1 - P, T, ONES, smooth, false_pos=0.5, false_neg=0.5)
    assert_close(got, dice_of_batch(P, T, ONES, 2 * smooth))


def test_columns_are_apart_and_weights_count_rows():
    p, t = torch.stack([P, 1 - P], 1), torch.stack([T, 1 - T], 1)
    weight = torch.tensor([2.0, 1.0, 3.0], dtype=torch.float64)
    got = dice_of_batch(p, t, weight, 0.01)
    assert_close(got[1], dice_of_batch(1 - P, 1 - T, weight, 0.01))
    times = torch.tensor([0, 0, 1, 2, 2, 2])
    assert_close(got, dice_of_batch(p[times], t[times], torch.ones(6, dtype=torch.float64), 0.01))


def test_where_there_is_neither_label_nor_probability_there_is_no_overlap_and_no_gradient_is_lost():
    leaf = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    value = dice_of_batch(leaf, torch.zeros(3, dtype=torch.float64), ONES, 0.0)
    (gradient,) = torch.autograd.grad(value, leaf)
    assert value.item() == 0
    assert gradient.isfinite().all()


@pytest.mark.parametrize("gamma", [0.01, 0.5, 1.0])
def test_the_focusing_weight_is_a_constant_if_detached(gamma):
    leaf = P.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(self_adjusted(leaf, 1 - leaf, gamma, detach=True).sum(), leaf)
    assert_close(gradient, (1 - P) ** gamma)
    assert torch.autograd.gradcheck(lambda p: self_adjusted(p, 1 - p, gamma, detach=False), leaf)


def test_the_slope_of_a_small_power_is_finite_at_certainty():
    leaf = torch.tensor([1.0], requires_grad=True)
    (gradient,) = torch.autograd.grad(self_adjusted(leaf, 1 - leaf, 0.01, detach=False).sum(), leaf)
    assert gradient.isfinite().all()


def test_the_mean_is_over_columns_with_a_label_in_a_row_that_weighs():
    t = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    values = torch.tensor([0.2, 0.6, 9.0])
    assert mean_of_present(values, t, torch.ones(3)).item() == pytest.approx(0.4)
    assert mean_of_present(values, t, torch.tensor([1.0, 0.0, 1.0])).item() == pytest.approx(0.2)
