"""Centroid triplet loss."""

from typing import Annotated

import torch
from torch.nn.functional import softplus

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Search
from sklearnloss.functional.classes import sums_of_classes
from sklearnloss.functional.vectors import distances
from sklearnloss.typing import Embeddings, Labels, PerAnchor


# Difference from the authors' code: it leaves the i-th row of every class out of all centroids while the i-th rows are
# the queries, which ties rows of different classes by their place in the batch. Here a row is left out of the centroid
# of its own class only, so that the order of rows does not matter and classes may be of any size.
@loss("centroid_triplet", task="embedding", unit="anchor", sampler="per_class", static=False)
def centroid_triplet(
    embeddings: Embeddings,
    y: Labels,
    *,
    margin: Annotated[NonNegative, Search(0.1, 1)] = 0.5,
    smooth: bool = False,
) -> PerAnchor:
    r"""Each row is nearer to the mean of the other rows of its class than to the nearest mean of another class.

    Means are robust against single wrong labels, and few: a gallery needs one vector per class.

    Parameters
    ----------
    embeddings : Tensor of shape (n, d)
        One vector per row; not normalized.
    y : LongTensor of shape (n,)
        Class of each row.
    margin : float in [0, inf), default=0.5
        Distance by which the other mean must be farther away.
    smooth : bool, default=False
        Whether ``log(1 + exp(x))`` stands for the hinge ``max(0, x)``.

    Returns
    -------
    totals : Tensor of shape (n,)
        One value per anchor, never negative; 0 where it has none.
    valid : Tensor of shape (n,)
        1 where the anchor has another row of its class and one of another class, else 0.

    Notes
    -----
    With the mean :math:`\mu_c` of class c and :math:`\mu_c^{-i}` without row i,

    .. math:: \ell_i = \Bigl[\lVert e_i - \mu_{y_i}^{-i} \rVert - \min_{c \ne y_i} \lVert e_i - \mu_c \rVert + m\Bigr]_+

    Equal embeddings cost the margin. The authors add cross entropy, a triplet loss and a center loss of weight 5e-4; so
    does a sum of losses. O(n P d) time for P classes in the batch, O(n P) memory.

    References
    ----------
    .. [1] Wieczorek, Rychalska, Dąbrowski. "On the unreasonable effectiveness of centroids in image retrieval".
       ICONIP 2021.

    Examples
    --------
    >>> embeddings, y = torch.tensor([[0.0], [1.0], [1.2]]), torch.tensor([0, 0, 1])
    >>> centroid_triplet(embeddings, y)
    (tensor([0.3000, 1.3000, 0.0000]), tensor([1., 1., 0.]))
    """
    x = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
    sums, counts, codes = sums_of_classes(x, y, torch.ones_like(x[:, 0]))
    if len(sums) == 1:
        return 0 * embeddings.sum(1), torch.zeros_like(embeddings[:, 0])
    count = counts[codes]  # (n,)
    others = (sums[codes] - x) / (count - 1).clamp(min=1)[:, None]  # (n, d)
    own = (x - others).square().sum(1).clamp(min=1e-12).sqrt()  # (n,)
    wrong = distances(x, sums / counts[:, None]).scatter(1, codes[:, None], torch.inf).min(1).values  # (n,)
    gap = own - wrong + margin
    valid = count > 1
    values = torch.where(valid, softplus(gap) if smooth else torch.relu(gap), 0.0)
    return values.to(embeddings.dtype), valid.to(embeddings.dtype)
