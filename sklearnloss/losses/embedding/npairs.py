"""N-pair loss."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative
from sklearnloss.functional.numerics import softplus
from sklearnloss.functional.pairs import Block, Mined, Rule, per_anchor, softmax_
from sklearnloss.typing import Embeddings, Labels, PerAnchor


# Difference from the paper: it draws two rows of each class, an anchor and a positive, and forgets the others. Here
# every row is an anchor, with each of its positives in turn, and a rival class counts by the mean over its rows. With
# two equal rows a class that is the paper's value.
@loss("npairs", task="embedding", unit="anchor", sampler="per_class", aliases=("n_pairs",))
def npairs(
    embeddings: Embeddings,
    y: Labels,
    *,
    reg_weight: NonNegative = 0.002,
    pairs: Mined | None = None,
) -> PerAnchor:
    r"""Each positive pair is picked out of itself and one rival a class, by a softmax of dot products.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Taken as they are.
    y : LongTensor of shape (n,)
        Class of each row.
    reg_weight : float in [0, inf), default=0.002
        Weight of the squared length of embeddings, which keeps them short.
    pairs : Mined, default=None
        What a miner keeps.

    Returns
    -------
    values : Tensor of shape (n,)
        One value per anchor, not negative: the mean over its positives.
    valid : Tensor of shape (n,)
        1 where the anchor has a positive, else 0.

    Notes
    -----
    .. math:: \ell_i = \frac{1}{|P_i|} \sum_{j \in P_i} \log\Bigl(1 + \sum_{c \ne y_i} \frac{1}{n_c}
              \sum_{k : y_k = c} e^{e_i \cdot e_k - e_i \cdot e_j}\Bigr) + \lambda \|e_i\|^2

    With ``reg_weight=0`` and one row in each other class it is ``ntxent`` with dot products. O(n^2 d) time,
    O(block x n) memory.

    References
    ----------
    .. [1] Sohn. "Improved deep metric learning with multi-class n-pair loss objective". NeurIPS 2016.

    Examples
    --------
    >>> embeddings = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> npairs(embeddings, torch.tensor([0, 0, 1]), reg_weight=0.0)
    (tensor([0.3133, 0.3133, 0.0000]), tensor([1., 1., 0.]))
    """

    def log_size(block: Block) -> Tensor:
        """Return the log of how many rows the class of each column has, (n,); a further negative is by itself."""
        sizes = block.batch.class_size.to(block.values.dtype).log()
        return pad(sizes, (0, block.values.shape[1] - len(sizes)))

    def value(block: Block) -> tuple[Tensor, Tensor]:
        count, against = block.n_positives, block.n_negatives > 0  # (b,)
        logits = torch.where(against[:, None], block.negatives(-torch.inf) - log_size(block), 0.0)  # (b, n)
        counted = block.is_positive & against[:, None]
        terms = torch.where(counted, softplus(logits.logsumexp(1, keepdim=True) - block.positives(0.0)), 0.0)  # (b, m)
        return terms.sum(1) / count.clamp(min=1), count > 0

    def slope(block: Block) -> tuple[Tensor, Tensor, list[Tensor]]:
        count = block.n_positives
        share = 1 / count.clamp(min=1)[:, None].to(block.values.dtype)  # (b, 1)
        positives = block.positives(torch.inf)  # (b, m)
        shares = block.negatives_(-torch.inf).sub_(log_size(block))  # (b, n)
        gap = softmax_(shares)[:, None] - positives
        missed = gap.sigmoid().mul_(share)
        shares.mul_(missed.sum(1, keepdim=True))
        return (softplus(gap) * share).sum(1), count > 0, [block.add_to_partners_(shares, -missed)]

    values, valid = per_anchor(Rule(value, slope), embeddings, y, compare="dot", pairs=pairs)
    return values + reg_weight * valid * embeddings.square().sum(1), valid
