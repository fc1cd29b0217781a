"""Multiple negatives ranking."""

from typing import Annotated

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.functional.pairing import pairing_entropy
from sklearnloss.functional.vectors import unit_rows
from sklearnloss.typing import Embeddings, PerAnchor


@loss("multiple_negatives", task="embedding", unit="anchor")
def multiple_negatives(
    view_a: Embeddings,
    view_b: Embeddings,
    *,
    scale: Annotated[Positive, Search(2, 50, log=True)] = 20.0,
    symmetric: bool = False,
) -> PerAnchor:
    r"""Each row of one view picks its own row out of all rows of the other.

    Parameters
    ----------
    view_a, view_b : Tensor of shape (n, d)
        Anchors and positives; row i of one belongs to row i of the other. Any length; they are normalized here.
    scale : float in (0, inf), default=20.0
        Factor of the cosines.
    symmetric : bool, default=False
        Whether the rows of the second view pick theirs as well; the two are added.

    Returns
    -------
    Tensor of shape (n,)
        One value per pair, never negative; zero if there is no other.

    Notes
    -----
    With :math:`s_{ij} = \text{scale} \cdot \cos(a_i, b_j)`,

    .. math:: \ell_i = \log \sum_j e^{s_{ij}} - s_{ii} \quad \Bigl(+ \log \sum_j e^{s_{ji}} - s_{ii}\Bigr)

    the InfoNCE loss of temperature ``1 / scale`` with the negatives of the other view. With equal embeddings it is
    ``log(n)``. Rows that mean the same are wrongly taken for negatives: draw batches without them. O(n**2 d) time,
    O(n**2) memory.

    References
    ----------
    .. [1] Henderson, Al-Rfou, Strope, Sung, Lukacs, Guo, Kumar, Miklos, Kurzweil. "Efficient natural language response
       suggestion for Smart Reply". 2017.
    .. [2] Reimers, Gurevych. "Sentence-BERT: sentence embeddings using Siamese BERT-networks". EMNLP 2019.

    Examples
    --------
    >>> import torch
    >>> view_a, view_b = torch.eye(2), torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    >>> multiple_negatives(view_a, view_b, scale=1.0)
    tensor([0.6931, 0.6931])
    >>> multiple_negatives(view_a, view_b, scale=1.0, symmetric=True)
    tensor([1.0064, 2.0064])
    """
    logits = scale * unit_rows(view_a) @ unit_rows(view_b).T  # (n, n)
    values = pairing_entropy(logits)
    return values + pairing_entropy(logits.T) if symmetric else values
