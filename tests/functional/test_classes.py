import pytest
import torch
from torch.testing import assert_close

from sklearnloss.functional.classes import place_in_class, sums_of_classes


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_place_in_a_class_counts_the_rows_before(seed):
    y = torch.randint(5, (40,), generator=torch.Generator().manual_seed(seed))
    expected = [sum(int(y[j] == y[i]) for j in range(i)) for i in range(len(y))]
    assert place_in_class(y).tolist() == expected


def test_sums_are_those_of_plain_loops_and_carry_gradients():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(8, 3, dtype=torch.float64, generator=generator)
    y = torch.tensor([4, 0, 4, 9, 0, 4, 9, 9])
    weights = torch.rand(8, dtype=torch.float64, generator=generator)
    sums, totals, codes = sums_of_classes(x, y, weights)
    for row, label in enumerate((0, 4, 9)):
        mine = [i for i in range(8) if y[i] == label]
        assert_close(sums[row], sum(weights[i] * x[i] for i in mine))
        assert_close(totals[row], sum(weights[i] for i in mine))
        assert codes[mine].tolist() == [row] * len(mine)
    assert torch.autograd.gradcheck(lambda x: sums_of_classes(x, y, weights)[0], x.requires_grad_())
