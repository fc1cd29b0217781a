"""Regression of targets that were only ever lowered."""

from typing import Annotated, Literal

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Interval, NonNegative, Search
from sklearnloss.typing import Prediction, Scalar, Targets, Weights

Share = Annotated[float, Interval(0, 1, "right"), Search(0.6, 0.9)]
MEAN_SIZE = 0.8  # of a standard normal number, sqrt(2 / pi) rounded as in the rule of thumb


@loss("u2", task="regression", unit="batch", monitor=False, status="guess")
def u2(
    prediction: Prediction,
    y: Targets,
    *,
    sample_weight: Weights | None = None,
    upper: Literal["squared", "absolute"] = "squared",
    upper_share: Share = 0.75,
    noise_std: NonNegative | None = None,
) -> Scalar:
    r"""Targets above the prediction are trusted; those below may have been lowered, and are not looked at.

    For sensors that miss part of what they measure: noise takes away and never adds.

    Parameters
    ----------
    prediction : Tensor of shape (n, n_targets)
        Predictions.
    y : Tensor of shape (n, n_targets)
        Targets.
    sample_weight : Tensor of shape (n,), default=None
        Weights of the rows.
    upper : {"squared", "absolute"}, default="squared"
        What rows above the prediction cost.
    upper_share : float in (0, 1], default=0.75
        Share of rows whose true target lies above the prediction. With "absolute" 0.5 is of no use: every constant
        is as good as any other.
    noise_std : float in [0, inf) or None, default=None
        Standard deviation, in that of y, of the ordinary noise around the truth; if given, it decides the share:
        ``1 / (1 + 1.6 * noise_std)``.

    Returns
    -------
    Tensor of shape ()
        One value for the batch. It jumps where a row changes sides and says little about progress; early stopping
        watches a score.

    Notes
    -----
    With the mean over the n rows and over those above, :math:`U = \{i: y_i \ge \hat y_i\}`,

    .. math:: \ell = \frac1n \sum_i \hat y_i + \pi \frac1{|U|} \sum_{i \in U} (y_i - \hat y_i)^2 - \hat y_i

    A prediction with true targets below it is pushed down at slope one, whatever those targets are. Where the share is
    that of the batch, the gradient is that of squared errors above and absolute ones below. Of the paper the structure
    is certain, the pair of losses is a choice.

    References
    ----------
    .. [1] Katsuki, Osogami. "Regression with sensor data containing incomplete observations". ICML 2023.

    Examples
    --------
    >>> u2(torch.zeros(3, 1), torch.tensor([[1.0], [-1.0], [2.0]]))
    tensor(1.8750)
    """
    weights = torch.ones_like(prediction[:, 0]) if sample_weight is None else sample_weight
    gap: Tensor = y - prediction  # (n, n_targets)
    above = weights[:, None] * (gap >= 0)
    cost = (gap.square() if upper == "squared" else gap.abs()) - prediction
    share = upper_share if noise_std is None else 1 / (1 + 2 * MEAN_SIZE * noise_std)
    least = torch.finfo(weights.dtype).tiny
    trusted = (torch.where(above > 0, above * cost, 0.0)).sum(0) / above.sum(0).clamp(min=least)  # (n_targets,)
    everything = (weights[:, None] * prediction).mean(0)
    return (everything + share * trusted).mean()
