"""Unified negative pairs."""

from typing import Annotated, Literal

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Positive, Search
from sklearnloss.functional.angles import true_cosines, widened
from sklearnloss.functional.vectors import unit_rows
from sklearnloss.typing import Cosines, Features, Labels, PerAnchor


# Differences from the authors' code: it appends the pairs of the batch to the logits of each row, which takes memory
# with the third power of the batch; they are the same for all rows, so their sum is added once. Its angular margin
# rises again beyond pi; here it goes on as a straight line.
@loss("unpg", task="multiclass", unit="anchor", sampler="stratified", aliases=["unified_negatives"])
def unpg(
    cosines: Cosines,
    y: Labels,
    *,
    features: Features,
    head: Literal["cosface", "arcface"] = "cosface",
    scale: Annotated[Positive, Search(4, 64, log=True)] = 16.0,
    margin: Annotated[NonNegative, Search(0.05, 0.5)] = 0.2,
    width: NonNegative = 1.5,
) -> PerAnchor:
    r"""Softmax of a row's class against all proxies, and against all pairs of rows that must not be near each other.

    Parameters
    ----------
    cosines : Tensor of shape (n, k)
        Cosines between embeddings and class proxies.
    y : LongTensor of shape (n,)
        Class of each row, in 0..k-1.
    features : Tensor of shape (n, d)
        The embeddings, of any length.
    head : {"cosface", "arcface"}, default="cosface"
        Whether the margin is taken off the true class's cosine, or added to its angle, in radians.
    scale : float in (0, inf), default=16.0
        Factor of the cosines. The paper's 64 is for thousands of classes; for up to a hundred, 16 to 30 suffice.
    margin : float in [0, inf), default=0.2
        The paper's 0.5 is for thousands of classes.
    width : float in [0, inf), default=1.5
        Interquartile ranges beyond the quartiles from which the cosine of a pair is an outlier, and left out.

    Returns
    -------
    Tensor of shape (n,)
        One value per row, not below the one of the head alone.

    Notes
    -----
    With the cosines S of the pairs of rows of different classes, each pair once and without outliers, and the true
    class's cosine :math:`g_i` with its margin,

    .. math:: \ell_i = -\log \frac{e^{s g_i}}{e^{s g_i} + \sum_{j \ne y_i} e^{s \cos \theta_{ij}} +
        \sum_{c \in S} e^{s c}}

    The quartiles of l pairs stand at the places ``l // 4`` and ``3 * l // 4`` of their order, as in the miner
    `unpg_miner`. A batch of one class has no pair, and the value is that of the head. The link is the softmax of the
    scaled cosines to the proxies, without any margin, and so not proper. O(n k + n^2 d + n^2 log n) time, O(n^2)
    memory.

    References
    ----------
    .. [1] Jung, Lee, Lee, Yoon. "Unified negative pair generation toward well-discriminative feature space for face
       recognition". BMVC 2022.

    Examples
    --------
    >>> cosines, features = torch.tensor([[0.8, 0.1], [0.1, 0.8]]), torch.tensor([[1.0, 0.0], [0.3, 0.953939]])
    >>> unpg(cosines, torch.tensor([0, 1]), features=features, scale=10.0, margin=0.35)
    tensor([0.2258, 0.2258])
    """
    true = true_cosines(cosines, y)  # (n, 1)
    target = widened(true, margin) if head == "arcface" else true - margin
    logits = scale * cosines.scatter(1, y[:, None], target)  # (n, k)
    unit = unit_rows(features).to(cosines.dtype)
    pairs = (unit @ unit.T).flatten()  # (n * n,)
    kept = _usual(pairs.detach(), (y[:, None] != y).triu(1).flatten(), width)
    some = kept.any()
    # zeros stand in where there is no pair at all: the gradient of a sum of nothing is undefined
    between = torch.logsumexp(torch.where(some, torch.where(kept, scale * pairs, -torch.inf), 0.0), dim=0)
    own = torch.logsumexp(logits, dim=1)  # (n,)
    total = torch.where(some, torch.logaddexp(own, between), own)
    return total - (scale * target).squeeze(1)  # (n,)


def _usual(values: Tensor, negative: Tensor, width: float) -> Tensor:
    """Return which of the values (m,) are negatives within the whiskers of all negatives."""
    ordered = torch.where(negative, values, torch.inf).sort().values
    count = negative.sum()
    low, high = (ordered[(quarters * count).div(4, rounding_mode="floor")] for quarters in (1, 3))
    reach = width * (high - low)
    return negative & (values >= low - reach) & (values <= high + reach)
