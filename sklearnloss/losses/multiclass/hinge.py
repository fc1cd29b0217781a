"""Hinge losses for several classes."""

from typing import Annotated, Literal

import torch

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Search
from sklearnloss.typing import Labels, Logits, PerRow


@loss("hinge", task="multiclass", link="none", aliases=("multiclass_hinge",))
def hinge(
    logits: Logits,
    y: Labels,
    *,
    kind: Literal["crammer_singer", "weston_watkins"] = "crammer_singer",
    margin: Annotated[NonNegative, Search(0.1, 10, log=True)] = 1.0,
) -> PerRow:
    r"""Lead that the true class lacks over the others; nothing once it has its margin.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    kind : {"crammer_singer", "weston_watkins"}, default="crammer_singer"
        Whether the hardest other class counts, or all of them.
    margin : float in [0, inf), default=1.0
        Amount by which the true class must lead; 0 is the perceptron.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, never negative.

    Notes
    -----
    .. math:: \ell_\text{crammer-singer} = \max_{j \ne y} [m + z_j - z_y]_+, \qquad
        \ell_\text{weston-watkins} = \sum_{j \ne y} [m + z_j - z_y]_+

    The second is the sum over the wrong classes; `torch.nn.MultiMarginLoss` divides it by k. With two classes both are
    the same. Only the order of the scores is learnt, there is no link to probabilities. O(n k).

    References
    ----------
    .. [1] Crammer, Singer. "On the algorithmic implementation of multiclass kernel-based vector machines".
       JMLR 2, 2001.
    .. [2] Weston, Watkins. "Support vector machines for multi-class pattern recognition". ESANN 1999.

    Examples
    --------
    >>> hinge(torch.tensor([[0.5, 1.0, 0.0]]), torch.tensor([0]))
    tensor([1.5000])
    >>> hinge(torch.tensor([[0.5, 1.0, 0.0]]), torch.tensor([0]), kind="weston_watkins")
    tensor([2.])
    """
    true = logits.gather(1, y[:, None])  # (n, 1)
    others = logits.scatter(1, y[:, None], -torch.inf)  # (n, k); the true class lacks nothing
    if kind == "crammer_singer":
        others = others.amax(dim=1, keepdim=True)  # (n, 1)
    return torch.relu(others + (margin - true)).sum(dim=1)  # (n,)
