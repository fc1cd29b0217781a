"""A plugin of sklearnloss with one loss."""

import torch

from sklearnloss import hookimpl, loss
from sklearnloss.constraints import Positive
from sklearnloss.typing import Labels, Logits, PerRow


@loss("cauchy_margin", task="multiclass", link="none")
def cauchy_margin(logits: Logits, y: Labels, *, margin: Positive = 1.0, scale: Positive = 1.0) -> PerRow:
    r"""Squared hinge of each lead, under a logarithm: a row that is hopelessly wrong stops pulling.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    margin : float in (0, inf), default=1.0
        Amount by which the true class must lead each other class.
    scale : float in (0, inf), default=1.0
        Shortfall at which a row pulls hardest.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, not negative.

    Notes
    -----
    .. math:: \ell = \sum_{j \ne y} \log\left(1 + \frac{\max(0, m - z_y + z_j)^2}{s^2}\right)

    The gradient of a term is at most ``1 / scale`` and goes back to zero as the shortfall grows, so a wrong label
    cannot take over. ``scale -> inf`` gives the squared hinge, divided by ``scale ** 2``. A falling function of each
    lead ranks the classes by their probability [1]_; the robust part is Cauchy's [2]_.

    References
    ----------
    .. [1] Zhang. "Statistical analysis of some multi-category large margin classification methods". JMLR 5, 2004.
    .. [2] Black, Rangarajan. "On the unification of line processes, outlier rejection, and robust statistics with
       applications in early vision". IJCV 19, 1996.

    Examples
    --------
    >>> cauchy_margin(torch.tensor([[2.0, 1.5, -1.0]]), torch.tensor([0]))
    tensor([0.2231])
    """
    lead = logits.gather(1, y[:, None]) - logits  # (n, k), of the true class
    short = (margin - lead).clamp(min=0).scatter(1, y[:, None], 0.0)  # (n, k), by how much a lead is too small
    return torch.log1p((short / scale).square()).sum(1)  # (n,)


@hookimpl
def sklearnloss_components():
    """Return what this plugin adds."""
    return [cauchy_margin]
