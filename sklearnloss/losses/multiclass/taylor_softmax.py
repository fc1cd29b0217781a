"""Cross entropy of the Taylor softmax."""

import math
from typing import Literal

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.exceptions import TaskError
from sklearnloss.functional.with_slope import with_slope
from sklearnloss.typing import Labels, Logits, PerRow


def taylor_shares(logits: Tensor, *, order: int = 2) -> Tensor:
    """Return class probabilities (n, k), proportional to the Taylor polynomial of the exponential."""
    return torch.softmax(_polynomial(logits, order).log(), dim=1)


def taylor_of_moments(true: Tensor, mean: Tensor, square: Tensor, k: int, *, order: int = 2) -> Tensor:
    """Return the loss (n,) of order 2 from true score, mean and mean square of each row's k scores."""
    if order != 2:
        raise TaskError(
            f"loss 'taylor_softmax' of order={order} looks at powers above the square, which head='implicit' does not "
            "show; use order=2, or head='auto'"
        )
    return (k * (1 + mean + square / 2)).log() - _polynomial(true, order).log()


@loss(
    "taylor_softmax",
    task="multiclass",
    link=taylor_shares,
    moments=taylor_of_moments,
    proper=True,
    keeps_order=False,
)
def taylor_softmax(logits: Logits, y: Labels, *, order: Literal[2, 4, 6] = 2) -> PerRow:
    r"""Cross entropy in which a polynomial takes the place of the exponential, so no score runs far ahead.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    order : {2, 4, 6}, default=2
        Degree of the polynomial. Odd degrees are no choice: their polynomials fall below zero.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, positive.

    Notes
    -----
    .. math:: \ell = -\log \frac{t(z_y)}{\sum_j t(z_j)}, \qquad t(z) = \sum_{i=0}^{d} \frac{z^i}{i!}

    The same shares are the predicted probabilities. They depend on the level of the scores, not on differences alone;
    ``order -> inf`` is the softmax. The error of a sure wrong row grows only as ``order * log|z|``. The polynomial is
    positive but not monotone: left of its minimum, which is -1 for ``order=2``, a score gains by falling further, so
    the most probable class need not be that of the largest score. At order 2 value and gradient depend on a row only
    through the true score and the sums of scores and of their squares, so that ``head="implicit"`` trains it. O(n k).

    References
    ----------
    .. [1] de Brébisson, Vincent. "An exploration of softmax alternatives belonging to the spherical loss family".
       ICLR 2016.

    Examples
    --------
    >>> taylor_softmax(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0]))  # -log(5 / 6.5)
    tensor([0.2624])
    """
    return with_slope(_formula, _written, logits, y, of="row", order=order)


def _formula(logits: Tensor, y: Tensor, *, order: int) -> Tensor:
    """Return the loss of each row in plain torch."""
    log_t = _polynomial(logits, order).log()  # (n, k)
    return torch.logsumexp(log_t, dim=1) - log_t.gather(1, y[:, None]).squeeze(1)  # (n,)


def _written(logits: Tensor, y: Tensor, values: Tensor, slopes: Tensor, *, order: int) -> None:
    """Write the loss of each row and its slope; that of a polynomial is the polynomial of the degree below."""
    slope = _polynomial(logits, order - 1)  # (n, k)
    t = logits.square().pow_(order // 2).div_(math.factorial(order)).add_(slope)
    total, true = t.sum(dim=1, keepdim=True), t.gather(1, y[:, None])  # (n, 1)
    torch.sub(total.log(), true.log(), out=values[:, None])
    torch.div(slope, total, out=slopes)
    slopes.scatter_add_(1, y[:, None], -slope.gather(1, y[:, None]) / true)


def _polynomial(z: Tensor, order: int) -> Tensor:
    """Return the polynomial of the exponential, by Horner's rule."""
    t = 1 + z / order
    for i in range(order - 1, 0, -1):
        t = 1 + z / i * t
    return t
