"""Squared error."""

from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.typing import PerRow, Prediction, Targets


@loss("mse", task="regression", aliases=("squared_error",))
def mse(prediction: Prediction, y: Targets) -> PerRow:
    r"""Squared difference; the best prediction is the mean.

    Parameters
    ----------
    prediction : Tensor of shape (n, n_targets)
        Predictions.
    y : Tensor of shape (n, n_targets)
        Targets.

    Returns
    -------
    Tensor of shape (n, n_targets)
        One value per row and target, not negative.

    Notes
    -----
    .. math:: \ell = (y - \hat y)^2

    References
    ----------
    .. [1] Legendre. "Nouvelles méthodes pour la détermination des orbites des comètes". 1805.

    Examples
    --------
    >>> mse(torch.tensor([[1.0]]), torch.tensor([[3.0]]))
    tensor([[4.]])
    """
    gap: Tensor = prediction - y
    return gap.square()
