"""Label-distribution-aware margins for several labels."""

from typing import Annotated

from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Search
from sklearnloss.functional.numerics import softplus
from sklearnloss.typing import LabelLogits, LabelMatrix, PerRow


@loss("ldam_multilabel", task="multilabel")
def ldam_multilabel(
    label_logits: LabelLogits,
    y: LabelMatrix,
    *,
    class_counts: Tensor,
    margin: Annotated[NonNegative, Search(0.3, 5, log=True)] = 3.0,
) -> PerRow:
    r"""Binary cross entropy per label in which the positives of a rare label must lead by more.

    Parameters
    ----------
    label_logits : Tensor of shape (n, n_labels)
        Log odds of each label, before the margins.
    y : Tensor of shape (n, n_labels)
        0. or 1., of the scores' dtype.
    class_counts : Tensor of shape (n_labels,)
        Positives of each label in the training rows; of two classes, the rows of both. A label without any has the
        margin of one with a single positive.
    margin : float in [0, inf), default=3.0
        Margin of a label with a single positive.

    Returns
    -------
    Tensor of shape (n, n_labels)
        One value per label, never negative; the row's value is their mean.

    Notes
    -----
    .. math:: \ell = -y \log \sigma(z - \Delta) - (1 - y) \log \sigma(-z), \qquad \Delta = \frac{m}{n_+^{1/4}}

    The margins depend on the number of positives and not only on their share: with 16 positives it is half of
    ``margin``, with 10,000 a tenth. ``margin=0`` is binary cross entropy. Predictions use the scores without margins,
    which lie higher for rare labels than their log odds, so the loss is not proper. O(n n_labels).

    References
    ----------
    .. [1] Biswas, Pham, Zhang. "TransICD: transformer based code-wise attention model for explainable ICD coding".
       AIME 2021.
    .. [2] Cao, Wei, Gaidon, Arechiga, Ma. "Learning imbalanced datasets with label-distribution-aware margin loss".
       NeurIPS 2019.

    Examples
    --------
    >>> import torch
    >>> ldam_multilabel(torch.zeros(1, 2), torch.tensor([[1.0, 0.0]]), class_counts=torch.tensor([16.0, 1.0]))
    tensor([[1.7014, 0.6931]])
    """
    counts = class_counts[-label_logits.shape[1] :].to(label_logits.dtype)  # of two classes, the positive one
    lead = margin * counts.clamp(min=1) ** -0.25  # (n_labels,)
    wrong = (1 - 2 * y) * label_logits + y * lead  # (n, n_labels)
    return softplus(wrong)
