"""Cross entropy with a histogram of a normal distribution around the target."""

import math
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn

from sklearnloss.component import loss
from sklearnloss.constraints import Interval, Search
from sklearnloss.functional.distributions import Histogram
from sklearnloss.typing import Columns, PerRow, Targets

Bins = Annotated[int, Interval(10, math.inf, "left"), Search(21, 201, log=True)]
Ratio = Annotated[float, Interval(0, 1.5, "right"), Search(0.25, 1.5)]
PADDING = 3.0  # standard deviations on either side; with less, bumps near an end have their mean further inside


@loss("hl_gauss", task="regression", outputs=lambda *, n_bins: n_bins, link="histogram")
class HLGauss(nn.Module):
    r"""Regression as classification: the target is a normal bump over bins, the prediction the mean of a histogram.

    Gradients are bounded, which makes training steadier than with squared errors, and targets further out than those of
    training count as their outermost.

    Parameters
    ----------
    y_train : Tensor of shape (N, n_targets)
        Targets of the training rows; bins cover their range.
    n_bins : int in [10, inf), default=101
        Bins m of each target.
    ratio : float in (0, 1.5], default=0.75
        Standard deviation of the bump in widths of a bin; some ports have 2.

    Notes
    -----
    With the edges e of the bins and the normal distribution function F around y,

    .. math:: \ell = -\sum_j p_j \log \operatorname{softmax}(z)_j,
              \qquad p_j = \frac{F(e_{j+1}) - F(e_j)}{F(e_m) - F(e_0)}

    The bins reach three standard deviations of the bump beyond the range of the targets on both sides. ``ratio -> 0``
    classifies the bin that the target falls into. O(n m).

    References
    ----------
    .. [1] Imani, White. "Improving regression performance with distributional losses". ICML 2018.
    .. [2] Farebrother, Orbay, Vuong, Taïga, Chebotar, Xiao, Irpan, Levine, Castro, Faust, Kumar, Agarwal. "Stop
       regressing: training value functions via classification for scalable deep RL". ICML 2024.

    Examples
    --------
    >>> criterion = HLGauss(y_train=torch.tensor([[-1.0], [1.0]]), n_bins=11)
    >>> criterion(torch.zeros(1, 1, 11), torch.tensor([[0.5]]))  # the logarithm of 11
    tensor([[2.3979]])
    """

    edges: Tensor

    def __init__(self, *, y_train: Tensor, n_bins: Bins = 101, ratio: Ratio = 0.75) -> None:
        super().__init__()
        targets = y_train.reshape(len(y_train), -1)
        low, high = targets.amin(0), targets.amax(0)  # (n_targets,)
        width = (high - low) / (n_bins - 2 * PADDING * ratio)
        width = torch.where(width > 0, width, 1 / n_bins)  # a constant target
        start = low - PADDING * ratio * width
        self.ratio = ratio
        self.register_buffer("edges", start[:, None] + width[:, None] * torch.arange(n_bins + 1).to(width))

    def forward(self, columns: Columns, y: Targets) -> PerRow:
        """Return one value per row and target, of columns (n, n_targets, m)."""
        width = self.edges[:, 1] - self.edges[:, 0]  # (n_targets,)
        sigma = self.ratio * width
        reach = PADDING * sigma
        center = torch.clamp(y, self.edges[:, 0] + reach, self.edges[:, -1] - reach)  # (n, n_targets)
        z = (self.edges - center[..., None]) / (math.sqrt(2) * sigma[:, None])  # (n, n_targets, m + 1)
        reached = torch.erf(z)
        mass = reached.diff(dim=-1) / (reached[..., -1:] - reached[..., :1])  # (n, n_targets, m)
        return -(mass * torch.log_softmax(columns, dim=-1)).sum(-1)

    def histogram(self, columns: Tensor) -> Histogram:
        """Return the histograms that the logits stand for."""
        probabilities = torch.softmax(columns.double(), dim=-1).cpu().numpy()
        edges = self.edges.double().cpu().numpy()
        return Histogram(probabilities, np.broadcast_to(edges, (len(columns), *edges.shape)))
