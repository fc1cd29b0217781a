"""Absolute error."""

from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.typing import PerRow, Prediction, Targets


@loss("mae", task="regression", aliases=("absolute_error",))
def mae(prediction: Prediction, y: Targets) -> PerRow:
    r"""Absolute difference; the best prediction is the median, and a far row pulls no harder than a near one.

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
    .. math:: \ell = |y - \hat y|

    References
    ----------
    .. [1] Laplace. "Mémoire sur la probabilité des causes par les évènements". 1774.

    Examples
    --------
    >>> mae(torch.tensor([[1.0]]), torch.tensor([[3.0]]))
    tensor([[2.]])
    """
    gap: Tensor = prediction - y
    return gap.abs()
