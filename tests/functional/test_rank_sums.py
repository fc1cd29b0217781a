"""Sums of hinges by one sort against the same sums over all pairs."""

import pytest
import torch
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from sklearnloss.functional import rank_sums
from sklearnloss.functional.rank_sums import falling, hinge_pairs, hinge_sums, running, running_pairs

SHAPES = {"one problem": (), "three problems": (3,)}


def over_pairs(u, v, w, power):
    gap = v[..., None, :] - u[..., :, None]
    terms = (gap > 0).to(gap.dtype) if power == 0 else gap.relu() ** power
    return (terms * w[..., None, :]).sum(-1)


def numbers(shape=(), m=7, n=9, offset=0.0, seed=0, ties=True):
    """Return u and v, equal ones among them, and two weightings of v with some zeros."""
    generator = torch.Generator().manual_seed(seed)
    u, v = (torch.randn(*shape, k, generator=generator, dtype=torch.float64) for k in (m, n))
    if ties:
        u, v = (2 * u).round() / 2, (2 * v).round() / 2
    w = torch.rand(2, *shape, n, generator=generator, dtype=torch.float64)
    w[..., ::3] = 0
    return (u + offset).requires_grad_(), (v + offset).requires_grad_(), w.requires_grad_()


def slopes(sums, inputs, seed=3):
    g = torch.randn(sums.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.autograd.grad((g * sums).sum(), inputs, materialize_grads=True)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("power", [0, 1, 2])
def test_equals_the_sum_over_all_pairs(power, shape, offset):
    inputs = numbers(shape, offset=offset)
    found, wanted = hinge_sums(*inputs, power=power), over_pairs(*inputs, power)
    assert_close(found, wanted, rtol=1e-13, atol=1e-13)
    assert_close(slopes(found, inputs), slopes(wanted, inputs), rtol=1e-13, atol=1e-12)


@pytest.mark.parametrize("power", [0, 1, 2])
def test_equals_a_loop(power):
    u, v, w = (t.detach() for t in numbers())
    wanted = [
        [
            sum(b * ((y > x) if power == 0 else max(y - x, 0.0) ** power) for y, b in zip(v.tolist(), row, strict=True))
            for x in u.tolist()
        ]
        for row in w.tolist()
    ]
    assert_close(hinge_sums(u, v, w, power=power), torch.tensor(wanted, dtype=torch.float64))


@pytest.mark.parametrize("power", [0, 1, 2])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_written_gradient_is_that_of_the_running_sums(shape, power, monkeypatch):
    inputs = numbers(shape)
    ours = hinge_sums(*inputs, power=power)
    monkeypatch.setattr(rank_sums._HingeSums, "apply", running)
    plain = hinge_sums(*inputs, power=power)
    assert_close(ours, plain)
    assert_close(slopes(ours, inputs), slopes(plain, inputs))


def test_a_number_is_not_above_its_equal():
    u = torch.tensor([1.0, 2.0, 1.0], dtype=torch.float64, requires_grad=True)
    v, w = u.detach().clone().requires_grad_(), torch.ones(3, dtype=torch.float64)
    assert hinge_sums(u, v, w, power=0).tolist() == [1, 0, 1]
    hinge_sums(u, v, w, power=1).sum().backward()
    assert u.grad.tolist() == [-1, 0, -1]
    assert v.grad.tolist() == [0, 2, 0]


def test_numbers_in_the_right_order_have_neither_sum_nor_gradient():
    u = torch.linspace(2.1, 5, 40, dtype=torch.float64).requires_grad_()
    v = torch.linspace(-3, 2, 50, dtype=torch.float64).requires_grad_()
    sums = hinge_sums(u, v, torch.rand(50, dtype=torch.float64), power=2)
    sums.sum().backward()
    assert (sums == 0).all()
    assert (u.grad == 0).all()
    assert (v.grad == 0).all()


@pytest.mark.parametrize("power", [0, 1, 2])
def test_the_transpose_is_the_sum_itself_on_negative_numbers(power):
    u, v, w = (t.detach() for t in numbers())
    g = torch.linspace(-1, 1, 7, dtype=torch.float64)
    assert_close((g * hinge_sums(u, v, w[0], power=power)).sum(), (w[0] * hinge_sums(-v, -u, g, power=power)).sum())


@pytest.mark.parametrize(("m", "n"), [(0, 3), (3, 0), (1, 1), (0, 0)])
def test_takes_short_lists(m, n):
    u, v = torch.arange(m, dtype=torch.float64).requires_grad_(), torch.arange(n, dtype=torch.float64) + 2
    sums = hinge_sums(u, v, torch.ones(n), power=2)
    assert_close(sums, over_pairs(u, v, torch.ones(n, dtype=torch.float64), 2))
    (gradient,) = torch.autograd.grad(sums.sum(), u)
    assert gradient.shape == (m,)


def test_single_precision_far_from_zero_loses_nothing():
    generator = torch.Generator().manual_seed(0)
    u, v = (1000 + torch.randn(k, generator=generator) for k in (300, 400))
    w = torch.full((400,), 1 / 400)
    u.requires_grad_()
    exact = u.detach().double().requires_grad_()
    found, wanted = hinge_sums(u, v, w, power=2), over_pairs(exact, v.double(), w.double(), 2)
    assert_close(found, wanted, rtol=1e-10, atol=1e-10)
    (ours,) = torch.autograd.grad(found.mean(), u)
    (theirs,) = torch.autograd.grad(wanted.mean(), exact)
    assert_close(ours.double(), theirs, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("power", [1, 2])
def test_has_first_and_second_derivatives(power):
    inputs = numbers(m=4, n=5, ties=False)
    assert torch.autograd.gradcheck(lambda *given: hinge_sums(*given, power=power), inputs)
    assert torch.autograd.gradgradcheck(lambda *given: hinge_sums(*given, power=power), inputs)


def test_has_second_derivatives_where_only_one_input_moves():
    u, v, w = (t.detach() for t in numbers(ties=False))
    u.requires_grad_()
    (first,) = torch.autograd.grad(hinge_sums(u, v, w[0], power=2).sum(), u, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), u)
    assert_close(second, 2 * hinge_sums(u.detach(), v, w[0], power=0))


@pytest.mark.parametrize("power", [0, 1, 2])
def test_vmap_equals_a_loop(power):
    _, v, w = (t.detach() for t in numbers())
    stack = torch.randn(3, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)

    def total(u):
        return hinge_sums(u, v, w, power=power).sum()

    assert_close(torch.func.vmap(total)(stack), torch.stack([total(u) for u in stack]))
    if power:
        leaf = stack.clone().requires_grad_()
        wanted = torch.autograd.grad(sum(total(u) for u in leaf), leaf)[0]
        assert_close(torch.func.vmap(torch.func.grad(total))(stack), wanted)


# -- one list of two kinds --------------------------------------------------------------------------------------------


def two_kinds(shape=(), n=12, offset=0.0, seed=0, ties=True):
    """Return numbers, equal ones among them, and their weights as one kind or the other, or as none."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(*shape, n, generator=generator, dtype=torch.float64)
    weight = torch.rand(*shape, n, generator=generator, dtype=torch.float64)
    kind = torch.randint(3, (*shape, n), generator=generator)
    return ((2 * x).round() / 2 if ties else x).add(offset).requires_grad_(), weight * (kind == 0), weight * (kind == 1)


@pytest.mark.parametrize("offset", [0.0, 1000.0])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("seed", range(3))
def test_pairs_of_two_kinds_equal_the_sum_over_all_pairs(power, shape, offset, seed):
    x, a, b = two_kinds(shape, offset=offset, seed=seed)
    found, wanted = hinge_pairs(x, a, b, power=power), (a * over_pairs(x, x, b, power)).sum(-1)
    assert_close(found, wanted, rtol=1e-13, atol=1e-13)
    assert_close(slopes(found, (x,)), slopes(wanted, (x,)), rtol=1e-13, atol=1e-12)


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_written_gradient_of_pairs_is_that_of_the_running_sums(shape, power, monkeypatch):
    x, a, b = two_kinds(shape)
    ours = hinge_pairs(x, a, b, power=power)
    monkeypatch.setattr(rank_sums._HingePairs, "apply", running_pairs)
    plain = hinge_pairs(x, a, b, power=power)
    assert_close(ours, plain)
    assert_close(slopes(ours, (x,)), slopes(plain, (x,)))


def test_of_two_equal_numbers_neither_is_above_whatever_their_order():
    x = torch.ones(4, dtype=torch.float64, requires_grad=True)
    for kinds in ([1.0, 0, 1, 0], [0.0, 1, 0, 1], [1.0, 1, 0, 0], [0.0, 0, 1, 1]):
        a = torch.tensor(kinds, dtype=torch.float64)
        value = hinge_pairs(x, a, 1 - a, power=1)
        assert value == 0
        assert (torch.autograd.grad(value, x)[0] == 0).all()


def test_pairs_in_the_right_order_have_neither_sum_nor_gradient():
    x = torch.cat([torch.linspace(2.1, 5, 40), torch.linspace(-3, 2, 50)]).double().requires_grad_()
    a = (torch.arange(90) < 40).double()
    for power in (1, 2):
        value = hinge_pairs(x, a, 1 - a, power=power)
        assert value == 0
        assert (torch.autograd.grad(value, x)[0] == 0).all()


@pytest.mark.parametrize("power", [1, 2])
def test_pairs_have_first_and_second_derivatives(power):
    x, a, b = two_kinds(n=8, ties=False)
    assert torch.autograd.gradcheck(lambda x: hinge_pairs(x, a, b, power=power), x)
    assert torch.autograd.gradgradcheck(lambda x: hinge_pairs(x, a, b, power=power), x)


@pytest.mark.parametrize("power", [1, 2])
def test_vmap_of_pairs_equals_a_loop(power):
    _, a, b = two_kinds()
    stack = torch.stack([two_kinds(seed=seed)[0].detach() for seed in (1, 2, 3)])

    def total(x):
        return hinge_pairs(x, a, b, power=power)

    assert_close(torch.func.vmap(total)(stack), torch.stack([total(x) for x in stack]))
    leaf = stack.clone().requires_grad_()
    wanted = torch.autograd.grad(sum(total(x) for x in leaf), leaf)[0]
    assert_close(torch.func.vmap(torch.func.grad(total))(stack), wanted)


@pytest.mark.parametrize("n", [0, 1])
def test_pairs_take_short_lists(n):
    x = torch.zeros(n, requires_grad=True)
    value = hinge_pairs(x, torch.ones(n), torch.zeros(n), power=2)
    assert value == 0
    assert torch.autograd.grad(value, x)[0].shape == (n,)


def test_pairs_without_a_gradient_make_none():
    x, a, b = two_kinds()
    assert not hinge_pairs(x.detach(), a, b, power=2).requires_grad


# -- memory -----------------------------------------------------------------------------------------------------------


class Largest(TorchDispatchMode):
    """Remembers the most entries of a tensor that an operation made."""

    entries = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.entries = max(self.entries, tensor.numel())
        return result


def test_makes_no_array_of_pairs():
    u, v, w = numbers(m=500, n=700)
    with Largest() as largest:
        hinge_sums(u, v, w, power=2).sum().backward()
    assert largest.entries == 2 * (500 + 700)
    x, a, b = two_kinds(n=900)
    with Largest() as largest:
        hinge_pairs(x, a, b, power=2).backward()
    assert largest.entries == 900


# -- the order --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_order_falls_with_what_is_no_number_first(shape, dtype):
    numbers = torch.randn(*shape, 50, generator=torch.Generator().manual_seed(0)).to(dtype)
    numbers[..., 3], numbers[..., 5] = torch.inf, -torch.inf
    assert_close(falling(numbers), numbers.argsort(dim=-1, descending=True))
    numbers[..., 7] = torch.nan
    assert falling(numbers)[..., 0].unique().item() == 7
    assert hinge_pairs(numbers, torch.zeros_like(numbers), torch.ones_like(numbers), power=1).isnan().all()


def test_the_order_is_found_under_vmap():
    stack = torch.randn(3, 9, generator=torch.Generator().manual_seed(0))
    assert_close(torch.func.vmap(falling)(stack), falling(stack))
