"""Gradients that do not belong to the step: ascent, and gradients with respect to the inputs."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["ascend", "evaluating", "input_gradient", "pgd"]


def ascend(t: Tensor) -> Tensor:
    """Return the value of ``t`` with its gradient negated: what a descent then changes goes up.

    Examples
    --------
    >>> t = torch.tensor(3.0, requires_grad=True)
    >>> (2 * ascend(t)).backward()
    >>> ascend(t).item(), t.grad
    (3.0, tensor(-2.))
    """
    return 2 * t.detach() - t


@contextmanager
def evaluating(module: nn.Module) -> Iterator[nn.Module]:
    """Put a module into evaluation mode for the while; then each of its parts is as it was.

    Examples
    --------
    >>> layer = nn.Dropout()
    >>> with evaluating(layer):
    ...     layer.training
    False
    >>> layer.training
    True
    """
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield module
    finally:
        for part, training in modes:
            part.training = training


def input_gradient(
    module: nn.Module, X: Tensor, objective: Callable[[Tensor], Tensor], *, x_scale: Tensor | None = None
) -> Tensor:
    """Return the gradient (n, d) of each row's objective with respect to that row.

    The module runs in evaluation mode, so its rows are independent and its buffers stay; gradients of its parameters
    are left alone. It works under ``no_grad`` too.

    Parameters
    ----------
    module : nn.Module
        From X to the output.
    X : Tensor of shape (n, d)
        Rows.
    objective : callable
        From the output to values (n,).
    x_scale : Tensor of shape (d,), default=None
        Unit of each column; None is 1.

    Returns
    -------
    Tensor of shape (n, d)
        Without a graph.

    Examples
    --------
    >>> layer = nn.Linear(2, 1, bias=False)
    >>> with torch.no_grad():
    ...     _ = layer.weight.copy_(torch.tensor([[1.0, -2.0]]))
    >>> input_gradient(layer, torch.zeros(1, 2), lambda output: output.squeeze(1), x_scale=torch.tensor([1.0, 10.0]))
    tensor([[  1., -20.]])
    """
    with evaluating(module), torch.enable_grad():
        X = X.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(objective(module(X)).sum(), X)
    return gradient if x_scale is None else gradient * x_scale


def pgd(
    module: nn.Module,
    X: Tensor,
    objective: Callable[[Tensor], Tensor],
    *,
    x_scale: Tensor,
    eps: Any,
    steps: int,
    rng: torch.Generator,
) -> Tensor:
    """Climb to rows near X where the objective is large, by signed gradients projected on a box.

    Parameters
    ----------
    module : nn.Module
        From X to the output; it is left as it was.
    X : Tensor of shape (n, d)
        Rows.
    objective : callable
        From the output to values (n,).
    x_scale : Tensor of shape (d,)
        Unit of each column.
    eps : float in [0, inf)
        Half the side of the box, in units of ``x_scale``.
    steps : int in [1, inf)
        Steps of ``2.5 * eps / steps``, enough to reach any corner from any start.
    rng : torch.Generator
        Source of the start, uniform in the box: at X itself the objective may have no gradient.

    Returns
    -------
    Tensor of shape (n, d)
        Without a graph.

    References
    ----------
    .. [1] Madry, Makelov, Schmidt, Tsipras, Vladu. "Towards deep learning models resistant to adversarial attacks".
       ICLR 2018.

    Examples
    --------
    >>> layer, rng = nn.Linear(2, 1, bias=False), torch.Generator().manual_seed(0)
    >>> with torch.no_grad():
    ...     _ = layer.weight.copy_(torch.tensor([[1.0, -2.0]]))
    >>> pgd(layer, torch.zeros(1, 2), lambda output: output[:, 0], x_scale=torch.ones(2), eps=0.5, steps=5, rng=rng)
    tensor([[ 0.5000, -0.5000]])
    """
    X, reach = X.detach(), eps * x_scale
    shift = 2 * torch.rand(X.shape, dtype=X.dtype, device=X.device, generator=rng) - 1  # (n, d) in [-1, 1]
    for _ in range(steps):
        uphill = input_gradient(module, X + reach * shift, objective).sign()
        shift = (shift + 2.5 / steps * uphill).clamp(-1, 1)
    return X + reach * shift
