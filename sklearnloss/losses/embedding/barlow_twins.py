"""Barlow Twins."""

from typing import Annotated

from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Search
from sklearnloss.typing import Embeddings, Scalar


@loss("barlow_twins", task="embedding", unit="batch")
def barlow_twins(
    view_a: Embeddings, view_b: Embeddings, *, weight: Annotated[NonNegative, Search(1e-3, 0.1, log=True)] = 0.005
) -> Scalar:
    r"""Each column correlates with itself in the other view, and with no other column.

    Parameters
    ----------
    view_a, view_b : Tensor of shape (n, d)
        Two views; row i of one belongs to row i of the other. Columns are standardized here, over the batch.
    weight : float in [0, inf), default=0.005
        Weight of the correlations between different columns, of which there are ``d - 1`` times as many; the paper's is
        for thousands of columns.

    Returns
    -------
    Tensor of shape ()
        Never negative.

    Notes
    -----
    With :math:`C_{jk}` the correlation over the batch of column j of one view and column k of the other,

    .. math:: \ell = \sum_j (1 - C_{jj})^2 + \lambda \sum_{j \ne k} C_{jk}^2

    A variance below 1e-5 counts as 1e-5, so that a constant column has the correlation 0 to all. Independent views cost
    about ``d``. O(n d**2) time, O(d**2) memory.

    References
    ----------
    .. [1] Zbontar, Jing, Misra, LeCun, Deny. "Barlow Twins: self-supervised learning via redundancy reduction".
       ICML 2021.

    Examples
    --------
    >>> import torch
    >>> view = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    >>> barlow_twins(view, view), barlow_twins(view, -view)
    (tensor(0.), tensor(8.))
    """
    correlation = _standardized(view_a).T @ _standardized(view_b) / len(view_a)  # (d, d)
    same = correlation.diagonal()  # (d,)
    redundancy = correlation.square().sum() - same.square().sum()
    return (1 - same).square().sum() + weight * redundancy


def _standardized(z: Tensor) -> Tensor:
    centred = z - z.mean(0)
    return centred / centred.square().mean(0).clamp(min=1e-5).sqrt()
