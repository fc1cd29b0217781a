"""Axes: which numbers stand on them, how they are written, and where a value lies."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Scale", "linear", "minus", "seconds_axis", "typical"]

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
FENCE = 4.0  # times the distance of the best from the median, below which a loss would squeeze the others together


@dataclass(frozen=True)
class Scale:
    """An axis.

    Attributes
    ----------
    low, high : float
        Its ends.
    ticks : tuple of (float, str)
        Values and their labels, inside it.
    log : bool
        Whether equal distances are equal ratios.
    """

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]
    log: bool = False

    def at(self, value: float) -> float:
        """Return where a value lies, in percent of the axis."""
        low, high, value = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return round(100 * (value - low) / (high - low), 2)

    def holds(self, value: float) -> bool:
        """Return whether a value lies on the axis."""
        return self.low <= value <= self.high


def linear(
    values: Iterable[float], *, least: float = 0.0, count: int = 6, pad: float = 0.04, whole: bool = False
) -> Scale:
    """Return an axis for values.

    Parameters
    ----------
    values : iterable of float
        What lies on it.
    least : float, default=0.0
        Width that it has at least.
    count : int, default=6
        Ticks at most.
    pad : float, default=0.04
        Room at both ends, as a share of the width.
    whole : bool, default=False
        Whether ticks are whole numbers.

    Examples
    --------
    >>> [label for _, label in linear([0.91, 0.98]).ticks]
    ['0.92', '0.94', '0.96', '0.98']
    """
    known = [v for v in values if math.isfinite(v)] or [0.0]
    low, high = min(known), max(known)
    width = max(high - low, least, 1e-9 * max(abs(low), abs(high)), 1e-9)
    middle, half = (low + high) / 2, width * (0.5 + pad)
    low, high = middle - half, middle + half
    return Scale(low, high, _ticks(low, high, count, finest=1.0 if whole else 0.0))


def seconds_axis(values: Sequence[float]) -> Scale:
    """Return a logarithmic axis for durations.

    Examples
    --------
    >>> [label for _, label in seconds_axis([0.04, 0.3, 70]).ticks]
    ['100 ms', '1 s', '10 s', '1 min']
    """
    known = [max(v, 1e-6) for v in values if math.isfinite(v)] or [1.0]
    low, high = min(known) / 1.15, max(known) * 1.15
    for candidates in (_decades((1,)), _decades((1, 3)), _decades((1, 2, 5))):
        inside = [t for t in candidates if low <= t <= high]
        if len(inside) >= 3:
            return Scale(low, high, tuple((t, _seconds(t)) for t in inside), log=True)
    return Scale(low, high, tuple((t, _seconds(t)) for t, _ in _ticks(low, high, 5)), log=True)


def typical(scores: Sequence[float]) -> float:
    """Return the score below which a loss is so far from the others that an axis leaves it out.

    Examples
    --------
    >>> typical([0.95, 0.94, 0.93, 0.92, 0.1]) > 0.1
    True
    """
    median = float(np.median(scores))
    return median - FENCE * max(max(scores) - median, 0.02 * abs(median), 1e-9)


def minus(text: str) -> str:
    """Return a number with a proper minus sign, as wide as a plus."""
    return text.replace("-", "\u2212")


def _ticks(low: float, high: float, count: int, *, finest: float = 0.0) -> tuple[tuple[float, str], ...]:
    raw = max((high - low) / count, finest)
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(s * size for s in STEPS if s * size >= raw * (1 - 1e-9) and not (finest and s * size % finest))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple((n * step, _label(n * step, step)) for n in range(first, last + 1))


def _label(value: float, step: float) -> str:
    decimals = next(d for d in range(12) if math.isclose(round(step, d), step, rel_tol=1e-6) or d == 11)
    return minus(f"{0.0 if value == 0 else value:.{decimals}f}")


def _decades(mantissas: tuple[int, ...]) -> list[float]:
    small = [m * 10.0**e for e in range(-6, 2) for m in mantissas]
    large = [unit * m for unit, most in ((60, 60), (600, 6), (3600, 24), (36000, 99)) for m in mantissas if m < most]
    return sorted({round(v, 9) for v in small if v < 60} | {float(v) for v in large})


def _seconds(value: float) -> str:
    for size, unit in ((3600, "h"), (60, "min"), (1, "s")):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{1000 * value:.3g} ms"
