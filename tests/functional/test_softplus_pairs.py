"""Softplus over all pairs, by blocks and by cells, against the sum over all pairs in float64."""

import math

import pytest
import torch
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from sklearnloss.functional import softplus_pairs as module
from sklearnloss.functional.softplus_pairs import at_once, softplus_pairs


def numbers(m=60, n=90, spread=1.0, offset=0.0, seed=0, dtype=torch.float64, lead=0.0):
    """Return u, v and weights that sum to one."""
    generator = torch.Generator().manual_seed(seed)
    u, v = (spread * torch.randn(k, generator=generator, dtype=torch.float64) + offset for k in (m, n))
    a, b = (torch.rand(k, generator=generator, dtype=torch.float64) for k in (m, n))
    a[::5], b[::4] = 0, 0
    inputs = [t.to(dtype) for t in (u + lead, v, a / a.sum(), b / b.sum())]
    return [inputs[0].requires_grad_(), inputs[1].requires_grad_(), *inputs[2:]]


def exact(u, v, a, b):
    """Return the value and both gradients over all pairs in float64."""
    u, v, a, b = (t.detach().double() for t in (u, v, a, b))
    gap = v - u[:, None]
    terms = gap.clamp(min=0) + torch.log1p(torch.exp(-gap.abs()))
    share = 1 / (1 + torch.exp(-gap))
    return a @ terms @ b, -a * (share @ b), b * (a @ share)


def ours(u, v, a, b):
    value = softplus_pairs(u, v, a, b)
    return value, *torch.autograd.grad(value, (u, v))


@pytest.fixture
def by_cells(monkeypatch):
    """Cells for any number of pairs, small pieces of a list, and a count of the calls."""
    calls = []
    run = module._by_cells
    monkeypatch.setattr(module, "FEW", 0)
    monkeypatch.setattr(module, "PAIRS_PER_CELL", 0.5)
    monkeypatch.setattr(module, "PIECE", 32)
    monkeypatch.setattr(module, "_by_cells", lambda *given: calls.append(1) or run(*given))
    return calls


@pytest.fixture
def by_blocks(monkeypatch):
    """Blocks of two or three rows."""
    monkeypatch.setattr(module, "FEW", math.inf)
    monkeypatch.setattr(module, "BLOCK", 250)


def test_equals_a_loop():
    u, v, a, b = numbers(5, 6)
    wanted = sum(
        x * y * math.log1p(math.exp(q - p))
        for p, x in zip(u.tolist(), a.tolist(), strict=True)
        for q, y in zip(v.tolist(), b.tolist(), strict=True)
    )
    assert softplus_pairs(u, v, a, b).item() == pytest.approx(wanted)


