"""Balanced squared error of a batch."""

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from sklearnloss.component import loss
from sklearnloss.constraints import Positive
from sklearnloss.functional.vectors import squared_distances
from sklearnloss.typing import PerAnchor, Prediction, Targets


@loss("balanced_mse", task="regression", unit="anchor")
class BalancedMSE(nn.Module):
    r"""Each prediction has to be nearer to its own target than to the others': where targets are many, gaps cost less.

    Squared errors shrink predictions towards the frequent targets; this takes the frequencies out, as logit adjustment
    does for classes.

    Parameters
    ----------
    sigma : float in (0, inf), default=0.3
        Standard deviation of the noise in that of y, at the start if it is learned. The authors start at 1, which
        stretches predictions until it has come down.
    learn : bool, default=True
        Whether sigma is learned along.

    Notes
    -----
    .. math:: \ell_i = -2 \sigma^2 \log \frac{e^{-\lVert \hat y_i - y_i \rVert^2 / 2 \sigma^2}}
              {\sum_j e^{-\lVert \hat y_i - y_j \rVert^2 / 2 \sigma^2}}

    The factor :math:`2 \sigma^2` is a constant for the gradient. The sum runs over the batch, which should be
    large: one row alone costs nothing. It is the batch-based form (BMC) of the paper. O(n**2 n_targets).

    References
    ----------
    .. [1] Ren, Zhang, Yu, Liu. "Balanced MSE for imbalanced visual regression". CVPR 2022.

    Examples
    --------
    >>> BalancedMSE(sigma=1.0, learn=False)(torch.tensor([[0.0], [0.0]]), torch.tensor([[0.0], [2.0]]))
    tensor([0.2539, 4.2539])
    """

    def __init__(self, *, sigma: Positive = 0.3, learn: bool = True) -> None:
        super().__init__()
        self.log_sigma = nn.Parameter(torch.tensor(float(sigma)).log(), requires_grad=learn)

    def forward(self, prediction: Prediction, y: Targets) -> PerAnchor:
        """Return one value per row, of predictions (n, n_targets)."""
        noise = 2 * torch.exp(2 * self.log_sigma)
        nearness = -squared_distances(prediction, y) / noise  # (n, n)
        own = torch.arange(len(y), device=y.device)
        values: Tensor = cross_entropy(nearness, own, reduction="none") * noise.detach()
        return values.to(prediction.dtype)
