"""Average precision."""

from typing import Annotated

import torch

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.functional.auc import class_weights, one_side
from sklearnloss.functional.rank_sums import hinge_sums
from sklearnloss.typing import Labels, Scalar, Scores, Weights


@loss("ap", task="binary", unit="batch", link="none", sampler="stratified")
def ap(
    scores: Scores,
    y: Labels,
    *,
    margin: Annotated[Positive, Search(0.1, 2, log=True)] = 1.0,
    sample_weight: Weights | None = None,
) -> Scalar:
    r"""One minus average precision, in which a squared hinge counts who stands above a positive.

    Parameters
    ----------
    scores : Tensor of shape (n,)
        Scores; larger for the positive class.
    y : Tensor of shape (n,)
        0. or 1., of the scores' dtype.
    margin : float in (0, inf), default=1.0
        How far below a positive a row still counts, a little, as above it.
    sample_weight : Tensor of shape (n,), default=None
        Weights of the rows, in the counts and in the mean over the positives.

    Returns
    -------
    Tensor of shape ()
        In [0, 1); zero if a class is missing.

    Notes
    -----
    .. math::
        \ell = 1 - \frac{1}{|P|} \sum_{i \in P}
        \frac{\sum_{j \in P} [m - (s_i - s_j)]_+^2}{\sum_{j} [m - (s_i - s_j)]_+^2}

    A row is among those above itself, so that no denominator is zero. All scores equal give the share of the negatives,
    and it is zero as soon as every positive leads every negative by the margin. Where the authors keep running averages
    of both sums over many batches, the sums of the batch are exact here; of few rows the quotient is biased, so take
    large batches, in which the shares of the classes are those of all rows, as the precision depends on them.

    The level of the scores is free: there is no link, and ``calibrate="sigmoid"`` gives probabilities and a threshold.
    O(n log n), no matter how many pairs.

    References
    ----------
    .. [1] Qi, Luo, Xu, Ji, Yang. "Stochastic optimization of areas under precision-recall curves with provable
       convergence". NeurIPS 2021.

    Examples
    --------
    >>> scores = torch.tensor([1.0, 0.0, 0.0, -1.0])
    >>> ap(scores, torch.tensor([1.0, 1.0, 0.0, 0.0]))  # 0 above the first, 1 of 1 + 4 + 1 above the second
    tensor(0.0833)
    """
    positive, negative = class_weights(y, sample_weight)
    everyone = torch.where(positive + negative > 0, scores, 0.0)  # (n,)
    asked, share, _ = one_side(scores, positive)  # (m,)
    among, against = hinge_sums(asked - margin, everyone, torch.stack([positive, negative]), power=2)  # (m,)
    whole = among + against
    return (share * against / torch.where(whole > 0, whole, 1.0)).sum().to(scores.dtype)
