"""Deviance of a Tweedie distribution."""

from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Interval, Search
from sklearnloss.functional.numerics import box_cox, steady_exp
from sklearnloss.typing import PerRow, Prediction, Targets

Power = Annotated[float, Interval(1, 2), Search(1.1, 1.9)]


@loss("tweedie", task="regression", target="nonnegative", link=steady_exp)
def tweedie(prediction: Prediction, y: Targets, *, power: Power = 1.5) -> PerRow:
    r"""Predict the mean of amounts that are often exactly zero, such as claims, rain or sales; effects multiply.

    Parameters
    ----------
    prediction : Tensor of shape (n, n_targets)
        Logarithms of the means.
    y : Tensor of shape (n, n_targets)
        Targets, not negative.
    power : float in (1, 2), default=1.5
        The variance grows like the mean to this power.

    Returns
    -------
    Tensor of shape (n, n_targets)
        One value per row and target, not negative.

    Notes
    -----
    .. math:: \ell = \frac{y^{2 - p}}{(1 - p)(2 - p)} - \frac{y \mu^{1 - p}}{1 - p} + \frac{\mu^{2 - p}}{2 - p},
              \qquad \mu = e^{\hat y}

    It is half the deviance, zero at :math:`\mu = y`; ``power -> 1`` is ``poisson``.

    References
    ----------
    .. [1] Jørgensen. "Exponential dispersion models". Journal of the Royal Statistical Society B 49, 1987.

    Examples
    --------
    >>> tweedie(torch.tensor([[0.0]]), torch.tensor([[4.0]]))
    tensor([[2.]])
    """
    # powers less one over their exponents: near the limits 1 and 2 the powers themselves would cancel
    low, high = 1 - power, 2 - power
    log_y = torch.log(torch.where(y > 0, y, 1.0))
    least = torch.where(y > 0, box_cox(log_y, high) - y * box_cox(log_y, low), -1 / high)
    values: Tensor = box_cox(prediction, high) - y * box_cox(prediction, low) - least
    return values
