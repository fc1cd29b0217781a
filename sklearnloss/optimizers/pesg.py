"""Proximal epoch stochastic gradient."""

import math
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor

from sklearnloss.component import optimizer
from sklearnloss.constraints import Fraction, NonNegative, Positive


@optimizer("pesg")
class PESG(torch.optim.Optimizer):
    r"""Gradient steps in stages, each drawn towards the average of the weights of the stage before.

    It was made for `aucm` in its mode ``"min_max"``, whose inner problem it keeps near a point that moves slowly.

    Parameters
    ----------
    params : iterable
        Parameter groups with their ``lr`` and ``weight_decay``. The first group is the network; further ones hold what
        the loss itself learns.
    mode : {"sgd", "adam"}, default="sgd"
        What makes a step of a gradient.
    epoch_decay : float in [0, inf), default=2e-3
        Strength of the pull to the reference.
    clip : float in (0, inf), default=1.0
        Bound on each entry of a gradient; decay and pull come after it.
    momentum : float in [0, 1), default=0.0
        Decay of the velocity of the network, with ``mode="sgd"``.
    beta1, beta2 : float in [0, 1), default=0.9, 0.999
        Decay of the averages of gradient and squared gradient, with ``mode="adam"``.
    eps : float in (0, inf), default=1e-8
        Added to the root of the second average.

    Notes
    -----
    With the weights v of the network, the reference :math:`\bar v` and the pull :math:`\lambda_0`,

    .. math:: v \leftarrow v - \eta \bigl(\operatorname{clip}(\nabla_v) + \lambda v + \lambda_0 (v - \bar v)\bigr) .

    The reference of the first stage is where the weights begin. A stage ends when the rate of the network falls, as
    ``lr_schedule="step"`` does after half and three quarters of the epochs, or when `restart` is called; then the
    average of the weights after each step of the stage becomes the reference. A schedule that falls each epoch makes
    each epoch a stage.

    What the loss learns takes plain clipped steps, with neither pull nor momentum. Its ascent is in the sign of the
    gradients (``aucm`` negates that of ``alpha``), and not the optimizer's affair. The authors' settings are
    ``lr=0.1, weight_decay=1e-5, lr_schedule="step"``, after some epochs of cross entropy.

    Their code differs in three points: it begins with a random reference near zero, its momentum of 0.9 is the share
    of the newest gradient, and it takes the gradient of ``alpha`` from the learned means instead of those of the batch.

    References
    ----------
    .. [1] Guo, Yan, Yuan, Yang. "Fast objective and duality gap convergence for non-convex strongly-concave min-max
       problems". Journal of Machine Learning Research 24, 2023.
    .. [2] Yuan, Yan, Sonka, Yang. "Large-scale robust deep AUC maximization: a new surrogate loss and empirical studies
       on medical image classification". ICCV 2021.

    Examples
    --------
    >>> weight = torch.nn.Parameter(torch.tensor([2.0]))
    >>> optimizer = PESG([{"params": [weight], "lr": 0.1}], epoch_decay=0.5)
    >>> for _ in range(2):
    ...     weight.grad = torch.tensor([1.0])
    ...     optimizer.step()
    >>> weight  # 2 - 0.1, and from there 0.1 * (1 - 0.5 * 0.1) further
    Parameter containing:
    tensor([1.8050], requires_grad=True)
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        *,
        mode: Literal["sgd", "adam"] = "sgd",
        epoch_decay: NonNegative = 2e-3,
        clip: Positive = 1.0,
        momentum: Fraction = 0.0,
        beta1: Fraction = 0.9,
        beta2: Fraction = 0.999,
        eps: Positive = 1e-8,
    ) -> None:
        defaults = {
            "mode": mode, "epoch_decay": epoch_decay, "clip": clip, "momentum": momentum, "betas": (beta1, beta2),
            "eps": eps, "weight_decay": 0.0,
        }  # fmt: skip
        super().__init__(params, defaults)
        for group in self.param_groups:
            group["stage_lr"] = group["lr"]  # the rate of the stage
        for group in self.param_groups[1:]:
            group["epoch_decay"] = group["momentum"] = 0.0

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take a step; a closure is called once, before it."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if self.param_groups[0]["lr"] < self.param_groups[0]["stage_lr"]:
            self.restart()
        for group in self.param_groups:
            group["stage_lr"] = group["lr"]
            params = [p for p in group["params"] if p.grad is not None]
            if params:
                self._step(group, params)
        return loss

    @torch.no_grad()
    def restart(self) -> None:
        """Begin a new stage: the average of the weights since the last one becomes the reference."""
        group = self.param_groups[0]
        for p in group["params"]:
            state = self.state[p]
            if state.get("visited", 0):
                state["reference"].copy_(state["average"])
                state["visited"] = 0

    def _step(self, group: dict[str, Any], params: list[Tensor]) -> None:
        pull, clip = group["epoch_decay"], group["clip"]
        states = [self.state[p] for p in params]
        slopes = [p.grad.clamp(-clip, clip) for p in params if p.grad is not None]
        if group["weight_decay"]:
            torch._foreach_add_(slopes, params, alpha=group["weight_decay"])
        if pull:
            for p, state in zip(params, states, strict=True):
                if "reference" not in state:
                    state |= {"reference": p.detach().clone(), "average": torch.zeros_like(p), "visited": 0}
            torch._foreach_add_(slopes, torch._foreach_sub(params, [s["reference"] for s in states]), alpha=pull)
        if group["mode"] == "adam":
            self._adam(group, params, slopes, states)
        else:
            if group["momentum"]:
                slopes = self._velocity(group["momentum"], slopes, states)
            torch._foreach_add_(params, slopes, alpha=-group["lr"])
        if pull:
            for p, state in zip(params, states, strict=True):
                state["visited"] += 1
                state["average"].lerp_(p, 1 / state["visited"])

    @staticmethod
    def _velocity(momentum: float, slopes: list[Tensor], states: list[dict[str, Any]]) -> list[Tensor]:
        for slope, state in zip(slopes, states, strict=True):
            if "velocity" not in state:
                state["velocity"] = torch.zeros_like(slope)
        velocities = [state["velocity"] for state in states]
        torch._foreach_mul_(velocities, momentum)
        torch._foreach_add_(velocities, slopes)
        return velocities

    @staticmethod
    def _adam(group: dict[str, Any], params: list[Tensor], slopes: list[Tensor], states: list[dict[str, Any]]) -> None:
        beta1, beta2 = group["betas"]
        for p, state in zip(params, states, strict=True):
            if "first" not in state:
                state |= {"first": torch.zeros_like(p), "second": torch.zeros_like(p), "steps": 0}
        for p, slope, state in zip(params, slopes, states, strict=True):
            state["steps"] += 1
            state["first"].lerp_(slope, 1 - beta1)
            state["second"].mul_(beta2).addcmul_(slope, slope, value=1 - beta2)
            root = (state["second"].sqrt() / math.sqrt(1 - beta2 ** state["steps"])).add_(group["eps"])
            p.addcdiv_(state["first"], root, value=-group["lr"] / (1 - beta1 ** state["steps"]))
