"""Cross entropy with the two bins next to the target."""

import math
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn

from sklearnloss.component import loss
from sklearnloss.constraints import Interval, Search
from sklearnloss.functional.distributions import Histogram
from sklearnloss.typing import Columns, PerRow, Targets

Bins = Annotated[int, Interval(2, math.inf, "left"), Search(11, 201, log=True)]


@loss("two_hot", task="regression", outputs=lambda *, n_bins: n_bins, link="histogram")
class TwoHot(nn.Module):
    r"""Regression as classification: the target is shared between the two nearest centers so that its mean is exact.

    Parameters
    ----------
    y_train : Tensor of shape (N, n_targets)
        Targets of the training rows; the outermost centers are their least and largest.
    n_bins : int in [2, inf), default=101
        Centers m of each target.

    Notes
    -----
    .. math:: \ell = -(1 - \lambda) \log p_j - \lambda \log p_{j+1},
              \qquad p = \operatorname{softmax}(z), \quad \lambda = \frac{y - c_j}{c_{j+1} - c_j}

    Targets beyond the outermost centers count as those. ``hl_gauss`` spreads the target wider, which mostly learns
    better. O(n m).

    References
    ----------
    .. [1] Hessel, Danihelka, Viola, Guez, Schmitt, Sifre, Weber, Silver, van Hasselt. "Muesli: combining
       improvements in policy optimization". ICML 2021.

    Examples
    --------
    >>> criterion = TwoHot(y_train=torch.tensor([[0.0], [2.0]]), n_bins=3)
    >>> criterion(torch.tensor([[[0.0, 1.0, 0.0]]]), torch.tensor([[0.5]]))
    tensor([[1.0514]])
    """

    centers: Tensor

    def __init__(self, *, y_train: Tensor, n_bins: Bins = 101) -> None:
        super().__init__()
        targets = y_train.reshape(len(y_train), -1)
        low, high = targets.amin(0), targets.amax(0)  # (n_targets,)
        width = (high - low) / (n_bins - 1)
        width = torch.where(width > 0, width, 1 / n_bins)  # a constant target
        self.register_buffer("centers", low[:, None] + width[:, None] * torch.arange(n_bins).to(width))

    def forward(self, columns: Columns, y: Targets) -> PerRow:
        """Return one value per row and target, of columns (n, n_targets, m)."""
        width = self.centers[:, 1] - self.centers[:, 0]  # (n_targets,)
        place = (y - self.centers[:, 0]) / width  # (n, n_targets), in centers
        # a hat of width one around the target: 1 - lam and lam at the two next to it
        last = columns.shape[-1] - 1
        away = torch.clamp(place, 0, last)[..., None] - torch.arange(last + 1).to(place)
        share = torch.clamp(1 - away.abs(), min=0)  # (n, n_targets, m)
        return -(share * torch.log_softmax(columns, dim=-1)).sum(-1)

    def histogram(self, columns: Tensor) -> Histogram:
        """Return the histograms that the logits stand for, with bins around the centers."""
        centers = self.centers.double().cpu().numpy()
        half = (centers[:, 1:2] - centers[:, :1]) / 2
        edges = np.concatenate([centers - half, centers[:, -1:] + half], axis=1)
        probabilities = torch.softmax(columns.double(), dim=-1).cpu().numpy()
        return Histogram(probabilities, np.broadcast_to(edges, (len(columns), *edges.shape)))
