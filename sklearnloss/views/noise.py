"""Gaussian noise."""

from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import view
from sklearnloss.constraints import NonNegative, Search
from sklearnloss.typing import Generator


@view("noise")
def noise(
    X: Tensor,
    *,
    rng: Generator,
    x_scale: Tensor | None = None,
    sigma: Annotated[NonNegative, Search(0.01, 1, log=True)] = 0.1,
) -> Tensor:
    r"""Rows that differ a little in every column should mean the same.

    Parameters
    ----------
    X : Tensor of shape (n, ...)
        Rows of a batch.
    rng : torch.Generator
        Source of the noise.
    x_scale : Tensor of shape (d,), default=None
        Standard deviation of each column.
    sigma : float in [0, inf), default=0.1
        Standard deviation of the noise, in that of each column, or in the units of X where it is not known.

    Returns
    -------
    Tensor of shape (n, ...)
        A noisy copy.

    Notes
    -----
    .. math:: \tilde x_j = x_j + \sigma s_j e_j, \qquad e_j \sim N(0, 1)

    References
    ----------
    .. [1] Bishop. "Training with noise is equivalent to Tikhonov regularization". Neural Computation 7, 1995.

    Examples
    --------
    >>> noise(torch.zeros(1, 3), rng=torch.Generator().manual_seed(0)).shape
    torch.Size([1, 3])
    """
    drawn = torch.randn(X.shape, generator=rng, dtype=X.dtype, device=X.device)
    return X + sigma * (drawn if x_scale is None else drawn * x_scale)
