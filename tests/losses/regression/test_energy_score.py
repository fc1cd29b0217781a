import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.regression.afcrps import afcrps
from sklearnloss.losses.regression.energy_score import energy_score

COLUMNS = torch.randn(6, 2, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.randn(6, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("fair", [False, True])
def test_equals_the_formula_in_plain_loops(fair):
    wanted = []
    for members, y in zip(COLUMNS, Y, strict=True):
        x = list(members.T)
        far = sum((a - y).norm() for a in x) / 5
        apart = sum((a - b).norm() for a in x for b in x)
        wanted.append(far - apart / (2 * 5 * (4 if fair else 5)))
    assert_close(energy_score(COLUMNS, Y, fair=fair), torch.stack(wanted))


@pytest.mark.parametrize(("fair", "alpha"), [(False, 0.0), (True, 1.0)])
def test_of_one_target_is_the_ranked_probability_score(fair, alpha):
    one, y = COLUMNS[:, :1], Y[:, :1]
    assert_close(energy_score(one, y, fair=fair), afcrps(one, y, alpha=alpha)[:, 0])


def test_members_that_go_together_as_the_targets_do_score_better():
    generator = torch.Generator().manual_seed(0)
    common = torch.randn(20_000, 1, generator=generator)
    y = common.expand(-1, 2)
    together = torch.randn(20_000, 1, 6, generator=generator).expand(-1, 2, -1)
    apart = torch.randn(20_000, 2, 6, generator=generator)
    assert energy_score(together, y).mean() < energy_score(apart, y).mean() - 0.02


def test_members_that_coincide_have_a_finite_gradient():
    members = torch.zeros(1, 2, 4, requires_grad=True)
    energy_score(members, torch.zeros(1, 2)).sum().backward()
    assert (members.grad == 0).all()
