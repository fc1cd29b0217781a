import math

import pytest
import torch
from torch.testing import assert_close

from sklearnloss.losses.multiclass.cross_entropy import cross_entropy
from sklearnloss.losses.multiclass.ldr import ldr


def naive(logits, y, lam, margin):
    values = []
    for row, label in zip(logits.tolist(), y.tolist(), strict=True):
        total = sum(math.exp((z - row[label] + margin * (j != label)) / lam) for j, z in enumerate(row))
        values.append(lam * math.log(total / len(row)))
    return torch.tensor(values, dtype=logits.dtype)


@pytest.mark.parametrize("lam", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("margin", [0.0, 1.0, 2.5])
def test_equals_the_formula_in_plain_loops(three_rows, lam, margin):
    logits, y = three_rows
    assert_close(ldr(logits, y, lam=lam, margin=margin), naive(logits, y, lam, margin))


@pytest.mark.parametrize(
    ("lam", "rows"), [(1.0, [-0.691006, 0.195764, -0.928766]), (0.5, [-0.477840, 0.226416, -0.539016])]
)
def test_gives_the_worked_numbers(three_rows, lam, rows):
    assert_close(ldr(*three_rows, lam=lam), torch.tensor(rows, dtype=torch.float64), atol=1e-6, rtol=0)


def test_is_cross_entropy_less_log_k_without_margin_at_temperature_one(three_rows):
    assert_close(ldr(*three_rows, lam=1.0, margin=0.0), cross_entropy(*three_rows) - math.log(3))


def test_tends_to_the_hardest_gap_as_the_temperature_falls(three_rows):
    assert_close(ldr(*three_rows, lam=1e-3), torch.tensor([0.0, 0.5, 0.0], dtype=torch.float64), atol=2e-3, rtol=0)


def test_tends_to_the_mean_gap_as_the_temperature_rises(three_rows):
    wanted = torch.tensor([-1.0, 1 / 6, -5 / 3], dtype=torch.float64)
    assert_close(ldr(*three_rows, lam=1e6), wanted, atol=1e-5, rtol=0)


def test_is_never_below_its_bound():
    generator = torch.Generator().manual_seed(0)
    logits = 50 * torch.randn(200, 7, generator=generator, dtype=torch.float64)
    y = torch.randint(7, (200,), generator=generator)
    assert (ldr(logits, y, lam=2.0) >= -2.0 * math.log(7) - 1e-12).all()
