"""Maximum moment restriction for representations that are linear in what was set from outside."""

from typing import Annotated

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.functional.kernels import log_gaussian, median_width
from sklearnloss.typing import Features, Scalar


@loss("linear_invariance_mmr", task="regression", unit="batch")
def linear_invariance_mmr(
    *,
    features: Features,
    exogenous: Tensor,
    sigma: Positive | None = None,
    ridge: Annotated[Positive, Search(1e-8, 1e-2, log=True)] = 1e-6,
    unbiased: bool = False,
) -> Scalar:
    r"""Penalize features whose mean is no linear function of what was set from outside, so that effects extrapolate.

    A term beside a loss that predicts, such as ``Loss("mse") + 10 * Loss("linear_invariance_mmr")`` with
    ``fit(X, y, exogenous=A)``. Batches should be large, 128 rows or more.

    Parameters
    ----------
    features : Tensor of shape (n, h)
        What the head sees.
    exogenous : Tensor of shape (n, k) or (n,)
        Variables that were set from outside, one row per sample: doses, temperatures, prices.
    sigma : float in (0, inf) or None, default=None
        Width of the kernel on them; None is the median distance in the batch.
    ridge : float in (0, inf), default=1e-6
        Added to the variances of the least squares, as a share of their mean.
    unbiased : bool, default=False
        Whether rows are compared with other rows only, which makes the mean right and lets the value fall below zero.

    Returns
    -------
    Tensor of shape ()
        Zero where the features are linear in the variables; not negative unless unbiased.

    Notes
    -----
    With the residuals r of the least squares fit of the features on the variables, both centered, and a Gaussian
    kernel,

    .. math:: \ell = \frac{1}{n^2} \sum_{ij} k(a_i, a_j) \, r_i \cdot r_j

    It estimates how far :math:`E[r | a]` is from zero. O(n**2 (k + h)).

    References
    ----------
    .. [1] Saengkyongam, Rosenfeld, Ravikumar, Pfister, Peters. "Identifying representations for intervention
       extrapolation". ICLR 2024.

    Examples
    --------
    >>> dose = torch.tensor([-1.0, 0.0, 1.0])
    >>> linear_invariance_mmr(features=dose[:, None].square(), exogenous=dose) > 0.01
    tensor(True)
    >>> linear_invariance_mmr(features=2 * dose[:, None] + 1, exogenous=dose) < 1e-6
    tensor(True)
    """
    dtype = torch.promote_types(features.dtype, torch.float32)  # no solver knows bfloat16
    a, features = exogenous.reshape(len(exogenous), -1).to(dtype), features.to(dtype)  # (n, k), (n, h)
    centered, z = a - a.mean(0), features - features.mean(0)
    covariance = centered.T @ centered  # (k, k)
    size = covariance.diagonal().mean().clamp(min=torch.finfo(a.dtype).tiny ** 0.5)
    damped = covariance + ridge * size * torch.eye(a.shape[1], dtype=a.dtype, device=a.device)
    rest = z - centered @ torch.linalg.solve(damped, centered.T @ z)  # (n, h)
    kernel = torch.exp(log_gaussian(a, a, median_width(a) if sigma is None else sigma))  # (n, n)
    product = kernel * (rest @ rest.T)
    n = len(a)
    if not unbiased:
        return product.mean()
    return (product.sum() - product.diagonal().sum()) / max(n * (n - 1), 1)
