"""Class-balanced cross entropy."""

from typing import Annotated

from torch import Tensor
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import Fraction, Search
from sklearnloss.functional.effective_number import effective_weights
from sklearnloss.typing import Labels, Logits, PerRow


@loss("class_balanced", task="multiclass")
def class_balanced(
    logits: Logits, y: Labels, *, class_counts: Tensor, beta: Annotated[Fraction, Search(0.9, 0.9999)] = 0.999
) -> PerRow:
    r"""Cross entropy in which a class weighs the less the more rows it has, but not in proportion: rows repeat others.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    class_counts : Tensor of shape (k,)
        Training rows of each class; one without rows counts as the rarest that has any.
    beta : float in [0, 1), default=0.999
        How much a further row of a class repeats those before; ``1 / (1 - beta)`` is the number of rows that say all
        there is. The paper tries 0.9, 0.99, 0.999, 0.9999.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, never negative.

    Notes
    -----
    .. math:: \ell = -w_y \log p_y, \qquad w_j \propto \frac{1 - \beta}{1 - \beta^{n_j}}

    ``beta=0`` is cross entropy, ``beta -> 1`` weighs classes by the inverse of their counts. Weights have mean one over
    the training rows, while the paper makes them sum to k: only the size of the loss differs, and it does not change
    with the imbalance. Probabilities are those of a population with classes weighed like that. O(n k).

    References
    ----------
    .. [1] Cui, Jia, Lin, Song, Belongie. "Class-balanced loss based on effective number of samples". CVPR 2019.

    Examples
    --------
    >>> import torch
    >>> class_balanced(torch.zeros(2, 2), torch.tensor([0, 1]), class_counts=torch.tensor([3.0, 1.0]), beta=0.5)
    tensor([0.5837, 1.0215])
    """
    weights = effective_weights(class_counts, beta).to(logits.dtype)  # (k,)
    return weights[y] * F.cross_entropy(logits, y, reduction="none")  # (n,)
