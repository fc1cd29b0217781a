"""Negative log-likelihood of a histogram with bins of equal mass."""

import math
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn

from sklearnloss.component import loss
from sklearnloss.constraints import Interval, Search
from sklearnloss.functional.distributions import HALF, Histogram, TailedHistogram
from sklearnloss.typing import Columns, PerRow, Targets

Bins = Annotated[int, Interval(2, math.inf, "left"), Search(5, 1000, log=True)]
LEAST_WIDTH = 1e-4  # of a bin, in standard deviations of y: where many targets are equal, quantiles coincide


@loss("bar_distribution", task="regression", outputs=lambda *, n_bins: n_bins, link="histogram", proper=True)
class BarDistribution(nn.Module):
    r"""Predict the density as bars of any height: no shape is assumed, several peaks are as good as one.

    Parameters
    ----------
    y_train : Tensor of shape (N, n_targets)
        Targets of the training rows; each bar spans as many of them.
    n_bins : int in [2, inf), default=100
        Bars m of each target; the paper has up to 1000.
    tails : bool, default=True
        Whether the first and the last bar are half-normal tails that go on without end, half of their mass within the
        bar; else targets beyond the outermost borders count as lying in the outermost bar.

    Notes
    -----
    With the width :math:`w_j` of the bar that y falls into,

    .. math:: \ell = -\log \operatorname{softmax}(z)_j + \log w_j

    In a tail the density of a half-normal distribution around its inner border, of scale
    :math:`w_j / 0.6745`, is in place of :math:`1 / w_j`. O(n m).

    References
    ----------
    .. [1] Müller, Hollmann, Pineda Arango, Grabocka, Hutter. "Transformers can do Bayesian inference". ICLR 2022.

    Examples
    --------
    >>> criterion = BarDistribution(y_train=torch.tensor([[0.0], [1.0], [3.0]]), n_bins=2, tails=False)
    >>> criterion(torch.tensor([[[1.0, 3.0]]]).log(), torch.tensor([[2.0]]))
    tensor([[0.9808]])
    """

    borders: Tensor

    def __init__(self, *, y_train: Tensor, n_bins: Bins = 100, tails: bool = True) -> None:
        super().__init__()
        self.tails = tails
        targets = y_train.reshape(len(y_train), -1)
        levels = torch.linspace(0, 1, n_bins + 1, dtype=torch.float64)
        quantiles = torch.quantile(targets.double(), levels.to(targets.device), dim=0).T  # (n_targets, m + 1)
        steps = LEAST_WIDTH * torch.arange(n_bins + 1).to(quantiles)
        borders = torch.cummax(quantiles - steps, dim=1).values + steps
        self.register_buffer("borders", borders.to(targets.dtype))

    def forward(self, columns: Columns, y: Targets) -> PerRow:
        """Return one value per row and target, of columns (n, n_targets, m)."""
        widths = self.borders.diff()  # (n_targets, m)
        bar = (y[..., None] >= self.borders[:, 1:-1]).sum(-1, keepdim=True)  # (n, n_targets, 1)
        width = widths.expand(*y.shape, -1).gather(-1, bar)[..., 0]  # (n, n_targets)
        log_density = -torch.log(width)
        if self.tails:
            last = columns.shape[-1] - 1
            depth = torch.where(bar[..., 0] == 0, self.borders[:, 1] - y, y - self.borders[:, -2])
            outside = (bar[..., 0] == 0) | (bar[..., 0] == last)
            scale = width / HALF
            tail = math.log(2 / math.sqrt(2 * math.pi)) - torch.log(scale) - 0.5 * (depth / scale).square()
            log_density = torch.where(outside, tail, log_density)
        return -torch.log_softmax(columns, dim=-1).gather(-1, bar)[..., 0] - log_density

    def histogram(self, columns: Tensor) -> Histogram:
        """Return the distributions that the logits stand for."""
        probabilities = torch.softmax(columns.double(), dim=-1).cpu().numpy()
        borders = self.borders.double().cpu().numpy()
        kind = TailedHistogram if self.tails else Histogram
        return kind(probabilities, np.broadcast_to(borders, (len(columns), *borders.shape)))
