"""Margins on angles, from their cosines alone: the arc cosine loses its digits near one, and is never computed."""

from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

__all__ = ["elastic_margins", "straight_through", "target_cross_entropy", "true_cosines", "turned", "widened"]


def true_cosines(cosines: Tensor, y: Tensor) -> Tensor:
    """Return the cosine of each row with its own class, (n, 1).

    Examples
    --------
    >>> true_cosines(torch.tensor([[0.9, 0.1], [0.2, 0.4]]), torch.tensor([0, 1]))
    tensor([[0.9000],
            [0.4000]])
    """
    return cosines.gather(1, y[:, None])


def turned(cosine: Tensor, angle: Any) -> Tensor:
    """Return the cosine of an angle that grew by ``angle``, in radians.

    At cosines of -1 and 1 the slope of the sine is infinite; there it is taken as zero.

    Examples
    --------
    >>> turned(torch.tensor([1.0, 0.5, 0.0]), torch.pi / 3)
    tensor([ 0.5000, -0.5000, -0.8660])
    """
    angle = torch.as_tensor(angle, dtype=cosine.dtype, device=cosine.device)
    square = (1 - cosine) * (1 + cosine)  # one minus the square of a cosine near one would lose digits
    inside = square > 0
    sine = torch.where(inside, torch.where(inside, square, 1.0).sqrt(), 0.0)
    return cosine * angle.cos() - sine * angle.sin()


def widened(cosine: Tensor, margin: Any) -> Tensor:
    """Return the cosine of the angle plus a margin in radians; for margins up to 2.33 it falls over all angles.

    Where the sum passes pi and its cosine would rise again, it is the straight line ``cosine - margin * sin(margin)``.

    Examples
    --------
    >>> widened(torch.tensor([1.0, 0.0, -1.0]), 0.5)
    tensor([ 0.8776, -0.4794, -1.2397])
    """
    margin = torch.as_tensor(margin, dtype=cosine.dtype, device=cosine.device)
    beyond = (margin > 0) & (cosine <= -margin.cos())
    return torch.where(beyond, cosine - margin * margin.sin(), turned(cosine, margin))


def straight_through(value: Tensor, source: Tensor) -> Tensor:
    """Return a value whose gradient is that of its source.

    Examples
    --------
    >>> cosine = torch.tensor(0.9, requires_grad=True)
    >>> straight_through(widened(cosine, 0.5), cosine).backward()
    >>> cosine.grad
    tensor(1.)
    """
    return source + (value - source).detach()


def target_cross_entropy(cosines: Tensor, y: Tensor, target: Tensor, scale: Any) -> Tensor:
    """Return the cross entropy (n,) of scaled cosines (n, k) in which that of the true class is ``target`` (n, 1).

    Examples
    --------
    >>> target_cross_entropy(torch.tensor([[0.8, 0.1]]), torch.tensor([0]), torch.tensor([[0.45]]), 10.0)
    tensor([0.0298])
    """
    return F.cross_entropy(scale * cosines.scatter(1, y[:, None], target), y, reduction="none")


def elastic_margins(true: Tensor, rng: Generator, *, margin: Any, sigma: Any, by_distance: bool) -> Tensor:
    """Draw a margin for each row from a normal distribution.

    The draws go to the rows in the order of their cosines, so that the order of the rows does not matter: given to them
    by any rule that does not look at the draws, they stay independent.

    Parameters
    ----------
    true : Tensor of shape (n, 1)
        Cosines with the true class.
    rng : torch.Generator
        Source of the draws.
    margin, sigma : float
        Mean and standard deviation.
    by_distance : bool
        Whether the draws are sorted first, so that the row farthest from its proxy has the largest margin.

    Returns
    -------
    Tensor of shape (n, 1)

    Examples
    --------
    >>> true = torch.tensor([[0.9], [-0.2], [0.4]])
    >>> rng = torch.Generator().manual_seed(0)
    >>> margins = elastic_margins(true, rng, margin=0.3, sigma=0.05, by_distance=True)
    >>> bool(margins[0] < margins[2] < margins[1])
    True
    """
    noise = torch.randn(len(true), generator=rng, dtype=true.dtype, device=true.device)
    draws = noise.sort().values if by_distance else noise
    nearest_first = true.detach().squeeze(1).argsort(descending=True, stable=True)
    return margin + sigma * torch.empty_like(draws).scatter(0, nearest_first, draws)[:, None]
