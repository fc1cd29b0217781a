import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.regression.pseudo_huber import pseudo_huber

GAPS = torch.tensor([-7.0, -2.0, -0.3, 0.0, 0.2, 1.5, 40.0], dtype=torch.float64)


def test_gives_the_worked_number():
    values = pseudo_huber(
        torch.tensor([[3.0, 4.0]], dtype=torch.float64), torch.zeros(1, 2, dtype=torch.float64), c=0.1
    )
    assert_close(values, torch.tensor([4.9009999], dtype=torch.float64), rtol=0, atol=1e-6)


def own(c):
    return pseudo_huber(GAPS[:, None], torch.zeros(7, 1, dtype=torch.float64), c=c)


def test_tends_to_the_length_and_to_the_square():
    assert_close(own(1e-12), GAPS.abs())
    assert_close(own(1e6), GAPS.square() / 2e6, rtol=1e-6, atol=1e-12)


def test_each_target_may_have_its_own_gap():
    prediction = torch.tensor([[3.0, 4.0]], dtype=torch.float64)
    apart = pseudo_huber(prediction, torch.zeros_like(prediction), joint=False)
    alone = [float(pseudo_huber(p[:, None], torch.zeros(1, 1))) for p in prediction[0].split(1)]
    assert apart.tolist() == [pytest.approx(alone)]


def test_no_row_pulls_harder_than_one_and_none_at_the_target():
    prediction = torch.cat(
        [torch.zeros(1, 3), 1e3 * torch.randn(5, 3, generator=torch.Generator().manual_seed(0))]
    ).requires_grad_()
    pseudo_huber(prediction, torch.zeros(6, 3), c=0.1).sum().backward()
    assert (prediction.grad.norm(dim=1) <= 1 + 1e-6).all()
    assert (prediction.grad[0] == 0).all()
