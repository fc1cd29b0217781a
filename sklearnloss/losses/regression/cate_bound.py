"""Bounds of treatment effects that hold although something was not measured."""

from typing import Annotated, Literal

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import AtLeastOne, Search
from sklearnloss.functional.numerics import softplus
from sklearnloss.typing import Columns, PerRow, Targets


def bound(columns: Tensor) -> Tensor:
    """Return the bound: the mean where the arm was observed, the bound of the mean where it was not."""
    mean, unseen, score = columns.unbind(-1)
    return torch.lerp(unseen, mean, torch.sigmoid(score))


@loss("cate_bound", task="regression", outputs=lambda: 3, link=bound, status="known")
def cate_bound(
    columns: Columns,
    y: Targets,
    *,
    treated: Tensor,
    arm: Literal["treated", "control"] = "treated",
    side: Literal["lower", "upper"] = "lower",
    odds_ratio: Annotated[AtLeastOne, Search(1, 5)] = 2.0,
) -> PerRow:
    r"""Bound what an arm would have given, whatever was not measured, as far as it moved the odds of treatment.

    Parameters
    ----------
    columns : Tensor of shape (n, n_targets, 3)
        Mean of the outcome where the arm was taken, bound of its mean where it was not, and the score (log-odds) that
        it is taken.
    y : Tensor of shape (n, n_targets)
        Outcomes.
    treated : Tensor of shape (n,)
        1 for treated rows, 0 for the others; ``fit(X, y, treated=...)``.
    arm : {"treated", "control"}, default="treated"
        Whose outcome is bounded.
    side : {"lower", "upper"}, default="lower"
        Which bound.
    odds_ratio : float in [1, inf), default=2.0
        Factor by which the odds of treatment of two rows with equal X may differ.

    Returns
    -------
    Tensor of shape (n, n_targets)
        One value per row and target, not negative.

    Notes
    -----
    On the rows of the arm, with g the odds ratio, and cross entropy for the score s,

    .. math:: \ell = \tfrac12 (y - \mu)^2 + \tfrac{1}{1 + g} (y - \theta)_+^2 + \tfrac{g}{1 + g} (\theta - y)_+^2 +
        \log(1 + e^{-s})

    for the lower bound; the upper one swaps the weights. Other rows have the cross entropy alone. The prediction is
    :math:`e \mu + (1 - e) \theta` with :math:`e = \sigma(s)`. The difference of the lower bound of the treated and the
    upper one of the controls is the lower bound of the conditional effect; two fits give it. ``odds_ratio=1`` gives the
    regression that takes everything as measured. For the average effect, an orthogonal score with cross-fitting is
    needed on top.

    References
    ----------
    .. [1] Yadlowsky, Namkoong, Basu, Duchi, Tian. "Bounds on the conditional and average treatment effect with
       unobserved confounding factors". Annals of Statistics 50, 2022.

    Examples
    --------
    >>> columns, y = torch.tensor([[[1.0, 0.0, 0.0]]]), torch.tensor([[2.0]])
    >>> cate_bound(columns, y, treated=torch.ones(1), odds_ratio=3.0)
    tensor([[2.1931]])
    >>> bound(columns)
    tensor([[0.5000]])
    """
    mean, unseen, score = columns.unbind(-1)  # (n, n_targets) each
    seen = (treated > 0.5) == (arm == "treated")  # (n,)
    seen = seen[:, None]
    level = 1 / (1 + odds_ratio)
    above, below = (level, 1 - level) if side == "lower" else (1 - level, level)
    gap = y - unseen
    outcome = (y - mean).square() / 2 + above * gap.clamp(min=0).square() + below * gap.clamp(max=0).square()
    return torch.where(seen, outcome, 0.0) + softplus(torch.where(seen, -score, score))
