"""How samplers deal rows and classes."""

from collections.abc import Iterator

import numpy as np


def deal(items: np.ndarray, rng: np.random.Generator) -> Iterator[int]:
    """Deal the items in random order, again and again."""
    while True:
        yield from rng.permutation(items)


def distinct(items: Iterator[int], count: int) -> list[int]:
    """Take the next distinct items; a new round may begin with one that was just taken."""
    chosen: dict[int, None] = {}
    while len(chosen) < count:
        chosen[next(items)] = None
    return list(chosen)
