"""FastAP."""

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import PositiveInt
from sklearnloss.functional.histograms import BEYOND, soft_histogram
from sklearnloss.functional.pairs import Block, Mined, Rule, per_anchor
from sklearnloss.typing import Embeddings, Labels, PerAnchor


@loss("fastap", task="embedding", unit="anchor", sampler="per_class")
def fastap(
    embeddings: Embeddings,
    y: Labels,
    *,
    bins: PositiveInt = 10,
    pairs: Mined | None = None,
) -> PerAnchor:
    r"""One less the average precision of an anchor's ranking, in which rows in one bin of distance are tied.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Any length; they are normalized here.
    y : LongTensor of shape (n,)
        Class of each row.
    bins : int in [1, inf), default=10
        Into how many parts the squared distances from 0 to 4 are cut: few give a smooth loss, many an exact one.
    pairs : Mined, default=None
        What a miner keeps; only those are ranked.

    Returns
    -------
    values : Tensor of shape (n,)
        One value per anchor, in [0, 1].
    valid : Tensor of shape (n,)
        1 where the anchor has a positive, else 0.

    Notes
    -----
    With :math:`h^+_r` positives and :math:`h_r` rows of any class at node r of squared distance, where a row between
    two nodes is divided between them by nearness, and the sums :math:`H^+_r`, :math:`H_r` up to that node,

    .. math:: \ell_i = 1 - \frac{1}{|P_i|} \sum_r \frac{h^+_r H^+_r}{H_r}

    Without negatives it is zero. O(n^2 d) time, O(block x n) memory.

    References
    ----------
    .. [1] Cakir, He, Xia, Kulis, Sclaroff. "Deep metric learning to rank". CVPR 2019.

    Examples
    --------
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]])
    >>> fastap(embeddings, torch.tensor([0, 0, 1]))
    (tensor([0.5000, 0.5000, 0.0000]), tensor([1., 1., 0.]))
    """

    def value(block: Block) -> tuple[Tensor, Tensor]:
        count = block.n_positives  # (b,)
        beyond = 1 - 2 * (bins + BEYOND) / bins
        own, others = (
            soft_histogram((1 - cosines) * (bins / 2), bins)  # (b, bins + 1)
            for cosines in (block.positives(beyond), block.negatives(beyond))
        )
        up_to, all_up_to = own.cumsum(1), (own + others).cumsum(1)
        precision = torch.where(all_up_to > 0, up_to / torch.where(all_up_to > 0, all_up_to, 1.0), 0.0)
        average = (own * precision).sum(1) / count.clamp(min=1)
        return torch.where(count > 0, 1 - average, 0.0), count > 0

    return per_anchor(Rule(value), embeddings, y, pairs=pairs)
