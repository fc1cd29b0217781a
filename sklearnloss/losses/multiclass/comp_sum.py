"""Comp-sum losses."""

from typing import Annotated

from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Search
from sklearnloss.functional.numerics import box_cox
from sklearnloss.typing import Labels, Logits, PerRow


# 1. Below tau = 1 the loss grows like a power of 1 / p_y; past exp(30) it goes on along the tangent of its exponential.
@loss("comp_sum", task="multiclass")
def comp_sum(logits: Logits, y: Labels, *, tau: Annotated[NonNegative, Search(0, 2)] = 1.0) -> PerRow:
    r"""One family from the sum of exponentials through cross entropy to the mean absolute error.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    tau : float in [0, inf), default=1.0
        Place in the family: small pursues the hardest rows, large forgives them. Tried in [1]_: 0, 0.5, 1, 1.5, 2.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, never negative; it falls as ``tau`` rises.

    Notes
    -----
    .. math:: \ell = \Phi_\tau\Big(\sum_{j \ne y} e^{z_j - z_y}\Big) = \frac{p_y^{\tau - 1} - 1}{1 - \tau}, \qquad
        \Phi_\tau(u) = \frac{(1 + u)^{1 - \tau} - 1}{1 - \tau}

    ``tau=0`` is ``1 / p_y - 1``, ``tau=1`` cross entropy, ``1 < tau < 2`` generalised cross entropy with
    ``q = tau - 1``, ``tau=2`` is ``1 - p_y``. The gradient on the true score is ``-p_y ** (tau - 1) * (1 - p_y)``. For
    ``tau < 2`` the best probabilities are proportional to the true ones raised to ``1 / (2 - tau)``. O(n k).

    References
    ----------
    .. [1] Mao, Mohri, Zhong. "Cross-entropy loss functions: theoretical analysis and applications". ICML 2023.

    Examples
    --------
    >>> import torch
    >>> comp_sum(torch.tensor([[2.0, 0.0, -1.0]]), torch.tensor([0]), tau=1.7)
    tensor([0.1601])
    """
    log_p = -F.cross_entropy(logits, y, reduction="none")  # (n,)
    return -box_cox(log_p, tau - 1)  # (n,)
