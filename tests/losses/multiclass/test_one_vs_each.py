"""What one_vs_each promises beyond the checks that every loss passes."""

import math

import pytest
import torch
import torch.nn.functional as F

from sklearnloss.losses.multiclass.one_vs_each import one_vs_each


def rows(n: int = 40, k: int = 5, seed: int = 0, scale: float = 3.0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(n, k, generator=generator, dtype=torch.float64)
    return logits, torch.randint(k, (n,), generator=generator)


def test_the_worked_number_comes_out() -> None:
    value = one_vs_each(torch.tensor([[2.0, 0.0, 1.0]], dtype=torch.float64), torch.tensor([0]))
    assert value.item() == pytest.approx(0.440190, abs=5e-7)


def test_it_is_the_formula_written_with_loops() -> None:
    logits, y = rows()
    expected = []
    for row, true in zip(logits.tolist(), y.tolist(), strict=True):
        total = 0.0
        for j, score in enumerate(row):
            if j != true:
                total += math.log1p(math.exp(score - row[true]))
        expected.append(total)
    torch.testing.assert_close(one_vs_each(logits, y), torch.tensor(expected, dtype=torch.float64))


def test_with_two_classes_it_is_cross_entropy() -> None:
    logits, y = rows(k=2)
    torch.testing.assert_close(one_vs_each(logits, y), F.cross_entropy(logits, y, reduction="none"))


@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_with_more_classes_it_is_strictly_above_cross_entropy(scale: float) -> None:
    logits, y = rows(scale=scale)
    bound, exact = one_vs_each(logits, y), F.cross_entropy(logits, y, reduction="none")
    assert (bound >= exact).all()
    assert (bound > exact).any()


@pytest.mark.parametrize("k", [2, 3, 10])
def test_equal_scores_cost_log_two_for_each_other_class(k: int) -> None:
    value = one_vs_each(torch.full((1, k), 7.0, dtype=torch.float64), torch.tensor([k - 1]))
    assert value.item() == pytest.approx((k - 1) * math.log(2))


def test_the_gap_to_cross_entropy_vanishes_faster_than_the_loss() -> None:
    ratios = []
    for lead in (2.0, 5.0, 10.0):
        logits, y = torch.tensor([[lead, 0.0, 0.0]], dtype=torch.float64), torch.tensor([0])
        exact = F.cross_entropy(logits, y)
        ratios.append(((one_vs_each(logits, y)[0] - exact) / exact).item())
    assert ratios[0] > ratios[1] > ratios[2] > 0
    assert ratios[2] < 1e-4


def test_a_shift_of_all_scores_changes_nothing() -> None:
    logits, y = rows()
    torch.testing.assert_close(one_vs_each(logits + 50, y), one_vs_each(logits, y))


def test_the_true_class_pays_nothing_for_itself() -> None:
    # trap: a sum over all classes would leave log(2) here
    value = one_vs_each(torch.tensor([[500.0, -500.0, -500.0]], dtype=torch.float64), torch.tensor([0]))
    assert value.item() == 0.0


def test_a_lost_duel_keeps_its_last_digits_in_float64() -> None:
    # trap: torch's softplus is the identity above 20, an error of 1e-10 at 23
    value = one_vs_each(torch.tensor([[0.0, 23.0]], dtype=torch.float64), torch.tensor([0]))
    assert value.item() == pytest.approx(23.0 + math.log1p(math.exp(-23.0)), rel=0, abs=1e-14)


def test_far_behind_it_grows_linearly_with_each_duel() -> None:
    logits = torch.tensor([[-1000.0, 1000.0, 1000.0]], requires_grad=True)
    value = one_vs_each(logits, torch.tensor([0]))
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert value.item() == 4000.0
    torch.testing.assert_close(gradient, torch.tensor([[-2.0, 1.0, 1.0]]))


def test_the_true_log_probabilities_are_stationary() -> None:
    p = torch.tensor([0.6, 0.3, 0.1], dtype=torch.float64)
    logits = p.log().expand(3, 3).clone().requires_grad_()
    (gradient,) = torch.autograd.grad((p * one_vs_each(logits, torch.arange(3))).sum(), logits)
    torch.testing.assert_close(gradient.sum(dim=0), torch.zeros(3, dtype=torch.float64))


def test_gradients_are_right_in_float64() -> None:
    logits, y = rows(n=6, k=4)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: one_vs_each(z, y), logits)
    assert torch.autograd.gradgradcheck(lambda z: one_vs_each(z, y), logits)
