import pytest
import torch
from torch.testing import assert_close

from sklearnloss.functional.class_moments import ClassMoments


def rows(n=30, d=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64) + torch.arange(d), torch.arange(n) % 3


def built(classes=4, d=3, momentum=0.9):
    return ClassMoments(classes, d, momentum=momentum).double()


def test_the_first_rows_of_a_class_give_its_moments():
    (x, y), moments = rows(), built()
    moments.update(x, y)
    for c in range(3):
        assert_close(moments.means[c], x[y == c].mean(0))
        assert_close(moments.variances[c], x[y == c].var(0, correction=0))
    assert moments.seen.tolist() == [True, True, True, False]
    assert (moments.means[3] == 0).all()
    assert (moments.variances[3] == 1).all()


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_later_rows_give_the_moments_of_the_mixture(momentum):
    moments = built(momentum=momentum)
    (first, y), (second, _) = rows(), rows(seed=1)
    second = 2 * second + 5
    moments.update(first, y)
    moments.update(second, y)
    for c in range(3):
        a, b = first[y == c], second[y == c]
        mean = momentum * a.mean(0) + (1 - momentum) * b.mean(0)
        square = momentum * a.square().mean(0) + (1 - momentum) * b.square().mean(0)
        assert_close(moments.means[c], mean)
        assert_close(moments.variances[c], square - mean.square())


def test_a_class_without_rows_in_the_batch_stays():
    (x, y), moments = rows(), built()
    moments.update(x, y)
    before = moments.means.clone(), moments.variances.clone()
    moments.update(x[y == 1] + 3, y[y == 1])
    for old, new in zip(before, (moments.means, moments.variances), strict=True):
        assert_close(new[[0, 2, 3]], old[[0, 2, 3]])
    assert (moments.means[1] != before[0][1]).all()


def test_a_weight_of_two_is_the_row_twice_and_one_of_zero_none():
    (x, y), weighted, repeated = rows(9), built(), built()
    weighted.update(x, y, torch.tensor([2.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0]))
    kept = torch.tensor([0, 0, 1, 3, 4, 6, 7])
    repeated.update(x[kept], y[kept])
    assert_close(weighted.means, repeated.means)
    assert_close(weighted.variances, repeated.variances)
    assert torch.equal(weighted.seen, repeated.seen)


def test_one_row_has_no_variance_yet():
    moments = built()
    moments.update(torch.ones(1, 3, dtype=torch.float64), torch.tensor([2]))
    assert (moments.variances[2] == 0).all()


def test_large_means_do_not_cost_the_digits_of_the_variance():
    (x, y), moments = rows(), ClassMoments(4, 3, momentum=0.9)
    for _ in range(3):
        moments.update((x + 1000).float(), y)
    wanted = torch.stack([x[y == c].var(0, correction=0) for c in range(3)])
    assert_close(moments.variances[:3].double(), wanted, rtol=1e-2, atol=1e-3)


def test_an_update_does_not_disturb_a_graph_that_used_the_moments():
    (x, y), moments = rows(), built()
    leaf = x.clone().requires_grad_()
    value = ((leaf - moments.means[y]).square() / moments.variances[y]).sum()
    moments.update(x, y)
    value.backward()
    assert_close(leaf.grad, 2 * x)
