"""Cosine distance."""

from torch import Tensor

from sklearnloss.component import distance
from sklearnloss.distances._rows import prepared
from sklearnloss.typing import Embeddings


@distance("cosine")
def cosine(a: Embeddings, b: Embeddings) -> Tensor:
    r"""One less the cosine of the angle; blind to lengths.

    Parameters
    ----------
    a : Tensor of shape (n, d)
        Anchors.
    b : Tensor of shape (m, d)
        What they are compared with.

    Returns
    -------
    Tensor of shape (n, m)
        In [0, 2], up to rounding; 1 from a vector of length zero.

    Notes
    -----
    .. math:: d(a, b) = 1 - \frac{a^\top b}{\|a\|\,\|b\|}

    O(n m d) time.

    References
    ----------
    .. [1] Wang, Han, Huang, Dong, Scott. "Multi-similarity loss with general pair weighting for deep metric
       learning". CVPR 2019.

    Examples
    --------
    >>> cosine(torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 4.0], [5.0, 0.0], [-1.0, 0.0]]))
    tensor([[1., 0., 2.]])
    """
    unit_a, unit_b = prepared(a, b, normalize=True)
    return (1 - unit_a @ unit_b.T).to(a.dtype)
