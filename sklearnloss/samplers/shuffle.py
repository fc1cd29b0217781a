"""Every row once an epoch, in random order."""

from collections.abc import Iterator

import numpy as np

from sklearnloss.component import sampler
from sklearnloss.samplers._decks import cut


@sampler("shuffle")
def shuffle(y: np.ndarray, *, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Cut a random order of all rows into batches of nearly equal size.

    The sizes differ by at most one, so that no tiny last batch gives a noisy step, or fails in a batch normalisation.

    Parameters
    ----------
    y : array of shape (n, ...)
        Targets; only their number is used.
    batch_size : int
        Upper limit of a batch.
    rng : numpy.random.Generator
        Source of the order.

    Yields
    ------
    array of int
        Row numbers of a batch.

    References
    ----------
    .. [1] Bottou. "Curiously fast convergence of some stochastic gradient descent algorithms". 2009.

    Examples
    --------
    >>> [len(rows) for rows in shuffle(np.zeros(10), batch_size=4, rng=np.random.default_rng(0))]
    [3, 3, 4]
    """
    yield from cut(rng.permutation(len(y)), batch_size)
