"""Logarithm of the hyperbolic cosine."""

import math
from typing import Annotated

from torch import Tensor
from torch.nn.functional import softplus

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.typing import PerRow, Prediction, Targets


@loss("log_cosh", task="regression")
def log_cosh(
    prediction: Prediction, y: Targets, *, scale: Annotated[Positive, Search(0.1, 3, log=True)] = 1.0
) -> PerRow:
    r"""Huber loss without corners: all its derivatives exist.

    Parameters
    ----------
    prediction : Tensor of shape (n, n_targets)
        Predictions.
    y : Tensor of shape (n, n_targets)
        Targets.
    scale : float in (0, inf), default=1.0
        Gap at which the parabola bends into a line.

    Returns
    -------
    Tensor of shape (n, n_targets)
        One value per row and target, not negative.

    Notes
    -----
    .. math:: \ell = s^2 \log \cosh \frac{y - \hat y}{s}

    Small gaps cost half their square, large ones ``scale * |gap| - scale ** 2 * log(2)``.

    References
    ----------
    .. [1] Saleh, Saleh. "Statistical properties of the log-cosh loss function used in machine learning". 2022.

    Examples
    --------
    >>> log_cosh(torch.tensor([[1.0]]), torch.tensor([[0.0]]))
    tensor([[0.4338]])
    """
    size: Tensor = (prediction - y).abs() / scale  # (n, n_targets)
    # log cosh x = x - log 2 + log(1 + exp(-2 x)), which does not overflow
    return scale**2 * (size + softplus(-2 * size) - math.log(2))
