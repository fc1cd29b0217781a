"""Every row once an epoch: blocks of neighbours in random order, rows in random order within several blocks."""

from collections.abc import Iterator

import numpy as np

from sklearnloss.component import sampler
from sklearnloss.samplers._decks import cut

BLOCK, BUFFER = 1024, 16 * 1024  # rows, where nothing says how X is read


@sampler("shuffle_blocks")
def shuffle_blocks(
    index: np.ndarray,
    *,
    batch_size: int,
    rng: np.random.Generator,
    block: np.ndarray | None = None,
    buffer_size: int | None = None,
) -> Iterator[np.ndarray]:
    """Shuffle blocks of contiguous rows, then the rows of several blocks among themselves; for data read from files.

    The rows of a batch come from a few blocks, which are read from start to end, rather than from all over a file.

    Parameters
    ----------
    index : array of shape (n,)
        Row numbers, ascending.
    batch_size : int
        Upper limit of a batch.
    rng : numpy.random.Generator
        Source of the order.
    block : array of shape (n,), default=None
        Number of the block of each row, ascending; None cuts blocks of 1,024 row numbers.
    buffer_size : int, default=None
        About how many rows are mixed at once; None is 16,384.

    Yields
    ------
    array of int
        Places in ``index`` of the rows of a batch.

    Notes
    -----
    Every row comes once an epoch, and any two rows may meet in a batch; but the rows of a block are always in one
    buffer, so they meet more often than in a full shuffle. Where neighbours are alike, as in a file sorted by class,
    the batches of a buffer show only its few blocks: shuffle such a file once, when it is written.

    The batches of a buffer differ by at most one row.

    References
    ----------
    .. [1] Xu et al. "In-database machine learning with CorgiPile: stochastic gradient descent without full data
       shuffle". SIGMOD 2022.

    Examples
    --------
    >>> block = np.arange(8) // 2
    >>> rng = np.random.default_rng(0)
    >>> [b.tolist() for b in shuffle_blocks(np.arange(8), batch_size=2, rng=rng, block=block, buffer_size=4)]
    [[1, 0], [5, 4], [3, 7], [2, 6]]
    """
    block = index // BLOCK if block is None else block
    starts = np.flatnonzero(np.diff(block, prepend=-1))  # (b,)
    sizes = np.diff(starts, append=len(block))  # (b,)
    order = rng.permutation(len(starts))
    for blocks in _buffers(order, sizes, min(-(-len(block) // (buffer_size or BUFFER)), len(block) // batch_size)):
        rows = np.concatenate([np.arange(starts[b], starts[b] + sizes[b]) for b in blocks])
        rng.shuffle(rows)
        yield from cut(rows, batch_size)


def _buffers(order: np.ndarray, sizes: np.ndarray, count: int) -> list[np.ndarray]:
    """Deal the blocks, in their order, to buffers of about the same number of rows."""
    middle = np.cumsum(sizes[order]) - sizes[order] / 2
    buffer = (middle * max(1, count) // sizes.sum()).astype(np.int64)  # (b,)
    return np.split(order, np.flatnonzero(np.diff(buffer)) + 1)
