"""Energy score of an ensemble of several targets."""

import math
from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Interval
from sklearnloss.functional.distributions import Ensemble
from sklearnloss.typing import Columns, PerRow, Targets

Several = Annotated[int, Interval(2, math.inf, "left")]
TINY = 1e-12  # below the square of a distance that means anything; at zero a distance has no gradient


def ensemble(columns: Tensor) -> Ensemble:
    """Return the distributions of each target of which the columns are members."""
    return Ensemble(columns.double().numpy())


@loss("energy_score", task="regression", outputs=lambda *, n_members: n_members, link=ensemble)
def energy_score(columns: Columns, y: Targets, *, n_members: Several = 8, fair: bool = True) -> PerRow:
    r"""Members are draws of all targets of a row together, so that they learn which values go with which.

    Parameters
    ----------
    columns : Tensor of shape (n, n_targets, m)
        Members of an ensemble; the k-th of each target belong together.
    y : Tensor of shape (n, n_targets)
        Targets.
    n_members : int in [2, inf), default=8
        Members m.
    fair : bool, default=True
        Whether distances between members are averaged over pairs of different ones, so that the mean of the score does
        not depend on how many there are; else over all pairs.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, not negative.

    Notes
    -----
    .. math:: \ell = \frac1m \sum_j \lVert x_j - y \rVert
              - \frac{1}{2 m (m - 1)} \sum_{j \ne k} \lVert x_j - x_k \rVert

    For one target it is ``afcrps`` with ``alpha=1``, or with ``alpha=0`` if not fair. O(m**2 n_targets).

    References
    ----------
    .. [1] Gneiting, Raftery. "Strictly proper scoring rules, prediction, and estimation". Journal of the American
       Statistical Association 102, 2007.

    Examples
    --------
    >>> members, y = torch.tensor([[[0.0, 3.0], [0.0, 4.0]]]), torch.zeros(1, 2)
    >>> energy_score(members, y, n_members=2, fair=False)  # 2.5 - 5 / 4
    tensor([1.2500])
    """
    m = columns.shape[-1]
    far = _length(columns - y[..., None], dim=1)  # (n, m)
    first, second = torch.triu_indices(m, m, offset=1, device=columns.device)
    apart = _length(columns[..., first] - columns[..., second], dim=1)  # (n, m (m - 1) / 2)
    return far.mean(1) - apart.sum(1) / (m * (m - 1) if fair else m**2)


def _length(x: Tensor, dim: int) -> Tensor:
    square = x.square().sum(dim)
    return torch.where(square > TINY, square.clamp(min=TINY).sqrt(), 0.0)
