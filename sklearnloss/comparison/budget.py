"""Durations as people write them."""

import re

from sklearnloss.exceptions import ParameterError

__all__ = ["duration", "seconds_of"]

UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0}


def seconds_of(budget: str | float) -> float:
    """Return a duration in seconds.

    Parameters
    ----------
    budget : str or float
        ``"10m"``, ``"1h30m"``, ``"90s"``, or a number of seconds.

    Raises
    ------
    ParameterError
        If it says nothing, or nothing positive.

    Examples
    --------
    >>> seconds_of("1h30m"), seconds_of("1.5m"), seconds_of(20)
    (5400.0, 90.0, 20.0)
    """
    text = str(budget).strip().lower()
    parts = re.findall(r"(\d+(?:\.\d+)?)([hms])", text)
    seconds = -1.0
    if parts and "".join(number + unit for number, unit in parts) == text:
        seconds = sum(float(number) * UNITS[unit] for number, unit in parts)
    elif re.fullmatch(r"\d+(\.\d+)?", text):
        seconds = float(text)
    if seconds <= 0:
        raise ParameterError(f"budget must be a positive time such as '10m', '1h30m' or 90 seconds, got {budget!r}")
    return seconds


def duration(seconds: float) -> str:
    """Return a duration in words as short as they are true.

    Examples
    --------
    >>> duration(0.0031), duration(0.42), duration(12.3), duration(75), duration(5400)
    ('3 ms', '0.42 s', '12 s', '1 min 15 s', '1 h 30 min')
    """
    if seconds < 0.1:
        return f"{1000 * seconds:.2g} ms" if seconds < 0.001 else f"{1000 * seconds:.0f} ms"
    if seconds < 60:
        return f"{seconds:.2g} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"
