"""Additive margin bidirectional ranking."""

import math
from typing import Annotated

import torch
from torch import nn

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Positive, Search
from sklearnloss.functional.pairing import pairing_entropy
from sklearnloss.functional.vectors import unit_rows
from sklearnloss.typing import Embeddings, PerAnchor


@loss("am_bidirectional_ranking", task="embedding", unit="anchor")
class AdditiveMarginRanking(nn.Module):
    r"""Each row picks its own row of the other view, in both directions, and must do so with a margin.

    Parameters
    ----------
    margin : float in [0, inf), default=0.3
        What is taken off the cosine of the right pair.
    scale : float in (0, inf), default=20.0
        Factor of the cosines.
    learn_scale : bool, default=False
        Whether the scale is learnt from there, at ``lr * loss_lr``.

    Notes
    -----
    With :math:`s_{ij} = \text{scale} \cdot (\cos(a_i, b_j) - m\,[i = j])`,

    .. math:: \ell_i = \log \sum_j e^{s_{ij}} + \log \sum_j e^{s_{ji}} - 2 s_{ii}

    The sum of both directions, not their mean: ``margin=0`` is twice the symmetric InfoNCE loss. Rows that mean the
    same are wrongly taken for negatives: draw batches without them. The paper gives no scale; 20 is that of
    ready-made versions. O(n**2 d) time, O(n**2) memory.

    References
    ----------
    .. [1] Yang, Hernandez Abrego, Yuan, Guo, Shen, Cer, Sung, Strope, Kurzweil. "Improving multilingual sentence
       embedding using bi-directional dual encoder with additive margin softmax". IJCAI 2019.
    .. [2] Feng, Yang, Cer, Arivazhagan, Wang. "Language-agnostic BERT sentence embedding". ACL 2022.

    Examples
    --------
    >>> AdditiveMarginRanking(margin=0.3, scale=2.0)(torch.eye(2), torch.eye(2))
    tensor([0.4408, 0.4408])
    """

    def __init__(
        self,
        *,
        margin: Annotated[NonNegative, Search(0.05, 0.5)] = 0.3,
        scale: Annotated[Positive, Search(2, 50, log=True)] = 20.0,
        learn_scale: bool = False,
    ) -> None:
        super().__init__()
        self.margin = margin
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)), requires_grad=learn_scale)

    def forward(self, view_a: Embeddings, view_b: Embeddings) -> PerAnchor:
        """Return the value of each pair.

        Parameters
        ----------
        view_a, view_b : Tensor of shape (n, d)
            Row i of one belongs to row i of the other. Any length; they are normalized here.

        Returns
        -------
        Tensor of shape (n,)
            Never negative; zero if there is no other pair.
        """
        cosines = unit_rows(view_a) @ unit_rows(view_b).T  # (n, n)
        margins = self.margin * torch.eye(len(cosines), dtype=cosines.dtype, device=cosines.device)
        logits = self.log_scale.exp().to(cosines.dtype) * (cosines - margins)  # (n, n)
        return pairing_entropy(logits) + pairing_entropy(logits.T)
