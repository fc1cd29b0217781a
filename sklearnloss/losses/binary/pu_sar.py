"""Positive and unlabeled rows with known chances of a label."""

from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import Probability, Search
from sklearnloss.typing import Labels, Scalar, Scores, Weights


# 1. The authors fit a logistic regression of liblinear to weighted rows. It leaves out rows of negative weight without
#    a word, and with them what makes the risk unbiased; here they count.
@loss("pu_sar", task="binary", unit="batch")
def pu_sar(
    scores: Scores,
    y: Labels,
    *,
    propensity: Tensor,
    clip: Annotated[Probability, Search(0.01, 0.3, log=True)] = 0.05,
    nonneg: bool = True,
    sample_weight: Weights | None = None,
) -> Scalar:
    r"""Cross entropy for all positives, from labels that each positive has got with a chance of its own.

    A labeled positive stands for others like it that have no label, and takes them away from the negatives.

    Parameters
    ----------
    scores : Tensor of shape (n,)
        Log odds of the positive class.
    y : Tensor of shape (n,)
        1. for labeled positives, 0. for unlabeled rows, of the scores' dtype.
    propensity : Tensor of shape (n,)
        Chance that the row has a label if it is positive, in (0, 1].
    clip : float in [0, 1], default=0.05
        Least propensity: more of it gives less variance and more bias.
    nonneg : bool, default=True
        Whether the part of the negatives in a batch is at least zero. Without it the loss has no lower bound, and is
        noisier.
    sample_weight : Tensor of shape (n,), default=None
        Weights of the rows, with mean one over the training rows.

    Returns
    -------
    Tensor of shape ()
        Mean over the rows; never negative if ``nonneg``.

    Notes
    -----
    With :math:`e = \max(\text{propensity}, \text{clip})`,

    .. math:: \ell = -\frac{1}{n} \sum_i \frac{y_i}{e_i} \log \sigma(s_i)
        + \Bigl[ -\frac{1}{n} \sum_i \Bigl(1 - \frac{y_i}{e_i}\Bigr) \log \sigma(-s_i) \Bigr]_+

    Without the bracket its expectation is the cross entropy of the true classes. A propensity of one gives `bce` of the
    labels; the same for all rows, it is the risk of `upu`, with the prior that belongs to it. O(n).

    References
    ----------
    .. [1] Bekker, Robberechts, Davis. "Beyond the selected completely at random assumption for learning from positive
       and unlabeled data". ECML PKDD 2019.

    Examples
    --------
    >>> pu_sar(torch.zeros(2), torch.tensor([1.0, 0.0]), propensity=torch.tensor([0.5, 0.5]))  # log(2) (2 + 0) / 2
    tensor(0.6931)
    """
    rows = torch.ones_like(scores) if sample_weight is None else sample_weight.to(scores.dtype)
    s = torch.where(rows > 0, scores, 0.0)
    share = y / propensity.to(scores.dtype).clamp(min=clip)  # (n,)
    rest = -(rows * (1 - share) * F.logsigmoid(-s)).mean()
    return (F.relu(rest) if nonneg else rest) - (rows * share * F.logsigmoid(s)).mean()