@pytest.mark.usefixtures("by_blocks")
@pytest.mark.parametrize("spread", [1.0, 300.0])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_blocks_equal_all_pairs(spread, offset):
    inputs = numbers(spread=spread, offset=offset)
    assert_close(ours(*inputs), exact(*inputs), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("spread", [0.0, 1e-9, 0.01, 0.2, 1.0, 5.0, 20.0, 60.0])
@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_cells_equal_all_pairs_to_within_a_millionth_of_the_gradient(spread, offset, by_cells):
    inputs = numbers(spread=spread, offset=offset)
    value, *gradients = ours(*inputs)
    wanted, *slopes = exact(*inputs)
    assert by_cells
    assert_close(value, wanted, rtol=1e-8, atol=0)
    for gradient, slope in zip(gradients, slopes, strict=True):
        assert (gradient - slope).abs().max() <= 1e-7 * slope.abs().max()


@pytest.mark.parametrize("seed", range(5))
def test_no_single_slope_is_further_off_than_the_series_says(seed, by_cells):
    """Numbers at the edges of their cells, where the series is worst."""
    generator = torch.Generator().manual_seed(seed)
    edges = module.WIDTH * torch.randint(-60, 60, (80,), generator=generator).double()
    u, v = edges[:40].clone().requires_grad_(), (edges[40:] + 1e-9).requires_grad_()
    a = torch.eye(40, dtype=torch.float64)[0]  # one number alone, so that errors do not cancel
    b = torch.full((40,), 1 / 40, dtype=torch.float64)
    _, _, gradient = ours(u, v, a, b)
    _, _, slope = exact(u, v, a, b)
    assert by_cells
    assert ((gradient - slope).abs() / b).max() < (module.WIDTH / math.pi) ** module.ORDER < 2e-7


def test_cells_equal_all_pairs_where_all_are_in_the_right_order(by_cells):
    inputs = numbers(lead=30.0)
    value, *gradients = ours(*inputs)
    wanted, *slopes = exact(*inputs)
    assert by_cells
    assert value >= 0
    assert_close(value, wanted, rtol=1e-8, atol=1e-14)
    assert_close(gradients, slopes, rtol=1e-6, atol=1e-15)


@pytest.mark.parametrize("how", ["by_blocks", "by_cells"])
def test_single_precision_far_from_zero_loses_nothing(how, request):
    request.getfixturevalue(how)
    inputs = numbers(300, 400, offset=1000.0, dtype=torch.float32)
    value, *gradients = ours(*inputs)
    wanted, *slopes = exact(*inputs)
    assert value.dtype == torch.float32
    assert_close(value.double(), wanted, rtol=3e-7, atol=0)
    for gradient, slope in zip(gradients, slopes, strict=True):
        assert (gradient - slope).abs().max() <= 1e-6 * slope.abs().max()


def test_the_derivatives_are_those_of_the_softplus():
    gap = torch.linspace(-9, 9, 37, dtype=torch.float64).requires_grad_()
    wanted, derivative = [], torch.nn.functional.softplus(gap)
    for _ in range(module.ORDER + 1):
        wanted.append(derivative)
        (derivative,) = torch.autograd.grad(derivative.sum(), gap, create_graph=True)
    widths = [0.3**k for k in range(module.ORDER + 1)]
    assert_close(
        module._derivatives(gap.detach(), 0.3), torch.stack([w * d for w, d in zip(widths, wanted, strict=True)])
    )


@pytest.mark.parametrize("how", ["by_blocks", "by_cells"])
def test_the_written_gradient_is_that_of_all_pairs_in_plain_torch(how, request):
    request.getfixturevalue(how)
    inputs = numbers()
    plain = at_once(*inputs)
    value, *gradients = ours(*inputs)
    assert_close(value, plain, rtol=1e-8, atol=0)
    assert_close(gradients, list(torch.autograd.grad(plain, inputs[:2])), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("how", ["by_blocks", "by_cells"])
def test_has_second_derivatives(how, request):
    request.getfixturevalue(how)
    u, v, a, b = numbers(5, 6)
    assert torch.autograd.gradgradcheck(lambda x, y: softplus_pairs(x, y, a, b), (u, v))
    (first,) = torch.autograd.grad(softplus_pairs(u, v.detach(), a, b), u, create_graph=True)
    assert torch.autograd.grad(first.sum(), u)[0].shape == u.shape


def test_vmap_equals_a_loop():
    _, v, a, b = numbers()
    stack = torch.randn(3, 60, generator=torch.Generator().manual_seed(5), dtype=torch.float64)

    def value(u):
        return softplus_pairs(u, v.detach(), a, b)

    assert_close(torch.func.vmap(value)(stack), torch.stack([value(u) for u in stack]))
    wanted = torch.stack([torch.autograd.grad(value(u), u)[0] for u in (u.clone().requires_grad_() for u in stack)])
    assert_close(torch.func.vmap(torch.func.grad(value))(stack), wanted)


@pytest.mark.usefixtures("by_blocks")
def test_several_problems_are_each_their_own():
    problems = [numbers(seed=seed) for seed in range(3)]
    together = [torch.stack([p[k].detach() for p in problems]) for k in range(4)]
    together[0].requires_grad_()
    together[1].requires_grad_()
    values = softplus_pairs(*together)
    wanted = [exact(*p) for p in problems]
    assert_close(values, torch.stack([w[0] for w in wanted]))
    gradients = torch.autograd.grad((values * torch.tensor([1.0, 2.0, 3.0])).sum(), together[:2])
    for k in (0, 1):
        assert_close(gradients[k], torch.stack([(i + 1) * w[k + 1] for i, w in enumerate(wanted)]))


def test_few_pairs_and_numbers_too_far_apart_or_not_finite_take_blocks():
    u, v = torch.randn(400), torch.randn(600)
    low, width, count = module._cells(u, v)
    assert low == pytest.approx(min(u.min().item(), v.min().item()))
    assert 0 < width <= module.WIDTH
    assert count * width == pytest.approx(max(u.max().item(), v.max().item()) - low)
    assert module._cells(u[:100], v[:100]) is None
    assert module._cells(1e6 * u, v) is None
    assert module._cells(torch.cat([u, torch.tensor([torch.inf])]), v) is None
    assert module._cells(torch.cat([u, torch.tensor([torch.nan])]), v) is None
    assert module._cells(u[None], v[None]) is None


@pytest.mark.parametrize(("m", "n"), [(0, 4), (4, 0), (0, 0), (1, 1)])
def test_takes_short_lists(m, n):
    u, v = torch.zeros(m, requires_grad=True), torch.zeros(n, requires_grad=True)
    value = softplus_pairs(u, v, torch.ones(m), torch.ones(n))
    assert value.item() == pytest.approx(m * n * math.log(2))
    gradients = torch.autograd.grad(value, (u, v))
    assert [g.shape for g in gradients] == [(m,), (n,)]


class Largest(TorchDispatchMode):
    """Remembers the most entries of a tensor that an operation made."""

    entries = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(tensor, torch.Tensor):
                self.entries = max(self.entries, tensor.numel())
        return result


def test_makes_no_array_of_all_pairs():
    inputs = numbers(1000, 2000)
    with Largest() as largest:
        ours(*inputs)
    assert largest.entries < 10_000  # a few hundred cells, six derivatives of each


@pytest.mark.usefixtures("by_blocks")
def test_a_block_is_the_largest_array():
    inputs = numbers(60, 90)
    with Largest() as largest:
        ours(*inputs)
    assert largest.entries <= 250


@pytest.mark.parametrize("shape", [(3,), (2, 2)])
def test_many_pairs_of_several_problems_take_the_cells_of_each(shape, by_cells):
    problems = [numbers(seed=seed, spread=seed + 1.0) for seed in range(math.prod(shape))]
    together = [torch.stack(part).detach().unflatten(0, shape) for part in zip(*problems, strict=True)]
    u, v = (t.requires_grad_() for t in together[:2])
    value = softplus_pairs(u, v, *together[2:])
    assert value.shape == shape
    found = [value, *torch.autograd.grad(value.sum(), (u, v))]
    alone = [ours(*problem) for problem in problems]
    for part, single in zip(found, zip(*alone, strict=True), strict=True):
        assert torch.equal(part.detach(), torch.stack(single).detach().unflatten(0, shape))
    assert len(by_cells) == 2 * len(problems)  # once alone, once together
