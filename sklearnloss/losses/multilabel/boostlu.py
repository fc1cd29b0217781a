"""Boosted scores of labels that are thought to be there."""

from typing import Annotated, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import AtLeastOne, Search
from sklearnloss.functional.numerics import softplus
from sklearnloss.functional.with_slope import with_slope
from sklearnloss.typing import LabelLogits, LabelMatrix, PerRow


def boosted_sigmoid(label_logits: Tensor, *, boost: float = 5.0) -> Tensor:
    """Return the sigmoid of scores of which the positive ones are multiplied."""
    return torch.sigmoid(label_logits + (boost - 1) * F.relu(label_logits))


@loss("boostlu", task="multilabel", link=boosted_sigmoid, proper=True)
def boostlu(
    label_logits: LabelLogits,
    y: LabelMatrix,
    *,
    boost: Annotated[AtLeastOne, Search(1, 10, log=True)] = 5.0,
) -> PerRow:
    r"""Binary cross entropy of scores of which the positive ones are multiplied, in training and in prediction.

    Where positives are missing among the labels, networks shrink their positive scores; the slope makes up for it.

    Parameters
    ----------
    label_logits : Tensor of shape (n, n_labels)
        Scores before they are multiplied.
    y : Tensor of shape (n, n_labels)
        0. or 1., of the scores' dtype; labels that are not known count as 0.
    boost : float in [1, inf), default=5.0
        Factor of positive scores.

    Returns
    -------
    Tensor of shape (n, n_labels)
        One value per label, never negative; the row's value is their mean.

    Notes
    -----
    .. math:: \ell = -y \log \sigma(b(z)) - (1 - y) \log \sigma(-b(z)), \qquad b(z) = \max(z, \beta z)

    The authors multiply the maps of class activations of a convolutional network, place by place, before they take the
    mean over places. A score of a row is a map of one place, for which only the slope is left: the order of the scores
    and the labels predicted do not change by it, the steps of training and the probabilities do. ``boost=1`` is binary
    cross entropy. `large_loss` has the same parameter. O(n n_labels).

    References
    ----------
    .. [1] Kim, Kim, Jeong, Schmid, Akata, Lee. "Bridging the gap between model explanations in partially annotated
       multi-label classification". CVPR 2023.

    Examples
    --------
    >>> boostlu(torch.tensor([[1.0, -1.0]]), torch.tensor([[1.0, 1.0]]))  # -log sigmoid(5) and -log sigmoid(-1)
    tensor([[0.0067, 1.3133]])
    """
    return with_slope(_formula, _written, label_logits, y, boost=boost)


def _formula(label_logits: Tensor, y: Tensor, *, boost: Any) -> Tensor:
    """Return the loss of each label in plain torch."""
    z = label_logits + (boost - 1) * F.relu(label_logits)  # (n, n_labels)
    return softplus((1 - 2 * y) * z)


def _written(label_logits: Tensor, y: Tensor, values: Tensor, slopes: Tensor, *, boost: Any) -> None:
    """Write the loss of each label and its slope."""
    sign = (-2 * y).add_(1)
    factor = label_logits.sign().clamp_(min=0).mul_(boost - 1).add_(1).mul_(sign)
    wrong = factor * label_logits  # the score of the wrong side
    torch.abs(wrong, out=values).neg_().exp_().log1p_().add_(wrong.clamp(min=0))
    torch.sigmoid(wrong, out=slopes).mul_(factor)
