"""Stress of given distances in hyperbolic space."""

import math
from typing import Annotated

import torch
from torch import Tensor, nn

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.functional.hyperbolic import hyperbolic_distances
from sklearnloss.typing import Embeddings, Index, PerPair


@loss("hyperbolic_stress", task="embedding", unit="pair", status="known")
class HyperbolicStress(nn.Module):
    r"""Hyperbolic distances become proportional to given ones, such as those of a tree.

    Parameters
    ----------
    scale : float in (0, inf), default=1.0
        What a given distance of one should become. A larger one makes trees fit better, and needs more digits.
    learn_scale : bool, default=False
        Whether the scale is learnt from there, at ``lr * loss_lr``.

    Notes
    -----
    An embedding x is a tangent vector at the origin: its length is the hyperbolic distance of its point from the
    origin, at most 12, and its point of the Poincaré ball is ``tanh(|x| / 2) * x / |x|``. With hyperbolic distances
    :math:`D_{ij}` and given ones :math:`d_{ij}`,

    .. math:: \ell_{ij} = \Bigl| \Bigl( \frac{D_{ij}}{s\, d_{ij}} \Bigr)^2 - 1 \Bigr|

    Pairs of given distance 0 or infinity do not count. O(n**2 d) time, O(n**2) memory, in float64.

    References
    ----------
    .. [1] Sala, De Sa, Gu, Ré. "Representation tradeoffs for hyperbolic embeddings". ICML 2018.

    Examples
    --------
    >>> embeddings, distances = torch.tensor([[1.0], [-1.0]]), torch.tensor([[0.0, 4.0], [4.0, 0.0]])
    >>> HyperbolicStress()(embeddings, distances=distances, index=torch.tensor([0, 1]))[0]
    tensor([[0.0000, 0.7500],
            [0.7500, 0.0000]])
    """

    def __init__(
        self, *, scale: Annotated[Positive, Search(0.3, 3, log=True)] = 1.0, learn_scale: bool = False
    ) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(scale)), requires_grad=learn_scale)

    def forward(self, embeddings: Embeddings, *, distances: Tensor, index: Index) -> PerPair:
        """Return the value of each pair.

        Parameters
        ----------
        embeddings : Tensor of shape (n, d)
            Tangent vectors at the origin, of any length.
        distances : Tensor of shape (n, N)
            Given distances of these rows to all rows that were given to ``fit``.
        index : LongTensor of shape (n,)
            Which of those these rows are.

        Returns
        -------
        totals : Tensor of shape (n, n)
            Never negative; 0 where there is nothing to compare.
        valid : Tensor of shape (n, n)
            1 where the given distance is positive and finite, else 0.
        """
        given = distances[:, index].double()  # (n, n)
        valid = (given > 0) & given.isfinite() & (index[:, None] != index)
        wanted = self.log_scale.double().exp() * torch.where(valid, given, 1.0)
        stress = ((hyperbolic_distances(embeddings) / wanted).square() - 1).abs()
        return torch.where(valid, stress, 0.0).to(embeddings.dtype), valid.to(embeddings.dtype)
