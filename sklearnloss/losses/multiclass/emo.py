"""Earth mover distance optimisation."""

import torch
import torch.nn.functional as F

from sklearnloss.component import loss
from sklearnloss.typing import Labels, Logits, PerRow


# 1. As in the authors' code, the mean cost enters the ratio with p_y added: the ratio CE / V of the bare mean cost
#    explodes as p_y -> 1, the shifted one vanishes with CE.
@loss("emo", task="multiclass", gradient="surrogate")
def emo(logits: Logits, y: Labels, *, head_weight: torch.Tensor | None = None) -> PerRow:
    r"""Cross entropy, half of whose pull is given to the mean cosine distance from the true class.

    Probability on a class similar to the true one is punished less. The two halves always weigh the same, so the
    value is that of cross entropy; only the gradient knows the costs.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    head_weight : Tensor of shape (k, h), default=None
        One embedding per class, of any length; no gradient flows into it. None makes all classes equally distant.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, in [0, inf); that of cross entropy, down to half of it where ``V`` is below 1e-10.

    Notes
    -----
    .. math:: \ell = \tfrac12 \Big( \mathrm{CE} + \mathrm{sg}\Big[\frac{\mathrm{CE}}{V + 10^{-10}}\Big] V \Big), \quad
        V = \sum_j p_j (1 - \cos(w_j, w_y)) + \mathrm{sg}[p_y], \quad \mathrm{CE} = -\log p_y

    where sg stops the gradient. Equal rows of the weight halve the gradient of cross entropy; orthogonal ones (None)
    multiply it by ``(1 + CE * p_y) / 2``. O(n k h).

    References
    ----------
    .. [1] Ren, Wu, Zhu. "EMO: Earth mover distance optimization for auto-regressive language modeling". ICLR 2024.

    Examples
    --------
    >>> emo(torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([0]))
    tensor([0.4076])
    """
    if head_weight is None:
        cost = torch.ones_like(logits)  # (n, k)
    else:
        classes = F.normalize(head_weight.detach(), dim=1).to(logits.dtype)  # (k, h)
        cost = (1 - classes[y] @ classes.T).clamp(min=0)  # rounding can push a cosine above 1
    cost = cost.scatter(1, y[:, None], 0.0)  # a class costs itself exactly nothing; a negative V could meet the 1e-10
    log_p = torch.log_softmax(logits, dim=1)  # (n, k)
    p = log_p.exp()  # (n, k)
    ce = -log_p.gather(1, y[:, None]).squeeze(1)  # (n,)
    value = (p * cost).sum(dim=1) + p.detach().gather(1, y[:, None]).squeeze(1)  # (n,)
    ratio = (ce / (value + 1e-10)).detach()  # (n,)
    return 0.5 * (ce + ratio * value)
