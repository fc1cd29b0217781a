"""Bound on the macro-averaged area under the ROC curve without pairs."""

from typing import Literal

import torch

from sklearnloss.component import loss
from sklearnloss.functional.auc import class_weights, surrogate_of
from sklearnloss.typing import LabelLogits, LabelMatrix, Priors, Scalar, Weights


@loss("macro_auc_reweighted", task="multilabel", unit="batch", link="none", sampler="stratified", status="known")
def macro_auc_reweighted(
    label_logits: LabelLogits,
    y: LabelMatrix,
    *,
    surrogate: Literal["logistic", "squared_hinge", "hinge"] = "logistic",
    counts: Literal["dataset", "batch"] = "dataset",
    priors: Priors | None = None,
    sample_weight: Weights | None = None,
) -> Scalar:
    r"""Each label's positives and negatives in equal parts, however rare the label is.

    Parameters
    ----------
    label_logits : Tensor of shape (n, n_labels)
        Scores; positive where the label is there.
    y : Tensor of shape (n, n_labels)
        0. or 1., of the scores' dtype.
    surrogate : {"logistic", "squared_hinge", "hinge"}, default="logistic"
        What stands for a row on the wrong side, of the lead :math:`t` of the true one: :math:`\log(1 + e^{-t})`,
        :math:`[1 - t]_+^2` or :math:`[1 - t]_+`.
    counts : {"dataset", "batch"}, default="dataset"
        Where the shares of a label's positives and negatives are taken from: of all training rows, if they are known,
        or of the batch, in which those of a rare label vary much.
    priors : Tensor of shape (n_labels,), default=None
        Share of each label's positives in the training rows; of two classes, both shares. None takes the batch's.
    sample_weight : Tensor of shape (n,), default=None
        Weights of the rows, with mean one over the training rows.

    Returns
    -------
    Tensor of shape ()
        Mean over the labels that have rows with and without them, in the training rows or in the batch; never
        negative, and zero if there is none.

    Notes
    -----
    .. math::
        \ell = \frac{1}{K} \sum_k \Bigl[ \frac{1}{|P_k|} \sum_{p \in P_k} \phi(f_k(p))
        + \frac{1}{|Q_k|} \sum_{q \in Q_k} \phi(-f_k(q)) \Bigr]

    is never below `macro_auc_pairwise`, of squared hinges never below half of it, and costs as little as cross entropy.
    With the shares :math:`\pi_k` of all training rows it is the mean over rows of
    :math:`y \phi(f) / \pi + (1 - y)\, \phi(-f) / (1 - \pi)`, so that batches of any size have its gradient on average;
    a batch without a positive then counts with its negatives. With those of the batch such a label does not exist.

    A label of which half of the rows are positive has twice the value of `macro_auc_univariate`. At best the
    logistic scores are log odds of labels that half of the rows have: there is no link, and ``calibrate="sigmoid"``
    gives probabilities. O(n n_labels).

    References
    ----------
    .. [1] Wu, Li, Yin. "Towards understanding generalization of macro-AUC in multi-label learning". ICML 2023.

    Examples
    --------
    >>> label_logits = torch.tensor([[1.0], [0.0], [2.0]])
    >>> macro_auc_reweighted(label_logits, torch.tensor([[1.0], [0.0], [0.0]]))
    tensor(1.7233)
    """
    working = torch.promote_types(label_logits.dtype, torch.float32)
    positive, negative = class_weights(y, sample_weight)  # (n, n_labels)
    z = torch.where(positive + negative > 0, label_logits.to(working), 0.0)
    if counts == "dataset" and priors is not None:
        share = priors[-y.shape[1] :].to(working)  # (n_labels,); of two classes the last is that of the positives
        whole_positive, whole_negative = len(y) * share, len(y) * (1 - share)
    else:
        whole_positive, whole_negative = positive.sum(0), negative.sum(0)
    exists = (whole_positive > 0) & (whole_negative > 0)  # (n_labels,)
    costs = (positive * surrogate_of(z, surrogate)).sum(0) / torch.where(exists, whole_positive, 1.0)
    costs = costs + (negative * surrogate_of(-z, surrogate)).sum(0) / torch.where(exists, whole_negative, 1.0)
    return (torch.where(exists, costs, 0.0).sum() / exists.sum().clamp(min=1)).to(label_logits.dtype)
