"""Formulas of single scores whose value and slope are written together, a block at a time."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["with_slope"]

BLOCK = 2**16  # scores at a time; what is made of them on the way stays in the cache


def with_slope(
    formula: Callable[..., Tensor],
    written: Callable[..., None],
    scores: Tensor,
    y: Tensor,
    **fixed: Any,
) -> Tensor:
    """Return ``formula(scores, y, **fixed)``, whose gradient in the scores is made with the value.

    Parameters
    ----------
    formula : callable
        From scores to values of the same shape, one by one, in plain torch.
    written : callable
        Writes values and slopes into the third and the fourth of its arguments, the others being those of the formula.
    scores : Tensor of shape (n,) or (n, k)
        What the gradient is taken of.
    y : Tensor of the shape of the scores
        Labels.
    **fixed
        What all scores share.

    Returns
    -------
    Tensor of the shape of the scores
        Values.

    Notes
    -----
    A formula of a dozen steps goes through memory two dozen times and keeps most of what it makes for its gradient;
    here one array is kept. Second derivatives, ``vmap``, values without a gradient, and gradients of anything but the
    scores go through the formula.

    Examples
    --------
    >>> scores = torch.tensor([1.0, 2.0], requires_grad=True)
    >>> def formula(scores, y):
    ...     return (scores - y).square()
    >>> def written(scores, y, values, slopes):
    ...     torch.sub(scores, y, out=slopes).mul_(2)
    ...     torch.square(slopes / 2, out=values)
    >>> with_slope(formula, written, scores, torch.tensor([0.0, 5.0])).sum().backward()
    >>> scores.grad
    tensor([ 2., -6.])
    """
    others = [t for t in (y, *fixed.values()) if isinstance(t, Tensor)]
    if (
        not (torch.is_grad_enabled() and scores.requires_grad)
        or any(t.requires_grad for t in others)
        or any(torch._C._functorch.is_functorch_wrapped_tensor(t) for t in (scores, *others))
    ):
        return formula(scores, y, **fixed)
    found: Tensor = _WithSlope.apply(formula, written, fixed, scores, y)  # type: ignore[no-untyped-call]
    return found


class _WithSlope(torch.autograd.Function):
    """The values, whose slopes are made with them."""

    @staticmethod
    def forward(
        ctx: Any,
        formula: Callable[..., Tensor],
        written: Callable[..., None],
        fixed: dict[str, Any],
        scores: Tensor,
        y: Tensor,
    ) -> Tensor:
        wide = torch.promote_types(scores.dtype, y.dtype)
        values, slopes = torch.empty_like(scores, dtype=wide), torch.empty_like(scores, dtype=wide)
        height = max(1, BLOCK * len(scores) // max(1, scores.numel()))
        for start in range(0, len(scores), height):
            rows = slice(start, start + height)
            written(scores[rows], y[rows], values[rows], slopes[rows], **fixed)
        ctx.save_for_backward(slopes, scores, y)
        ctx.formula, ctx.fixed = formula, fixed
        return values

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> Any:
        slopes, scores, y = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is wanted
            (found,) = torch.autograd.grad(ctx.formula(scores, y, **ctx.fixed), scores, outer, create_graph=True)
        else:
            found = (slopes * outer).to(scores.dtype)
        return None, None, None, found, None
