"""Mixing that leaves rare labels their rows."""

from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import mixup
from sklearnloss.constraints import AtLeastOne, Probability, Search
from sklearnloss.exceptions import TaskError
from sklearnloss.mixups._blocks import block_mask
from sklearnloss.typing import Generator, Labels

ROUNDING = 1e-9  # a share of 0.1 of 30 rows is a little more than 3


# Differences from the paper:
# 1. Counts are those of the batch, since mixups do not see those of the training rows.
# 2. Each mixed row has its own share; the code has one for the batch, which holds for its one mixed row of 16.
# 3. Columns or boxes take the place of the lower half of a skeleton, and the share is what the block leaves.
@mixup("rebalanced_mix")
def rebalanced_mix(
    X: Tensor,
    y: Labels,
    *,
    rng: Generator,
    fraction: Annotated[Probability, Search(0.05, 1)] = 0.0625,
    share: Probability = 0.64,
    ratio: Annotated[AtLeastOne, Search(1, 10)] = 3.0,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    r"""Put a piece of another row into a few; where one class is much rarer, the mixed row is all of that class.

    Parameters
    ----------
    X : Tensor of shape (n, c, ...) or (n, d)
        Rows of a batch: images, of which a box is taken, or rows of a table, of which neighboring columns are.
    y : LongTensor of shape (n,)
        Their classes.
    rng : torch.Generator
        Source of rows, partners and places.
    fraction : float in [0, 1], default=0.0625
        Share of the rows that are mixed, rounded up.
    share : float in [0, 1], default=0.64
        Of the columns or pixels that stay.
    ratio : float in [1, inf), default=3.0
        A class that is more than so many times as common as the other leaves the label to it.

    Returns
    -------
    X : Tensor of shape (n, ...)
        The rows, some with a piece of another.
    y_a, y_b : Tensor of shape (n,)
        Classes of the rows and of their partners.
    lam : Tensor of shape (n,)
        How much the first of them counts: one for rows that are not mixed.

    Raises
    ------
    TaskError
        If y is not one class a row.

    Notes
    -----
    With the counts of classes in the batch, a row i with a piece of j has the label

    .. math:: \lambda_i = 0 \text{ if } n_i > r n_j, \quad 1 \text{ if } n_j > r n_i, \quad
        \text{else the share that stays.}

    The block lies at the same place in all rows of a batch. Small batches count poorly; take one in which the rarest
    class is expected once. O(n d).

    References
    ----------
    .. [1] Liu, Wang, Ren, Hu, Luo, Hao. "Balanced representation learning for long-tailed skeleton-based action
       recognition". Machine Intelligence Research, 2024.

    Examples
    --------
    >>> X, y = torch.zeros(8, 5), torch.tensor([0, 0, 0, 0, 0, 0, 0, 1])
    >>> mixed, y_a, y_b, lam = rebalanced_mix(X, y, rng=torch.Generator().manual_seed(0), fraction=1.0)
    >>> torch.equal(lam[y_a > y_b], torch.ones(1)), torch.equal(lam[y_a < y_b], torch.zeros(1))
    (True, True)
    """
    if y.ndim != 1 or y.is_floating_point():
        raise TaskError("mixup 'rebalanced_mix' is for one class a row; use 'cutmix'")
    n = len(X)
    partner = torch.randperm(n, generator=rng, device=X.device)
    place = torch.randperm(n, generator=rng, device=X.device)
    mixed = place < -int(-(fraction * n - ROUNDING) // 1)
    mask, taken = block_mask(X, torch.tensor(1.0 - share, dtype=torch.float64, device=X.device), rng, cut=False)
    counts = y.unique(return_inverse=True, return_counts=True)  # type: ignore[no-untyped-call]
    own = counts[2][counts[1]]
    other = own[partner]
    lam = torch.where(own > ratio * other, 0.0, torch.where(other > ratio * own, 1.0, 1 - taken))
    lam = torch.where(mixed, lam, 1.0).to(X.dtype)
    chosen = mask & mixed.reshape(-1, *[1] * (X.ndim - 1))
    return torch.where(chosen, X[partner], X), y, y[partner], lam
