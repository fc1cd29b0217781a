"""Contrastive regularizer of imbalanced regression."""

from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Positive, Search
from sklearnloss.functional.vectors import unit_rows
from sklearnloss.typing import Features, PerAnchor, Prediction, Targets


# Differences from the authors' code:
# 1. Masked pairs are left out of the denominator, where there they count as exp(0).
# 2. A row without positives costs nothing, where there it divides by zero.
# 3. The temperature is the one that is given, where there it is always 0.07.
@loss("conr", task="regression", unit="anchor")
def conr(
    prediction: Prediction,
    y: Targets,
    *,
    features: Features,
    window: Annotated[Positive, Search(0.05, 0.5, log=True)] = 0.1,
    tau: Annotated[Positive, Search(0.07, 0.5, log=True)] = 0.2,
    push: Annotated[NonNegative, Search(0.01, 1, log=True)] = 0.01,
) -> PerAnchor:
    r"""Rows whose targets differ, but whose predictions do not, have their features pushed apart.

    A term beside a loss that predicts, such as ``Loss("mae") + 4 * Loss("conr")``: rare targets are no longer drawn to
    the features of frequent ones.

    Parameters
    ----------
    prediction : Tensor of shape (n, n_targets)
        Predictions; they choose the pairs and get no gradient.
    y : Tensor of shape (n, n_targets)
        Targets.
    features : Tensor of shape (n, h)
        What the head sees; normalized here.
    window : float in (0, inf), default=0.1
        Distance in standard deviations of y up to which targets, or predictions, count as near.
    tau : float in (0, inf), default=0.2
        Temperature that divides the cosines.
    push : float in [0, inf), default=0.01
        How much harder a pair is pushed the further its targets differ.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, not negative; 0 for a row without rows of near targets, or without confused ones.

    Notes
    -----
    With the cosines s over tau, the rows P of near targets and the rows N of far targets but near predictions,

    .. math:: \ell_i = -\frac1{|P|} \sum_{j \in P} \log \frac{e^{s_{ij}}}
              {\sum_{p \in P} e^{s_{ip}} + \sum_{k \in N} e^{\eta |y_i - y_k|} e^{s_{ik}}}

    Distances of several targets add up. O(n**2 (h + n_targets)).

    References
    ----------
    .. [1] Keramati, Meng, Evans. "ConR: contrastive regularizer for deep imbalanced regression". ICLR 2024.

    Examples
    --------
    >>> features = torch.tensor([[1.0, 0.0, 0.0], [0.8, 0.6, 0.0], [0.0, 1.0, 0.0]])
    >>> y, prediction = torch.tensor([[0.0], [0.5], [5.0]]), torch.tensor([[0.0], [0.4], [0.9]])
    >>> conr(prediction, y, features=features, window=1.0)
    tensor([0.0191, 0.3256, 0.0000])
    """
    unit = unit_rows(features)
    cosines = unit @ unit.T / tau  # (n, n)
    apart = torch.cdist(y, y, p=1)  # (n, n)
    confused = torch.cdist(prediction.detach(), prediction.detach(), p=1) <= window
    itself = torch.eye(len(y), dtype=torch.bool, device=y.device)
    positive, negative = (apart <= window) & ~itself, (apart > window) & confused
    pushed = torch.where(negative, cosines + push * apart, -torch.inf)
    everything = torch.where(positive, cosines, pushed)  # (n, n)
    exists = positive.any(1) & negative.any(1)
    total = torch.logsumexp(torch.where(exists[:, None], everything, 0.0), dim=1)
    pulled = torch.where(positive, cosines, 0.0).sum(1) / positive.sum(1).clamp(min=1)
    values: Tensor = torch.where(exists, total - pulled, 0.0)
    return values.to(features.dtype)
