"""Continuous ranked probability score of a normal distribution."""

import math

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Positive
from sklearnloss.functional.columns import location_scale, normal
from sklearnloss.typing import Columns, PerRow, Targets


@loss("crps_normal", task="regression", outputs=lambda: 2, link=normal, proper=True)
def crps_normal(columns: Columns, y: Targets, *, min_scale: Positive = 1e-3) -> PerRow:
    r"""Predict mean and standard deviation; a miss costs in the units of y, not in its square over the variance.

    Far rows pull less than under ``gaussian_nll``, and a standard deviation near zero does not explode.

    Parameters
    ----------
    columns : Tensor of shape (n, n_targets, 2)
        Mean, and what softplus turns into the standard deviation.
    y : Tensor of shape (n, n_targets)
        Targets.
    min_scale : float in (0, inf), default=1e-3
        Least standard deviation, in standard deviations of y.

    Returns
    -------
    Tensor of shape (n, n_targets)
        One value per row and target, not negative.

    Notes
    -----
    With :math:`z = (y - \mu) / \sigma`,

    .. math:: \ell = \sigma \bigl( z (2 \Phi(z) - 1) + 2 \varphi(z) - 1 / \sqrt\pi \bigr)

    ``sigma -> 0`` is the absolute error.

    References
    ----------
    .. [1] Gneiting, Raftery, Westveld, Goldman. "Calibrated probabilistic forecasting using ensemble model output
       statistics and minimum CRPS estimation". Monthly Weather Review 133, 2005.

    Examples
    --------
    >>> crps_normal(torch.tensor([[[0.0, 0.5413]]]), torch.tensor([[0.0]]), min_scale=1e-6)
    tensor([[0.2337]])
    """
    mu, sigma = location_scale(columns, min_scale)  # (n, n_targets) each
    z = (y - mu) / sigma
    density = torch.exp(-0.5 * z.square()) / math.sqrt(2 * math.pi)
    values: Tensor = sigma * (z * torch.erf(z / math.sqrt(2)) + 2 * density - 1 / math.sqrt(math.pi))
    return values
