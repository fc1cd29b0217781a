"""Seeds: numpy's generators from what scikit-learn calls ``random_state``, and torch's global ones for a while."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

__all__ = ["generator_of", "seeded"]


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


@contextmanager
def seeded(seed: int, device: str = "cpu") -> Iterator[None]:
    """Run with torch's global generators seeded; afterwards they are as they were.

    Parameters
    ----------
    seed : int
        The seed.
    device : str, default="cpu"
        An accelerator whose generator is seeded too.

    Examples
    --------
    >>> before = torch.get_rng_state()
    >>> with seeded(0):
    ...     drawn = torch.rand(2)
    >>> torch.equal(before, torch.get_rng_state())
    True
    """
    cuda = torch.device(device).type == "cuda"
    with torch.random.fork_rng(devices=[device] if cuda else []):
        # torch.manual_seed would also leave a seed, and a formatted stack, for accelerators that are never used
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield
