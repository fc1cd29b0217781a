"""Multi-similarity loss."""

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Signed
from sklearnloss.functional.mixed import mixed_cosines
from sklearnloss.functional.pairs import Block, Mined, Mixed, Rule, per_anchor
from sklearnloss.typing import Embeddings, Labels, PerAnchor


# Differences from the authors' code:
# 1. It drops positives of cosine 1 - 1e-5 and more, to be rid of the anchor itself; here only the anchor goes, so an
#    exact duplicate remains a positive.
# 2. It mines pairs inside, and fails on an anchor that has no positive or no negative; here the miner is apart
#    (``multi_similarity_miner``), and an anchor without a negative keeps the pull of its positives.
# 3. It divides by the size of the batch; here an anchor without a positive does not count in the mean.
@loss("multi_similarity", task="embedding", unit="anchor", sampler="per_class")
def multi_similarity(
    embeddings: Embeddings,
    y: Labels,
    *,
    alpha: Positive = 2.0,
    beta: Positive = 50.0,
    lam: Signed = 0.5,
    pairs: Mined | None = None,
    mixed: Mixed | None = None,
) -> PerAnchor:
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
    lam : float in (-inf, inf), default=0.5
        Cosine above which negatives are pushed away, and below which positives are pulled in.
    pairs : Mined, default=None
        What a miner keeps; an anchor of which it keeps nothing counts as zero.
    mixed : Mixed, default=None
        What a mixup of embeddings made.

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

    Three sets of ``(alpha, beta, lam)`` are in use: ``(2, 50, 1)`` in the paper; ``(2, 40, 0.5)`` in the authors' code;
    ``(2, 50, 0.5)`` in pytorch-metric-learning, the default here. With ``lam=1`` nearly all negatives are left alone,
    and retrieval on digits, MNIST and letter is worse by 0.01 to 0.04 in MAP@R.

    ``alpha -> inf`` gives ``max(0, lam - min positive)`` for the first term, ``beta -> inf`` gives
    ``max(0, max negative - lam)`` for the second. O(n^2 d) time, O(block x n) memory.

    Mixed vectors [2]_ make a term of their own, added with the weight of the mixup: each is in both sums, in the first
    as much as it is a positive, in the second as much as it is a negative.

    References
    ----------
    .. [1] Wang, Han, Huang, Dong, Scott. "Multi-similarity loss with general pair weighting for deep metric
       learning". CVPR 2019.
    .. [2] Venkataramanan, Psomas, Kijak, Amsaleg, Karantzalos, Avrithis. "It takes two to tango: mixup for deep metric
       learning". ICLR 2022.

    Examples
    --------
    >>> multi_similarity(torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]]), torch.tensor([0, 0, 1]))
    (tensor([0.2187, 0.3189, 0.0000]), tensor([1., 1., 0.]))
    """

    def value(block: Block) -> tuple[Tensor, Tensor]:
        pull = _softplus_of_sum(-alpha * (block.positives(torch.inf) - lam)) / alpha  # (b,)
        push = _softplus_of_sum(beta * (block.negatives(-torch.inf) - lam)) / beta  # (b,)
        return torch.where(block.had_positive, pull + push, 0.0), block.had_positive

    def slope(block: Block) -> tuple[Tensor, Tensor, list[Tensor]]:
        pulled = (-alpha * (block.positives(torch.inf) - lam)).contiguous()  # (b, m)
        pushed = block.negatives_(-torch.inf).sub_(lam).mul_(beta)  # (b, n)
        pull, push = (_softmax_with_one_(logits) for logits in (pulled, pushed))
        values = torch.where(block.had_positive, pull / alpha + push / beta, 0.0)
        pushed.mul_(block.had_positive[:, None])
        return values, block.had_positive, [block.add_to_partners_(pushed, -pulled)]

    clean, valid = per_anchor(Rule(value, slope), embeddings, y, pairs=pairs)
    if mixed is None:
        return clean, valid
    near = mixed_cosines(embeddings, mixed) - lam  # (n, s)
    towards, away = (torch.where(mixed.exists, part.log(), -torch.inf) for part in (mixed.lam, 1 - mixed.lam))
    pull = _softplus_of_sum(towards - alpha * near) / alpha  # (n,)
    push = _softplus_of_sum(away + beta * near) / beta  # (n,)
    return clean + mixed.weight * torch.where(valid > 0, pull + push, 0.0).to(clean.dtype), valid


def _softplus_of_sum(logits: Tensor) -> Tensor:
    zero = torch.zeros_like(logits[:, :1])  # the 1 in the logarithm, (b, 1)
    return torch.logsumexp(torch.cat([zero, logits], dim=1), dim=1)  # (b,)


def _softmax_with_one_(logits: Tensor) -> Tensor:
    """Turn rows into the slopes of `_softplus_of_sum`, in place, and return its value, (b,)."""
    top = logits.amax(1, keepdim=True).clamp_min_(0.0)  # (b, 1)
    total = logits.sub_(top).exp_().sum(1, keepdim=True) + (-top).exp()
    logits.div_(total)
    return (top + total.log()).squeeze(1)
