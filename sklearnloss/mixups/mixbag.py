"""MixBag, bags merged of two."""

from typing import Literal

import torch
from torch import Tensor

from sklearnloss.component import mixup
from sklearnloss.constraints import Probability
from sklearnloss.functional.bags import BagParts
from sklearnloss.typing import Generator, Proportions

CENTER, SPREAD = 0.5, 0.1  # of the shares that "gauss" draws


# Differences from the authors' code:
# 1. Bags may have different sizes: of the second bag comes the share that is left by the first.
# 2. The other bag is one of the batch and never the bag itself.
# 3. Shares are rounded, a merged bag has a row of each, and two bags of one size make one of that size. The code cuts
#    fractions off, both halves of an odd size among them, and may take no row of the second bag.
@mixup("mixbag")
def mixbag(
    bag: Tensor,
    y: Proportions,
    *,
    rng: Generator,
    share: Literal["half", "uniform", "gauss"] = "uniform",
    probability: Probability = 0.5,
) -> tuple[Tensor, Tensor, Tensor, BagParts]:
    r"""Train on further bags: some rows of a bag and some of another, with the proportions to be expected.

    Parameters
    ----------
    bag : LongTensor of shape (n,)
        Bag of each row of a batch, 0..b-1, each with a row at least.
    y : Tensor of shape (b, k)
        Proportions of each bag, or other means over its rows.
    rng : torch.Generator
        Source of bags, shares and rows.
    share : {"half", "uniform", "gauss"}, default="uniform"
        Rows that come of the first bag: half; any number, but not none or all; or a share drawn from
        N(0.5, 0.1). Of the second come those that the first leaves, in proportion to its size.
    probability : float in [0, 1], default=0.5
        How likely a bag is merged with another one, each other bag of the batch as likely. 0 leaves bags whole.

    Returns
    -------
    index : LongTensor of shape (m,)
        Rows of the batch, bag after bag.
    bag : LongTensor of shape (m,)
        The new bag of each of these rows, 0..b-1; bag i is bag i of the batch, or has some of its rows.
    y : Tensor of shape (b, k)
        Expected proportions of the new bags.
    bag_parts : BagParts
        Where the rows come from.

    Notes
    -----
    .. math:: \tilde y = a y_i + (1 - a) y_j, \qquad a = \frac{g}{g + e}

    for g rows of bag i and e rows of bag j, drawn without replacement. That is the mean of the true proportions over
    draws of rows; how far these are off is what the loss ``ci_proportion`` allows for. It counts rows: where weights
    differ within bags the expectation is that of unweighted rows. A batch of one bag stays as it is, so a batch should
    have several; rows of a bag may be in several new ones. O(n log n).

    References
    ----------
    .. [1] Asanomi, Matsuo, Suehiro, Bise. "MixBag: bag-level data augmentation for learning from label proportions".
       ICCV 2023.

    Examples
    --------
    >>> bag, y = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1]), torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    >>> rng = torch.Generator().manual_seed(0)
    >>> index, new, y, parts = mixbag(bag, y, rng=rng, share="half", probability=1.0)
    >>> torch.stack([bag[index], new])
    tensor([[0, 0, 1, 1, 1, 1, 0, 0],
            [0, 0, 0, 0, 1, 1, 1, 1]])
    >>> y
    tensor([[0.7500, 0.2500],
            [0.7500, 0.2500]])
    """
    n_bags, size = len(y), torch.bincount(bag, minlength=len(y))
    other = _others(n_bags, rng, bag.device)
    merged = torch.rand(n_bags, generator=rng, device=bag.device) < (probability if n_bags > 1 else 0)
    n_first = torch.where(merged, _taken(size, share, rng), size)
    rest = (size - n_first) * size[other] / size  # of equal sizes: what makes the bag as large as it was
    n_second = torch.where(merged, rest.round().long().clamp(min=1), 0)
    index, part = _draw(bag, torch.cat([torch.arange(n_bags, device=bag.device), other]), n_first, n_second, rng)
    parts = BagParts(y, y[other], *(v.to(y.dtype) for v in (n_first, n_second, size, size[other])))
    a = (parts.n_first / (parts.n_first + parts.n_second))[:, None]
    return index, part % n_bags, torch.where(merged[:, None], a * y + (1 - a) * y[other], y), parts


def _others(n_bags: int, rng: Generator, device: torch.device) -> Tensor:
    """Draw another bag for each, (b,); itself where there is one only."""
    if n_bags == 1:
        return torch.zeros(1, dtype=torch.int64, device=device)
    step = torch.randint(1, n_bags, (n_bags,), generator=rng, device=device)
    return (torch.arange(n_bags, device=device) + step) % n_bags


def _taken(size: Tensor, share: str, rng: Generator) -> Tensor:
    """Return how many rows a merged bag has of its first, (b,): one at least, and not all unless it is the only one."""
    if share == "half":
        return (size // 2).clamp(min=1)
    drawn = torch.empty(size.shape, dtype=torch.float64, device=size.device)
    if share == "uniform":
        return (1 + drawn.uniform_(generator=rng) * (size - 1)).long().clamp(max=size.clamp(min=2) - 1)
    return (drawn.normal_(CENTER, SPREAD, generator=rng) * size).round().long().clamp(max=size - 1).clamp(min=1)


def _draw(bag: Tensor, source: Tensor, n_first: Tensor, n_second: Tensor, rng: Generator) -> tuple[Tensor, Tensor]:
    """Draw rows without replacement, so many of each source (2b,); return them and the place of their source.

    The rows of each source are put in random order, and the first of them are taken.
    """
    wanted = torch.cat([n_first, n_second])
    size = torch.bincount(bag, minlength=len(n_first))
    rows, first = bag.argsort(stable=True), size.cumsum(0) - size  # bag after bag
    count = torch.where(wanted > 0, size[source], 0)
    part = torch.repeat_interleave(torch.arange(len(source), device=bag.device), count)
    place = torch.arange(len(part), device=bag.device) - (count.cumsum(0) - count)[part]
    shuffled = torch.rand(len(part), generator=rng, device=bag.device, dtype=torch.float64).argsort()
    shuffled = shuffled[part[shuffled].argsort(stable=True)]
    index = rows[first[source[part]] + place][shuffled]
    kept = (place < wanted[part]).nonzero().squeeze(1)
    kept = kept[(part[kept] % len(n_first)).argsort(stable=True)]  # both parts of a bag together
    return index[kept], part[kept]
