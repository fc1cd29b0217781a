"""Triplets with an adaptive margin."""

from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.functional.vectors import distances, unit_rows
from sklearnloss.typing import Embeddings, Labels, PerAnchor


# Differences from the formula as it is passed on:
# 1. eps is 1, not 1e-6, with which the margin of a negative explodes: 110 at a distance of 2.
# 2. The margin is a constant for the gradient. Otherwise its slope outweighs that of the distances: a close positive
#    would be pushed away and a negative at the distance 1 pulled in.
# 3. Embeddings are normalized, and there is a hinge; without either the loss is unbounded below in the distance of
#    positive and negative.
@loss(
    "adaptive_margin_triplet",
    task="embedding",
    unit="anchor",
    sampler="per_class",
    gradient="surrogate",
    status="known",
)
def adaptive_margin_triplet(
    embeddings: Embeddings,
    y: Labels,
    *,
    eps: Annotated[Positive, Search(0.1, 1, log=True)] = 1.0,
    normalize: bool = True,
    hinge: bool = True,
    detach_margin: bool = True,
) -> PerAnchor:
    r"""Hardest triplets with a margin that grows as the positive comes near and as the negative goes away.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Any length; they are normalized here, unless ``normalize=False``.
    y : LongTensor of shape (n,)
        Class of each row.
    eps : float in (0, inf), default=1.0
        What bounds the margin: with 1 it lies between 2 and 5; near 0 it grows exponentially with the distance of the
        negative.
    normalize : bool, default=True
        Whether embeddings are divided by their length; distances are then at most 2.
    hinge : bool, default=True
        Whether values below zero count as zero. There are none of normalized embeddings, as the margin is above 2.
    detach_margin : bool, default=True
        Whether the margin is a constant for the gradient. If not, close positives are pushed apart.

    Returns
    -------
    totals : Tensor of shape (n,)
        One value per anchor; 0 where it has no triplet.
    valid : Tensor of shape (n,)
        1 where the anchor has a positive and a negative, else 0.

    Notes
    -----
    With the Euclidean distances D of anchor a, its farthest positive p and its nearest negative n,

    .. math:: \ell_a = \Bigl[D_{ap} - \tfrac12 (D_{an} + D_{pn}) + 2 + \frac{2}{e^{4 D_{ap}} + \varepsilon}
        + \frac{2}{e^{4 - 4 D_{an}} + \varepsilon}\Bigr]_+

    O(n**2 d) time, O(n**2) memory.

    References
    ----------
    .. [1] Chudasama, Kar, Gudmalwar, Shah, Wasnik, Onoe. "M2FNet: multi-modal fusion network for emotion recognition in
       conversation". CVPR Workshops 2022.

    Examples
    --------
    >>> embeddings, y = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]]), torch.tensor([0, 0, 1])
    >>> adaptive_margin_triplet(embeddings, y)
    (tensor([2.9640, 2.9640, 0.0000]), tensor([1., 1., 0.]))
    """
    points = unit_rows(embeddings) if normalize else embeddings
    far = distances(points, points)  # (n, n)
    same = y[:, None] == y
    positive = same & ~torch.eye(len(y), dtype=torch.bool, device=y.device)
    chosen = far.detach()
    p = chosen.masked_fill(~positive, -1.0).argmax(1)  # (n,)
    n = chosen.masked_fill(same, torch.inf).argmin(1)  # (n,)
    own, wrong = far.gather(1, p[:, None]).squeeze(1), far.gather(1, n[:, None]).squeeze(1)  # (n,)
    between = far[p, n]  # (n,)
    margin = _margin(own, wrong, eps)
    values = own - (wrong + between) / 2 + (margin.detach() if detach_margin else margin)
    valid = positive.any(1) & ~same.all(1)
    values = torch.where(valid, torch.relu(values) if hinge else values, 0.0)
    return values.to(embeddings.dtype), valid.to(embeddings.dtype)


def _margin(own: Tensor, wrong: Tensor, eps: float) -> Tensor:
    near = torch.exp(-4 * own)  # what the formula divides by is one over it, which overflows
    return 2 + 2 * near / (1 + eps * near) + 2 / (torch.exp(4 - 4 * wrong) + eps)
