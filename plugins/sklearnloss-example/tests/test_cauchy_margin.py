import math

import pytest
import torch
from sklearnloss_example import cauchy_margin
from torch.testing import assert_close


@pytest.fixture
def rows():
    logits = torch.tensor([[2.0, 1.5, -1.0], [0.5, 1.0, 0.0], [-1.0, 0.0, 3.0]], dtype=torch.float64)
    return logits, torch.tensor([0, 0, 1])


@pytest.mark.parametrize(("margin", "scale"), [(1.0, 1.0), (2.5, 0.5)])
def test_equals_the_formula_in_plain_loops(rows, margin, scale):
    values = []
    for z, label in zip(rows[0].tolist(), rows[1].tolist(), strict=True):
        short = [max(0.0, margin - z[label] + z[j]) / scale for j in range(3) if j != label]
        values.append(sum(math.log(1 + s * s) for s in short))
    assert_close(cauchy_margin(*rows, margin=margin, scale=scale), torch.tensor(values, dtype=torch.float64))


def test_tends_to_the_squared_hinge_as_the_scale_grows(rows):
    hinge = torch.tensor([0.5**2, 1.5**2 + 0.5**2, 4.0**2], dtype=torch.float64)
    assert_close(1e8 * cauchy_margin(*rows, scale=1e4), hinge, atol=1e-4, rtol=0)


def test_a_hopelessly_wrong_row_pulls_less_than_a_doubtful_one():
    logits = torch.tensor([[0.0, 0.0], [0.0, 100.0]], dtype=torch.float64, requires_grad=True)
    cauchy_margin(logits, torch.tensor([0, 0])).sum().backward()
    doubtful, hopeless = logits.grad.norm(dim=1)
    assert hopeless < 0.1 * doubtful
