"""ConR, contrastive regularization for imbalanced regression."""

import math
from typing import Annotated, Any

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Positive, Search
from sklearnloss.functional.vectors import unit_rows
from sklearnloss.typing import Embeddings, PerAnchor, Targets


# Differences from the authors' code:
# 1. Their function sets the temperature to 0.07, whatever it was given; here tau counts.
# 2. Pairs that count for nothing add exp(0) to their denominator; here they are left out, as in the paper.
# 3. A row with negatives and no positive gives 0 / 0 there, and nothing here.
@loss("conr", task="regression", unit="anchor")
def conr(
    embeddings: Embeddings,
    y: Targets,
    *,
    output: Tensor,
    sample_weight: Any = None,
    near: Annotated[Positive, Search(0.02, 1, log=True)] = 0.1,
    tau: Annotated[Positive, Search(0.07, 0.5, log=True)] = 0.2,
    push: Annotated[NonNegative, Search(0.001, 1, log=True)] = 0.01,
) -> PerAnchor:
    r"""Pull rows of near targets together, and push apart rows that are predicted alike though their targets are not.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Features of a batch, of any length.
    y : Tensor of shape (n, n_targets)
        Targets.
    output : Tensor of shape (n, n_targets) or (n, n_targets * w)
        What the head predicts, without a gradient; several columns of a target are averaged.
    sample_weight : Tensor of shape (n,), default=None
        Weights of the rows, larger for rare targets; they push the more.
    near : float in (0, inf), default=0.1
        Distance up to which two targets, or two predictions, are near; in standard deviations of y.
    tau : float in (0, inf), default=0.2
        Temperature of the cosines.
    push : float in [0, inf), default=0.01
        By how much more a negative counts for each standard deviation by which its target is off, in logarithms.

    Returns
    -------
    Tensor of shape (n,)
        Not negative; zero for rows without a positive or without a negative.

    Notes
    -----
    With distances summed over targets, positives :math:`P_i = \{j \ne i: |y_i - y_j| \le w\}` and negatives
    :math:`N_i = \{j: |y_i - y_j| > w, |\hat y_i - \hat y_j| \le w\}`,

    .. math:: \ell_i = -\frac{1}{|P_i|} \sum_{j \in P_i} \log \frac{e^{s_{ij}}}
        {\sum_{p \in P_i} e^{s_{ip}} + \sum_{m \in N_i} r_i e^{\eta |y_i - y_m|} e^{s_{im}}}, \qquad
        s_{ij} = \cos(z_i, z_j) / \tau

    It is a term beside a loss that predicts: ``Loss("mae") + 4 * Loss("conr")``. Where predictions are in the order of
    the targets there are no negatives, and it is zero. O(n**2 d).

    References
    ----------
    .. [1] Keramati, Meng, Evans. "ConR: contrastive regularizer for deep imbalanced regression". ICLR 2024.

    Examples
    --------
    >>> z = torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [0.0, 1.0, 0.0]])
    >>> y, output = torch.tensor([[0.0], [0.5], [5.0]]), torch.tensor([[0.0], [0.4], [0.9]])
    >>> conr(z, y, output=output, near=1.0)
    tensor([0.0191, 0.3256, 0.0000])
    """
    far, alike = _distances(y), _distances(output.to(y.dtype)) * (y[0].numel() / output[0].numel())  # (n, n)
    itself = torch.eye(len(y), dtype=torch.bool, device=y.device)
    positive = (far <= near) & ~itself
    negative = (far > near) & (alike <= near)
    unit = unit_rows(embeddings)
    scores = unit @ unit.T / tau  # (n, n)
    pushed = scores + push * far
    if sample_weight is not None:
        pushed = pushed + sample_weight.clamp(min=torch.finfo(y.dtype).tiny).log()[:, None]
    exists = positive.any(1) & negative.any(1)
    among = torch.where(positive, scores, torch.where(negative, pushed, -math.inf))
    among = torch.where(exists[:, None], among, 0.0)  # a row of -inf has no gradient
    pulled = torch.where(positive, scores, 0.0).sum(1) / positive.sum(1).clamp(min=1)
    return torch.where(exists, torch.logsumexp(among, dim=1) - pulled, 0.0).to(embeddings.dtype)


def _distances(values: Tensor) -> Tensor:
    """Return the distances (n, n) between rows, summed over columns."""
    flat = values.reshape(len(values), -1)
    return (flat[:, None] - flat).abs().sum(-1)
