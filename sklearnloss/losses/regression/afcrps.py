"""Almost fair continuous ranked probability score of an ensemble."""

from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Interval, Probability
from sklearnloss.functional.distributions import Quantiles
from sklearnloss.typing import Columns, PerRow, Targets

Several = Annotated[int, Interval(2, float("inf"), "left")]
EDGE = 1e-6  # how near to 0 and 1 the outermost levels come, which the fair score puts there


def at_levels(columns: Tensor, *, alpha: float) -> Quantiles:
    """Return the distributions of which the columns, in order, are the quantiles that the score makes them."""
    m = columns.shape[-1]
    levels = 0.5 + (1 - (1 - alpha) / m) * (2 * np.arange(m) + 1 - m) / (2 * (m - 1))
    return Quantiles(columns.double().numpy(), np.clip(levels, EDGE, 1 - EDGE))


@loss("afcrps", task="regression", outputs=lambda *, n_members: n_members, link=at_levels)
def afcrps(columns: Columns, y: Targets, *, n_members: Several = 8, alpha: Probability = 0.95) -> PerRow:
    r"""Members are drawn to the target and pushed off each other until they are quantiles of its distribution.

    Parameters
    ----------
    columns : Tensor of shape (n, n_targets, m)
        Members of an ensemble.
    y : Tensor of shape (n, n_targets)
        Targets.
    n_members : int in [2, inf), default=8
        Members m.
    alpha : float in [0, 1], default=0.95
        0 is the score of the members as they are, which favors ensembles that are too narrow; 1 is the fair score,
        whose mean does not depend on how many members there are, but which leaves one member free where the others
        agree.

    Returns
    -------
    Tensor of shape (n, n_targets)
        One value per row and target, not negative.

    Notes
    -----
    .. math:: \ell = \frac1m \sum_j |x_j - y| - \frac{1 - \varepsilon}{2 m (m - 1)} \sum_{j,k} |x_j - x_k|,
              \qquad \varepsilon = \frac{1 - \alpha}{m}

    The double sum follows from the order of the members: O(m log m).

    A network whose members are functions of the row alone, as here, does best where the j-th smallest (from 0) is the
    quantile at :math:`\frac12 + (1 - \varepsilon) \frac{2j + 1 - m}{2 (m - 1)}`: with ``alpha=0`` at the middles of m
    equal parts, with ``alpha=1`` from the lower to the upper end of all outcomes. So that is what is predicted:
    quantiles at these levels, not draws.

    References
    ----------
    .. [1] Lang, Alexe, Clare, Roberts, Adewoyin, Bouallègue, Chantry, Dramsch, Dueben, Hahner, Maciel,
       Prieto-Nemesio, O'Brien, Pinault, Polster, Raoult, Tietsche, Leutbecher. "AIFS-CRPS: Ensemble forecasting using a
       model trained with a loss function based on the continuous ranked probability score". 2024.

    Examples
    --------
    >>> afcrps(torch.tensor([[[0.0, 1.0, 3.0]]]), torch.tensor([[1.0]]))
    tensor([[0.0167]])
    """
    m = columns.shape[-1]
    # measured from the target, members of a good forecast are small numbers, which keep their digits
    gap = columns - y[..., None]  # (n, n_targets, m)
    rank = 2 * torch.arange(m, dtype=gap.dtype, device=gap.device) + 1 - m  # what a sum of |x_j - x_k| counts each by
    apart = (gap.sort(dim=-1).values * rank).sum(-1)  # over j < k
    share = (1 - (1 - alpha) / m) / (m * (m - 1))
    return gap.abs().mean(-1) - share * apart
