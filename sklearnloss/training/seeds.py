"""Seeding torch's global generators for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["seeded"]


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
