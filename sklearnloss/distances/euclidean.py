"""Euclidean distance."""

import torch
from torch import Tensor

from sklearnloss.component import distance
from sklearnloss.distances._rows import prepared
from sklearnloss.functional.vectors import squares_and_rounding
from sklearnloss.typing import Embeddings


@distance("euclidean")
def euclidean(a: Embeddings, b: Embeddings, *, normalize: bool = True) -> Tensor:
    r"""Length of the difference.

    Parameters
    ----------
    a : Tensor of shape (n, d)
        Anchors.
    b : Tensor of shape (m, d)
        What they are compared with.
    normalize : bool, default=True
        Whether both get length one before.

    Returns
    -------
    Tensor of shape (n, m)
        In [0, 2] if normalized, else not negative.

    Notes
    -----
    .. math:: d(a, b) = \|a - b\|

    By one matrix product. A distance too small to be known (about 0.0003 of the vectors' length in float32) is 0, with
    the gradient 0, so that duplicates pull in no direction. O(n m d) time.

    References
    ----------
    .. [1] Schroff, Kalenichenko, Philbin. "FaceNet: a unified embedding for face recognition and clustering".
       CVPR 2015.

    Examples
    --------
    >>> euclidean(torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 4.0], [5.0, 0.0]]), normalize=False)
    tensor([[5., 2.]])
    """
    found, known = squares_and_rounding(*prepared(a, b, normalize=normalize))
    exists = found > known
    return torch.where(exists, torch.where(exists, found, 1.0).sqrt(), 0.0).to(a.dtype)
