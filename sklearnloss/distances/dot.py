"""Inner product, as a distance."""

from torch import Tensor

from sklearnloss.component import distance
from sklearnloss.distances._rows import prepared
from sklearnloss.typing import Embeddings


@distance("dot")
def dot(a: Embeddings, b: Embeddings, *, normalize: bool = False) -> Tensor:
    r"""Minus the inner product: longer vectors are nearer, as in retrieval by largest inner product.

    Parameters
    ----------
    a : Tensor of shape (n, d)
        Anchors.
    b : Tensor of shape (m, d)
        What they are compared with.
    normalize : bool, default=False
        Whether both get length one before; then it is the cosine distance less one.

    Returns
    -------
    Tensor of shape (n, m)
        Any real number; no metric, as a vector may be nearer to a longer one than to itself.

    Notes
    -----
    .. math:: d(a, b) = -a^\top b

    O(n m d) time.

    References
    ----------
    .. [1] Karpukhin et al. "Dense passage retrieval for open-domain question answering". EMNLP 2020.

    Examples
    --------
    >>> dot(torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 4.0], [5.0, 0.0], [-1.0, 0.0]]))
    tensor([[ -0., -15.,   3.]])
    """
    a_, b_ = prepared(a, b, normalize=normalize)
    return -(a_ @ b_.T).to(a.dtype)
