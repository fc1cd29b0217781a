"""Normalized softmax."""

from typing import Annotated

from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.typing import Cosines, Labels, PerRow


@loss("normalized_softmax", task="multiclass", proper=True)
def normalized_softmax(
    cosines: Cosines, y: Labels, *, scale: Annotated[Positive, Search(8, 64, log=True)] = 20.0
) -> PerRow:
    r"""Cross entropy of scaled cosines: neither the length of an embedding nor that of a proxy counts.

    Parameters
    ----------
    cosines : Tensor of shape (n, k)
        Cosines between embeddings and class proxies.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    scale : float in (0, inf), default=20.0
        Factor of the cosines, one over the temperature; 8 to 64. A small one leaves a loss that no embedding can get
        rid of, a large one leaves little gradient for rows that are far off.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, not below ``log(1 + (k - 1) * exp(-2 * scale))``.

    Notes
    -----
    .. math:: \ell = -\log \frac{e^{s \cos \theta_y}}{\sum_j e^{s \cos \theta_j}}

    The least mean over balanced classes is :math:`\log(1 + (k - 1) e^{-s k / (k - 1)})`, where each embedding lies on
    its proxy and the proxies are the corners of a simplex, which takes ``k - 1`` dimensions. The link is the same
    softmax; probabilities that it can not reach, because cosines end at one, are those of a class whose odds to another
    pass ``exp(2 * scale)``. O(n k).

    References
    ----------
    .. [1] Wang, Xiang, Cheng, Yuille. "NormFace: L2 hypersphere embedding for face verification". ACM Multimedia 2017.
    .. [2] Zhai, Wu. "Classification is a strong baseline for deep metric learning". BMVC 2019.
    .. [3] Pereira, Joly, Valduriez, Porto. "Hyperspherical embedding for novel class classification". 2021.
       arXiv:2102.03243.

    Examples
    --------
    >>> import torch
    >>> normalized_softmax(torch.tensor([[0.9, 0.1, -0.3]]), torch.tensor([0]), scale=4.0)
    tensor([0.0478])
    """
    return F.cross_entropy(scale * cosines, y, reduction="none")  # (n,)
