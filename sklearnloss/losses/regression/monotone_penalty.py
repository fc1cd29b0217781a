"""Penalty on slopes of the wrong sign."""

from typing import Annotated, Any

import torch
from torch import Tensor

from sklearnloss.component import loss
from sklearnloss.constraints import Constraint
from sklearnloss.exceptions import ParameterError
from sklearnloss.functional.gradients import evaluating
from sklearnloss.typing import Generator, Network, Scalar


def _are_columns(value: Any) -> bool:
    if not isinstance(value, tuple | list):
        return False
    return all(isinstance(v, int) and not isinstance(v, bool) and v >= 0 for v in value)


Which = Annotated[Any, Constraint(_are_columns, "a tuple of column numbers", choices=((), (0,)))]


@loss("monotone_penalty", task="regression", unit="batch")
def monotone_penalty(
    *,
    X: Tensor,
    module: Network,
    x_scale: Tensor,
    rng: Generator,
    increasing: Which = (0,),
    decreasing: Which = (),
    box: bool = True,
) -> Scalar:
    r"""Penalize predictions that fall where they should rise, on the rows and in the box that they span.

    A term beside a loss that predicts, such as ``Loss("mse") + 10 * Loss("monotone_penalty", increasing=(2,))``; a
    larger factor leaves less violation. Smooth activations, such as ``activation="tanh"``, let slopes change smoothly.

    Parameters
    ----------
    X : Tensor of shape (n, d)
        Rows.
    module : nn.Module
        From X to the output.
    x_scale : Tensor of shape (d,)
        Standard deviation of each column: slopes are per standard deviation.
    rng : torch.Generator
        Source of the points in the box.
    increasing, decreasing : tuple of int, default=(0,) and ()
        Columns in which predictions must not fall, and must not rise.
    box : bool, default=True
        Whether as many points, drawn evenly from the box around the rows of the batch, are looked at too.

    Returns
    -------
    Tensor of shape ()
        Not negative; zero where every slope has its sign.

    Raises
    ------
    ParameterError
        If there is no column, or one that X does not have.

    Notes
    -----
    .. math:: \sum_{a} \operatorname{mean}_x \max\Bigl( \mp s_a \frac{\partial f(x)}{\partial x_a}, 0 \Bigr)^2

    Over several outputs it is the mean. Each step costs one more gradient by output.

    References
    ----------
    .. [1] Chen, Ye. "How to address monotonicity for model risk management?". ICML 2023.

    Examples
    --------
    >>> layer, X, rng = torch.nn.Linear(2, 1), torch.zeros(3, 2), torch.Generator().manual_seed(0)
    >>> with torch.no_grad():
    ...     _ = layer.weight.copy_(torch.tensor([[-1.0, 2.0]]))
    >>> monotone_penalty(X=X, module=layer, x_scale=torch.ones(2), rng=rng, increasing=(0, 1)).detach()
    tensor(1.)
    """
    asked = [*increasing, *decreasing]
    if not asked or max(asked) >= X.shape[1]:
        raise ParameterError(
            f"loss 'monotone_penalty': increasing and decreasing must name columns of X, which has {X.shape[1]}, "
            f"got increasing={increasing!r}, decreasing={decreasing!r}"
        )
    points = torch.cat([X, _in_box(X, rng)]) if box else X
    sign = x_scale.new_tensor([-1.0] * len(increasing) + [1.0] * len(decreasing)) * x_scale[asked]
    with evaluating(module), torch.enable_grad():
        points = points.detach().requires_grad_()
        outputs = module(points).reshape(len(points), -1)  # (m, o)
        total = outputs.new_zeros(())
        for output in outputs.unbind(1):
            (slope,) = torch.autograd.grad(output.sum(), points, create_graph=True)  # (m, d)
            total = total + (sign * slope[:, asked]).clamp(min=0).square().sum(1).mean()
    return total / outputs.shape[1]


def _in_box(X: Tensor, rng: Generator) -> Tensor:
    low, high = X.amin(0), X.amax(0)
    return low + (high - low) * torch.rand(X.shape, dtype=X.dtype, device=X.device, generator=rng)
