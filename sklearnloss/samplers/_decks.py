"""How samplers deal rows and classes."""

from collections.abc import Iterator
from itertools import pairwise

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


def cut(order: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Yield the rows in batches whose sizes differ by one at most."""
    batches = -(-len(order) // batch_size)
    edges = np.arange(batches + 1) * len(order) // batches
    for start, stop in pairwise(edges.tolist()):
        yield order[start:stop]
