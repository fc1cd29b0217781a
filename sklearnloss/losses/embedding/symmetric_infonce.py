"""Symmetric InfoNCE with a learnt temperature."""

import math
from typing import Annotated

import torch
from torch import nn

from sklearnloss.component import loss
from sklearnloss.constraints import Fraction, Positive, Search
from sklearnloss.functional.pairing import pairing_entropy
from sklearnloss.functional.vectors import unit_rows
from sklearnloss.typing import Embeddings, PerAnchor


@loss("symmetric_infonce", task="embedding", unit="anchor")
class SymmetricInfoNCE(nn.Module):
    r"""Each row picks its own row of the other view, in both directions, at a temperature that is learnt.

    Parameters
    ----------
    tau : float in (0, inf), default=0.07
        Temperature that divides the cosines; where it starts if it is learnt.
    learn_tau : bool, default=True
        Whether the temperature is learnt, at ``lr * loss_lr``.
    min_tau : float in (0, inf), default=0.01
        The temperature is never below it: cosines are never multiplied by more than 100.
    label_smoothing : float in [0, 1), default=0.1
        Share of the target that is spread over all rows, the right one included.

    Notes
    -----
    With :math:`s_{ij} = \cos(a_i, b_j) / \tau` and :math:`q_{ij} = (1 - \varepsilon) [i = j] + \varepsilon / n`,

    .. math:: \ell_i = \frac12 \Bigl( \log \sum_j e^{s_{ij}} - \sum_j q_{ij} s_{ij}
        + \log \sum_j e^{s_{ji}} - \sum_j q_{ij} s_{ji} \Bigr)

    What is learnt is :math:`\log 1/\tau`. Before a step in training it is put back within its limit, so that it never
    strays beyond, where its gradient would be lost. Rows that mean the same are wrongly taken for negatives: draw
    batches without them. O(n**2 d) time, O(n**2) memory.

    References
    ----------
    .. [1] Radford, Kim, Hallacy, Ramesh, Goh, Agarwal, Sastry, Askell, Mishkin, Clark, Krueger, Sutskever. "Learning
       transferable visual models from natural language supervision". ICML 2021.
    .. [2] Deuser, Habel, Oswald. "Sample4Geo: hard negative sampling for cross-view geo-localisation". ICCV 2023.

    Examples
    --------
    >>> SymmetricInfoNCE(tau=1.0, learn_tau=False, label_smoothing=0.0)(torch.eye(2), torch.eye(2))
    tensor([0.3133, 0.3133])
    """

    def __init__(
        self,
        *,
        tau: Annotated[Positive, Search(0.02, 1, log=True)] = 0.07,
        learn_tau: bool = True,
        min_tau: Positive = 0.01,
        label_smoothing: Annotated[Fraction, Search(0, 0.2)] = 0.1,
    ) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.max_log_scale = -math.log(min_tau)
        self.log_scale = nn.Parameter(torch.tensor(-math.log(tau)), requires_grad=learn_tau)

    def forward(self, view_a: Embeddings, view_b: Embeddings) -> PerAnchor:
        """Return the value of each pair.

        Parameters
        ----------
        view_a, view_b : Tensor of shape (n, d)
            Row i of one belongs to row i of the other. Any length; they are normalized here.

        Returns
        -------
        Tensor of shape (n,)
            Never negative.
        """
        if self.training:
            # through .data, or a second call before the backward pass would count as a change of the first one's graph
            self.log_scale.data.clamp_(max=self.max_log_scale)
        cosines = unit_rows(view_a) @ unit_rows(view_b).T  # (n, n)
        logits = self.log_scale.clamp(max=self.max_log_scale).exp().to(cosines.dtype) * cosines
        one_way = pairing_entropy(logits, self.label_smoothing)
        return (one_way + pairing_entropy(logits.T, self.label_smoothing)) / 2
