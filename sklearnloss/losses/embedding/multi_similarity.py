"""Multi-similarity loss."""

import torch
from torch.nn.functional import normalize

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Signed
from sklearnloss.typing import Embeddings, Labels, PerAnchor


# Differences from the authors' code:
# 1. It drops positives of cosine 1 - 1e-5 and more, to be rid of the anchor itself; here only the anchor goes, so an
#    exact duplicate remains a positive.
# 2. It mines pairs, and fails on an anchor that has no positive or no negative; here there is no miner, and an anchor
#    without a negative keeps the pull of its positives.
# 3. It divides by the size of the batch; here an anchor without a positive does not count in the mean.
@loss("multi_similarity", task="embedding", unit="anchor", sampler="per_class")
def multi_similarity(
    embeddings: Embeddings, y: Labels, *, alpha: Positive = 2.0, beta: Positive = 50.0, lam: Signed = 1.0
) -> tuple[PerAnchor, PerAnchor]:
    r"""Soft hinges over all positives and all negatives: a pair pulls by its own cosine and by those of its rivals.

    A large ``beta`` leaves almost only the hardest negative, a small ``alpha`` spreads the pull over all positives.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        One vector per row; normalised inside.
    y : LongTensor of shape (n,)
        Class of each row.
    alpha : float in (0, inf), default=2.0
        Sharpness over the positives.
    beta : float in (0, inf), default=50.0
        Sharpness over the negatives.
    lam : float in (-inf, inf), default=1.0
        Cosine above which negatives are pushed away, and below which positives are pulled in.

    Returns
    -------
    totals : Tensor of shape (n,)
        One value per anchor, not negative; 0 for an anchor without a positive.
    valid : Tensor of shape (n,)
        1 where the anchor has a positive, else 0.

    Notes
    -----
    .. math:: \ell_i = \frac1\alpha \log\Bigl(1 + \sum_{j \in P_i} e^{-\alpha (s_{ij} - \lambda)}\Bigr)
                     + \frac1\beta \log\Bigl(1 + \sum_{j \in N_i} e^{\beta (s_{ij} - \lambda)}\Bigr)

    Three sets of ``(alpha, beta, lam)`` are in use: ``(2, 50, 1)`` in the paper, the default here; ``(2, 40, 0.5)`` in
    the authors' code; ``(2, 50, 0.5)`` in pytorch-metric-learning.

    ``alpha -> inf`` gives ``max(0, lam - min positive)`` for the first term, ``beta -> inf`` gives
    ``max(0, max negative - lam)`` for the second. O(n^2 d).

    References
    ----------
    .. [1] Wang, Han, Huang, Dong, Scott. "Multi-similarity loss with general pair weighting for deep metric
       learning". CVPR 2019.

    Examples
    --------
    >>> multi_similarity(torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]), torch.tensor([0, 0, 1]), lam=0.5)
    (tensor([0.2187, 0.3189, 0.0000]), tensor([1., 1., 0.]))
    """
    unit = normalize(embeddings, dim=1)  # (n, d)
    gap = unit @ unit.T - lam  # (n, n)
    same = y[:, None] == y  # (n, n)
    positive = same & ~torch.eye(len(y), dtype=torch.bool, device=y.device)  # (n, n)
    pull = _softplus_of_sum((-alpha * gap).masked_fill(~positive, -torch.inf)) / alpha  # (n,)
    push = _softplus_of_sum((beta * gap).masked_fill(same, -torch.inf)) / beta  # (n,)
    valid = positive.any(1)  # (n,)
    return torch.where(valid, pull + push, 0.0), valid.to(gap.dtype)


def _softplus_of_sum(logits: torch.Tensor) -> torch.Tensor:
    zero = torch.zeros_like(logits[:, :1])  # the 1 in the logarithm, (n, 1)
    return torch.logsumexp(torch.cat([zero, logits], dim=1), dim=1)  # (n,)
