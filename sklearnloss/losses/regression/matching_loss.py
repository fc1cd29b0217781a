"""Matching loss of an activation."""

import math
from collections.abc import Callable
from typing import Annotated, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from sklearnloss.component import loss
from sklearnloss.constraints import Interval, Positive
from sklearnloss.functional.numerics import softplus
from sklearnloss.typing import PerRow, Prediction, Targets

Activation = Literal["identity", "leaky_relu", "relu", "sigmoid", "softplus"]

# coefficients of v**3, v**5, ... in the negative dilogarithm of 1 - exp(v): Bernoulli numbers over factorials
ODD = (1 / 36, -1 / 3600, 1 / 211680, -1 / 10886400, 1 / 526901760, -691 / 16999766784000, 1 / 1120863744000)


def activated(prediction: Tensor, *, activation: Activation = "leaky_relu", slope: float = 0.1) -> Tensor:
    """Return what the activation makes of the output."""
    return {
        "identity": lambda z: z,
        "leaky_relu": lambda z: F.leaky_relu(z, slope),
        "relu": F.relu,
        "sigmoid": torch.sigmoid,
        "softplus": softplus,
    }[activation](prediction)


@loss("matching_loss", task="regression", link=activated, target="raw", status="known")
def matching_loss(
    prediction: Prediction,
    y: Targets,
    *,
    activation: Activation = "leaky_relu",
    slope: Annotated[float, Interval(0, 1)] = 0.1,
    clip: Positive | None = None,
) -> PerRow:
    r"""Learn through the last activation by its own convex loss: the gradient is the miss itself, and no unit is dead.

    Parameters
    ----------
    prediction : Tensor of shape (n, n_targets)
        Outputs before the activation; the link applies it.
    y : Tensor of shape (n, n_targets)
        Targets, in their own units.
    activation : {"identity", "leaky_relu", "relu", "sigmoid", "softplus"}, default="leaky_relu"
        Activation of the prediction; with "sigmoid" targets should lie in [0, 1].
    slope : float in (0, 1), default=0.1
        Slope of "leaky_relu" below zero.
    clip : float in (0, inf) or None, default=None
        Bound of the targets' size, against heavy tails; None leaves them as they are.

    Returns
    -------
    Tensor of shape (n, n_targets)
        One value per row and target; zero at an output of zero, and negative where the prediction is better.

    Notes
    -----
    .. math:: \ell = \int_0^z (s(r) - y)\,dr, \qquad \frac{\partial \ell}{\partial z} = s(z) - y

    For the identity it is half the squared error less ``y**2 / 2``, for the sigmoid binary cross entropy less
    ``log 2``. A relu with ``z <= 0`` has the slope ``-y``, where the squared error has none.

    References
    ----------
    .. [1] Auer, Herbster, Warmuth. "Exponentially many local minima for single neurons". NeurIPS 1995.
    .. [2] Wang, Zarifis, Diakonikolas, Diakonikolas. "Robustly learning a single neuron via sharpness". ICML 2023.

    Examples
    --------
    >>> matching_loss(torch.tensor([[2.0, -2.0]]), torch.tensor([[1.0, 1.0]]), activation="relu")
    tensor([[0., 2.]])
    """
    y = y if clip is None else y.clamp(-clip, clip)
    return _integral(activation, slope)(prediction) - y * prediction


def _integral(activation: Activation, slope: float) -> Callable[[Tensor], Tensor]:
    """Return the integral of the activation from 0 on."""
    return {
        "identity": lambda z: z.square() / 2,
        "leaky_relu": lambda z: z * F.leaky_relu(z, slope) / 2,
        "relu": lambda z: F.relu(z).square() / 2,
        "sigmoid": lambda z: softplus(z) - math.log(2),
        "softplus": _integral_of_softplus,
    }[activation]


def _integral_of_softplus(z: Tensor) -> Tensor:
    up, down = z.clamp(min=0), z.clamp(max=0)
    return torch.where(z >= 0, up.square() / 2 + _tail(-up), -_tail(down))


def _tail(z: Tensor) -> Tensor:
    """Return the integral of ``log(1 + exp(r))`` over r in (z, 0), for z at most 0; to the last digit."""
    v = torch.log1p(torch.exp(z))  # in (0, log 2], where the series gains two digits with each term
    series = sum(coefficient * v ** (2 * k + 3) for k, coefficient in enumerate(ODD))
    return math.pi**2 / 12 - (v + v.square() / 4 + series)
