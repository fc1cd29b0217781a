"""Z-loss."""

import math
from typing import Annotated

from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.exceptions import TaskError
from sklearnloss.typing import Labels, Logits, PerRow


@loss("z_loss", task="multiclass", link="standardized")
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
    direction and probabilities need ``calibrate="temperature"``. O(n k).

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
    k = logits.shape[1]
    if k < 3:
        raise TaskError(
            f"loss 'z_loss' needs three classes or more, got {k}: two standardised scores are always 1 and -1, "
            "which teaches nothing; choose another loss on logits, such as 'cross_entropy'"
        )
    target = 0.9 * min(math.sqrt(k - 1), 1 + math.log(k)) if b is None else b
    centred = logits - logits.mean(dim=1, keepdim=True)  # (n, k)
    scale = (centred.square().mean(dim=1) + 1e-12).sqrt()  # (n,); 1e-12 inside: equal scores have a gradient
    z = centred.gather(1, y[:, None]).squeeze(1) / scale  # (n,)
    return F.softplus(a * (target - z)) / a  # (n,)
