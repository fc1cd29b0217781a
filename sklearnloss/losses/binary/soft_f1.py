"""F score of probabilities."""

from typing import Annotated, Literal

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.functional.auc import class_weights
from sklearnloss.typing import Labels, Scalar, Scores, Weights


@loss("soft_f1", task="binary", unit="batch", sampler="stratified")
def soft_f1(
    scores: Scores,
    y: Labels,
    *,
    beta: Annotated[Positive, Search(0.25, 4, log=True)] = 1.0,
    average: Literal["binary", "macro"] = "binary",
    tau: Annotated[Positive, Search(0.03, 3, log=True)] = 1.0,
    sample_weight: Weights | None = None,
) -> Scalar:
    r"""One minus the F score of a confusion matrix in which each row counts by its probability.

    Parameters
    ----------
    scores : Tensor of shape (n,)
        Scores; positive for the positive class.
    y : Tensor of shape (n,)
        0. or 1., of the scores' dtype.
    beta : float in (0, inf), default=1.0
        How much more recall counts than precision.
    average : {"binary", "macro"}, default="binary"
        The score of the positive class, or the mean of both classes' scores.
    tau : float in (0, inf), default=1.0
        Temperature that divides the scores: the smaller, the nearer to hard decisions.
    sample_weight : Tensor of shape (n,), default=None
        Weights of the rows in the confusion matrix.

    Returns
    -------
    Tensor of shape ()
        In [0, 1].

    Notes
    -----
    .. math::
        p_i = \sigma(s_i / \tau), \qquad \ell = 1 - \frac{(1 + \beta^2) \sum_i w_i y_i p_i}
        {\sum_i w_i p_i + \beta^2 \sum_i w_i y_i}

    is the soft Dice coefficient of the batch at ``beta=1``. ``anyloss`` with ``metric="f1"`` differs in what it counts:
    probabilities that a second, steep sigmoid has pushed towards 0 and 1, so that rows of which the network is fairly
    sure give no gradient. Here they count as they are: the value lies further from the score of hard decisions, to
    which it tends as ``tau -> 0``, but all rows are heard, and a row that is sure and right still adds to the value.

    At best the probabilities are hard, for which reason the sigmoid says on which side a row lies, and not how
    probable a class is. A score of sums over a small batch is biased: take large batches. A batch without positives
    has the value one, or only the score of the negatives is wanted, and no gradient of the positives' score. O(n).

    References
    ----------
    .. [1] Bénédict, Koops, Odijk, de Rijke. "sigmoidF1: a smooth F1 score surrogate loss for multilabel
       classification". Transactions on Machine Learning Research, 2022.
    .. [2] Pastor-Pellicer, Zamora-Martínez, España-Boquera, Castro-Bleda. "F-measure as the error function to train
       neural networks". IWANN 2013.

    Examples
    --------
    >>> scores = torch.logit(torch.tensor([0.8, 0.3, 0.4, 0.7]))
    >>> soft_f1(scores, torch.tensor([1.0, 0.0, 1.0, 0.0]))  # 2 * 1.2 / (2.2 + 2)
    tensor(0.4286)
    """
    positive, negative = class_weights(y, sample_weight)  # (n,)
    working = torch.promote_types(scores.dtype, torch.float32)
    z = scores.to(working) / tau
    value = 1 - _score(torch.sigmoid(z), positive, negative, beta)
    if average == "macro":
        value = (value + 1 - _score(torch.sigmoid(-z), negative, positive, beta)) / 2
    return value.to(scores.dtype)


def _score(accepted: Tensor, own: Tensor, other: Tensor, beta: float) -> Tensor:
    """Return the F score of a class, zero if it has no rows."""
    right, wrong = (own * accepted).sum(), (other * accepted).sum()
    whole = right + wrong + beta**2 * own.sum()
    return (1 + beta**2) * right / torch.where(whole > 0, whole, 1.0)
