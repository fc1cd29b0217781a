"""Multiplicative angular margin."""

import math
from typing import Annotated, Any

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import AtLeastOne, Positive, Search
from sklearnloss.functional.angles import target_cross_entropy, true_cosines
from sklearnloss.typing import Cosines, Labels, PerRow


# Difference from the paper: there the scale is the length of the row's own embedding, which an easy row can enlarge and
# a hard one shrink; here, as in all later losses of the family, it is the same for all rows.
@loss("sphereface", task="multiclass")
def sphereface(
    cosines: Cosines,
    y: Labels,
    *,
    scale: Annotated[Positive, Search(4, 64, log=True)] = 16.0,
    factor: Annotated[AtLeastOne, Search(1, 4)] = 1.5,
) -> PerRow:
    r"""Cross entropy of scaled cosines after the true class's angle was multiplied by a factor.

    Parameters
    ----------
    cosines : Tensor of shape (n, k)
        Cosines between embeddings and class proxies.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    scale : float in (0, inf), default=16.0
        Factor of the cosines; 10 to 30 for up to a hundred classes.
    factor : float in [1, inf), default=1.5
        Factor of the angle, whole or not. The paper's 4 makes training slow to begin with, and is reached there by
        degrees.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, not below the one without margin.

    Notes
    -----
    .. math:: \ell = -\log \frac{e^{s \psi(\theta_y)}}{e^{s \psi(\theta_y)} + \sum_{j \ne y} e^{s \cos \theta_j}},
        \qquad \psi(\theta) = (-1)^p \cos(m \theta) - 2 p, \quad p = \lfloor m \theta / \pi \rfloor

    which falls over all angles, from 1 at zero, without a step where p changes. ``factor=1`` is cross entropy of
    ``scale * cosines``. At a cosine of one the slope is ``factor**2``, its limit. The link is the softmax of the scaled
    cosines, without any margin, and so not proper. O(n k).

    References
    ----------
    .. [1] Liu, Wen, Yu, Li, Raj, Song. "SphereFace: deep hypersphere embedding for face recognition". CVPR 2017.
    .. [2] Liu, Wen, Raj, Singh, Weller. "SphereFace revived: unifying hyperspherical face recognition". IEEE
       Transactions on Pattern Analysis and Machine Intelligence 2022.

    Examples
    --------
    >>> sphereface(torch.tensor([[0.9, 0.1, -0.3]]), torch.tensor([0]), scale=4.0)
    tensor([0.0763])
    """
    return target_cross_entropy(cosines, y, _psi(true_cosines(cosines, y), factor), scale)  # (n,)


def _psi(cosine: Tensor, factor: Any) -> Tensor:
    """Return the cosine of the multiplied angle, continued so that it falls over all angles."""
    factor = torch.as_tensor(factor, dtype=cosine.dtype, device=cosine.device)
    inside = cosine.abs() < 1
    angle = torch.acos(torch.where(inside, cosine, 0.0))
    # at the poles the slope of the arc cosine is infinite, and that of psi is not: there it is its tangent
    end = math.pi * (cosine < 0).to(cosine.dtype)
    tangent = factor.square() * (cosine - cosine.detach().clamp(-1, 1))
    return torch.where(inside, _folded(factor * angle), _folded(factor * end) + tangent)


def _folded(angle: Tensor) -> Tensor:
    """Return the cosine of an angle beyond pi, turned over and moved down at each multiple of pi."""
    turns = (angle / math.pi).floor().detach()
    return (1 - 2 * turns.remainder(2)) * angle.cos() - 2 * turns
