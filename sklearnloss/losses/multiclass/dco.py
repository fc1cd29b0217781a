"""Direct coverage optimisation."""

import math
from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import PositiveInt, Search
from sklearnloss.functional.numerics import log_odds, softplus
from sklearnloss.typing import Labels, Logits, PerRow


@loss("dco", task="multiclass")
def dco(logits: Logits, y: Labels, *, n_tries: Annotated[PositiveInt, Search(1, 256, log=True)] = 16) -> PerRow:
    r"""Negative log chance that at least one of several guesses, drawn from the probabilities, is right.

    A row whose true class already has a fair share stops teaching, so the probabilities stay as spread as is good for
    several guesses.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    n_tries : int in [1, inf), default=16
        Number of guesses; tried in [1]_: 1, 4, 16, 64, 256.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, never negative, never above cross entropy.

    Notes
    -----
    .. math:: \ell = -\log\big(1 - (1 - p_y)^N\big)

    ``n_tries=1`` is cross entropy. The gradient is that of cross entropy times
    :math:`N (1 - p_y)^{N - 1} p_y / (1 - (1 - p_y)^N)`, which falls from one at :math:`p_y = 0` to nothing at
    :math:`p_y = 1`; for :math:`N p_y \ll 1` the value is cross entropy minus :math:`\log N`. Probabilities are flatter
    than those of the classes, so the loss is proper at ``n_tries=1`` only. `pass_at_n` is the score to go with it.
    O(n k).

    References
    ----------
    .. [1] Chen, Raventos, Cheng, Ganguli, Druckmann. "Rethinking fine-tuning when scaling test-time compute: limiting
       confidence improves mathematical reasoning". NeurIPS 2025.

    Examples
    --------
    >>> dco(torch.tensor([[0.0, 0.0]]), torch.tensor([0]), n_tries=4)  # -log(1 - 1 / 16)
    tensor([0.0645])
    """
    return _log_miss(log_odds(logits, y), n_tries)  # (n,)


def _log_miss(odds: Tensor, n_tries: int) -> Tensor:
    """Return ``-log(1 - exp(-a))`` (n,) for ``a = -n_tries * log(1 - p)``, to the last digit wherever p is."""
    a = n_tries * softplus(odds)  # (n,)
    # where p is tiny, a is n_tries * p, and its logarithm is told by the odds after p itself has rounded to zero
    few = odds < -30
    log_a = math.log(n_tries) + torch.where(few, odds, softplus(torch.where(few, 0.0, odds)).log())  # (n,)
    near = a < math.log(2)
    small = torch.where(near, a, 0.5).clamp(min=torch.finfo(a.dtype).tiny)
    large = torch.where(near, 1.0, a)
    return torch.where(near, -log_a - (-torch.expm1(-small) / small).log(), -torch.log1p(-torch.exp(-large)))
