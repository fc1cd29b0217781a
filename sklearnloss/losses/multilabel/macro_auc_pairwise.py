"""Macro-averaged area under the ROC curve by pairs."""

from typing import Literal

from sklearnloss.component import loss
from sklearnloss.functional.auc import class_weights, pair_mean
from sklearnloss.typing import LabelLogits, LabelMatrix, Scalar, Weights


@loss("macro_auc_pairwise", task="multilabel", unit="batch", link="none", sampler="stratified", status="known")
def macro_auc_pairwise(
    label_logits: LabelLogits,
    y: LabelMatrix,
    *,
    surrogate: Literal["logistic", "squared_hinge", "hinge"] = "logistic",
    sample_weight: Weights | None = None,
) -> Scalar:
    r"""Every row with a label against every row without it: the macro-averaged area under the ROC curve itself.

    Parameters
    ----------
    label_logits : Tensor of shape (n, n_labels)
        Scores; larger where the label is there.
    y : Tensor of shape (n, n_labels)
        0. or 1., of the scores' dtype.
    surrogate : {"logistic", "squared_hinge", "hinge"}, default="logistic"
        What stands for a pair in the wrong order, of the lead :math:`t` of the positive: :math:`\log(1 + e^{-t})`,
        :math:`[1 - t]_+^2` or :math:`[1 - t]_+`.
    sample_weight : Tensor of shape (n,), default=None
        Weights of the rows; a pair has the product.

    Returns
    -------
    Tensor of shape ()
        Mean over the labels of which the batch has rows with and rows without, never negative; zero if there is none.

    Notes
    -----
    .. math::
        \ell = \frac{1}{K} \sum_k \frac{1}{|P_k||Q_k|} \sum_{p \in P_k} \sum_{q \in Q_k} \phi(f_k(p) - f_k(q))

    A constant added to all scores of a label changes nothing: there is no link, and ``calibrate="sigmoid"`` gives
    probabilities and thresholds. `macro_auc_reweighted` is its bound without pairs, `macro_auc_univariate` what is
    usually trained instead. Bounds on the error of the last grow faster with the imbalance of a label.

    A label that is rare needs large batches to have pairs in each. Hinges take O(n log n) a label, exactly; the
    logistic one is O(n) where it has many pairs, up to an error below 1e-7.

    References
    ----------
    .. [1] Wu, Li, Yin. "Towards understanding generalization of macro-AUC in multi-label learning". ICML 2023.

    Examples
    --------
    >>> import torch
    >>> label_logits = torch.tensor([[1.0], [0.0], [2.0]])
    >>> macro_auc_pairwise(label_logits, torch.tensor([[1.0], [0.0], [0.0]]), surrogate="hinge")  # mean of 0 and 2
    tensor(1.)
    """
    positive, negative = class_weights(y, sample_weight)  # (n, n_labels)
    values, exists = pair_mean(label_logits.T, positive.T, negative.T, surrogate=surrogate)  # (n_labels,)
    return values.sum() / exists.sum().clamp(min=1)
