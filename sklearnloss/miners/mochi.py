"""Mixed hard negatives."""

import torch
from torch import Tensor
from torch.nn.functional import normalize

from sklearnloss.component import miner
from sklearnloss.constraints import NonNegativeInt, PositiveInt
from sklearnloss.functional.nearest import draw, nearest_rows
from sklearnloss.functional.pairs import Extra
from sklearnloss.typing import Embeddings, Generator, Labels


@miner("mochi", static=False)
def mochi(
    embeddings: Embeddings,
    y: Labels,
    *,
    rng: Generator,
    epoch: int | None = None,
    n_hard: PositiveInt = 32,
    n_mixed: NonNegativeInt = 16,
    n_anchored: NonNegativeInt = 16,
    warmup_epochs: NonNegativeInt = 10,
) -> Extra:
    r"""Add negatives harder than those of the batch: mixtures of the hardest, and of the hardest with the anchor.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Of any length.
    y : LongTensor of shape (n,)
        Class of each row.
    rng : torch.Generator
        Source of partners and shares.
    epoch : int or None, default=None
        Epochs finished so far; None is after the warm-up.
    n_hard : int in [1, inf), default=32
        How many of an anchor's most similar negatives are mixed.
    n_mixed : int in [0, inf), default=16
        Mixtures of two negatives for each anchor.
    n_anchored : int in [0, inf), default=16
        Mixtures of a negative with the anchor, whose share is below one half.
    warmup_epochs : int in [0, inf), default=10
        Epochs without mixtures at the beginning, while the hardest negatives say little.

    Returns
    -------
    Extra
        Further negatives of each anchor, unit vectors (n, n_mixed + n_anchored, d) without a gradient; none during the
        warm-up, and where all rows are of one class.

    Notes
    -----
    With unit vectors and :math:`a \sim U(0, 1)`, :math:`b \sim U(0, \tfrac12)`,

    .. math:: h = \frac{a n_i + (1 - a) n_j}{\|\cdot\|}, \qquad h' = \frac{b q + (1 - b) n_j}{\|\cdot\|}

    The second is never less similar to the anchor than the negative it is made from. The paper has 1,024 hard, 1,024
    mixed and 128 anchored ones for a queue of 65,536. O(n^2 d) time.

    References
    ----------
    .. [1] Kalantidis, Sariyildiz, Pion, Weinzaepfel, Larlus. "Hard negative mixing for contrastive learning".
       NeurIPS 2020.

    Examples
    --------
    >>> embeddings, y = torch.eye(4), torch.tensor([0, 0, 1, 1])
    >>> mochi(embeddings, y, rng=torch.Generator().manual_seed(0), n_mixed=2, n_anchored=3).embeddings.shape
    torch.Size([4, 5, 4])
    >>> mochi(embeddings, y, rng=torch.Generator().manual_seed(0), epoch=0).embeddings.shape
    torch.Size([4, 0, 4])
    """
    n, d = embeddings.shape
    none = Extra(embeddings.new_zeros(n, 0, d))
    if epoch is not None and epoch < warmup_epochs:
        return none
    index, count = nearest_rows(embeddings, n_hard, y=y)
    if not bool(count.all()):  # one class: an anchor lacks negatives only where all do
        return none
    unit = normalize(embeddings.detach(), dim=1)
    first, second = (unit[draw(index, count, n_mixed, rng)] for _ in range(2))  # (n, n_mixed, d)
    hard = unit[draw(index, count, n_anchored, rng)]  # (n, n_anchored, d)
    share, of_anchor = (_uniform(unit, size, rng) for size in (n_mixed, n_anchored))
    mixed = torch.cat([torch.lerp(second, first, share), torch.lerp(hard, unit[:, None], of_anchor / 2)], dim=1)
    return Extra(normalize(mixed, dim=2))


def _uniform(like: Tensor, size: int, rng: Generator) -> Tensor:
    return torch.rand(len(like), size, 1, generator=rng, device=like.device).to(like.dtype)
