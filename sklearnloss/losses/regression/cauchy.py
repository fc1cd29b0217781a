"""Cauchy loss."""

from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.typing import PerRow, Prediction, Targets


@loss("cauchy", task="regression")
def cauchy(
    prediction: Prediction, y: Targets, *, c: Annotated[Positive, Search(0.1, 3, log=True)] = 1.0, joint: bool = True
) -> PerRow:
    r"""Logarithm of the squared gap: a row pulls most at a gap of ``c * sqrt(2)`` and lets go beyond it.

    Parameters
    ----------
    prediction : Tensor of shape (n, n_targets)
        Predictions.
    y : Tensor of shape (n, n_targets)
        Targets.
    c : float in (0, inf), default=1.0
        Gap up to which a row counts in full.
    joint : bool, default=True
        Whether several targets of a row share one gap, its Euclidean length, as in the paper; else each has its own.

    Returns
    -------
    Tensor of shape (n,), or (n, n_targets) if not joint
        One value per row, or per row and target, not negative.

    Notes
    -----
    .. math:: \ell = \log \Bigl( 1 + \frac{\lVert y - \hat y \rVert^2}{2 c^2} \Bigr)

    It is not convex: where a start is far from the data, begin with ``huber``. The paper shrinks c while it trains;
    here it stays.

    References
    ----------
    .. [1] Dao, Doan, Liu, Le, Metaxas. "Improved training technique for latent consistency models". ICLR 2025.

    Examples
    --------
    >>> cauchy(torch.tensor([[3.0, 4.0]]), torch.zeros(1, 2), c=0.1)
    tensor([7.1317])
    """
    square: Tensor = (prediction - y).square()  # (n, n_targets)
    if joint:
        square = square.sum(1)  # (n,)
    return torch.log1p(square / (2 * c**2))
