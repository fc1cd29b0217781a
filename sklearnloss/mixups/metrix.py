"""Mixup for metric learning."""

import torch
from torch import Tensor

from sklearnloss.component import mixup
from sklearnloss.constraints import NonNegative, Positive, PositiveInt
from sklearnloss.functional.classes import place_in_class
from sklearnloss.functional.nearest import nearest_rows
from sklearnloss.functional.pairs import Mixed
from sklearnloss.functional.vectors import unit_rows
from sklearnloss.mixups._beta import symmetric_beta
from sklearnloss.typing import Embeddings, Generator, Labels


# Differences from the authors' code:
# 1. It loops over the anchors, here all are mixed at once.
# 2. It mixes with all negatives of an anchor, here with its hardest few, as the paper does where rows of X are mixed.
@mixup("metrix")
def metrix(
    embeddings: Embeddings,
    y: Labels,
    *,
    rng: Generator,
    alpha: Positive = 2.0,
    weight: NonNegative = 0.4,
    n_mixed: PositiveInt = 4,
) -> Mixed:
    r"""Compare each anchor with points between its positives and its negatives, positive and negative in proportion.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Of any length; unit vectors are mixed, and a loss that compares unit vectors normalizes the mixture again.
    y : LongTensor of shape (n,)
        Class of each row.
    rng : torch.Generator
        Source of the share and of partners.
    alpha : float in (0, inf), default=2.0
        The share is drawn from Beta(alpha, alpha), one for the batch.
    weight : float in [0, inf), default=0.4
        Of the terms of mixed vectors beside those of clean pairs.
    n_mixed : int in [1, inf), default=4
        How many of the hardest negatives of an anchor are mixed, each with a random positive, or with the anchor
        itself: the batch draws which, with equal chance.

    Returns
    -------
    Mixed
        Vectors (n, s, d) for losses with the wish ``mixed``, s at most ``n_mixed``; an anchor without a positive or
        a negative has none.

    Notes
    -----
    .. math:: v = \lambda x + (1 - \lambda) x', \qquad y(v) = \lambda

    with a positive :math:`x` and a negative :math:`x'`, both of which the gradient reaches. O(n^2 d) time for the
    search, O(n s d) memory.

    References
    ----------
    .. [1] Venkataramanan, Psomas, Kijak, Amsaleg, Karantzalos, Avrithis. "It takes two to tango: mixup for deep metric
       learning". ICLR 2022.

    Examples
    --------
    >>> mixed = metrix(torch.eye(4), torch.tensor([0, 0, 1, 2]), rng=torch.Generator().manual_seed(0), n_mixed=2)
    >>> mixed.embeddings.shape, mixed.exists.any(1).tolist()
    (torch.Size([4, 2, 4]), [True, True, False, False])
    """
    unit = unit_rows(embeddings)
    negative, count = nearest_rows(embeddings, n_mixed, y=y)  # (n, s)
    positive, alone = _others_of_the_class(y, negative.shape[1], rng)
    itself = torch.arange(len(y), device=y.device)[:, None]
    with_anchor = torch.rand((), generator=rng, device=y.device) < 0.5
    lam = symmetric_beta(alpha, rng, device=y.device).to(unit.dtype)
    mixed = torch.lerp(unit[negative], unit[torch.where(with_anchor, itself, positive)], lam)
    slots = torch.arange(negative.shape[1], device=y.device)
    exists = (slots < count[:, None]) & ~alone[:, None]
    return Mixed(mixed, lam.expand(exists.shape), exists, weight)


def _others_of_the_class(y: Tensor, size: int, rng: Generator) -> tuple[Tensor, Tensor]:
    """Draw other rows of each row's class, (n, size), and tell which rows are alone in theirs, (n,)."""
    _, number, counts = y.unique(return_inverse=True, return_counts=True)  # type: ignore[no-untyped-call]
    order = number.argsort(stable=True)  # rows of a class stand together
    first, count = (counts.cumsum(0) - counts)[number, None], counts[number, None]  # (n, 1)
    rank = place_in_class(y)[:, None]  # (n, 1)
    others = (count - 1).clamp(min=1)
    uniform = torch.rand(len(y), size, generator=rng, device=y.device)
    step = 1 + torch.minimum((uniform * others).long(), others - 1)
    return order[first + (rank + step) % count], count.squeeze(1) == 1
