"""SoftTriple loss."""

from typing import Annotated

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from sklearnloss.component import loss
from sklearnloss.constraints import NonNegative, Positive, PositiveInt, Search
from sklearnloss.functional.vectors import unit_rows
from sklearnloss.typing import Embeddings, FitScalar, Labels, PerRow


@loss("soft_triple", task="embedding")
class SoftTriple(nn.Module):
    r"""Several centers stand for each class, and a row is compared with the ones it is near to.

    Parameters
    ----------
    centers_per_class : int in [1, inf), default=10
        Number of centers of each class.
    la : float in (0, inf), default=20.0
        Factor of the similarities to classes.
    gamma : float in (0, inf), default=0.1
        Temperature of the softmax over the centers of a class; a small one leaves the nearest, a large one their mean.
    margin : float in [0, inf), default=0.01
        What is taken off the similarity to the true class.
    tau : float in [0, inf), default=0.2
        Weight of the distances between the centers of a class, which draws those together that are not needed; 0 leaves
        it out.

    Attributes
    ----------
    centers : Parameter of shape (n_classes, centers_per_class, embedding_dim)
        Learnt at ``lr * loss_lr``; normalized where they are used.

    Notes
    -----
    With unit embeddings e and unit centers w of C classes, K of each,

    .. math::
        S_{ic} = \sum_k q_{ick}\, e_i \cdot w_{ck}, \qquad q_{ick} \propto_k e^{e_i \cdot w_{ck} / \gamma}

        \ell_i = \log\Bigl(1 + \sum_{c \ne y_i} e^{\lambda (S_{ic} - S_{i y_i} + m)}\Bigr)
        + \tau \frac{\sum_c \sum_{k < l} \sqrt{2 - 2\, w_{ck} \cdot w_{cl} + 10^{-5}}}{C K (K - 1)}

    ``centers_per_class=1`` is cross entropy of scaled cosines with a margin, CosFace. Rows do not see each other, so
    any sampler will do. O(n C K d) time, O(n C K + C K**2) memory.

    References
    ----------
    .. [1] Qian, Shang, Sun, Hu, Li, Jin. "SoftTriple loss: deep metric learning without triplet sampling". ICCV 2019.

    Examples
    --------
    >>> soft_triple = SoftTriple(n_classes=2, embedding_dim=2, centers_per_class=1, la=1.0, margin=0.0)
    >>> _ = soft_triple.centers.data.copy_(torch.eye(2)[:, None])
    >>> soft_triple(torch.tensor([[3.0, 0.0], [1.0, 1.0]]), torch.tensor([0, 1])).detach()
    tensor([0.3133, 0.6931])
    """

    def __init__(
        self,
        *,
        n_classes: FitScalar,
        embedding_dim: FitScalar,
        centers_per_class: PositiveInt = 10,
        la: Annotated[Positive, Search(4, 64, log=True)] = 20.0,
        gamma: Annotated[Positive, Search(0.02, 1, log=True)] = 0.1,
        margin: Annotated[NonNegative, Search(0, 0.2)] = 0.01,
        tau: Annotated[NonNegative, Search(0, 0.5)] = 0.2,
    ) -> None:
        super().__init__()
        self.la, self.gamma, self.margin, self.tau = la, gamma, margin, tau
        self.centers = nn.Parameter(torch.randn(n_classes, centers_per_class, embedding_dim))

    def forward(self, embeddings: Embeddings, y: Labels) -> PerRow:
        """Return the value of each row.

        Parameters
        ----------
        embeddings : Tensor of shape (n, d)
            Any length; they are normalized here.
        y : LongTensor of shape (n,)
            Class of each row, in 0..n_classes-1.

        Returns
        -------
        Tensor of shape (n,)
            Never negative.
        """
        n_classes, per_class, _ = self.centers.shape
        centers = unit_rows(self.centers.to(embeddings.dtype).flatten(0, 1))  # (C K, d)
        cosines = (unit_rows(embeddings) @ centers.T).view(len(y), n_classes, per_class)
        similar = (torch.softmax(cosines / self.gamma, dim=2) * cosines).sum(2)  # (n, C)
        similar = similar - self.margin * one_hot(y, n_classes).to(similar.dtype)
        values = cross_entropy(self.la * similar, y, reduction="none")  # (n,)
        if per_class == 1:
            return values
        return values + self.tau * _spread(centers.view(n_classes, per_class, -1))


def _spread(centers: Tensor) -> Tensor:
    """Return half the mean distance between two centers (C, K, d) of a class."""
    n_classes, per_class, _ = centers.shape
    squared = (2 - 2 * centers @ centers.mT).clamp(min=0)  # (C, K, K)
    return (squared + 1e-5).sqrt().triu(1).sum() / (n_classes * per_class * (per_class - 1))
