"""Stochastic prox-linear steps for the conditional value at risk."""

from collections.abc import Callable, Iterable
from typing import Any

import torch

from sklearnloss.component import optimizer
from sklearnloss.constraints import Fraction, Positive, Probability


# The paper's rule for the scale of the threshold's steps was not found; here it is a rate of its own.
@optimizer("cvar_spl", status="guess")
class CVaRSPL(torch.optim.Optimizer):
    r"""Steps on the losses above a threshold, which it learns beside; a step never goes past the threshold.

    Parameters
    ----------
    params : iterable
        Parameter groups with their ``lr`` and ``weight_decay``.
    beta : float in [0, 1), default=0.95
        Share of batches whose loss is left out. 0 is plain gradient steps once the threshold is low, ``beta -> 1`` the
        largest loss.
    threshold_lr : float in (0, inf), default=0.1
        Rate of the threshold, in units of the loss.
    power : float in [0, 1], default=0.5
        How rates fall: step k takes ``k ** -power`` of them.

    Notes
    -----
    For :math:`\min_{\theta, t} t + w\, E (\ell - t)_+` with :math:`w = 1 / (1 - \beta)` and a batch of loss
    :math:`\ell` and gradient :math:`g`,

    .. math:: \eta = \operatorname{clip}\Bigl(\frac{\ell - t + \lambda_t}{w (\lambda_t + \lambda \|g\|^2)}, 0, 1\Bigr),
        \qquad \theta \leftarrow \theta - \lambda w \eta g, \qquad t \leftarrow t - \lambda_t (1 - w \eta),

    which minimizes the objective with :math:`\ell` made linear, plus the squared steps over twice their rates. A group
    with another rate counts in :math:`\lambda \|g\|^2` with its own. The threshold begins at the loss of the first
    batch.

    The batch is one sample: it is the risk of batch means that falls. Take small batches, one row if it must be exact,
    with ``reduction="mean"``; the reduction `cvar` is the other way, with large batches and any optimizer. Weights
    decay by ``lr * weight_decay`` of themselves, apart from the gradient.

    References
    ----------
    .. [1] Meng, Gower. "A model-based method for minimizing CVaR and beyond". ICML 2023.

    Examples
    --------
    >>> weight = torch.nn.Parameter(torch.tensor([2.0]))
    >>> optimizer = CVaRSPL([{"params": [weight], "lr": 0.1}], beta=0.5)
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = weight.square().sum()
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure), optimizer.threshold  # eta is 0.1 / (2 * (0.1 + 0.1 * 16))
    (tensor(4., grad_fn=<SumBackward0>), tensor(3.9059))
    >>> weight  # 2 - 0.1 * 2 * eta * 4
    Parameter containing:
    tensor([1.9765], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        *,
        beta: Fraction = 0.95,
        threshold_lr: Positive = 0.1,
        power: Probability = 0.5,
    ) -> None:
        defaults = {"beta": beta, "threshold_lr": threshold_lr, "power": power, "weight_decay": 0.0}
        super().__init__(params, defaults)

    @property
    def threshold(self) -> Any:
        """The threshold, of shape (); None before the first step."""
        return self.state[self.param_groups[0]["params"][0]].get("threshold")

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step.

        Parameters
        ----------
        closure : callable
            Gives the loss and its gradients; called once.

        Raises
        ------
        TypeError
            Without a closure: the step depends on the loss.
        """
        if closure is None:
            raise TypeError("optimizer 'cvar_spl' needs the loss: call step(closure)")
        with torch.enable_grad():
            loss = closure()
        first = self.param_groups[0]
        state = self.state[first["params"][0]]
        if not state:
            state |= {"threshold": loss.detach().clone(), "steps": 0}
        state["steps"] += 1
        fall = state["steps"] ** -first["power"]
        w, own = 1 / (1 - first["beta"]), first["threshold_lr"] * fall
        moved = [(g, [p for p in g["params"] if p.grad is not None]) for g in self.param_groups]
        steep = sum(fall * g["lr"] * p.grad.square().sum() for g, params in moved for p in params)
        eta = ((loss.detach() - state["threshold"] + own) / (w * (own + steep))).clamp(0, 1)
        for group, params in moved:
            rate = fall * group["lr"]
            for p in params:
                p.mul_(1 - rate * group["weight_decay"]).sub_(p.grad * (rate * w * eta).to(p.dtype))
        state["threshold"] -= own * (1 - w * eta)
        return loss
