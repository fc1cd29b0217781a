"""Cross entropy of the spherical softmax."""

from typing import Annotated, Any

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.functional.with_slope import with_slope
from sklearnloss.typing import Labels, Logits, PerRow


def spherical_shares(logits: Tensor, *, eps: float = 1e-3) -> Tensor:
    """Return class probabilities (n, k), proportional to the squares of the scores."""
    return torch.softmax((logits.square() + eps).log(), dim=1)


def spherical_of_moments(true: Tensor, mean: Tensor, square: Tensor, k: int, *, eps: float = 1e-3) -> Tensor:
    """Return the loss (n,) from true score and mean square of each row's k scores; their mean does not matter."""
    return (k * (square + eps)).log() - (true.square() + eps).log()


@loss(
    "spherical_softmax",
    task="multiclass",
    link=spherical_shares,
    moments=spherical_of_moments,
    proper=True,
    keeps_order=False,
)
def spherical_softmax(
    logits: Logits, y: Labels, *, eps: Annotated[Positive, Search(1e-4, 0.1, log=True)] = 1e-3
) -> PerRow:
    r"""Cross entropy in which squares take the place of exponentials: only the size of a score counts.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    eps : float in (0, inf), default=1e-3
        Added to each square; without it a score of zero would have no probability.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, positive.

    Notes
    -----
    .. math:: \ell = -\log \frac{z_y^2 + \epsilon}{\sum_j (z_j^2 + \epsilon)}

    The same shares are the predicted probabilities. The sign of a score means nothing, so the most probable class is
    that of the largest square, and a score of exactly zero has no gradient: the last layer must not start at zero. Up
    to ``eps``, the scale of the scores cancels as well. O(n k); ``head="implicit"`` trains it at a cost that does not
    depend on k.

    References
    ----------
    .. [1] de Brébisson, Vincent. "An exploration of softmax alternatives belonging to the spherical loss family".
       ICLR 2016.
    .. [2] Vincent, de Brébisson, Bouthillier. "Efficient exact gradient update for training deep networks with very
       large sparse targets". NeurIPS 2015.

    Examples
    --------
    >>> spherical_softmax(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0]))  # the sign of -1 is not seen
    tensor([0.2235])
    """
    return with_slope(_formula, _written, logits, y, of="row", eps=eps)


def _formula(logits: Tensor, y: Tensor, *, eps: Any) -> Tensor:
    """Return the loss of each row in plain torch."""
    shares = logits.square() + eps  # (n, k)
    return shares.sum(dim=1).log() - shares.gather(1, y[:, None]).squeeze(1).log()  # (n,)


def _written(logits: Tensor, y: Tensor, values: Tensor, slopes: Tensor, *, eps: Any) -> None:
    """Write the loss of each row and its slope."""
    torch.square(logits, out=slopes).add_(eps)
    total, true = slopes.sum(dim=1, keepdim=True), slopes.gather(1, y[:, None])  # (n, 1)
    torch.sub(total.log(), true.log(), out=values[:, None])
    torch.mul(logits, 2 / total, out=slopes)
    slopes.scatter_add_(1, y[:, None], -2 * logits.gather(1, y[:, None]) / true)
