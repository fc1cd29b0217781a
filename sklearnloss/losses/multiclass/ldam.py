"""Label-distribution-aware margin loss."""

from typing import Annotated

from torch import Tensor
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Positive, Search
from sklearnloss.functional.numerics import absent_as_rarest
from sklearnloss.typing import Cosines, Labels, PerRow


@loss("ldam", task="multiclass")
def ldam(
    cosines: Cosines,
    y: Labels,
    *,
    class_counts: Tensor,
    margin: Annotated[NonNegative, Search(0.1, 2, log=True)] = 0.5,
    scale: Annotated[Positive, Search(1, 64, log=True)] = 30.0,
) -> PerRow:
    r"""Cross entropy in which the rarer a class is, the further it must lead.

    Parameters
    ----------
    cosines : Tensor of shape (n, k)
        Cosines between the row and one proxy of each class.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    class_counts : Tensor of shape (k,)
        Training rows of each class; one without rows counts as the rarest that has any.
    margin : float in [0, inf), default=0.5
        Margin of the rarest class.
    scale : float in (0, inf), default=30.0
        Factor of the cosines, in training and in prediction.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, never negative.

    Notes
    -----
    .. math:: \ell = -\log \frac{e^{s (c_y - \Delta_y)}}{e^{s (c_y - \Delta_y)} + \sum_{j \ne y} e^{s c_j}}, \qquad
        \Delta_j = m \Big(\frac{\min_i n_i}{n_j}\Big)^{1/4}

    Probabilities are the softmax of ``scale * c``, without margins. ``margin=0`` is cross entropy of ``scale * c``. The
    paper's deferred re-weighting, class weights for the last fifth of the epochs, is not part of it. O(n k).

    References
    ----------
    .. [1] Cao, Wei, Gaidon, Arechiga, Ma. "Learning imbalanced datasets with label-distribution-aware margin loss".
       NeurIPS 2019.

    Examples
    --------
    >>> import torch
    >>> ldam(torch.tensor([[0.4, 0.0]]), torch.tensor([0]), class_counts=torch.tensor([16.0, 1.0]), scale=10.0)
    tensor([0.2014])
    """
    counts = absent_as_rarest(class_counts).to(cosines.dtype)  # (k,)
    margins = margin * (counts.min() / counts) ** 0.25  # (k,)
    true = cosines.gather(1, y[:, None])  # (n, 1)
    shifted = cosines.scatter(1, y[:, None], true - margins[y][:, None])  # (n, k)
    return F.cross_entropy(scale * shifted, y, reduction="none")  # (n,)
