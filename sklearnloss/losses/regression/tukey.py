"""Tukey's biweight."""

from typing import Annotated

import torch

from sklearnloss.component import loss
from sklearnloss.constraints import Positive, Search
from sklearnloss.typing import PerRow, Prediction, Targets


@loss("tukey", task="regression")
def tukey(prediction: Prediction, y: Targets, *, c: Annotated[Positive, Search(1, 10, log=True)] = 4.685) -> PerRow:
    r"""Squared error near the target; a row beyond ``c`` is given up and pulls no more.

    Parameters
    ----------
    prediction : Tensor of shape (n, n_targets)
        Predictions.
    y : Tensor of shape (n, n_targets)
        Targets.
    c : float in (0, inf), default=4.685
        Gap from which on a row is given up, in standard deviations of y; this one is 95 % efficient on normal noise.

    Returns
    -------
    Tensor of shape (n, n_targets)
        One value per row and target, not negative.

    Notes
    -----
    .. math:: \ell = \frac{c^2}{6} \Bigl( 1 - \bigl( 1 - \min(|y - \hat y| / c, 1)^2 \bigr)^3 \Bigr)

    Small gaps cost half their square, no gap more than ``c ** 2 / 6``. It is not convex: a start that is far from all
    rows stays there.

    References
    ----------
    .. [1] Beaton, Tukey. "The fitting of power series, meaning polynomials, illustrated on band-spectroscopic data".
       Technometrics 16, 1974.

    Examples
    --------
    >>> tukey(torch.tensor([[1.0], [100.0]]), torch.zeros(2, 1), c=2.0)
    tensor([[0.3854],
            [0.6667]])
    """
    near = torch.clamp(((prediction - y) / c).square(), max=1.0)  # (n, n_targets)
    return c**2 / 6 * (1 - (1 - near) ** 3)
