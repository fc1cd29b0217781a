"""Stochastic gradient descent."""

from collections.abc import Iterable
from typing import Any

import torch

from sklearnloss.component import optimizer
from sklearnloss.constraints import Fraction


@optimizer("sgd")
class SGD(torch.optim.SGD):
    """Stochastic gradient descent with momentum, in torch's fused form.

    Parameters
    ----------
    params : iterable
        Parameter groups with their ``lr`` and ``weight_decay``.
    momentum : float in [0, 1), default=0.9
        Decay of the velocity.
    nesterov : bool, default=False
        Look ahead; needs a positive momentum.

    References
    ----------
    .. [1] Sutskever, Martens, Dahl, Hinton. "On the importance of initialization and momentum in deep learning".
       ICML 2013.

    Examples
    --------
    >>> SGD([{"params": torch.nn.Linear(2, 1).parameters(), "lr": 0.1}]).defaults["momentum"]
    0.9
    """

    def __init__(self, params: Iterable[dict[str, Any]], *, momentum: Fraction = 0.9, nesterov: bool = False) -> None:
        super().__init__(params, momentum=momentum, nesterov=nesterov and momentum > 0, fused=True)
