"""Formulas of rows, or of single scores, whose value and slope are written together, a block at a time."""

from collections.abc import Callable, Iterator
from functools import reduce
from typing import Any, Literal

import torch
from torch import Tensor

__all__ = ["blocks", "with_slope"]

BLOCK = 2**16  # scores at a time; what is made of them on the way stays in the cache
DEVICE_BLOCK = 2**24  # on an accelerator, which is slow at small blocks


def with_slope(
    formula: Callable[..., Tensor],
    written: Callable[..., None],
    scores: Tensor,
    *rows: Tensor,
    of: Literal["row", "score"] = "score",
    **fixed: Any,
) -> Tensor:
    """Return ``formula(scores, *rows, **fixed)``, whose gradient in the scores is made with the value.

    Parameters
    ----------
    formula : callable
        From scores to values, one by one or row by row, in plain torch.
    written : callable
        ``written(scores, *rows, values, slopes, **fixed)`` writes values and slopes of some rows into its arguments.
    scores : Tensor of shape (n,) or (n, k)
        What the gradient is taken of.
    *rows : Tensors of n rows
        What else each row has, its label first.
    of : {"score", "row"}, default="score"
        Whether each score has a value, or each row of them.
    **fixed
        What all rows share.

    Returns
    -------
    Tensor of the shape of the scores, or (n,)
        Values.

    Notes
    -----
    A formula of a dozen steps goes through memory two dozen times and keeps most of what it makes for its gradient;
    here one array is kept. Second derivatives, ``vmap``, and gradients of anything but the scores go through the
    formula.

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
    others = [t for t in (*rows, *fixed.values()) if isinstance(t, Tensor)]
    with_grad = torch.is_grad_enabled()
    if (with_grad and any(t.requires_grad for t in others)) or any(
        torch._C._functorch.is_functorch_wrapped_tensor(t) for t in (scores, *others)
    ):
        return formula(scores, *rows, **fixed)
    if not (with_grad and scores.requires_grad):
        return _filled(written, of, fixed, scores, *rows)
    found: Tensor = _WithSlope.apply(formula, written, of, fixed, scores, *rows)  # type: ignore[no-untyped-call]
    return found


def blocks(scores: Tensor) -> Iterator[slice]:
    """Return the rows of each block of scores (n,) or (n, k).

    Examples
    --------
    >>> list(blocks(torch.zeros(100, 2000)))
    [slice(0, 32, None), slice(32, 64, None), slice(64, 96, None), slice(96, 128, None)]
    """
    size = BLOCK if scores.device.type == "cpu" else DEVICE_BLOCK
    height = max(1, size * len(scores) // max(1, scores.numel()))
    return (slice(start, start + height) for start in range(0, len(scores), height))


def _filled(
    written: Callable[..., None],
    of: str,
    fixed: dict[str, Any],
    scores: Tensor,
    *rows: Tensor,
    slopes: Tensor | None = None,
) -> Tensor:
    """Return the values, and fill the slopes if they are wanted."""
    dtype = _common(scores, *rows, *fixed.values())
    values = torch.empty_like(scores, dtype=dtype) if of == "score" else scores.new_empty(len(scores), dtype=dtype)
    for block in blocks(scores):
        part = torch.empty_like(scores[block], dtype=dtype) if slopes is None else slopes[block]
        given = (t[block].to(dtype) if t.is_floating_point() else t[block] for t in (scores, *rows))
        written(*given, values[block], part, **fixed)
    return values


def _common(*given: Any) -> torch.dtype:
    """Return the type that holds all arrays among what is given."""
    return reduce(torch.promote_types, (t.dtype for t in given if isinstance(t, Tensor) and t.ndim > 0))


class _WithSlope(torch.autograd.Function):
    """The values, whose slopes are made with them."""

    @staticmethod
    def forward(
        ctx: Any,
        formula: Callable[..., Tensor],
        written: Callable[..., None],
        of: str,
        fixed: dict[str, Any],
        scores: Tensor,
        *rows: Tensor,
    ) -> Tensor:
        slopes = torch.empty_like(scores, dtype=_common(scores, *rows, *fixed.values()))
        values = _filled(written, of, fixed, scores, *rows, slopes=slopes)
        ctx.save_for_backward(slopes, scores, *rows)
        ctx.formula, ctx.fixed = formula, fixed
        return values

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> Any:
        slopes, scores, *rows = ctx.saved_tensors
        if torch.is_grad_enabled():  # a second derivative is wanted
            (found,) = torch.autograd.grad(ctx.formula(scores, *rows, **ctx.fixed), scores, outer, create_graph=True)
        else:
            per_row = outer.ndim < slopes.ndim
            found = (slopes * (outer[:, None] if per_row else outer)).to(scores.dtype)
        return None, None, None, None, found, *(None for _ in rows)
