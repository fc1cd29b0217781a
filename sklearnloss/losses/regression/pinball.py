"""Pinball loss."""

import torch

from sklearnloss.component import loss
from sklearnloss.constraints import Levels
from sklearnloss.functional.columns import quantiles
from sklearnloss.typing import Columns, PerRow, Targets

NINE = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


@loss(
    "pinball",
    task="regression",
    outputs=lambda *, levels: len(levels),
    link=quantiles,
    proper=True,
    aliases=("quantile",),
)
def pinball(columns: Columns, y: Targets, *, levels: Levels = NINE) -> PerRow:
    r"""Misses above and below cost as the level says, so that a share of the outcomes lies below each prediction.

    Parameters
    ----------
    columns : Tensor of shape (n, n_targets, w)
        A quantile for each level.
    y : Tensor of shape (n, n_targets)
        Targets.
    levels : sequence of float in (0, 1), rising, default=(0.1, ..., 0.9)
        Levels of the quantiles.

    Returns
    -------
    Tensor of shape (n, n_targets)
        Mean over the levels, not negative.

    Notes
    -----
    .. math:: \ell_q = \max\bigl(q (y - \hat y_q), (q - 1) (y - \hat y_q)\bigr)

    At the level 0.5 it is half the absolute error. Twice its mean over many levels is the continuous ranked
    probability score. All levels share one network, which costs hardly more than one of them.

    References
    ----------
    .. [1] Koenker, Bassett. "Regression quantiles". Econometrica 46, 1978.

    Examples
    --------
    >>> pinball(torch.tensor([[[1.0, 3.0]]]), torch.tensor([[2.0]]), levels=(0.1, 0.9))
    tensor([[0.1000]])
    """
    q = torch.as_tensor(levels, dtype=columns.dtype, device=columns.device)  # (w,)
    gap = y[..., None] - columns  # (n, n_targets, w)
    return torch.maximum(q * gap, (q - 1) * gap).mean(-1)
