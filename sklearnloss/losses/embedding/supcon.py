"""Supervised contrastive loss."""

from typing import Annotated

import torch
from torch.nn.functional import normalize

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.typing import Embeddings, Labels, PerAnchor


@loss("supcon", task="embedding", unit="anchor", sampler="per_class")
def supcon(
    embeddings: Embeddings, y: Labels, *, tau: Annotated[Positive, Search(0.02, 1, log=True)] = 0.1
) -> PerAnchor:
    r"""Each row picks the rows of its class out of the whole batch, by a softmax of cosines.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Any length; they are normalized here.
    y : LongTensor of shape (n,)
        Class of each row.
    tau : float in (0, inf), default=0.1
        Temperature that divides the cosines.

    Returns
    -------
    values : Tensor of shape (n,)
        One value per anchor, never negative; zero without a positive.
    valid : Tensor of shape (n,)
        1 where the anchor has a positive, else 0.

    Notes
    -----
    With :math:`s_{ij} = \cos(e_i, e_j) / \tau` and the other rows of its class :math:`P(i)`,

    .. math:: \ell_i = \log \sum_{k \ne i} e^{s_{ik}} - \frac{1}{|P(i)|} \sum_{j \in P(i)} s_{ij}

    the form with the sum outside the logarithm. With equal embeddings it is ``log(n - 1)``. The length of an embedding
    does not matter; one of length zero has the cosine 0 to all. O(n**2 d) time, O(n**2) memory.

    References
    ----------
    .. [1] Khosla, Teterwak, Wang, Sarna, Tian, Isola, Maschinot, Liu, Krishnan. "Supervised contrastive learning".
       NeurIPS 2020.

    Examples
    --------
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> supcon(embeddings, torch.tensor([0, 0, 1]), tau=1.0)
    (tensor([0.3133, 0.3133, 0.0000]), tensor([1., 1., 0.]))
    """
    unit = normalize(embeddings, dim=1)  # (n, d); a row of zeros stays as it is
    itself = torch.eye(len(y), dtype=torch.bool, device=y.device)  # (n, n)
    positive = (y[:, None] == y) & ~itself
    similar = (unit @ unit.T / tau).masked_fill(itself, -torch.inf)  # (n, n)
    count = positive.sum(1)  # (n,)
    mean = torch.where(positive, similar, 0.0).sum(1) / count.clamp(min=1)
    values = torch.where(count > 0, similar.logsumexp(1) - mean, 0.0)
    return values, (count > 0).to(values.dtype)
