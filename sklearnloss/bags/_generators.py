"""Generators of random numbers from what scikit-learn calls ``random_state``."""

from typing import Any

import numpy as np

__all__ = ["generator_of"]


def generator_of(random_state: Any) -> np.random.Generator:
    """Return a generator; global ones are left as they were.

    Parameters
    ----------
    random_state : int, RandomState, Generator or None
        A seed, or a source of one, which moves on by a step. None is another seed each time.
    """
    if isinstance(random_state, np.random.RandomState):
        random_state = random_state.randint(2**31)
    return np.random.default_rng(random_state)
