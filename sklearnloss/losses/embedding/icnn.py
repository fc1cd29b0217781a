"""Nearest neighbours between and within classes."""

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, PositiveInt
from sklearnloss.functional.vectors import distances
from sklearnloss.typing import Embeddings, Labels, PerAnchor

EPS = 1e-6


# The paper's definitions were rebuilt from its abstract, and one thing differs on purpose: the logarithm is taken
# factor by factor. A row whose neighbours are all wrong has the product zero, and would have no gradient.
@loss("icnn", task="embedding", unit="anchor", sampler="per_class", status="guess")
def icnn(
    embeddings: Embeddings,
    y: Labels,
    *,
    k: PositiveInt = 5,
    p: NonNegative = 1.0,
    q: NonNegative = 1.0,
    r: NonNegative = 1.0,
) -> PerAnchor:
    r"""Scores how far each row's neighbours of other classes are, how even its class lies, and how pure it is.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        One vector per row; not normalized.
    y : LongTensor of shape (n,)
        Class of each row.
    k : int in [1, inf), default=5
        Number of neighbours; fewer for a row whose class has fewer other rows.
    p : float in [0, inf), default=1.0
        Power of the separation.
    q : float in [0, inf), default=1.0
        Power of the evenness.
    r : float in [0, inf), default=1.0
        Power of the purity, which counts neighbours and has no gradient.

    Returns
    -------
    totals : Tensor of shape (n,)
        One value per anchor, not negative up to 3e-6; 0 where it has none.
    valid : Tensor of shape (n,)
        1 where the anchor has another row of its class and one of another class, else 0.

    Notes
    -----
    With the mean distances a to the k nearest rows of the own class and b to the k nearest of other classes, the
    standard deviation and maximum of the distances to the own class, and the share :math:`\gamma` of the own class
    among the k nearest of all,

    .. math:: \ell = -p \log \lambda - q \log \omega - r \log \gamma, \qquad
        \lambda = \frac{b}{a + b}, \quad \omega = 1 - \frac{\operatorname{std}}{\max}

    with 1e-6 added to denominators and in logarithms. Where ``a = b`` and ``p=1, q=r=0`` it is ``log(2)``; where rows
    of a class coincide, apart from other classes, it is 0. The scale of embeddings does not matter. O(n**2 d) time,
    O(n**2) memory.

    References
    ----------
    .. [1] Mendez-Ruiz, Gonzalez-Zapata, Reyes-Amezcua, Flores-Araiza, Lopez-Tiro, Mendez-Vazquez, Ochoa-Ruiz. "SuSana
       Distancia is all you need: enforcing class separability in metric learning via two novel distance-based loss
       functions for few-shot image classification". 2023.

    Examples
    --------
    >>> embeddings, y = torch.tensor([[0.0], [1.0], [4.0]]), torch.tensor([0, 0, 1])
    >>> icnn(embeddings, y)
    (tensor([0.2231, 0.2877, 0.0000]), tensor([1., 1., 0.]))
    """
    far = distances(embeddings, embeddings)  # (n, n)
    itself = torch.eye(len(y), dtype=torch.bool, device=y.device)
    same = (y[:, None] == y) & ~itself  # (n, n)
    other = y[:, None] != y
    count = same.sum(1)  # (n,)
    wanted = count.clamp(max=k)  # (n,)
    near = min(k, len(y))
    a, b = (_mean_of_nearest(far.masked_fill(~group, torch.inf), wanted, near) for group in (same, other))
    nearest = far.detach().masked_fill(itself, torch.inf).topk(near, largest=False).indices  # (n, near)
    among = torch.arange(near, device=y.device) < wanted[:, None]  # (n, near)
    purity = (same.gather(1, nearest) & among).sum(1) / wanted.clamp(min=1)  # (n,)
    evenness = 1 - _relative_spread(far, same, count)
    score = p * _log(b / (a + b + EPS)) + q * _log(evenness) + r * _log(purity.to(far.dtype))
    valid = (count > 0) & other.any(1)
    return torch.where(valid, -score, 0.0).to(embeddings.dtype), valid.to(embeddings.dtype)


def _log(x: Tensor) -> Tensor:
    return (x + EPS).log()


def _mean_of_nearest(far: Tensor, wanted: Tensor, near: int) -> Tensor:
    """Return the mean (n,) of the smallest finite entries of each row, as many as wanted or there are."""
    values = far.topk(near, largest=False).values  # (n, near)
    used = (torch.arange(near, device=far.device) < wanted[:, None]) & values.isfinite()
    return torch.where(used, values, 0.0).sum(1) / used.sum(1).clamp(min=1)


def _relative_spread(far: Tensor, same: Tensor, count: Tensor) -> Tensor:
    """Return standard deviation over maximum (n,) of the distances to the own class."""
    count = count.clamp(min=1)
    mean = torch.where(same, far, 0.0).sum(1) / count
    variance = torch.where(same, (far - mean[:, None]).square(), 0.0).sum(1) / count
    spread = torch.where(variance > 1e-12, variance.clamp(min=1e-12).sqrt(), 0.0)  # the root has no slope at zero
    return spread / (torch.where(same, far, 0.0).amax(1) + EPS)
