"""Schedules of the learning rate: a factor as a function of progress in [0, 1)."""

import math
from collections.abc import Callable

__all__ = ["SCHEDULES", "schedule"]

SCHEDULES: dict[str, Callable[[float], float]] = {
    "cosine": lambda progress: 0.5 * (1 + math.cos(math.pi * progress)),
    "linear": lambda progress: 1 - progress,
    "step": lambda progress: 1.0 if progress < 0.5 else 0.1 if progress < 0.75 else 0.01,
    "warmup_cosine": lambda progress: min(1.0, (progress + 0.01) / 0.1) * 0.5 * (1 + math.cos(math.pi * progress)),
}


def schedule(name: str | Callable[[float], float] | None) -> Callable[[float], float] | None:
    """Return the schedule of that name; a callable is its own.

    Examples
    --------
    >>> schedule("step")(0.6)
    0.1
    """
    return SCHEDULES[name] if isinstance(name, str) else name
