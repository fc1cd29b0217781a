"""Ranges of hyperparameters, written where the hyperparameter is: in its annotation.

``lam: Positive = 1.0`` is read by validation, by the documentation and by searches. A narrower range to search is added
with `Search`: ``lam: Annotated[Positive, Search(.1, 10, log=True)] = 1.0``.
"""

import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import inf, isnan
from numbers import Integral, Real
from typing import Annotated, Any, Literal

__all__ = [
    "Angle",
    "AtLeastOne",
    "Constraint",
    "Fraction",
    "Interval",
    "Levels",
    "NonNegative",
    "NonNegativeInt",
    "Numbers",
    "Positive",
    "PositiveInt",
    "Probability",
    "Search",
    "Seed",
    "Signed",
    "are_numbers",
    "constraint_of",
]


@dataclass(frozen=True)
class Interval:
    """A real or integer interval; ``closed`` is one of ``neither, left, right, both``.

    Examples
    --------
    >>> str(Interval(0, inf)), 0 in Interval(0, inf), 0 in Interval(0, 1, "both")
    ('(0, inf)', False, True)
    """

    low: float = -inf
    high: float = inf
    closed: Literal["neither", "left", "right", "both"] = "neither"

    def __contains__(self, value: float) -> bool:
        above = value >= self.low if self.closed in ("left", "both") else value > self.low
        below = value <= self.high if self.closed in ("right", "both") else value < self.high
        return above and below

    def __str__(self) -> str:
        opening = "[" if self.closed in ("left", "both") else "("
        closing = "]" if self.closed in ("right", "both") else ")"
        return f"{opening}{self.low:g}, {self.high:g}{closing}"


@dataclass(frozen=True)
class Search:
    """A sensible range for a search; narrower than what is allowed."""

    low: float
    high: float
    log: bool = False


Positive = Annotated[float, Interval(0, inf)]
NonNegative = Annotated[float, Interval(0, inf, "left")]
AtLeastOne = Annotated[float, Interval(1, inf, "left")]
Signed = Annotated[float, Interval(-inf, inf)]
Probability = Annotated[float, Interval(0, 1, "both")]
Fraction = Annotated[float, Interval(0, 1, "left")]
Angle = Annotated[float, Interval(0, 3.141592653589793, "left")]
PositiveInt = Annotated[int, Interval(1, inf, "left")]
NonNegativeInt = Annotated[int, Interval(0, inf, "left")]


@dataclass(frozen=True)
class Constraint:
    """What an annotation allows: a test, its words, and the range to search."""

    allows: Callable[[Any], bool]
    words: str
    search: Search | None = None
    interval: Interval | None = None
    choices: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return self.words


def _are_levels(value: Any) -> bool:
    if isinstance(value, str) or not hasattr(value, "__len__") or not len(value):
        return False
    inside = all(_is_real(v) and 0 < v < 1 for v in value)
    return inside and all(a < b for a, b in pairwise(value))


def are_numbers(value: Any) -> bool:
    """Whether a value is a list of whole numbers from zero on."""
    listed = isinstance(value, list | tuple | range) or getattr(value, "ndim", 0) == 1
    return listed and all(isinstance(v, Integral) and not isinstance(v, bool) and int(v) >= 0 for v in value)


def _is_seed(value: Any) -> bool:
    return value is None or isinstance(value, Integral) or hasattr(value, "random_sample")


Seed = Annotated[Any, Constraint(_is_seed, "an int, a RandomState or None", choices=(None, 0))]
Numbers = Annotated[Any, Constraint(are_numbers, "a list of numbers from 0", choices=((0,),))]
Levels = Annotated[Any, Constraint(_are_levels, "a rising sequence of levels in (0, 1)", choices=((0.25, 0.5, 0.75),))]


def constraint_of(annotation: Any) -> Constraint:
    """Read an annotation: ``Positive``, ``int``, ``bool``, ``Literal[...]``, tuples and unions of these, or anything.

    Examples
    --------
    >>> str(constraint_of(Positive)), constraint_of(Positive).allows(-1)
    ('a float in (0, inf)', False)
    >>> str(constraint_of(Literal["a", "b"] | None))
    "one of 'a', 'b', or None"
    >>> str(constraint_of(tuple[PositiveInt, bool])), constraint_of(tuple[PositiveInt, bool]).allows((0, True))
    ('a tuple (an int in [1, inf), a bool)', False)
    """
    if typing.get_origin(annotation) is Annotated:
        base, *extras = typing.get_args(annotation)
        if given := [e for e in extras if isinstance(e, Constraint)]:
            return given[0]
        return _annotated(base, extras)
    if typing.get_origin(annotation) is Literal:
        choices = typing.get_args(annotation)
        words = "one of " + ", ".join(map(repr, choices))
        # True == 1 in Python, so the type has to agree as well
        return Constraint(lambda v: any(type(v) is type(c) and v == c for c in choices), words, choices=choices)
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return _union([constraint_of(a) for a in typing.get_args(annotation)])
    if typing.get_origin(annotation) is tuple:
        return _tuple([constraint_of(a) for a in typing.get_args(annotation)])
    if annotation is None or annotation is type(None):
        return Constraint(lambda v: v is None, "None", choices=(None,))
    if annotation is bool:
        return Constraint(lambda v: isinstance(v, bool), "a bool", choices=(False, True))
    if annotation is int:
        return Constraint(_is_integer, "an int")
    if annotation is float:
        return Constraint(_is_real, "a float")
    if annotation is str:
        return Constraint(lambda v: isinstance(v, str), "a str")
    if annotation is Callable or typing.get_origin(annotation) is typing.get_origin(Callable[..., Any]):
        return Constraint(callable, "a callable")
    return Constraint(lambda v: True, "any value")


def _annotated(base: Any, extras: list[Any]) -> Constraint:
    inner = constraint_of(base)
    interval = next((e for e in extras if isinstance(e, Interval)), inner.interval)
    search = next((e for e in extras if isinstance(e, Search)), inner.search)
    if interval is None or interval is inner.interval:
        return Constraint(inner.allows, inner.words, search, interval, inner.choices)
    allows = inner.allows
    return Constraint(lambda v: allows(v) and v in interval, f"{inner.words} in {interval}", search, interval)


def _union(parts: list[Constraint]) -> Constraint:
    parts = sorted(parts, key=lambda p: p.words == "None")
    return Constraint(
        lambda v: any(p.allows(v) for p in parts),
        ", or ".join(p.words for p in parts),
        next((p.search for p in parts if p.search), None),
        next((p.interval for p in parts if p.interval), None),
        tuple(c for p in parts for c in p.choices),
    )


def _tuple(parts: list[Constraint]) -> Constraint:
    return Constraint(
        lambda v: (
            isinstance(v, tuple | list)
            and len(v) == len(parts)
            and all(p.allows(x) for p, x in zip(parts, v, strict=True))
        ),
        f"a tuple ({', '.join(p.words for p in parts)})",
    )


def _is_integer(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_real(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and not isnan(value)
