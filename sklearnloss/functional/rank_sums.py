"""Sums of hinges over all pairs of two lists of numbers, by one sort instead of one term a pair.

With the numbers in falling order, those above a number come before it, so that their count, sum and sum of squares are
running sums. In float64 and centred, these lose nothing however far the numbers lie from zero.
"""

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

__all__ = ["falling", "hinge_pairs", "hinge_sums", "wide"]

Power = Literal[0, 1, 2]


def hinge_sums(u: Tensor, v: Tensor, w: Tensor, *, power: Power) -> Tensor:
    r"""Return :math:`F_i = \sum_j w_j [v_j - u_i]_+^r`, differentiable in all three.

    Parameters
    ----------
    u : Tensor of shape (..., m)
        Numbers that are asked.
    v : Tensor of shape (..., n)
        Numbers that may lie above; leading dimensions are those of u.
    w : Tensor of shape (..., n)
        Their weights; it may have further leading dimensions, several weightings of the same numbers.
    power : {0, 1, 2}
        The power r; 0 counts what lies above. A number does not lie above its equal.

    Returns
    -------
    Tensor of shape (..., m)
        In float64. Never negative, up to rounding, if no weight is.

    Notes
    -----
    The derivatives are sums of the same kind, of the next lower power:

    .. math::
        \frac{\partial}{\partial u_i} \sum_k g_k F_k = -r g_i \sum_j w_j [v_j - u_i]_+^{r-1}, \qquad
        \frac{\partial}{\partial v_j} \sum_k g_k F_k = r w_j \sum_i g_i [v_j - u_i]_+^{r-1},

    the second being :math:`F` of the numbers :math:`-v` above which those of :math:`-u` lie. They are written by hand
    and share the sort; second derivatives and ``vmap`` go through the same running sums in plain torch.
    O((m + n) log(m + n)).

    Examples
    --------
    >>> u, v = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 2.0])
    >>> hinge_sums(u, v, torch.ones(2), power=2)
    tensor([1., 4.], dtype=torch.float64)
    """
    u, v, w = (t.to(wide(t)) for t in (u, v, w))
    with torch.no_grad():
        order = falling(torch.cat([_next(u), v], dim=-1))
    if any(torch._C._functorch.is_functorch_wrapped_tensor(t) for t in (u, v, w)):
        return running(u, v, w, order, power)  # the Function below has no rule for vmap
    return _HingeSums.apply(u, v, w, order, power)  # type: ignore[no-untyped-call]


def hinge_pairs(x: Tensor, a: Tensor, b: Tensor, *, power: Literal[1, 2]) -> Tensor:
    r"""Return :math:`\sum_{ij} a_i b_j [x_j - x_i]_+^r` over one list whose numbers are of two kinds.

    Parameters
    ----------
    x : Tensor of shape (..., n)
        Numbers.
    a, b : Tensor of shape (..., n)
        Weights as one that should be the larger, and as one that should be the smaller. No number has both.
    power : {1, 2}
        The power r.

    Returns
    -------
    Tensor of shape (...)
        In float64, differentiable in x. Never negative, up to rounding, if no weight is.

    Notes
    -----
    As the weights are known, value and gradient come from one sort of n numbers and the running sums of both kinds, in
    that order. Of two equal numbers neither is above the other. Second derivatives and ``vmap`` go through the same
    running sums in plain torch. O(n log n).

    Examples
    --------
    >>> x, a = torch.tensor([1.0, 0.0, 0.0, 2.0]), torch.tensor([1.0, 1.0, 0.0, 0.0])
    >>> hinge_pairs(x, a, 1 - a, power=2)  # 1 from one to two, and 4 from zero
    tensor(5., dtype=torch.float64)
    """
    x, a, b = (t.to(wide(t)) for t in (x, a, b))
    with torch.no_grad():
        order = falling(torch.where(a > 0, _next(x), x))
    if any(torch._C._functorch.is_functorch_wrapped_tensor(t) for t in (x, a, b)):
        return running_pairs(x, a, b, order, power)
    return _HingePairs.apply(x, a, b, order, power)  # type: ignore[no-untyped-call]


def falling(numbers: Tensor) -> Tensor:
    """Return the places of the numbers in falling order along the last dimension, equal ones in any order.

    Examples
    --------
    >>> falling(torch.tensor([1.0, 3.0, 2.0]))
    tensor([1, 2, 0])
    """
    if numbers.device.type != "cpu" or torch._C._functorch.is_functorch_wrapped_tensor(numbers):
        return numbers.argsort(dim=-1, descending=True)
    # numpy's sort is vectorised, two to six times as fast as torch's, which would take most of the time
    return torch.from_numpy(np.argsort(numbers.detach().numpy(), axis=-1)).flip(-1)


def wide(t: Tensor) -> torch.dtype:
    """Return the precision of running sums: float64, where the device has it."""
    return torch.float32 if t.device.type == "mps" else torch.float64


def running(u: Tensor, v: Tensor, w: Tensor, order: Tensor, power: Power) -> Tensor:
    """Return `hinge_sums` in plain torch, given the falling order of u and v behind each other."""
    numbers, weights = _centred(_in_order(u, v, order)), _in_order(u, w, order, zeros="first")
    return _back(_powers(_running_sums(weights, numbers, power), numbers), order)[..., : u.shape[-1]]


