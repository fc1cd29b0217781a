"""Columns left out at random."""

from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import view
from sklearnloss.constraints import Fraction, Search
from sklearnloss.typing import Generator


@view("feature_dropout")
def feature_dropout(X: Tensor, *, rng: Generator, fraction: Annotated[Fraction, Search(0.05, 0.5)] = 0.2) -> Tensor:
    r"""Rows of which some columns are missing should mean the same.

    Parameters
    ----------
    X : Tensor of shape (n, ...)
        Rows of a batch.
    rng : torch.Generator
        Source of what is left out.
    fraction : float in [0, 1), default=0.2
        Chance of each number to become 0, which is the mean of a standardized column.

    Returns
    -------
    Tensor of shape (n, ...)
        A copy with zeros.

    Notes
    -----
    What stays is not scaled up, unlike in a dropout layer: a view should look like a row. O(n d).

    References
    ----------
    .. [1] Vincent, Larochelle, Bengio, Manzagol. "Extracting and composing robust features with denoising
       autoencoders". ICML 2008.

    Examples
    --------
    >>> feature_dropout(torch.ones(1, 5), rng=torch.Generator().manual_seed(0), fraction=0.5)
    tensor([[0., 1., 0., 0., 0.]])
    """
    kept = torch.rand(X.shape, generator=rng, device=X.device) >= fraction
    return torch.where(kept, X, 0)
