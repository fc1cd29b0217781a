"""Penalty for predictions that fall where they should rise."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

import torch
from torch import Tensor, nn

from sklearnloss.component import loss
from sklearnloss.constraints import Constraint, NonNegativeInt, Numbers, are_numbers
from sklearnloss.exceptions import ParameterError
from sklearnloss.functional.gradients import evaluating
from sklearnloss.typing import Generator, Network, Scalar


def _are_pairs(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(are_numbers(v) and len(v) == 2 and v[0] != v[1] for v in value)


Pairs = Annotated[Any, Constraint(_are_pairs, "a tuple of pairs of column numbers", choices=(((0, 1),),))]


@loss("monotone_penalty", task="regression", unit="batch", status="known")
def monotone_penalty(
    *,
    X: Tensor,
    module: Network,
    rng: Generator,
    x_scale: Any = None,
    increasing: Numbers = (),
    decreasing: Numbers = (),
    dominates: Pairs = (),
    dominance: Literal["weak", "strong"] = "weak",
    n_random: NonNegativeInt = 512,
) -> Scalar:
    r"""Squared slopes of the wrong sign, at the rows of a batch and at random points between them.

    Parameters
    ----------
    X : Tensor of shape (n, d)
        Rows of a batch.
    module : nn.Module
        From X to the output; its activations should be smooth, such as "tanh" or "silu".
    rng : torch.Generator
        Source of the points.
    x_scale : Tensor of shape (d,), default=None
        Units of the columns; None is 1.
    increasing, decreasing : tuple of int, default=()
        Columns with which the output must not fall, or not rise.
    dominates : tuple of (int, int), default=()
        Pairs of columns of which the first must raise the output at least as much as the second does.
    dominance : {"weak", "strong"}, default="weak"
        Where pairs are compared: "weak" where both columns hold the same number, the first one's; "strong" everywhere.
    n_random : int in [0, inf), default=512
        Points drawn evenly from the box that the batch fills, besides its rows.

    Returns
    -------
    Tensor of shape ()
        Sum of the mean squared violations, not negative; several outputs are averaged.

    Raises
    ------
    ParameterError
        If no column is named, or one that X does not have.

    Notes
    -----
    .. math:: \ell = \sum_a \operatorname{mean}_x \Bigl[-\frac{\partial f}{\partial x_a}\Bigr]_+^2 +
        \sum_{(b, c)} \operatorname{mean}_x
        \Bigl[\frac{\partial f}{\partial x_c} - \frac{\partial f}{\partial x_b}\Bigr]_+^2

    in units of ``x_scale`` and, in `LossRegressor`, of the standard deviation of y. It is a term beside a loss that
    predicts, such as ``Loss("mse") + 10 * Loss("monotone_penalty", increasing=(0,))``; to certify a model, double the
    factor until the worst slope on a fine grid is small enough. One more gradient, and its gradient, per output.

    References
    ----------
    .. [1] Chen, Ye. "How to address monotonicity for model risk management?". ICML 2023.

    Examples
    --------
    >>> layer, rng = nn.Linear(2, 1, bias=False), torch.Generator()
    >>> with torch.no_grad():
    ...     _ = layer.weight.copy_(torch.tensor([[1.0, -2.0]]))
    >>> monotone_penalty(X=torch.rand(4, 2), module=layer, rng=rng, increasing=(0, 1)).item()
    4.0
    """
    _check(X.shape[1], increasing, decreasing, dominates)
    points = _points(X.detach(), n_random, rng)
    scale = torch.ones_like(points[0]) if x_scale is None else x_scale.to(points.dtype)
    total = points.new_zeros(())
    if increasing or decreasing:
        signs = points.new_tensor([-1.0] * len(increasing) + [1.0] * len(decreasing))
        total = total + _violation(_slopes(module, points, scale)[..., [*increasing, *decreasing]] * signs)
    for first, second in dominates:
        at = _equalized(points, first, second) if dominance == "weak" else points
        slopes = _slopes(module, at, scale)  # (n_outputs, n, d)
        total = total + _violation(slopes[..., [second]] - slopes[..., [first]])
    return total


def _check(d: int, increasing: Sequence[int], decreasing: Sequence[int], dominates: Iterable[Sequence[int]]) -> None:
    named = [*increasing, *decreasing, *(column for pair in dominates for column in pair)]
    if not named:
        raise ParameterError(
            "loss 'monotone_penalty': no column is named; give increasing=(0,), decreasing=(0,) or dominates=((0, 1),)"
        )
    if max(named) >= d:
        raise ParameterError(f"loss 'monotone_penalty': X has the columns 0..{d - 1}, but {max(named)} is named")


def _points(X: Tensor, n_random: int, rng: Generator) -> Tensor:
    """Return the rows, and points drawn evenly from the box around them, (n + n_random, d)."""
    low, high = X.amin(0), X.amax(0)
    drawn = torch.rand(n_random, X.shape[1], generator=rng, dtype=X.dtype, device=X.device)
    return torch.cat([X, low + (high - low) * drawn])


def _equalized(points: Tensor, first: int, second: int) -> Tensor:
    """Return the points with the second column equal to the first."""
    at = points.clone()
    at[:, second] = at[:, first]
    return at


def _slopes(module: nn.Module, points: Tensor, scale: Tensor) -> Tensor:
    """Return the slopes (n_outputs, n, d) of the outputs, in units of the columns."""
    with evaluating(module), torch.enable_grad():
        points = points.requires_grad_()
        outputs = module(points).reshape(len(points), -1)
        columns = [
            torch.autograd.grad(outputs[:, k].sum(), points, create_graph=True)[0] for k in range(outputs.shape[1])
        ]
    return scale * torch.stack(columns)


def _violation(slopes: Tensor) -> Tensor:
    """Return the mean squares of positive slopes (n_outputs, n, a) over outputs and points, summed over a."""
    return slopes.clamp(min=0).square().mean((0, 1)).sum()
