"""Cauchy loss."""

from typing import Annotated, Any

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import AtLeastOne, Positive, PositiveInt, Search
from sklearnloss.typing import PerRow, Prediction, Targets


# Difference from the paper: it says that c shrinks exponentially, and not from where or for how long.
@loss("cauchy", task="regression", monitor=False)
def cauchy(
    prediction: Prediction,
    y: Targets,
    *,
    epoch: Any = None,
    c: Annotated[Positive, Search(0.1, 3, log=True)] = 1.0,
    start: Annotated[AtLeastOne, Search(1, 30, log=True)] = 10.0,
    warmup: PositiveInt = 10,
    joint: bool = True,
) -> PerRow:
    r"""Logarithm of the squared gap: a row pulls most at a gap of ``c * sqrt(2)`` and lets go beyond it.

    Parameters
    ----------
    prediction : Tensor of shape (n, n_targets)
        Predictions.
    y : Tensor of shape (n, n_targets)
        Targets.
    epoch : int, default=None
        Epochs finished so far; None counts as after the warm-up.
    c : float in (0, inf), default=1.0
        Gap up to which a row counts in full, after the warm-up.
    start : float in [1, inf), default=10.0
        Factor of c in the first epoch; it falls by the same ratio in each epoch of the warm-up. 1 keeps c as it is.
    warmup : int in [1, inf), default=10
        Epochs until the factor is 1.
    joint : bool, default=True
        Whether several targets of a row share one gap, its Euclidean length, as in the paper; else each has its own.

    Returns
    -------
    Tensor of shape (n,), or (n, n_targets) if not joint
        One value per row, or per row and target, not negative.

    Notes
    -----
    .. math:: \ell = \log \Bigl( 1 + \frac{\lVert y - \hat y \rVert^2}{2 c_t^2} \Bigr), \qquad
        c_t = c \, \text{start}^{\max(0,\, 1 - \text{epoch} / \text{warmup})}

    It is not convex: a network that begins beyond ``c * sqrt(2)`` is hardly pulled, hence the warm-up. Values of
    different epochs of it do not compare.

    References
    ----------
    .. [1] Dao, Doan, Liu, Le, Metaxas. "Improved training technique for latent consistency models". ICLR 2025.

    Examples
    --------
    >>> cauchy(torch.tensor([[3.0, 4.0]]), torch.zeros(1, 2), c=0.1)
    tensor([7.1317])
    """
    left = 0.0 if epoch is None else max(0.0, 1 - epoch / warmup)  # of the warm-up
    square: Tensor = ((prediction - y) / (c * start**left)).square()  # (n, n_targets)
    if joint:
        square = square.sum(1)  # (n,)
    return torch.log1p(square / 2)
