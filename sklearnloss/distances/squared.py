"""Squared Euclidean distance."""

from torch import Tensor

from sklearnloss.component import distance
from sklearnloss.distances._rows import prepared
from sklearnloss.functional.vectors import squared_distances
from sklearnloss.typing import Embeddings


@distance("squared")
def squared(a: Embeddings, b: Embeddings, *, normalize: bool = True) -> Tensor:
    r"""Square of the length of the difference; pulls the less the nearer it is to its aim.

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
        In [0, 4] if normalized, else not negative.

    Notes
    -----
    .. math:: d(a, b) = \|a - b\|^2

    Of unit vectors it is twice the cosine distance. By one matrix product, O(n m d) time.

    References
    ----------
    .. [1] Snell, Swersky, Zemel. "Prototypical networks for few-shot learning". NeurIPS 2017.

    Examples
    --------
    >>> squared(torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 4.0], [5.0, 0.0]]), normalize=False)
    tensor([[25.,  4.]])
    """
    return squared_distances(*prepared(a, b, normalize=normalize)).to(a.dtype)
