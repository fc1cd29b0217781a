"""Weighted interval score."""

from typing import Annotated, Any

import torch

from sklearnloss.component import loss
from sklearnloss.constraints import Constraint, Levels, constraint_of
from sklearnloss.functional.columns import quantiles
from sklearnloss.typing import Columns, PerRow, Targets

SEVEN = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)


def _are_intervals(value: Any) -> bool:
    if not constraint_of(Levels).allows(value) or len(value) % 2 == 0:
        return False
    return all(abs(low + high - 1) < 1e-9 for low, high in zip(value, reversed(value), strict=True))


Intervals = Annotated[
    Any,
    Constraint(_are_intervals, "rising levels in (0, 1) around 0.5, q with 1 - q", choices=((0.1, 0.5, 0.9),)),
]


@loss("wis", task="regression", outputs=lambda *, levels: len(levels), link=quantiles, proper=True)
def wis(columns: Columns, y: Targets, *, levels: Intervals = SEVEN) -> PerRow:
    r"""Central intervals cost their width, and more for each target outside; the score of epidemic forecasts.

    Parameters
    ----------
    columns : Tensor of shape (n, n_targets, w)
        A quantile for each level.
    y : Tensor of shape (n, n_targets)
        Targets.
    levels : sequence of float in (0, 1), rising, default=(0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
        The median, and the ends of K central intervals: with each level q also 1 - q.

    Returns
    -------
    Tensor of shape (n, n_targets)
        One value per row and target, not negative, in the units of y.

    Notes
    -----
    .. math:: \ell = \frac{1}{K + 1/2} \Bigl( \tfrac12 |y - m| + \sum_k \tfrac{\alpha_k}{2} (u_k - l_k)
              + \max(l_k - y, 0) + \max(y - u_k, 0) \Bigr)

    An interval from q to 1 - q has :math:`\alpha = 2 q`. It is twice ``pinball`` over the same levels.

    References
    ----------
    .. [1] Bracher, Ray, Gneiting, Reich. "Evaluating epidemic forecasts in an interval format". PLOS Computational
       Biology 17, 2021.

    Examples
    --------
    >>> wis(torch.tensor([[[-1.0, 0.0, 1.0]]]), torch.tensor([[2.0]]), levels=(0.25, 0.5, 0.75))
    tensor([[1.6667]])
    """
    half = len(levels) // 2
    q = torch.as_tensor(levels, dtype=columns.dtype, device=columns.device)[:half]  # (K,)
    low, median, high = columns[..., :half], columns[..., half], columns[..., half + 1 :].flip(-1)
    outside = (low - y[..., None]).clamp(min=0) + (y[..., None] - high).clamp(min=0)  # (n, n_targets, K)
    intervals = (q * (high - low) + outside).sum(-1)
    return (0.5 * (y - median).abs() + intervals) / (half + 0.5)
