"""Matching loss of an activation."""

from typing import Literal

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.typing import PerRow, Prediction, Targets

SLOPE = 0.01  # of the leaky activation below zero


def activated(prediction: Tensor, *, activation: str = "relu") -> Tensor:
    """Return the activation of the output, which is what is predicted."""
    if activation == "identity":
        return prediction
    return torch.where(prediction > 0, prediction, (0.0 if activation == "relu" else SLOPE) * prediction)


@loss("matching_loss", task="regression", target="nonnegative", link=activated)
def matching_loss(
    prediction: Prediction, y: Targets, *, activation: Literal["relu", "leaky_relu", "identity"] = "relu"
) -> PerRow:
    r"""Learn a last activation without dead rows: the gradient is the miss itself, also where the activation is flat.

    Parameters
    ----------
    prediction : Tensor of shape (n, n_targets)
        Outputs before the activation.
    y : Tensor of shape (n, n_targets)
        Targets, not negative.
    activation : {"relu", "leaky_relu", "identity"}, default="relu"
        What the output goes through. For a sigmoid, see ``bce``, which is its matching loss.

    Returns
    -------
    Tensor of shape (n, n_targets)
        One value per row and target; may be negative.

    Notes
    -----
    .. math:: \ell(z, y) = \int_0^z s(r) - y \, dr, \qquad \frac{\partial \ell}{\partial z} = s(z) - y

    It is convex in z for any activation s that does not fall. A squared error after a relu has no gradient below zero.
    The identity is half the squared error less half the square of y.

    References
    ----------
    .. [1] Wang, Zarifis, Diakonikolas, Diakonikolas. "Robustly learning a single neuron via sharpness". ICML 2023.

    Examples
    --------
    >>> matching_loss(torch.tensor([[2.0], [-2.0]]), torch.tensor([[1.0], [1.0]]))
    tensor([[0.],
            [2.]])
    """
    square: Tensor = 0.5 * prediction.square()  # (n, n_targets)
    below = {"relu": 0.0, "leaky_relu": SLOPE, "identity": 1.0}[activation]
    return torch.where(prediction > 0, square, below * square) - y * prediction
