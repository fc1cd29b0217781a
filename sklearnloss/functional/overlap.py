"""How far probabilities and labels overlap: the Dice coefficient and its relatives, of a batch and of a row."""

from typing import Any

import torch
from torch import Tensor

__all__ = ["dice_of_batch", "dice_of_row", "mean_of_present", "self_adjusted", "tversky_of_batch"]


def self_adjusted(p: Tensor, rest: Tensor, gamma: Any, *, detach: bool) -> Tensor:
    """Return ``rest ** gamma * p``, which takes probabilities for less the surer they are.

    Parameters
    ----------
    p, rest : Tensor
        Probabilities, and one minus them.
    gamma : float in [0, inf)
        Focusing power.
    detach : bool
        Whether the power is a constant, through which no gradient flows.

    Examples
    --------
    >>> p = torch.tensor([0.2, 0.9])
    >>> self_adjusted(p, 1 - p, 1.0, detach=True)
    tensor([0.1600, 0.0900])
    """
    rest = rest.detach() if detach else rest
    log_rest = rest.clamp(min=torch.finfo(rest.dtype).tiny).log()  # the slope of a power below one is infinite at zero
    return torch.exp(gamma * log_rest) * p  # a general power takes five times as long


def dice_of_row(m: Tensor, t: Tensor, smooth: Any, *, squared: bool = False) -> Tensor:
    """Return the Dice coefficient of each entry, ``(2 m t + smooth) / (m + t + smooth)``; a perfect one is 1.

    Examples
    --------
    >>> dice_of_row(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 0.0]), 1.0)
    tensor([0.8000, 0.6667])
    """
    size = m.square() + t.square() if squared else m + t
    return (2 * m * t + smooth) / (size + smooth)


def dice_of_batch(m: Tensor, t: Tensor, weight: Tensor, smooth: Any, *, squared: bool = False) -> Tensor:
    """Return the Dice coefficient of each column, of weighted means over the rows.

    Parameters
    ----------
    m, t : Tensor of shape (n,) or (n, k)
        Probabilities and labels.
    weight : Tensor of shape (n,)
        Weights of the rows.
    smooth : float in [0, inf)
        Added to numerator and denominator, as if to each row.
    squared : bool, default=False
        Whether the denominator has squares.

    Examples
    --------
    >>> dice_of_batch(torch.tensor([0.9, 0.2, 0.6]), torch.tensor([1.0, 0.0, 1.0]), torch.ones(3), 0.0)  # 3 / 3.7
    tensor(0.8108)
    """
    size = m.square() + t.square() if squared else m + t
    return _ratio(2 * _mean(m * t, weight) + smooth, _mean(size, weight) + smooth)


def tversky_of_batch(
    p: Tensor, rest: Tensor, t: Tensor, weight: Tensor, smooth: Any, *, false_pos: Any, false_neg: Any
) -> Tensor:
    """Return the Tversky index of each column: hits over hits and weighted false alarms and misses.

    Parameters
    ----------
    p, rest, t : Tensor of shape (n,) or (n, k)
        Probabilities, one minus them, and labels.
    weight : Tensor of shape (n,)
        Weights of the rows.
    smooth : float in [0, inf)
        Added to numerator and denominator, as if to each row.
    false_pos, false_neg : float in [0, inf)
        Weights of false alarms and of misses.

    Examples
    --------
    >>> p, t = torch.tensor([0.9, 0.2, 0.6]), torch.tensor([1.0, 0.0, 1.0])
    >>> tversky_of_batch(p, 1 - p, t, torch.ones(3), 0.0, false_pos=1.0, false_neg=1.0)  # 1.5 / (1.5 + 0.2 + 0.5)
    tensor(0.6818)
    """
    hits, alarms, misses = _mean(p * t, weight), _mean(p * (1 - t), weight), _mean(rest * t, weight)
    return _ratio(hits + smooth, hits + false_pos * alarms + false_neg * misses + smooth)


def mean_of_present(values: Tensor, t: Tensor, weight: Tensor) -> Tensor:
    """Return the mean of values (k,) of the columns of t that have a label in a row of any weight.

    Examples
    --------
    >>> mean_of_present(torch.tensor([0.5, 0.1, 0.7]), torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]), torch.ones(2))
    tensor(0.6000)
    """
    present = (_mean(t, weight) > 0).to(values.dtype)  # (k,)
    return (present * values).sum() / present.sum()


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    columns = weight.view(-1, *[1] * (values.ndim - 1))
    return (columns * values).sum(dim=0) / weight.sum()


def _ratio(part: Tensor, whole: Tensor) -> Tensor:
    """Return the quotient; zero, without a gradient, where there is neither a label nor a probability."""
    return part / whole.clamp(min=torch.finfo(whole.dtype).tiny ** 0.5)
