"""Bound of a treatment's outcome under unobserved confounding."""

from typing import Annotated, Literal

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import AtLeastOne, Search
from sklearnloss.typing import PerRow, Prediction, Targets


@loss("cate_bound", task="regression")
def cate_bound(
    prediction: Prediction,
    y: Targets,
    *,
    odds: Annotated[AtLeastOne, Search(1, 10, log=True)] = 2.0,
    bound: Literal["lower", "upper"] = "lower",
) -> PerRow:
    r"""Fitted on treated rows, the least (or largest) mean outcome that the others may have had under treatment.

    Parameters
    ----------
    prediction : Tensor of shape (n, n_targets)
        Predictions.
    y : Tensor of shape (n, n_targets)
        Targets.
    odds : float in [1, inf), default=2.0
        How far what was not observed may have changed the odds of being treated, between two rows that look the same.
        At 1 nothing was unobserved, and the bound is the mean.
    bound : {"lower", "upper"}, default="lower"
        Which bound.

    Returns
    -------
    Tensor of shape (n, n_targets)
        One value per row and target, not negative.

    Notes
    -----
    .. math:: \ell = \max(y - \hat y, 0)^2 + \Gamma \max(\hat y - y, 0)^2

    for the lower bound, the factor on the other side for the upper one. It is ``expectile`` at
    :math:`1 / (1 + \Gamma)`. With the propensity e(x), the bound of the mean outcome under treatment is
    :math:`e(x) \, E[Y | x, \text{treated}] + (1 - e(x)) \, \hat y(x)`; that under control comes from the untreated
    rows alike, and their difference bounds the conditional effect.

    References
    ----------
    .. [1] Yadlowsky, Namkoong, Basu, Duchi, Tian. "Bounds on the conditional and average treatment effect with
       unobserved confounding factors". Annals of Statistics 50, 2022.

    Examples
    --------
    >>> cate_bound(torch.zeros(2, 1), torch.tensor([[1.0], [-1.0]]), odds=3.0)
    tensor([[1.],
            [3.]])
    """
    gap: Tensor = y - prediction  # (n, n_targets)
    heavy = gap < 0 if bound == "lower" else gap > 0
    return torch.where(heavy, odds, 1.0) * gap.square()
