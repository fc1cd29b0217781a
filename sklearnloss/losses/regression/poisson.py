"""Deviance of a Poisson distribution."""

from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.functional.numerics import steady_exp
from sklearnloss.typing import PerRow, Prediction, Targets


@loss("poisson", task="regression", target="nonnegative", link=steady_exp)
def poisson(prediction: Prediction, y: Targets) -> PerRow:
    r"""Predict the mean of counts, or of any amount whose variance grows like its mean; effects multiply.

    Parameters
    ----------
    prediction : Tensor of shape (n, n_targets)
        Logarithms of the means.
    y : Tensor of shape (n, n_targets)
        Targets, not negative.

    Returns
    -------
    Tensor of shape (n, n_targets)
        One value per row and target, not negative.

    Notes
    -----
    .. math:: \ell = \mu - y \log \mu + y \log y - y, \qquad \mu = e^{\hat y}

    It is half the deviance, zero at :math:`\mu = y`, and ``tweedie`` as its power tends to 1.

    References
    ----------
    .. [1] Nelder, Wedderburn. "Generalized linear models". Journal of the Royal Statistical Society A 135, 1972.

    Examples
    --------
    >>> poisson(torch.tensor([[0.0]]), torch.tensor([[2.0]]))
    tensor([[0.3863]])
    """
    values: Tensor = steady_exp(prediction) - y * prediction + y.xlogy(y) - y
    return values
