"""Partial area under the ROC curve."""

from typing import Annotated, Literal

from sklearnloss.component import loss
from sklearnloss.constraints import Interval, Positive, Search
from sklearnloss.functional.auc import class_weights, hardest, pair_mean, weighted_only
from sklearnloss.typing import Labels, Scalar, Scores, Weights


@loss("pauc", task="binary", unit="batch", link="none", sampler="dual")
def pauc(
    scores: Scores,
    y: Labels,
    *,
    fraction: Annotated[float, Interval(0, 1, "right"), Search(0.05, 1)] = 0.2,
    surrogate: Literal["logistic", "squared_hinge", "hinge"] = "squared_hinge",
    tau: Annotated[Positive, Search(0.01, 1, log=True)] = 1.0,
    sample_weight: Weights | None = None,
) -> Scalar:
    r"""Pairs of positives with the hardest negatives only: the ROC curve up to a false positive rate.

    Parameters
    ----------
    scores : Tensor of shape (n,)
        Scores; larger for the positive class.
    y : Tensor of shape (n,)
        0. or 1., of the scores' dtype.
    fraction : float in (0, 1], default=0.2
        Highest false positive rate that counts: share of the negatives, those with the highest scores, that are
        compared. In a batch of few negatives it is rather the rate of the batch than that of all rows.
    surrogate : {"logistic", "squared_hinge", "hinge"}, default="squared_hinge"
        What stands for a pair in the wrong order, of the lead :math:`t` of the positive: :math:`\log(1 + e^{-t})`,
        :math:`[1 - t]_+^2` or :math:`[1 - t]_+`.
    tau : float in (0, inf), default=1.0
        Temperature that divides the scores, and so the lead that the hinges ask for.
    sample_weight : Tensor of shape (n,), default=None
        Weights of the rows; a pair has the product, and the share of the negatives is one of their weights.

    Returns
    -------
    Tensor of shape ()
        Mean over the pairs that count, never negative; zero if a class is missing.

    Notes
    -----
    This is the one-way partial area in its form as a conditional value at risk,

    .. math::
        \ell = \frac{1}{|P|} \sum_{i \in P} \min_{\eta_i}\ \eta_i + \frac{1}{\beta |N|}
        \sum_{j \in N} \Bigl[\phi\Bigl(\frac{s_i - s_j}{\tau}\Bigr) - \eta_i\Bigr]_+ ,

    the mean of each positive's worst pairs. Where the authors learn a threshold :math:`\eta_i` for every positive over
    many batches, the batch is solved exactly here: a surrogate that falls with the lead makes the same negatives the
    worst of all positives, those with the highest scores. The last of them counts in part, so that the weights are
    the fraction to the last digit, and equal scores count equally.

    ``fraction=1`` is the whole area. The level of the scores is free: there is no link, and ``calibrate="sigmoid"``
    gives probabilities and a threshold. O(n log n).

    References
    ----------
    .. [1] Zhu, Li, Wang, Wu, Yang. "When AUC meets DRO: optimizing partial AUC for deep learning with non-convex
       convergence guarantee". ICML 2022.
    .. [2] Narasimhan, Agarwal. "SVM pAUC tight: a new support vector method for optimizing partial AUC based on a tight
       convex upper bound". KDD 2013.

    Examples
    --------
    >>> import torch
    >>> scores = torch.tensor([1.0, 0.0, 0.0, -1.0, 2.0])
    >>> pauc(scores, torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0]), fraction=1 / 3)  # 2 is left of the negatives
    tensor(6.5000)
    """
    positive, negative = class_weights(y, sample_weight)
    rows = weighted_only(scores, positive, hardest(scores, negative, fraction))  # easy negatives need no sort
    return pair_mean(*rows, surrogate=surrogate, tau=tau)[0]
