"""Focal InfoNCE."""

from typing import Annotated

import torch

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Positive, Search
from sklearnloss.functional.pairing import pairing_entropy
from sklearnloss.functional.vectors import unit_rows
from sklearnloss.typing import Embeddings, PerAnchor


@loss("focal_infonce", task="embedding", unit="anchor", gradient="surrogate", status="known")
def focal_infonce(
    view_a: Embeddings,
    view_b: Embeddings,
    *,
    gamma: Annotated[NonNegative, Search(0, 2)] = 0.5,
    tau: Annotated[Positive, Search(0.02, 1, log=True)] = 0.1,
) -> PerAnchor:
    r"""Each row of one view picks its own row of the other; rows that do so surely are weighted down.

    Parameters
    ----------
    view_a, view_b : Tensor of shape (n, d)
        Two views; row i of one belongs to row i of the other. Any length; they are normalized here.
    gamma : float in [0, inf), default=0.5
        Power of the weight; 0 weighs all rows alike.
    tau : float in (0, inf), default=0.1
        Temperature that divides the cosines; 0.01 to 0.05 for large language models.

    Returns
    -------
    Tensor of shape (n,)
        One value per pair, never negative.

    Notes
    -----
    With the probability :math:`p_i` that the softmax of :math:`\cos(a_i, b_j) / \tau` over j gives to i,

    .. math:: \ell_i = -(1 - p_i)^\gamma \log p_i

    in which the weight is a constant for the gradient: that of InfoNCE is scaled row by row, and never changes its
    direction. ``gamma=0`` is InfoNCE. O(n**2 d) time, O(n**2) memory.

    References
    ----------
    .. [1] Zhao, Hu, Shan, Zhao, Guo, Chen, Sun, Zhang, Hu, Zhang. "KaLM-Embedding-V2: superior training techniques and
       data inspire a versatile embedding model". 2025.

    Examples
    --------
    >>> focal_infonce(torch.eye(2), torch.eye(2), gamma=1.0, tau=1.0)
    tensor([0.0842, 0.0842])
    """
    entropy = pairing_entropy(unit_rows(view_a) @ unit_rows(view_b).T / tau)  # (n,)
    weight = -torch.expm1(-entropy.detach())  # 1 - p, exact where p is near one
    return weight.pow(gamma) * entropy
