"""Softplus over all pairs of two lists of numbers: a block at a time, or where there are many, cell by cell."""

import math
from typing import Any

import torch
from torch import Tensor

from sklearnloss.functional.numerics import softplus
from sklearnloss.functional.rank_sums import wide

__all__ = ["softplus_pairs"]

FEW = 2**17  # pairs that are sooner gone through than cells are made
BLOCK = 2**16  # pairs of a block
PIECE = 2**15  # numbers that are put into cells at once; like a block, they stay in the cache
WIDTH = 1 / 8  # of a cell
MOST_CELLS = 2**20
PAIRS_PER_CELL = 200  # a cell costs as much as so many pairs
ORDER = 5  # of the series in a cell: its error in a slope is below (WIDTH / pi)**ORDER, 1e-7


def softplus_pairs(u: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    r"""Return :math:`\sum_{ij} a_i b_j \log(1 + \exp(v_j - u_i))`, differentiable in u and v.

    Parameters
    ----------
    u : Tensor of shape (..., m)
        Numbers that should be the larger ones.
    v : Tensor of shape (..., n)
        Numbers that should be the smaller ones; leading dimensions are those of u.
    a : Tensor of shape (..., m)
        Weights of u, not negative.
    b : Tensor of shape (..., n)
        Weights of v, not negative.

    Returns
    -------
    Tensor of shape (...)
        In float64 where that is what u has, else in float32.

    Notes
    -----
    Few pairs are gone through block by block. Many are not gone through at all: the numbers are put into cells of
    width h = 1/8, of whose weighted moments about the centres of the cells value and slopes are Taylor series,

    .. math::
        \sum_{AB} \sum_{k + l \le 5} h^{k+l} f^{(k+l)}(c_B - c_A) M_{Bk} M_{Al}, \qquad
        M_{Bk} = \sum_{j \in B} b_j \frac{e_j^k}{k!},

    with :math:`f` the softplus and :math:`e` the distance from the centre in cells. The derivatives depend on how far
    the cells are apart only, so that the sum over A is a convolution. As :math:`f` has its nearest singularities at
    :math:`\pm i \pi`, a slope is wrong by less than :math:`(h / \pi)^5`, 1e-7 of the sum of weights. The number of
    cells follows from the range of the numbers; beyond 2**20, numbers that are 130,000 apart, all pairs are gone
    through again. O(m + n + r log r) for numbers that are r apart, in float64.

    Both ways write their gradients by hand; second derivatives and ``vmap`` take all pairs at once.

    Examples
    --------
    >>> u, v = torch.tensor([1.0, 0.0]), torch.tensor([0.0, -1.0, 2.0])
    >>> softplus_pairs(u, v, torch.full((2,), 1 / 2), torch.full((3,), 1 / 3))
    tensor(0.8145)
    """
    working = torch.promote_types(u.dtype, torch.float32)
    u, v, a, b = (t.to(working) for t in (u, v, a, b))
    if any(torch._C._functorch.is_functorch_wrapped_tensor(t) for t in (u, v, a, b)):
        return at_once(u, v, a, b)  # the Function below has no rule for vmap
    return _SoftplusPairs.apply(u, v, a, b)  # type: ignore[no-untyped-call]


def at_once(u: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return `softplus_pairs` in plain torch, all pairs in one array."""
    terms = softplus(v[..., None, :] - u[..., :, None])  # (..., m, n)
    return torch.einsum("...i,...ij,...j->...", a, terms, b)


class _SoftplusPairs(torch.autograd.Function):
    """The sum, whose gradients are made with it."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, v: Tensor, a: Tensor, b: Tensor) -> Tensor:
        if u.ndim > 1 and u.shape[-1] * v.shape[-1] > FEW:  # each list has cells of its own
            lists = zip(*(t.flatten(0, -2) for t in (u, v, a, b)), strict=True)
            found = [torch.stack(part) for part in zip(*(_summed(*one) for one in lists), strict=True)]
            value, slope_u, slope_v = (part.reshape(u.shape[:-1] + part.shape[1:]) for part in found)
        else:
            value, slope_u, slope_v = _summed(u, v, a, b)
        ctx.save_for_backward(u, v, a, b, slope_u, slope_v)
        return value

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        u, v, a, b, slope_u, slope_v = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is wanted
            inputs = [t for t in (u, v) if t.requires_grad]
            found = iter(torch.autograd.grad(at_once(u, v, a, b), inputs, slope, create_graph=True))
            return (*(next(found) if t.requires_grad else None for t in (u, v)), None, None)
        return slope[..., None] * slope_u, slope[..., None] * slope_v, None, None


def _summed(u: Tensor, v: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the sum and its slopes with respect to u and v, by the way that takes less."""
    cells = _cells(u, v)
    return _by_blocks(u, v, a, b) if cells is None else _by_cells(u, v, a, b, *cells)


# -- block by block ---------------------------------------------------------------------------------------------------


def _by_blocks(u: Tensor, v: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the sum and its slopes with respect to u and v."""
    value = u.new_zeros(u.shape[:-1], dtype=wide(u))
    slope_u, slope_v = torch.empty_like(u), torch.zeros_like(v)
    height = max(1, BLOCK // max(1, v.numel()))
    for start in range(0, u.shape[-1], height):
        rows = slice(start, start + height)
        gap = v[..., None, :] - u[..., rows, None]  # (..., height, n)
        share = torch.sigmoid(gap)
        weight = a[..., rows]
        slope_u[..., rows] = -weight * (share @ b[..., None]).squeeze(-1)
        slope_v += share.mul_(weight[..., None]).sum(-2)  # a product of matrices would lose a digit of single precision
        terms = softplus(gap)
        value += (weight * (terms @ b[..., None]).squeeze(-1)).sum(-1)
    return value.to(u.dtype), slope_u, slope_v.mul_(b)


# -- cell by cell -----------------------------------------------------------------------------------------------------


def _cells(u: Tensor, v: Tensor) -> tuple[float, float, int] | None:
    """Return where the first cell begins, the width of a cell, and how many there are; None if blocks are better."""
    pairs = u.numel() * v.numel()
    if u.ndim != 1 or pairs <= FEW:
        return None
    ends = torch.stack([torch.stack(t.aminmax()) for t in (u, v)]).tolist()
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    if not math.isfinite(high - low):
        return None
    count = max(1, math.ceil((high - low) / WIDTH))
    if count > min(MOST_CELLS, pairs / PAIRS_PER_CELL):
        return None
    return low, (high - low) / count or WIDTH, count


def _by_cells(
    u: Tensor, v: Tensor, a: Tensor, b: Tensor, low: float, width: float, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the sum and its slopes with respect to u and v."""
    above, below = _Cells(v, 1, low, width, count), _Cells(u, -1, low, width, count)
    moments_v, moments_u = above.moments(b), below.moments(a)  # (ORDER, count)
    length = 1 << (2 * count - 2).bit_length()  # of a circle on which no two cells meet the wrong way round
    steps = torch.arange(length, dtype=moments_v.dtype, device=u.device)
    steps = torch.where(steps < count, steps, steps - length)
    kernel = torch.fft.rfft(_derivatives(steps * width, width))  # (ORDER + 1, frequencies)
    spectrum_v, spectrum_u = torch.fft.rfft(moments_v, length), torch.fft.rfft(moments_u, length)
    series_v = _series(kernel, spectrum_u, length, count)  # (ORDER + 1, count): that of each cell
    series_u = _series(kernel.conj(), spectrum_v, length, count)
    value = (moments_v * series_v[:ORDER]).sum().clamp_min(0)  # the transform leaves 1e-16 of the range
    slope_u, slope_v = below.slopes(series_u, a), above.slopes(series_v, b)
    return value.to(u.dtype), slope_u.to(u.dtype), slope_v.to(v.dtype)


class _Cells:
    """Numbers in cells; ``sign`` is that with which they enter the gap."""

    def __init__(self, x: Tensor, sign: int, low: float, width: float, count: int) -> None:
        self.sign, self.width, self.count = sign, width, count
        self.pieces = [self._placed(piece, low) for piece in torch.split(x, PIECE)]

    def _placed(self, x: Tensor, low: float) -> tuple[Tensor, Tensor]:
        """Return the cell of each number, and its signed distance from the centre in units of a cell."""
        along = x.to(wide(x)).sub_(low) if x.dtype != wide(x) else x - low
        along = along.div_(self.width)
        cell = along.long().clamp_(0, self.count - 1)
        return cell, along.sub_(cell).sub_(0.5).mul_(self.sign)

    def moments(self, weights: Tensor) -> Tensor:
        """Return the sums of ``w e**k / k!`` in each cell, (ORDER, count)."""
        found = weights.new_zeros(ORDER, self.count, dtype=wide(weights))
        for (cell, offset), piece in zip(self.pieces, torch.split(weights, PIECE), strict=True):
            term = piece.to(found.dtype)
            for k in range(ORDER):
                if k:
                    term = term * offset if k == 1 else term.mul_(offset).div_(k)
                found[k].index_add_(0, cell, term)
        return found

    def slopes(self, series: Tensor, weights: Tensor) -> Tensor:
        """Return the derivative of the sum with respect to each number."""
        factorials = series.new_tensor([math.factorial(k) for k in range(ORDER)])
        series = self.sign / self.width * series[1:] / factorials[:, None]  # (ORDER, count)
        found = []
        for (cell, offset), piece in zip(self.pieces, torch.split(weights, PIECE), strict=True):
            slope = series[-1].index_select(0, cell)
            for coefficients in series[:-1].flip(0):
                slope.mul_(offset).add_(coefficients.index_select(0, cell))
            found.append(slope.mul_(piece))
        return torch.cat(found)


def _derivatives(gap: Tensor, width: float) -> Tensor:
    """Return softplus and its ORDER derivatives with respect to gaps in units of a cell, (ORDER + 1, ...)."""
    share, rest = torch.sigmoid(gap), torch.sigmoid(-gap)
    second, skew = share * rest, rest - share
    found = [
        softplus(gap),
        share,
        second,
        second * skew,
        second * (1 - 6 * second),
        second * skew * (1 - 12 * second),
    ]
    return torch.stack([derivative * width**k for k, derivative in enumerate(found)])


def _series(kernel: Tensor, spectrum: Tensor, length: int, count: int) -> Tensor:
    """Return the coefficients of the sum over all cells as a series in the distance from each cell's centre."""
    terms = [(kernel[k : k + ORDER] * spectrum[: min(ORDER, ORDER + 1 - k)]).sum(0) for k in range(ORDER + 1)]
    return torch.fft.irfft(torch.stack(terms), length)[:, :count]
