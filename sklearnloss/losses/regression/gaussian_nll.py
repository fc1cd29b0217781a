"""Negative log-likelihood of a normal distribution."""

import math

from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Positive
from sklearnloss.functional.columns import location_scale, normal
from sklearnloss.typing import Columns, PerRow, Targets


@loss("gaussian_nll", task="regression", outputs=lambda: 2, link=normal, proper=True)
def gaussian_nll(columns: Columns, y: Targets, *, min_scale: Positive = 1e-3) -> PerRow:
    r"""Predict mean and standard deviation: a miss costs less where the model said that it knows little.

    Parameters
    ----------
    columns : Tensor of shape (n, n_targets, 2)
        Mean, and what softplus turns into the standard deviation.
    y : Tensor of shape (n, n_targets)
        Targets.
    min_scale : float in (0, inf), default=1e-3
        Least standard deviation, in those of y.

    Returns
    -------
    Tensor of shape (n, n_targets)
        One value per row and target; negative where the density is above one.

    Notes
    -----
    .. math:: \ell = \tfrac12 \log 2 \pi \sigma^2 + \frac{(y - \mu)^2}{2 \sigma^2},
              \qquad \sigma = \sigma_{\min} + \log(1 + e^s)

    References
    ----------
    .. [1] Nix, Weigend. "Estimating the mean and variance of the target probability distribution". ICNN 1994.

    Examples
    --------
    >>> gaussian_nll(torch.tensor([[[0.0, 0.5413]]]), torch.tensor([[1.0]]), min_scale=1e-6)
    tensor([[1.4189]])
    """
    mu, sigma = location_scale(columns, min_scale)  # (n, n_targets) each
    values: Tensor = 0.5 * math.log(2 * math.pi) + sigma.log() + 0.5 * ((y - mu) / sigma).square()
    return values