class _HingeSums(torch.autograd.Function):
    """The sums, given the falling order of the numbers."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, v: Tensor, w: Tensor, order: Tensor, power: Power) -> Tensor:
        numbers, weights = _centred(_in_order(u, v, order)), _in_order(u, w, order, zeros="first")
        above = _running_sums(weights, numbers, power)
        lower = _powers(above[:-1], numbers) if power else weights
        ctx.power = power
        ctx.save_for_backward(u, v, w, order, numbers, weights, lower)
        return _back(_powers(above, numbers), order)[..., : u.shape[-1]]

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        u, v, w, order, numbers, weights, lower = ctx.saved_tensors
        power, m, sizes = ctx.power, u.shape[-1], [u.shape[-1], v.shape[-1]]
        if torch.is_grad_enabled():  # a second derivative is wanted
            return *_gradients(running(u, v, w, order, power), (u, v, w), slope), None, None
        slope_u = slope_v = slope_w = None
        slopes = _in_order(slope, v, order, zeros="last")
        wants_w = ctx.needs_input_grad[2]
        below = [total[..., -1:] - total for total in _running_sums(slopes, numbers, power - (not wants_w))]
        if power:
            # slopes are zero where a v stands and weights where a u stands, so that one sum holds both gradients; the
            # numbers below are taken from those above, hence the sign of the odd power
            both = weights * (-1) ** (power - 1) * _powers(below[:power], numbers) - slopes * lower
            slope_u, slope_v = torch.split(_back((power * both).sum_to_size(numbers.shape), order), sizes, dim=-1)
        if wants_w:
            slope_w = _back((-1) ** power * _powers(below, numbers), order)[..., m:].sum_to_size(w.shape)
        return slope_u, slope_v, slope_w, None, None


def running_pairs(x: Tensor, a: Tensor, b: Tensor, order: Tensor, power: Power) -> Tensor:
    """Return `hinge_pairs` in plain torch, given the falling order of x."""
    numbers, a, b = _centred(_take(x, order)), _take(a, order), _take(b, order)
    return (a * _powers(_running_sums(b, numbers, power), numbers)).sum(-1)


class _HingePairs(torch.autograd.Function):
    """The sum, whose gradient is made with it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, a: Tensor, b: Tensor, order: Tensor, power: Power) -> Tensor:
        numbers, first, second = _centred(_take(x, order)), _take(a, order), _take(b, order)
        above = _running_sums(second, numbers, power)
        value = (first * _powers(above, numbers)).sum(-1)
        if ctx.needs_input_grad[0]:
            below = [total[..., -1:] - total for total in _running_sums(first, numbers, power - 1)]
            lower = second * (-1) ** (power - 1) * _powers(below, numbers) - first * _powers(above[:-1], numbers)
            ctx.power = power
            ctx.save_for_backward(x, a, b, order, _back(lower.mul_(power), order))
        return value

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        x, a, b, order, slopes = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is wanted
            (found,) = _gradients(running_pairs(x, a, b, order, ctx.power), (x,), slope)
        else:
            found = slope[..., None] * slopes
        return found, None, None, None, None


def _next(numbers: Tensor) -> Tensor:
    """Return the next larger numbers: so these come before their equals, which are not yet in the running sum then."""
    return numbers.nextafter(numbers.new_tensor(torch.inf))


def _gradients(sums: Tensor, inputs: tuple[Tensor, ...], slope: Tensor) -> list[Tensor | None]:
    """Return the gradients of those inputs that have one, with a graph."""
    moving = [t for t in inputs if t.requires_grad]
    if not sums.requires_grad:
        return [None] * len(inputs)
    found = iter(torch.autograd.grad(sums, moving, slope, create_graph=True, allow_unused=True))
    return [next(found) if t.requires_grad else None for t in inputs]


def _centred(numbers: Tensor) -> Tensor:
    """Return ordered numbers less their median, which a few that are far off do not move."""
    half = numbers.shape[-1] // 2
    return numbers - numbers[..., half : half + 1].detach()


def _in_order(first: Tensor, last: Tensor, order: Tensor, *, zeros: Literal["first", "last", ""] = "") -> Tensor:
    """Return two lists behind each other in the order, one of which may be zeros, as many as it has numbers."""
    if zeros == "first":
        first = last.new_zeros(()).expand(*last.shape[:-1], first.shape[-1])
    elif zeros == "last":
        last = first.new_zeros(()).expand(*first.shape[:-1], last.shape[-1])
    return _take(torch.cat([first, last], dim=-1), order)


def _take(t: Tensor, order: Tensor) -> Tensor:
    """Return a list in the order, or several."""
    if order.ndim == 1:
        return t.index_select(-1, order)
    return torch.take_along_dim(t, order[(None,) * (t.ndim - order.ndim)], dim=-1)


def _back(in_order: Tensor, order: Tensor) -> Tensor:
    """Return the lists as they were before they were put in order."""
    return torch.zeros_like(in_order).scatter(-1, order.expand_as(in_order), in_order)


def _running_sums(weights: Tensor, numbers: Tensor, power: int) -> list[Tensor]:
    """Return the running sums of ``w``, ``w y`` ... ``w y**power``."""
    sums = []
    for k in range(power + 1):
        weights = weights * numbers if k else weights
        sums.append(weights.cumsum(-1))
    return sums


def _powers(sums: list[Tensor], x: Tensor) -> Tensor:
    """Return the sum of ``w (y - x)**k`` from those of ``w``, ``w y`` ... ``w y**k``."""
    if len(sums) == 1:
        return sums[0]
    if len(sums) == 2:
        return sums[1] - x * sums[0]
    return sums[2] - x * (2 * sums[1] - x * sums[0])
