"""Additive angular margin with several proxies for each class."""

from typing import Annotated, Literal

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Angle, Positive, PositiveInt, Search
from sklearnloss.functional.angles import straight_through, target_cross_entropy, true_cosines, widened
from sklearnloss.typing import Cosines, Labels, PerRow


def nearest_softmax(cosines: Tensor, *, scale: float, centers_per_class: int) -> Tensor:
    """Return class probabilities (n, k) from cosines (n, k * m), without any margin."""
    return torch.softmax(scale * _nearest(cosines, centers_per_class), dim=1)


@loss(
    "subcenter_arcface",
    task="multiclass",
    outputs=lambda *, centers_per_class: centers_per_class,
    link=nearest_softmax,
)
def subcenter_arcface(
    cosines: Cosines,
    y: Labels,
    *,
    centers_per_class: PositiveInt = 3,
    scale: Annotated[Positive, Search(4, 64, log=True)] = 16.0,
    margin: Annotated[Angle, Search(0.05, 0.6)] = 0.5,
    gradient: Literal["exact", "straight_through"] = "exact",
) -> PerRow:
    r"""ArcFace in which a row need only be near one of the proxies of its class.

    Rows with wrong labels, and minorities within a class, gather around a proxy of their own, and do not pull at the
    one of the clean majority.

    Parameters
    ----------
    cosines : Tensor of shape (n, k * m)
        Cosines between embeddings and proxies, the m proxies of a class side by side.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    centers_per_class : int in [1, inf), default=3
        Proxies of each class, m.
    scale : float in (0, inf), default=16.0
        Factor of the cosines. The paper's 64 is for thousands of classes; for up to a hundred, 10 to 30 suffice.
    margin : float in [0, pi), default=0.5
        Angle in radians; 0.1 to 0.5 for few classes.
    gradient : {"exact", "straight_through"}, default="exact"
        ``"straight_through"`` takes the slope of the margin as one, as the authors' later code does.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, not below the one without margin.

    Notes
    -----
    The cosine of a class is the largest of its proxies', which alone has a gradient; the rest is `arcface`, which is
    ``centers_per_class=1``, or that many equal proxies. The link is the softmax of the scaled largest cosines, without
    any margin, and so not proper. ``decision_function`` gives the same. O(n k m).

    References
    ----------
    .. [1] Deng, Guo, Liu, Gong, Zafeiriou. "Sub-center ArcFace: boosting face recognition by large-scale noisy web
       faces". ECCV 2020.

    Examples
    --------
    >>> subcenter_arcface(torch.tensor([[0.2, 0.9, 0.1, -0.3]]), torch.tensor([0]), centers_per_class=2)
    tensor([0.0005])
    """
    nearest = _nearest(cosines, centers_per_class)  # (n, k)
    true = true_cosines(nearest, y)  # (n, 1)
    target = widened(true, margin)
    if gradient == "straight_through":
        target = straight_through(target, true)
    return target_cross_entropy(nearest, y, target, scale)  # (n,)


def _nearest(cosines: Tensor, centers_per_class: int) -> Tensor:
    """Return the largest cosine of each class (n, k)."""
    return cosines.reshape(len(cosines), -1, centers_per_class).max(dim=2).values
