"""Penalty for probabilities that are too sure of themselves."""

import torch
from torch import Tensor
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.exceptions import TaskError
from sklearnloss.typing import Features, Scalar, Weights


@loss("margin_log", task="multiclass", unit="batch")
def margin_log(
    *,
    features: Features,
    head_weight: Tensor,
    head_bias: Tensor | None = None,
    sample_weight: Weights | None = None,
    per_row: bool = False,
) -> Scalar:
    r"""Logarithm of one plus the squared size of a batch of probabilities, least where all classes are alike.

    It looks at no label, so it is a term beside a loss on logits:
    ``LossClassifier(Loss("cross_entropy") + 0.3 * Loss("margin_log"))``.

    Parameters
    ----------
    features : Tensor of shape (n, h)
        The backbone's output, from which the scores come.
    head_weight : Tensor of shape (k, h)
        Weight of the linear head.
    head_bias : Tensor of shape (k,), default=None
        Its bias.
    sample_weight : Tensor of shape (n,), default=None
        Weights of the rows.
    per_row : bool, default=False
        Whether to take the logarithm for each row, and their mean. The pull on a row then does not depend on how sure
        the others are.

    Returns
    -------
    Tensor of shape ()
        In ``[log(1 + n / k), log(1 + n)]``; for each row, in ``[log(1 + 1 / k), log(2)]``.

    Raises
    ------
    TaskError
        If the head gives a single score, as for losses on scores.

    Notes
    -----
    .. math:: \ell = \log\Big(1 + \sum_i \sum_j p_{ij}^2\Big)

    Equal probabilities have no gradient. Like a bonus for entropy it keeps a model from being surer than it has reason
    to be. The gradient of the sum is divided by one plus the sum, so the pull on a row goes with ``1 / n``, as that of
    the mean of a loss does: a factor found with one size of batch suits others, but for batches of very few rows.
    O(n k h).

    References
    ----------
    .. [1] Zeng, Guo, Wang, Wang, Zhou, Qu. "Tackling data heterogeneity in federated learning via loss decomposition".
       MICCAI 2024.

    Examples
    --------
    >>> logits = torch.tensor([[2.0, 0.0], [0.0, 0.0]])
    >>> margin_log(features=logits, head_weight=torch.eye(2))
    tensor(0.8286)
    """
    if head_weight.shape[0] < 2:
        raise TaskError(
            "loss 'margin_log' spreads probability over classes and needs a head of two scores or more, got 1: put it "
            "beside a loss on logits, such as Loss('cross_entropy') + 0.1 * Loss('margin_log')"
        )
    p = torch.softmax(F.linear(features, head_weight, head_bias), dim=1)  # (n, k)
    size = p.square().sum(dim=1)  # (n,)
    weight = torch.ones_like(size) if sample_weight is None else sample_weight.to(size.dtype)
    if per_row:
        return (weight * torch.log1p(size)).mean()
    return torch.log1p((weight * size).sum())
