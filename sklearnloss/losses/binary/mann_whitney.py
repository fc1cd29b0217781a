"""Mann-Whitney loss."""

from typing import Annotated

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.functional.auc import Surrogate, class_weights, pair_mean
from sklearnloss.typing import Labels, Scalar, Scores, Weights


@loss("mann_whitney", task="binary", unit="batch", link="none", sampler="dual")
def mann_whitney(
    scores: Scores,
    y: Labels,
    *,
    surrogate: Surrogate = "logistic",
    tau: Annotated[Positive, Search(0.01, 1, log=True)] = 1.0,
    sample_weight: Weights | None = None,
) -> Scalar:
    r"""Binary cross entropy of every difference between a positive and a negative: a bound on one minus the ROC area.

    Parameters
    ----------
    scores : Tensor of shape (n,)
        Scores; larger for the positive class.
    y : Tensor of shape (n,)
        0. or 1., of the scores' dtype.
    surrogate : {"logistic", "squared_hinge", "hinge", "squared"}, default="logistic"
        What stands for a pair in the wrong order: :math:`\log(1 + e^{-t})`, :math:`[1 - t]_+^2`, :math:`[1 - t]_+` or
        :math:`(1 - t)^2` of the lead :math:`t` of the positive. The first is the authors'; the last goes on to punish
        positives that lead by far.
    tau : float in (0, inf), default=1.0
        Temperature that divides the scores, and so the lead that the hinges ask for; about 0.05 for cosines.
    sample_weight : Tensor of shape (n,), default=None
        Weights of the rows; a pair has the product.

    Returns
    -------
    Tensor of shape ()
        Mean over all pairs, never negative; zero if a class is missing.

    Notes
    -----
    .. math:: \ell = \frac{1}{|P||N|} \sum_{i \in P} \sum_{j \in N} \phi\Bigl(\frac{s_i - s_j}{\tau}\Bigr)

    Equal scores give ``log(2)``, or 1 for the other surrogates. Over ``log(2)``, or as they are, all bound one minus
    the area under the ROC curve, in which equal scores count one half.

    The level of the scores is free, since a constant added to all changes nothing: there is no link and ``predict`` has
    no meaning of its own; ``calibrate="sigmoid"`` gives probabilities and a threshold. As a loss for retrieval, the
    matrix of similarities laid out in one line with its diagonal as positives pools the pairs of all queries, so that
    a constant added to one query does change it, as it does not change a softmax over each query's documents.

    No surrogate goes through the pairs one by one: ``"squared"`` is O(n), the hinges O(n log n), both exact;
    ``"logistic"`` is O(n) up to an error below 1e-7 where there are more than 131,072 pairs.

    References
    ----------
    .. [1] Sheikholeslami, Hosseini, Bechard, Daruru, Rajeswar. "Optimizing what matters: AUC-driven learning for robust
       neural retrieval". 2025.
    .. [2] Gao, Zhou. "On the consistency of AUC pairwise optimization". IJCAI 2015.

    Examples
    --------
    >>> import torch
    >>> scores = torch.tensor([1.0, 0.0, 0.0, -1.0, 2.0])
    >>> mann_whitney(scores, torch.tensor([1.0, 1.0, 0.0, 0.0, 0.0]))
    tensor(0.8145)
    """
    positive, negative = class_weights(y, sample_weight)
    return pair_mean(scores, positive, negative, surrogate=surrogate, tau=tau)[0]
