"""Classification by components."""

import math
from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import Interval, Positive, PositiveInt, Search
from sklearnloss.functional.vectors import squared_distances
from sklearnloss.typing import Embeddings, FitScalar, Labels, PerRow


@loss("cbc_margin", task="multiclass", link="proba")
class ComponentMargin(nn.Module):
    r"""Each class is told by components that a row is near to, and by others that it is not near to.

    Which component speaks for or against which class, and how much, can be read from ``evidence``.

    Parameters
    ----------
    components : int in [1, inf) or None, default=None
        Number of components; None is three for each class.
    margin : float in (0, 1], default=0.1
        How far the class must lead; 0.025 in the paper's deep networks.
    sigma : float in (0, inf), default=1.0
        Width of a component, in units of ``sqrt(embedding_dim)``.

    Attributes
    ----------
    centers : Parameter of shape (components, embedding_dim)
        The components, learnt at ``lr * loss_lr``.
    reasoning : Parameter of shape (2, components, n_classes)
        Logarithms of the evidence, up to a constant for each class.

    Notes
    -----
    With components :math:`w_k` and, for each class, nonnegative evidence of presence :math:`R^+` and of absence
    :math:`R^-`, which sum to one over both,

    .. math:: d_k = e^{-\lVert f - w_k \rVert^2 / (\sigma^2 d)}, \qquad
        p_c = \sum_k d_k R^+_{kc} + (1 - d_k) R^-_{kc}, \qquad \ell = \max\bigl(0, \max_{c \ne y} p_c - p_y + m\bigr)

    Without :math:`R^-` it is a network of radial basis functions. A row that leads class c by g keeps its class within
    a distance of :math:`g s \sqrt{e / 2} / \sum_k \lvert A_{ky} - A_{kc} \rvert` of its features, for
    :math:`s = \sigma \sqrt d` and :math:`A = R^+ - R^-`. The link is p divided by its sum over the classes, which is
    not proper. O(n K (d + k)) for K components.

    References
    ----------
    .. [1] Saralajew, Rana, Villmann, Shaker. "A robust prototype-based network with interpretable RBF classifier
       foundations". AAAI 2025.

    Examples
    --------
    >>> cbc = ComponentMargin(n_classes=2, embedding_dim=1, components=2)
    >>> _ = cbc.centers.data.copy_(torch.tensor([[-1.0], [1.0]]))
    >>> _ = cbc.reasoning.data.copy_(torch.tensor([[[9.0, 0.0], [0.0, 9.0]], [[0.0, 0.0], [0.0, 0.0]]]))
    >>> cbc(torch.tensor([[-1.0], [0.0]]), torch.tensor([0, 0])).detach()
    tensor([0.0000, 0.1000])
    """

    def __init__(
        self,
        *,
        n_classes: FitScalar,
        embedding_dim: FitScalar,
        components: PositiveInt | None = None,
        margin: Annotated[float, Interval(0, 1, "right"), Search(0.02, 0.5, log=True)] = 0.1,
        sigma: Annotated[Positive, Search(0.3, 3, log=True)] = 1.0,
    ) -> None:
        super().__init__()
        self.margin, self.sigma = margin, sigma
        components = 3 * n_classes if components is None else components
        self.centers = nn.Parameter(torch.randn(components, embedding_dim))
        # each component begins with a class that its presence speaks for: from even evidence it is a long way
        own = F.one_hot(torch.arange(components) % n_classes, n_classes).to(self.centers.dtype)
        self.reasoning = nn.Parameter(4.0 * torch.stack([own, torch.zeros_like(own)]))

    def forward(self, embeddings: Embeddings, y: Labels) -> PerRow:
        """Return the value of each row.

        Parameters
        ----------
        embeddings : Tensor of shape (n, d)
            Of any length.
        y : LongTensor of shape (n,)
            Class of each row, in 0..n_classes-1.

        Returns
        -------
        Tensor of shape (n,)
            From 0 to ``1 + margin``.
        """
        p = self.agreement(embeddings)  # (n, k)
        others = p.scatter(1, y[:, None], -math.inf).max(dim=1).values
        return (others - p.gather(1, y[:, None]).squeeze(1) + self.margin).relu()  # (n,)

    @property
    def evidence(self) -> Tensor:
        """What presence and absence of each component say for each class, (2, components, n_classes)."""
        return torch.softmax(self.reasoning.flatten(0, 1), dim=0).view_as(self.reasoning)

    def agreement(self, embeddings: Embeddings) -> Tensor:
        """Return how far rows agree with each class, (n, k), in [0, 1]."""
        square = squared_distances(embeddings, self.centers.to(embeddings.dtype))  # (n, K)
        near = torch.exp(-square / (self.sigma**2 * embeddings.shape[1])).to(embeddings.dtype)
        presence, absence = self.evidence.to(embeddings.dtype)
        return near @ (presence - absence) + absence.sum(0)  # (n, k)

    def proba(self, embeddings: Embeddings) -> Tensor:
        """Return class probabilities (n, k): agreements divided by their sum."""
        p = self.agreement(embeddings).clamp(min=0)  # a difference of sums may be rounded below zero
        return p / p.sum(dim=1, keepdim=True).clamp(min=1e-30)
