"""Huber loss."""

from typing import Annotated

import torch

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.typing import PerRow, Prediction, Targets


@loss("huber", task="regression")
def huber(prediction: Prediction, y: Targets, *, delta: Annotated[Positive, Search(0.1, 3, log=True)] = 1.0) -> PerRow:
    r"""Squared error near the target, absolute error beyond ``delta``: smooth, and no row pulls harder than ``delta``.

    Parameters
    ----------
    prediction : Tensor of shape (n, n_targets)
        Predictions.
    y : Tensor of shape (n, n_targets)
        Targets.
    delta : float in (0, inf), default=1.0
        Where the parabola becomes a line, in standard deviations of y; 1.345 is 95 % efficient on normal noise.

    Returns
    -------
    Tensor of shape (n, n_targets)
        One value per row and target, not negative.

    Notes
    -----
    .. math:: \ell = \tfrac12 r^2 \text{ if } |r| \le \delta, \text{ else } \delta (|r| - \tfrac12 \delta),
              \qquad r = y - \hat y

    ``delta -> inf`` is half the squared error; ``huber / delta`` tends to the absolute error as ``delta -> 0``.

    References
    ----------
    .. [1] Huber. "Robust estimation of a location parameter". Annals of Mathematical Statistics 35, 1964.

    Examples
    --------
    >>> huber(torch.tensor([[0.5], [3.0]]), torch.zeros(2, 1))
    tensor([[0.1250],
            [2.5000]])
    """
    size = (prediction - y).abs()  # (n, n_targets)
    inner = torch.clamp(size, max=delta)
    return inner * (size - 0.5 * inner)
