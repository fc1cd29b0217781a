"""Batches in which groups of rows have given shares."""

from collections.abc import Iterator

import numpy as np

from sklearnloss.samplers._decks import cut

__all__ = ["draw_shares", "draw_tempered", "members_of", "tempered"]


def members_of(labels: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each group; of several labels a row, each set that occurs is a group."""
    number = np.unique(labels, axis=0, return_inverse=True)[1].ravel()  # (n,)
    return np.split(np.argsort(number, kind="stable"), np.bincount(number).cumsum()[:-1])


def tempered(counts: np.ndarray, tau: float) -> np.ndarray:
    """Return shares in proportion to the counts to the power of ``1 / tau``.

    Examples
    --------
    >>> tempered(np.array([1000, 100, 10]), 2.0).round(6).tolist()
    [0.706101, 0.223289, 0.07061]
    """
    shares: np.ndarray = (counts / counts.max()) ** (1 / tau)
    return shares / shares.sum()


def draw_shares(
    members: list[np.ndarray], shares: np.ndarray, *, batch_size: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yield an epoch of batches whose slots are of groups drawn by their shares; the rows of a group are dealt."""
    n = sum(map(len, members))
    drawn = rng.choice(len(members), n, p=shares)
    order, wanted = np.argsort(drawn, kind="stable"), np.bincount(drawn, minlength=len(members))
    dealt = [
        rng.permutation(rows)
        for rows, count in zip(members, wanted, strict=True)
        for _ in range(-(-count // len(rows)))
    ]
    kept = [np.arange(-(-count // len(rows)) * len(rows)) < count for rows, count in zip(members, wanted, strict=True)]
    slots = np.empty(n, dtype=np.int64)
    slots[order] = np.concatenate(dealt)[np.concatenate(kept)]
    yield from cut(slots, batch_size)


def draw_tempered(labels: np.ndarray, tau: float, *, batch_size: int, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield an epoch of batches whose groups have the shares of a temperature; with one, every row comes once."""
    if tau == 1:
        yield from cut(rng.permutation(len(labels)), batch_size)
        return
    members = members_of(labels)
    shares = tempered(np.array([len(rows) for rows in members]), tau)
    yield from draw_shares(members, shares, batch_size=batch_size, rng=rng)
