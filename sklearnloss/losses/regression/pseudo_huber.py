"""Pseudo-Huber loss."""

from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.typing import PerRow, Prediction, Targets


@loss("pseudo_huber", task="regression")
def pseudo_huber(
    prediction: Prediction, y: Targets, *, c: Annotated[Positive, Search(0.01, 3, log=True)] = 1.0, joint: bool = True
) -> PerRow:
    r"""Hyperbola of the gap: its square near the target, its length far from it, smooth throughout.

    Parameters
    ----------
    prediction : Tensor of shape (n, n_targets)
        Predictions.
    y : Tensor of shape (n, n_targets)
        Targets.
    c : float in (0, inf), default=1.0
        Gap at which the parabola bends; the paper has ``0.00054 * sqrt(d)`` for d pixels in [-1, 1].
    joint : bool, default=True
        Whether several targets of a row share one gap, its Euclidean length, as in the paper; else each has its own.

    Returns
    -------
    Tensor of shape (n,), or (n, n_targets) if not joint
        One value per row, or per row and target, not negative.

    Notes
    -----
    .. math:: \ell = \sqrt{\lVert y - \hat y \rVert^2 + c^2} - c

    ``c -> 0`` is the length of the gap, for a large c it is its square over ``2 c``. No row pulls harder than 1.

    References
    ----------
    .. [1] Song, Dhariwal. "Improved techniques for training consistency models". ICLR 2024.

    Examples
    --------
    >>> pseudo_huber(torch.tensor([[3.0, 4.0]]), torch.zeros(1, 2), c=0.1)
    tensor([4.9010])
    """
    square: Tensor = (prediction - y).square()  # (n, n_targets)
    if joint:
        square = square.sum(1)  # (n,)
    return square / (torch.sqrt(square + c**2) + c)  # the difference of the formula, without its cancellation
