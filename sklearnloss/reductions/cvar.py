"""Conditional value at risk."""

from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import reduction
from sklearnloss.constraints import Fraction, Search
from sklearnloss.typing import Scalar


@reduction("cvar")
def cvar(values: Tensor, weights: Tensor, *, beta: Annotated[Fraction, Search(0, 0.95)] = 0.5) -> Scalar:
    r"""Mean of the worst ``1 - beta`` share of the rows: what is easy already has no gradient.

    Parameters
    ----------
    values : Tensor of shape (n,)
        One value per unit.
    weights : Tensor of shape (n,)
        Not negative; a weight of two is a row twice. A value of weight zero counts for nothing, even if it is infinite.
    beta : float in [0, 1), default=0.5
        Share of the weight that is left out, the smallest values first. 0 is `mean`, ``beta -> 1`` the largest value.
        In [1]_ it is 0.95, which leaves one or two rows of a batch of 32: take large batches, or the optimizer
        `cvar_spl`, which keeps the threshold from batch to batch.

    Returns
    -------
    Tensor of shape ()
        Never below `mean`.

    Notes
    -----
    .. math:: \min_t \frac1n \sum_i w_i \Bigl(t + \frac{(v_i - t)_+}{1 - \beta}\Bigr)

    The minimum is exact: rows are taken from the largest value on until their weight is ``1 - beta`` of that of the
    batch, the last of them in part. As `mean` does, it divides by the number of rows, so a batch of little weight
    counts for little. The worst rows of batches are on average less bad than those of all rows, so batches
    underestimate, the more the smaller they are. O(n log n).

    References
    ----------
    .. [1] Meng, Gower. "A model-based method for minimizing CVaR and beyond". ICML 2023.
    .. [2] Rockafellar, Uryasev. "Optimization of conditional value-at-risk". Journal of Risk 2, 2000.

    Examples
    --------
    >>> cvar(torch.tensor([1.0, 2.0, 3.0, 6.0]), torch.ones(4), beta=0.625)  # (6 + 3 / 2) / 1.5
    tensor(5.)
    """
    order = torch.where(weights == 0, -torch.inf, values.detach()).argsort(descending=True)
    values, weights = values[order], weights[order]
    room = (1 - beta) * weights.sum()
    before = weights.cumsum(0) - weights
    taken = torch.minimum((room - before).clamp(min=0), weights)  # (n,)
    return torch.where(taken == 0, 0.0, values * taken).sum() / ((1 - beta) * values.numel())
