"""Each label by itself."""

from typing import Literal

from sklearnloss.component import loss
from sklearnloss.functional.auc import surrogate_of
from sklearnloss.typing import LabelLogits, LabelMatrix, PerRow


@loss("macro_auc_univariate", task="multilabel", proper=True, status="known")
def macro_auc_univariate(
    label_logits: LabelLogits,
    y: LabelMatrix,
    *,
    surrogate: Literal["logistic", "squared_hinge", "hinge"] = "logistic",
) -> PerRow:
    r"""Each row and label by itself: the usual loss, beside the pairs and the weights that rare labels ask for.

    Parameters
    ----------
    label_logits : Tensor of shape (n, n_labels)
        Scores; positive where the label is there.
    y : Tensor of shape (n, n_labels)
        0. or 1., of the scores' dtype.
    surrogate : {"logistic", "squared_hinge", "hinge"}, default="logistic"
        What stands for a label on the wrong side, of the lead :math:`t` of the true one: :math:`\log(1 + e^{-t})`,
        :math:`[1 - t]_+^2` or :math:`[1 - t]_+`.

    Returns
    -------
    Tensor of shape (n, n_labels)
        One value per label, never negative; the row's value is their mean.

    Notes
    -----
    .. math:: \ell = \phi\bigl((2 y - 1) f\bigr)

    With ``"logistic"`` it is binary cross entropy, whose sigmoid estimates probabilities; that of the hinges says only
    on which side a row lies. A rare label is trained mostly by its negatives; `macro_auc_pairwise` and
    `macro_auc_reweighted` give both sides the same say. O(n n_labels).

    References
    ----------
    .. [1] Wu, Li, Yin. "Towards understanding generalization of macro-AUC in multi-label learning". ICML 2023.

    Examples
    --------
    >>> import torch
    >>> macro_auc_univariate(torch.tensor([[1.0], [0.0], [2.0]]), torch.tensor([[1.0], [0.0], [0.0]])).mean()
    tensor(1.0444)
    """
    return surrogate_of((2 * y - 1) * label_logits, surrogate)
