"""Mixup."""

from typing import Annotated

from torch import Tensor

from sklearnloss.component import mixup as declare
from sklearnloss.constraints import Positive, Search
from sklearnloss.mixups._rows import blended
from sklearnloss.typing import Generator, Labels


@declare("mixup")
def mixup(
    X: Tensor, y: Labels, *, rng: Generator, alpha: Annotated[Positive, Search(0.1, 2, log=True)] = 0.2
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    r"""Train on the lines between rows: mix each with another one, and ask for both labels in proportion.

    Parameters
    ----------
    X : Tensor of shape (n, ...)
        Rows of a batch.
    y : Tensor of shape (n, ...)
        Their targets.
    rng : torch.Generator
        Source of partners and proportion.
    alpha : float in (0, inf), default=0.2
        Strength: the share of a row is drawn from Beta(alpha, alpha), nearly always near 0 or 1 if ``alpha`` is small.

    Returns
    -------
    X : Tensor of shape (n, ...)
        The mixed rows.
    y_a, y_b : Tensor of shape (n, ...)
        Targets of the rows and of their partners.
    lam : Tensor of shape ()
        Share of the rows, one for the batch.

    Notes
    -----
    .. math:: \tilde x_i = \lambda x_i + (1 - \lambda) x_{\pi(i)}, \qquad
        \tilde\ell_i = \lambda \ell(f(\tilde x_i), y_i) + (1 - \lambda) \ell(f(\tilde x_i), y_{\pi(i)})

    For cross entropy this is the loss of the soft target :math:`\lambda y_i + (1 - \lambda) y_{\pi(i)}`.
    :math:`\lambda = \frac12 (1 + T / \sqrt{2 \alpha + T^2})` where :math:`T` follows Student's distribution with
    :math:`2 \alpha` degrees of freedom, drawn exactly from two uniform numbers [2]_. O(n d).

    References
    ----------
    .. [1] Zhang, Cisse, Dauphin, Lopez-Paz. "mixup: beyond empirical risk minimization". ICLR 2018.
    .. [2] Bailey. "Polar generation of random variates with the t-distribution". Mathematics of Computation 62, 1994.

    Examples
    --------
    >>> import torch
    >>> X, y = torch.tensor([[0.0], [1.0]]), torch.tensor([0, 1])
    >>> mixed, y_a, y_b, lam = mixup(X, y, rng=torch.Generator().manual_seed(0), alpha=1.0)
    >>> y_a, y_b, torch.allclose(mixed, lam * X + (1 - lam) * X[y_b])
    (tensor([0, 1]), tensor([0, 1]), True)
    """
    mixed, partner, lam = blended(X, alpha=alpha, rng=rng)
    return mixed, y, y[partner], lam
