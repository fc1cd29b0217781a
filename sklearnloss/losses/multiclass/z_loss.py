"""Z-loss."""

import math
from typing import Annotated

import torch
from torch import Tensor
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.exceptions import TaskError
from sklearnloss.typing import Labels, Logits, PerRow


def z_of_moments(
    true: Tensor, mean: Tensor, square: Tensor, k: int, *, a: float = 1.0, b: float | None = None
) -> Tensor:
    """Return the Z-loss (n,) from true score, mean and mean square of each row's k scores."""
    if k < 3:
        raise TaskError(
            f"loss 'z_loss' needs three classes or more, got {k}: two standardised scores are always 1 and -1, "
            "which teaches nothing; choose another loss on logits, such as 'cross_entropy'"
        )
    target = 0.9 * min(math.sqrt(k - 1), 1 + math.log(k)) if b is None else b
    variance = torch.addcmul(square, mean, mean, value=-1).relu()
    below = (mean - true) * (variance + 1e-12).rsqrt()  # 1e-12 inside: equal scores have a gradient
    return F.softplus(a * (target + below)) / a


@loss("z_loss", task="multiclass", link="standardized", moments=z_of_moments)
def z_loss(
    logits: Logits,
    y: Labels,
    *,
    a: Annotated[Positive, Search(0.05, 5, log=True)] = 1.0,
    b: Annotated[Positive, Search(0.5, 10)] | None = None,
) -> PerRow:
    r"""Softplus of what the true score lacks after each row was standardised: shift and scale mean nothing.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores of three classes or more.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    a : float in (0, inf), default=1.0
        Sharpness.
    b : float in (0, inf) or None, default=None
        Standardised score to reach; a score is never above ``sqrt(k - 1)``. None is
        ``0.9 * min(sqrt(k - 1), 1 + log(k))``.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, positive.

    Raises
    ------
    TaskError
        If there are two classes.

    Notes
    -----
    .. math:: \ell = \frac1a \log\big(1 + e^{a (b - \bar z_y)}\big), \qquad \bar z = \frac{z - \mu(z)}{\sigma(z)}

    with mean and population standard deviation over the classes of a row. ``a -> inf`` is the hinge
    ``[b - \bar z_y]_+``. Scores ``c z + t`` with ``c > 0`` give the same value, so weight decay has no effect on their
    direction and probabilities need ``calibrate="temperature"``. O(n k); with ``head="implicit"`` no more for a
    million classes than for ten.

    References
    ----------
    .. [1] de Brébisson, Vincent. "The Z-loss: a shift and scale invariant classification loss belonging to the
       spherical family". arXiv:1604.08859, 2016.

    Examples
    --------
    >>> import torch
    >>> z_loss(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0]), b=1.0)
    tensor([0.5391])
    """
    centred = logits - logits.mean(dim=1, keepdim=True)  # (n, k)
    square = centred.square().mean(dim=1)  # (n,)
    true = centred.gather(1, y[:, None]).squeeze(1)
    return z_of_moments(true, torch.zeros_like(true), square, logits.shape[1], a=a, b=b)
