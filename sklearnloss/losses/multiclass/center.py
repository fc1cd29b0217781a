"""Center loss."""

from typing import Annotated

import torch
from torch import Tensor, nn

from sklearnloss.component import loss
from sklearnloss.constraints import Interval, Search
from sklearnloss.typing import Embeddings, FitScalar, Labels, PerRow, Weights


@loss("center", task="multiclass")
class Center(nn.Module):
    r"""Half the squared distance between a row's features and the center of its class: a term beside another loss.

    ``Loss("cross_entropy") + 0.01 * Loss("center")`` keeps the classes apart by the first term and draws each together
    by the second. Alone it would be least where all rows fall on one point.

    Parameters
    ----------
    rate : float in (0, 1], default=0.5
        How far a center moves at a batch towards its rows.

    Attributes
    ----------
    centers : Tensor of shape (n_classes, embedding_dim)
        They begin at zero.

    Notes
    -----
    .. math:: \ell_i = \tfrac12 \lVert f_i - c_{y_i} \rVert^2

    In training the centers then move, by a rule of their own and not by the optimizer, so that neither its rate nor the
    weight of the term matters to them:

    .. math:: c_j \leftarrow c_j - \rho \frac{\sum_{y_i = j} (c_j - f_i)}{1 + \lvert \{i : y_i = j\} \rvert}

    The features are the network's output before the head, in `MetricEmbedder` the embeddings. Weights of the term from
    0.001 to 0.1 are usual; it grows with the square of the features. O(n d).

    References
    ----------
    .. [1] Wen, Zhang, Li, Qiao. "A discriminative feature learning approach for deep face recognition". ECCV 2016.

    Examples
    --------
    >>> center = Center(n_classes=2, embedding_dim=2)
    >>> center(torch.tensor([[3.0, 4.0], [1.0, 0.0]]), torch.tensor([0, 0]))
    tensor([12.5000,  0.5000])
    >>> center.centers
    tensor([[0.6667, 0.6667],
            [0.0000, 0.0000]])
    """

    centers: Tensor

    def __init__(
        self,
        *,
        n_classes: FitScalar,
        embedding_dim: FitScalar,
        rate: Annotated[float, Interval(0, 1, "right"), Search(0.05, 1, log=True)] = 0.5,
    ) -> None:
        super().__init__()
        self.rate = rate
        self.register_buffer("centers", torch.zeros(n_classes, embedding_dim))

    def forward(self, embeddings: Embeddings, y: Labels, *, sample_weight: Weights | None = None) -> PerRow:
        """Return the value of each row; in training, the centers move afterwards.

        Parameters
        ----------
        embeddings : Tensor of shape (n, d)
            Features of the rows.
        y : LongTensor of shape (n,)
            Class of each row, in 0..n_classes-1.
        sample_weight : Tensor of shape (n,), default=None
            How much each row moves its center.

        Returns
        -------
        Tensor of shape (n,)
            Never negative.
        """
        gaps = embeddings - self.centers.to(embeddings.dtype)[y]  # (n, d)
        if self.training:
            self._move(gaps.detach(), y, sample_weight)
        return gaps.square().sum(dim=1) / 2  # (n,)

    def _move(self, gaps: Tensor, y: Tensor, weights: Tensor | None) -> None:
        gaps = gaps.to(self.centers.dtype)
        weights = torch.ones_like(gaps[:, 0]) if weights is None else weights.to(gaps.dtype)
        pull = torch.zeros_like(self.centers).index_add(0, y, weights[:, None] * gaps)  # (k, d)
        count = torch.zeros_like(self.centers[:, 0]).index_add(0, y, weights)  # (k,)
        self.centers = self.centers + self.rate * pull / (1 + count[:, None])
