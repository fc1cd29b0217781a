"""U2 regression, for targets that are often too low."""

from typing import Annotated, Any

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Interval, NonNegative, Search
from sklearnloss.typing import Prediction, Scalar, Targets

EXCESS = 0.8  # mean of the absolute value of a standard normal number, 0.798


# Difference from the paper: it allows an absolute error above the prediction too. The slope of a constant is then that
# of `upper_share` alone, wherever the targets lie, so no constant is best; that pair is not offered.
@loss("u2", task="regression", unit="batch", status="known", monitor=False)
def u2(
    prediction: Prediction,
    y: Targets,
    *,
    sample_weight: Any = None,
    noise_std: Annotated[NonNegative, Search(0.05, 0.6)] = 0.2,
    upper_share: Annotated[float, Interval(0, 1), Search(0.6, 0.9)] | None = None,
) -> Scalar:
    r"""Trust the targets above the prediction, and learn the rest without looking at theirs, which may be too low.

    Parameters
    ----------
    prediction : Tensor of shape (n, n_targets)
        Predictions.
    y : Tensor of shape (n, n_targets)
        Targets, of which some are lower than what would have been seen, by any amount.
    sample_weight : Tensor of shape (n,), default=None
        Weights of the rows.
    noise_std : float in [0, inf), default=0.2
        Standard deviation of the ordinary noise of y, in those of y; known from the instrument or from repetitions.
    upper_share : float in (0, 1) or None, default=None
        Share of the targets that would lie above a right prediction, were none too low. None takes what ``noise_std``
        asks for.

    Returns
    -------
    Tensor of shape ()
        May be negative.

    Notes
    -----
    .. math:: \ell = \operatorname{mean}_i \hat y_i + \pi \operatorname{mean}_{i:\, y_i \ge \hat y_i}
        \bigl[(y_i - \hat y_i)^2 - \hat y_i\bigr]

    the squared error above and the absolute one below, whose slope is 1 whatever the target is: lowering a target that
    lies below the prediction changes nothing. For a constant, the prediction stays where the mean excess of the targets
    above it is :math:`(1 - \pi) / (2 \pi)`. Normal noise has 0.8 of its standard deviation there, so
    :math:`\pi = 1 / (1 + 1.6\,\text{noise\_std})`; one half is right only for wide noise. Where no target lies above,
    the prediction falls at slope 1. The value jumps when a row changes sides: watch a score on clean targets instead.

    References
    ----------
    .. [1] Katsuki, Osogami. "Regression with sensor data containing incomplete observations". ICML 2023.

    Examples
    --------
    >>> prediction = torch.zeros(3, 1, requires_grad=True)
    >>> u2(prediction, torch.tensor([[1.0], [-1.0], [2.0]]), upper_share=2 / 3).backward()
    >>> prediction.grad
    tensor([[-0.6667],
            [ 0.3333],
            [-1.3333]])
    """
    share = 1 / (1 + 2 * EXCESS * noise_std) if upper_share is None else upper_share
    weights = torch.ones_like(prediction[:, 0]) if sample_weight is None else sample_weight.to(prediction.dtype)
    below: Tensor = _mean(prediction, weights[:, None].expand_as(prediction))  # (n_targets,)
    above = _mean((y - prediction).square() - prediction, weights[:, None] * (y >= prediction))  # (n_targets,)
    return (below + share * above).mean()


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted means (n_targets,) over rows; zero where no row has a weight."""
    # what has no weight is left out, not multiplied: it may be infinite
    kept = torch.where(weights > 0, values, 0.0)
    return (weights * kept).sum(0) / weights.sum(0).clamp(min=torch.finfo(values.dtype).tiny)
