"""Action-aware loss: class weights that set in late."""

from typing import Annotated

from torch import Tensor
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import Fraction, NonNegativeInt, Search
from sklearnloss.functional.effective_number import effective_weights
from sklearnloss.functional.numerics import absent_as_rarest
from sklearnloss.typing import Labels, Logits, PerRow


@loss("action_aware", task="multiclass", aliases=("deferred_effective_number",))
def action_aware(
    logits: Logits,
    y: Labels,
    *,
    class_counts: Tensor,
    epoch: int,
    beta_min: Annotated[Fraction, Search(0.9, 0.999)] = 0.99,
    beta_max: Annotated[Fraction, Search(0.99, 0.9999)] = 0.9999,
    start: NonNegativeInt = 20,
) -> PerRow:
    r"""Cross entropy that after some epochs begins to favor rare classes, by effective numbers of their own.

    Features are learnt from all rows as they are; then the weights move the borders between the classes.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    class_counts : Tensor of shape (k,)
        Training rows of each class; one without rows counts as the rarest that has any.
    epoch : int
        Epochs finished.
    beta_min, beta_max : float in [0, 1), default=0.99 and 0.9999
        How much a further row of the rarest class, and of the most frequent one, repeats those before; classes between
        have a share of both by their counts.
    start : int in [0, inf), default=20
        Epochs of plain cross entropy before the weights set in; the authors' is 20 of 24. With fewer ``max_epochs``
        they never do.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, never negative.

    Notes
    -----
    .. math:: \ell = -w_y \log p_y, \qquad w_j \propto \frac{1 - \beta_j}{1 - \beta_j^{n_j}}, \qquad
        \beta_j = \beta_\min + (\beta_\max - \beta_\min) \frac{n_j - \min n}{\max n - \min n}

    Before ``start``, and for classes of equal counts, all weights are one. ``beta_min=beta_max`` is the class-balanced
    loss with that ``beta``. Weights have mean one over the training rows, so the loss keeps its size when they set in.
    Probabilities are those of a population with classes weighed like that. O(n k).

    References
    ----------
    .. [1] Liu, Wang, Ren, Hu, Luo, Hou, Sun. "Balanced representation learning for long-tailed skeleton-based action
       recognition". arXiv:2308.14024, 2023.
    .. [2] Cui, Jia, Lin, Song, Belongie. "Class-balanced loss based on effective number of samples". CVPR 2019.

    Examples
    --------
    >>> import torch
    >>> counts = torch.tensor([300.0, 30.0])
    >>> action_aware(torch.zeros(2, 2), torch.tensor([0, 1]), class_counts=counts, epoch=0)
    tensor([0.6931, 0.6931])
    >>> action_aware(torch.zeros(2, 2), torch.tensor([0, 1]), class_counts=counts, epoch=20)
    tensor([0.3570, 4.0541])
    """
    counts = absent_as_rarest(class_counts)  # (k,)
    place = (counts - counts.min()) / (counts.max() - counts.min()).clamp(min=1)  # (k,); zero where all are equal
    weights = effective_weights(class_counts, beta_min + (beta_max - beta_min) * place).to(logits.dtype)
    weights = 1 + (epoch >= start) * (weights - 1)
    return weights[y] * F.cross_entropy(logits, y, reduction="none")  # (n,)
