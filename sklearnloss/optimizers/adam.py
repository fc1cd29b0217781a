"""Adam."""

from collections.abc import Iterable
from typing import Any

import torch

from sklearnloss.component import optimizer
from sklearnloss.constraints import Fraction, Positive


@optimizer("adam")
class Adam(torch.optim.Adam):
    """Adam in torch's fused form: one call updates all parameters.

    Parameters
    ----------
    params : iterable
        Parameter groups with their ``lr`` and ``weight_decay``.
    beta1, beta2 : float in [0, 1), default=0.9, 0.999
        Decay of the averages of gradient and squared gradient.
    eps : float in (0, inf), default=1e-8
        Added to the root of the second average.
    amsgrad : bool, default=False
        Keep the largest second average.

    References
    ----------
    .. [1] Kingma, Ba. "Adam: a method for stochastic optimization". ICLR 2015.

    Examples
    --------
    >>> Adam([{"params": torch.nn.Linear(2, 1).parameters(), "lr": 0.1}], beta1=0.8).defaults["betas"]
    (0.8, 0.999)
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        *,
        beta1: Fraction = 0.9,
        beta2: Fraction = 0.999,
        eps: Positive = 1e-8,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(params, betas=(beta1, beta2), eps=eps, amsgrad=amsgrad, fused=True)
