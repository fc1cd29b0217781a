"""Asymmetric squared error."""

from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Interval
from sklearnloss.typing import PerRow, Prediction, Targets

Level = Annotated[float, Interval(0, 1)]


@loss("expectile", task="regression", aliases=("asymmetric_l2",))
def expectile(prediction: Prediction, y: Targets, *, level: Level = 0.5) -> PerRow:
    r"""Misses below and above the target cost as the level says; the best prediction is an expectile.

    Parameters
    ----------
    prediction : Tensor of shape (n, n_targets)
        Predictions.
    y : Tensor of shape (n, n_targets)
        Targets.
    level : float in (0, 1), default=0.5
        Weight of targets above the prediction; those below have the rest. 0.5 is half the squared error.

    Returns
    -------
    Tensor of shape (n, n_targets)
        One value per row and target, not negative.

    Notes
    -----
    .. math:: \ell = |\tau - [y < \hat y]| \, (y - \hat y)^2

    The mean is the expectile at 0.5, a level near 0 or 1 leads to the ends of the distribution. Where an unobserved
    cause changes the odds of treatment by a factor of at most G, the level ``1 / (1 + G)`` on treated rows is the
    lower bound of the outcome of the others [2]_, ``G / (1 + G)`` the upper one.

    References
    ----------
    .. [1] Newey, Powell. "Asymmetric least squares estimation and testing". Econometrica 55, 1987.
    .. [2] Yadlowsky, Namkoong, Basu, Duchi, Tian. "Bounds on the conditional and average treatment effect with
       unobserved confounding factors". Annals of Statistics 50, 2022.

    Examples
    --------
    >>> expectile(torch.tensor([[0.0], [0.0]]), torch.tensor([[2.0], [-2.0]]), level=0.9)
    tensor([[3.6000],
            [0.4000]])
    """
    gap: Tensor = y - prediction  # (n, n_targets)
    # a choice between two Python numbers would be rounded to float32
    return level * torch.square(gap.clamp(min=0)) + (1 - level) * torch.square(gap.clamp(max=0))
