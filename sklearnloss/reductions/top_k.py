"""Average of the largest values."""

import math
from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import reduction
from sklearnloss.constraints import Interval, PositiveInt, Search
from sklearnloss.typing import Scalar

ROUNDING = 1e-9  # 0.1 * 30 is a little more than 3


@reduction("top_k")
def top_k(
    values: Tensor,
    weights: Tensor,
    *,
    fraction: Annotated[float, Interval(0, 1, "right"), Search(0.1, 1)] = 0.5,
    k: PositiveInt | None = None,
) -> Scalar:
    r"""Mean of the largest values of a batch: only the hardest rows are learned from.

    Parameters
    ----------
    values : Tensor of shape (n,)
        One value per unit.
    weights : Tensor of shape (n,)
        Not negative; a value of weight zero counts for nothing, even if it is infinite, and is never among the largest.
    fraction : float in (0, 1], default=0.5
        Share of the batch that is kept, rounded up to whole rows. 1 is `mean`.
    k : int in [1, inf), default=None
        How many rows are kept instead, at most all of the batch; 1 is the largest value.

    Returns
    -------
    Tensor of shape ()

    Notes
    -----
    .. math:: \frac1k \sum_{i=1}^k w_{[i]} v_{[i]}, \qquad v_{[1]} \ge v_{[2]} \ge \dots

    Rows are ordered by their values, not by value times weight: a weight says how much a row counts, not how hard it
    is. `cvar` shares the last row out and so counts weight instead of rows. With wrong labels the largest values are
    theirs; keep more rows then. O(n log k).

    References
    ----------
    .. [1] Fan, Lyu, Ying, Hu. "Learning with average top-k loss". NeurIPS 2017.
    .. [2] Shrivastava, Gupta, Girshick. "Training region-based object detectors with online hard example mining".
       CVPR 2016.

    Examples
    --------
    >>> top_k(torch.tensor([1.0, 4.0, 2.0, 0.0]), torch.ones(4))
    tensor(3.)
    """
    n = values.numel()
    kept = min(n, max(1, math.ceil(fraction * n - ROUNDING)) if k is None else k)
    largest = torch.where(weights == 0, -torch.inf, values.detach()).topk(kept).indices
    values, weights = values[largest], weights[largest]
    return torch.where(weights == 0, 0.0, values * weights).sum() / kept
