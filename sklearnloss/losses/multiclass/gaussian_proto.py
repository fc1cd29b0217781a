"""Gaussian prototypes with a radius."""

import math
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import Fraction, NonNegative, Positive, Probability, Search
from sklearnloss.functional.class_moments import ClassMoments
from sklearnloss.typing import Embeddings, FitScalar, Labels, PerRow, Weights


@loss("gaussian_proto", task="multiclass", link="proba", status="guess")
class GaussianPrototypes(nn.Module):
    r"""Each class is a Gaussian with a radius: a row must be nearest to its own, within its radius and out of others'.

    A row that is outside of all radii belongs to none of the classes: see `novelty`.

    Parameters
    ----------
    tau : float in (0, inf), default=0.3
        Temperature of the softmax of the distances.
    margin : float in [0, inf), default=0.3
        How far rows keep off the radius, in units of the class's standard deviation.
    weight : float in [0, inf), default=1.0
        Weight of the two terms on the radii.
    shrinkage : float in [0, 1], default=0.5
        Share of the mean of all classes in the variances of each.
    momentum : float in [0, 1), default=0.9
        What is kept at a batch of the means and variances of the classes that it holds.

    Attributes
    ----------
    moments : ClassMoments
        Means and variances by class, (n_classes, embedding_dim).
    radii : Parameter of shape (n_classes,)
        Squared radii without the term of the variances, learnt at ``lr * loss_lr``.

    Notes
    -----
    With means :math:`\mu`, variances v and D dimensions,

    .. math:: d_c = \frac1D \sum_k \frac{(f_k - \mu_{ck})^2}{v_{ck}} + \log v_{ck}, \qquad
        r_c = \rho_c + \frac1D \sum_k \log v_{ck}, \qquad m_c = m \sqrt{\frac1D \sum_k v_{ck}}

    .. math:: \ell = -\log \frac{e^{-d_y / \tau}}{\sum_c e^{-d_c / \tau}}
        + w \bigl[\max(0, d_y - r_y + m_y) + \max(0, r_b + m_b - d_b)\bigr]

    where b is the nearest of the other classes: to these a row is one of none of them, which is where the negatives of
    the last term come from. The means over the dimensions keep parameters alike for short and long embeddings. The
    moments have no gradient, and move in training, after the value. The link is the softmax of the first term, which is
    not proper. The formula is rebuilt from the paper's summary. O(n k D).

    References
    ----------
    .. [1] Guo, Zhang, Wang, Lei, Li, Wang, Liu. "Few-shot open relation extraction with Gaussian prototype and adaptive
       margin". 2024. arXiv:2410.20320.

    Examples
    --------
    >>> proto = GaussianPrototypes(n_classes=2, embedding_dim=1, shrinkage=0.0)
    >>> _ = proto.moments.means.copy_(torch.tensor([[-2.0], [2.0]]))
    >>> proto.novelty(torch.tensor([[2.1], [0.0]])).detach()  # one over what the first lacks, the second has too much
    tensor([-1.9900,  2.0000])
    """

    def __init__(
        self,
        *,
        n_classes: FitScalar,
        embedding_dim: FitScalar,
        tau: Annotated[Positive, Search(0.02, 1, log=True)] = 0.3,
        margin: Annotated[NonNegative, Search(0, 1)] = 0.3,
        weight: Annotated[NonNegative, Search(0.1, 10, log=True)] = 1.0,
        shrinkage: Probability = 0.5,
        momentum: Fraction = 0.9,
    ) -> None:
        super().__init__()
        self.tau, self.margin, self.weight, self.shrinkage = tau, margin, weight, shrinkage
        self.moments = ClassMoments(n_classes, embedding_dim, momentum=momentum)
        self.radii = nn.Parameter(torch.full((n_classes,), 2.0))

    def forward(self, embeddings: Embeddings, y: Labels, *, sample_weight: Weights | None = None) -> PerRow:
        """Return the value of each row; in training, the moments move afterwards.

        Parameters
        ----------
        embeddings : Tensor of shape (n, d)
            Of any length.
        y : LongTensor of shape (n,)
            Class of each row, in 0..n_classes-1.
        sample_weight : Tensor of shape (n,), default=None
            Weights of the rows in the moments.

        Returns
        -------
        Tensor of shape (n,)
            Never negative.
        """
        variances = self._variances()
        distances, radii = self._distances(embeddings, variances), self._radii(variances).to(embeddings.dtype)
        margins = (self.margin * variances.mean(1).sqrt()).to(embeddings.dtype)  # (k,)
        own = y[:, None]
        too_far = (distances.gather(1, own).squeeze(1) - radii[y] + margins[y]).relu()  # (n,)
        nearest = distances.detach().scatter(1, own, math.inf).argmin(1)  # (n,)
        other = distances.gather(1, nearest[:, None]).squeeze(1)
        too_near = (radii[nearest] + margins[nearest] - other).relu() * (nearest != y)  # unless there is one class only
        values = F.cross_entropy(-distances / self.tau, y, reduction="none")
        if self.training:
            self.moments.update(embeddings.detach(), y, sample_weight)
        return values + self.weight * (too_far + too_near)  # (n,)

    def proba(self, embeddings: Embeddings) -> Tensor:
        """Return class probabilities (n, k)."""
        return torch.softmax(-self._distances(embeddings, self._variances()) / self.tau, dim=1)

    def novelty(self, embeddings: Embeddings) -> Tensor:
        """Return how far rows (n,) are from all classes; above zero they belong to none."""
        variances = self._variances()
        distances = self._distances(embeddings, variances)
        return (distances - self._radii(variances).to(distances.dtype)).amin(dim=1)

    def _variances(self) -> Tensor:
        """Return the variances of each class (k, d), drawn to their mean over the classes."""
        seen = self.moments.seen.to(self.moments.variances.dtype)[:, None]  # (k, 1)
        own = self.moments.variances
        pooled = torch.where(seen.any(), (seen * own).sum(0) / seen.sum().clamp(min=1), own.mean(0))  # (d,)
        return own + self.shrinkage * (pooled - own) + 1e-6

    def _distances(self, embeddings: Tensor, variances: Tensor) -> Tensor:
        """Return the distance of each row to each class (n, k)."""
        x, means = embeddings.to(variances.dtype), self.moments.means
        inverse = 1 / variances
        centre = means.mean(0)  # differences of squares lose fewer digits
        x, means = x - centre, means - centre
        square = x.square() @ inverse.T - 2 * x @ (means * inverse).T + (means.square() * inverse).sum(1)
        return (square.clamp(min=0) / x.shape[1] + variances.log().mean(1)).to(embeddings.dtype)

    def _radii(self, variances: Tensor) -> Tensor:
        return self.radii + variances.log().mean(1)
