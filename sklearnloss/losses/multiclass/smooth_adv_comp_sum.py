"""Smooth adversarial comp-sum losses."""

from typing import Annotated

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Positive, PositiveInt, Search
from sklearnloss.functional.gradients import evaluating, pgd
from sklearnloss.functional.numerics import box_cox
from sklearnloss.typing import Labels, Logits, Network, PerRow


# 1. The second term sees the network in evaluation mode at both places: neither dropout nor batch statistics are noise
#    to be smoothed away, and none of them is moved by the search.
@loss("smooth_adv_comp_sum", task="multiclass", static=False, status="guess")
def smooth_adv_comp_sum(
    logits: Logits,
    y: Labels,
    *,
    X: Tensor,
    module: Network,
    x_scale: Tensor,
    rng: Generator,
    tau: Annotated[NonNegative, Search(0, 2)] = 1.0,
    rho: Annotated[Positive, Search(0.1, 10, log=True)] = 1.0,
    nu: Annotated[NonNegative, Search(0.1, 10, log=True)] = 1.0,
    eps: Annotated[NonNegative, Search(0.01, 1, log=True)] = 0.1,
    steps: PositiveInt = 10,
) -> PerRow:
    r"""Comp-sum loss plus the most that a small change of the row can do to its margins.

    Parameters
    ----------
    logits : Tensor of shape (n, k)
        Raw scores.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    X : Tensor of shape (n, d)
        The rows.
    module : nn.Module
        The network from X to the scores.
    x_scale : Tensor of shape (d,)
        Standard deviation of each column.
    rng : torch.Generator
        Source of the starts of the search.
    tau : float in [0, inf), default=1.0
        Place in the comp-sum family; 1 is cross entropy.
    rho : float in (0, inf), default=1.0
        Temperature of the margins in the first term.
    nu : float in [0, inf), default=1.0
        Weight of the second term.
    eps : float in [0, inf), default=0.1
        Largest change of a column, in its standard deviations.
    steps : int in [1, inf), default=10
        Steps of projected ascent, each of ``2.5 * eps / steps``.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, never negative.

    Notes
    -----
    .. math:: \ell = \Phi_\tau\Big(\sum_{j \ne y} e^{-\Delta_j(x) / \rho}\Big)
        + \nu \max_{\|x' - x\|_\infty \le \epsilon} \|\Delta(x') - \Delta(x)\|_2, \qquad \Delta_j(x) = z_y(x) - z_j(x)

    with the functions :math:`\Phi_\tau` of the comp-sum losses. ``nu=0`` or ``eps=0`` is the first term alone, the
    comp-sum loss of ``z / rho``. The search leaves the network's state and the gradients of its parameters as they
    were. O(n k), and ``steps + 2`` further passes.

    References
    ----------
    .. [1] Mao, Mohri, Zhong. "Cross-entropy loss functions: theoretical analysis and applications". ICML 2023.

    Examples
    --------
    >>> layer, X, y = torch.nn.Linear(2, 3), torch.ones(1, 2), torch.tensor([0])
    >>> rng, unit = torch.Generator().manual_seed(0), torch.ones(2)
    >>> with torch.no_grad():
    ...     _ = layer.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])), layer.bias.zero_()
    >>> # cross entropy of equal scores for two of three classes, 0.862, and sqrt(0.5 ** 2 + 1)
    >>> smooth_adv_comp_sum(layer(X), y, X=X, module=layer, x_scale=unit, rng=rng, eps=0.5).detach()
    tensor([1.9800])
    """
    first = -box_cox(-F.cross_entropy(logits / rho, y, reduction="none"), tau - 1)  # (n,)
    with evaluating(module):
        here = _margins(module(X), y)  # (n, k)
        still = here.detach()
        worst = pgd(
            module, X, lambda out: _shift(_margins(out, y), still), x_scale=x_scale, eps=eps, steps=steps, rng=rng
        )  # (n, d)
        there = _margins(module(worst), y)  # (n, k)
    return first + nu * _shift(there, here)  # (n,)


def _margins(logits: Tensor, y: Tensor) -> Tensor:
    """Return the lead (n, k) of the true class over each class; over itself it is zero."""
    return logits.gather(1, y[:, None]) - logits


def _shift(there: Tensor, here: Tensor) -> Tensor:
    """Return how far the margins moved (n,)."""
    return torch.linalg.vector_norm(there - here, dim=1)
