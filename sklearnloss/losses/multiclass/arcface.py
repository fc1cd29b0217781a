"""Additive angular margin."""

from typing import Annotated, Literal

from sklearnloss.component import loss
from sklearnloss.constraints import Angle, Positive, Search
from sklearnloss.functional.angles import straight_through, target_cross_entropy, true_cosines, widened
from sklearnloss.typing import Cosines, Labels, PerRow


@loss("arcface", task="multiclass")
def arcface(
    cosines: Cosines,
    y: Labels,
    *,
    scale: Annotated[Positive, Search(4, 64, log=True)] = 16.0,
    margin: Annotated[Angle, Search(0.05, 0.6)] = 0.5,
    gradient: Literal["exact", "straight_through"] = "exact",
) -> PerRow:
    r"""Cross entropy of scaled cosines after the true class's angle was widened by a margin.

    Parameters
    ----------
    cosines : Tensor of shape (n, k)
        Cosines between embeddings and class proxies.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    scale : float in (0, inf), default=16.0
        Factor of the cosines. The paper's 64 is for thousands of classes; for up to a hundred, 10 to 30 suffice. Not
        below ``sqrt(2) * log(k - 1)``, where even a perfect row keeps a sizeable loss.
    margin : float in [0, pi), default=0.5
        Angle in radians; 0.1 to 0.5 for few classes.
    gradient : {"exact", "straight_through"}, default="exact"
        ``"straight_through"`` takes the slope of the margin as one, as the authors' later code does: the value is the
        same, but the exact gradient of the true class's cosine is sin(theta + margin) / sin(theta) times as large.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, not below the one without margin.

    Notes
    -----
    .. math:: \ell = -\log \frac{e^{s \psi(\theta_y)}}{e^{s \psi(\theta_y)} + \sum_{j \ne y} e^{s \cos \theta_j}},
        \qquad \psi(\theta) = \cos(\theta + m)

    Where :math:`\theta + m` would pass :math:`\pi`, :math:`\psi(\theta) = \cos \theta - m \sin m` keeps falling, for
    margins up to 2.33. No angle is computed: :math:`\cos(\theta + m) = \cos \theta \cos m - \sin \theta \sin m` is
    exact at all cosines, where the arc cosine loses its digits near one. ``margin=0`` is cross entropy of
    ``scale * cosines``. The link is their softmax, without any margin, and so not proper. O(n k).

    References
    ----------
    .. [1] Deng, Guo, Xue, Zafeiriou. "ArcFace: additive angular margin loss for deep face recognition". CVPR 2019.

    Examples
    --------
    >>> import torch
    >>> arcface(torch.tensor([[0.9, 0.1, -0.3]]), torch.tensor([0]))
    tensor([0.0005])
    """
    true = true_cosines(cosines, y)  # (n, 1)
    target = widened(true, margin)
    if gradient == "straight_through":
        target = straight_through(target, true)
    return target_cross_entropy(cosines, y, target, scale)  # (n,)
