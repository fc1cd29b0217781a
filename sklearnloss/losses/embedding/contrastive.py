"""Contrastive loss."""

import torch

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative
from sklearnloss.functional.hinges import pull_and_push
from sklearnloss.functional.mixed import mixed_distances
from sklearnloss.functional.pairs import Distance, Mined, Mixed
from sklearnloss.typing import Embeddings, Labels, PerAnchor


@loss("contrastive", task="embedding", unit="anchor", sampler="per_class")
def contrastive(
    embeddings: Embeddings,
    y: Labels,
    *,
    pos_margin: NonNegative = 0.0,
    neg_margin: NonNegative = 1.0,
    pairs: Mined | None = None,
    distance: Distance | None = None,
    mixed: Mixed | None = None,
) -> PerAnchor:
    r"""Positives are pulled within one distance, negatives are pushed beyond another; each kind has a mean of its own.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        Any length; they are normalized here, unless a distance is given.
    y : LongTensor of shape (n,)
        Class of each row.
    pos_margin : float in [0, inf), default=0.0
        Distance within which a positive costs nothing.
    neg_margin : float in [0, inf), default=1.0
        Distance beyond which a negative costs nothing.
    pairs : Mined, default=None
        What a miner keeps.
    distance : callable, default=None
        None is the Euclidean distance of unit vectors, not squared.
    mixed : Mixed, default=None
        What a mixup of embeddings made; its terms have a mean of their own.

    Returns
    -------
    Tensor of shape (n,)
        One value per anchor, not negative; their mean is the loss.

    Notes
    -----
    .. math:: L = \operatorname{mean}_{(i, j) \in P,\, d_{ij} > m_+} (d_{ij} - m_+)
                + \operatorname{mean}_{(i, j) \in N,\, d_{ij} < m_-} (m_- - d_{ij})

    Each mean is over the pairs that cost anything, so that few hard pairs are not drowned by many easy ones. An
    anchor's value is its share in both sums, times n over the number of those pairs. The paper squares the distances
    and has no means of their own. A mixed vector at the distance d, positive to the part :math:`\lambda`, costs
    :math:`\lambda (d - m_+)_+ + (1 - \lambda) (m_- - d)_+` [2]_, and the mean of these is added with the weight of
    the mixup. O(n^2 d) time, O(block x n) memory.

    References
    ----------
    .. [1] Hadsell, Chopra, LeCun. "Dimensionality reduction by learning an invariant mapping". CVPR 2006.
    .. [2] Venkataramanan, Psomas, Kijak, Amsaleg, Karantzalos, Avrithis. "It takes two to tango: mixup for deep metric
       learning". ICLR 2022.

    Examples
    --------
    >>> import torch
    >>> embeddings = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.8, 0.6]])
    >>> contrastive(embeddings, torch.tensor([0, 0, 1]))
    tensor([2.3970, 2.2005, 0.3548])
    """
    clean = pull_and_push(
        embeddings, y, pos_margin=pos_margin, neg_margin=neg_margin, compare=distance or "euclidean", pairs=pairs
    )
    if mixed is None:
        return clean
    near = mixed_distances(embeddings, mixed, distance)  # (n, s)
    pull, push = (near - pos_margin).clamp_min(0), (neg_margin - near).clamp_min(0)
    terms = torch.where(mixed.exists, mixed.lam * pull + (1 - mixed.lam) * push, 0.0)
    share = len(y) / mixed.exists.sum().clamp(min=1)
    return clean + mixed.weight * (terms.sum(1) * share).to(clean.dtype)
