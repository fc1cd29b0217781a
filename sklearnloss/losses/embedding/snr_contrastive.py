"""Contrastive loss of the signal-to-noise ratio."""

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative
from sklearnloss.functional.hinges import pull_and_push
from sklearnloss.functional.pairs import Mined
from sklearnloss.functional.vectors import signal_to_noise
from sklearnloss.typing import Embeddings, Labels, PerAnchor


# Difference from pytorch-metric-learning: it makes embeddings unit vectors first; the paper does not.
@loss("snr_contrastive", task="embedding", unit="anchor", sampler="per_class", aliases=("signal_to_noise",))
def snr_contrastive(
    embeddings: Embeddings,
    y: Labels,
    *,
    pos_margin: NonNegative = 0.0,
    neg_margin: NonNegative = 1.0,
    reg_weight: NonNegative = 0.005,
    pairs: Mined | None = None,
) -> PerAnchor:
    r"""``contrastive`` by a distance that reads the anchor as a signal, and its difference to another row as noise.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Taken as they are; only their length relative to each other matters to the distance.
    y : LongTensor of shape (n,)
        Class of each row.
    pos_margin : float in [0, inf), default=0.0
        Distance within which a positive costs nothing.
    neg_margin : float in [0, inf), default=1.0
        Distance beyond which a negative costs nothing.
    reg_weight : float in [0, inf), default=0.005
        Weight of what draws the mean of each embedding to zero.
    pairs : Mined, default=None
        What a miner keeps.

    Returns
    -------
    Tensor of shape (n,)
        One value per anchor, not negative; their mean is the loss.

    Notes
    -----
    .. math:: d_{ij} = \frac{\operatorname{var}_k (e_{ik} - e_{jk})}{\operatorname{var}_k e_{ik}}, \qquad
              L = \operatorname{mean}_{(i, j) \in P,\, d_{ij} > m_+} (d_{ij} - m_+)
                + \operatorname{mean}_{(i, j) \in N,\, d_{ij} < m_-} (m_- - d_{ij})
                + \lambda \operatorname{mean}_i \Bigl|\sum_k e_{ik}\Bigr|

    The distance does not see the mean of an embedding, so that the last term is needed. An anchor without a variance
    is at distance zero to all. O(n^2 d) time, O(block x n) memory.

    References
    ----------
    .. [1] Yuan, Deng, Tang, Tang, Chen. "Signal-to-noise ratio: a robust distance metric for deep metric learning".
       CVPR 2019.

    Examples
    --------
    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 6.0], [4.0, 3.0, 2.0, 1.0]])
    >>> snr_contrastive(embeddings, torch.tensor([0, 0, 1]), reg_weight=0.0)
    tensor([0.9000, 0.3214, 0.0000])
    """
    costs = pull_and_push(
        embeddings, y, pos_margin=pos_margin, neg_margin=neg_margin, compare=signal_to_noise, pairs=pairs
    )
    return costs + reg_weight * embeddings.sum(1).abs()
