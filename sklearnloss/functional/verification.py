"""Pairs of rows told apart by a threshold on their distance, in numpy: what is accepted and rejected wrongly."""

from collections.abc import Callable, Sequence

import numpy as np

from sklearnloss.exceptions import DataError
from sklearnloss.functional.neighbors import FREE_BITS, Distances

__all__ = [
    "crossings", "equal_error", "equal_error_of", "error_curve", "error_rates", "pair_totals", "sample_pairs",
]  # fmt: skip

DIGIT = 17  # bits of a distance that one pass decides; three digits and the free bits are a float64 without its sign
DIGITS = (FREE_BITS + 2 * DIGIT, FREE_BITS + DIGIT, FREE_BITS)
BINS = 2**DIGIT

Shares = Callable[[np.ndarray, np.ndarray], np.ndarray]


def pair_totals(measured: Distances) -> tuple[int, int]:
    """Return the number of pairs of different classes, and of the same class.

    Raises
    ------
    DataError
        If there are none of one sort.
    """
    same = int(measured.relevant().sum())
    total = len(measured.left) * (len(measured.right) - measured.itself)
    if not same:
        where = "y has no class of two rows" if measured.itself else "no class of y is among gallery_labels"
        raise DataError(f"{where}, so there is no pair to accept")
    if measured.itself:  # each pair was counted from both of its rows
        same, total = same // 2, total // 2
    return total - same, same


def crossings(measured: Distances, conditions: Sequence[Shares]) -> list[tuple[float, np.ndarray, np.ndarray]]:
    """Return the smallest distances at which conditions on the shares of accepted pairs hold.

    Exact, in three passes over the pairs, each of which decides 17 bits of the distances.

    Parameters
    ----------
    measured : Distances
        The pairs.
    conditions : sequence of callable
        ``reached(different, same)``, from the shares of pairs of each sort within a distance, which grow with it, to
        whether it is far enough; it must hold where all are within.

    Returns
    -------
    list of (distance, below, within)
        For each condition the distance, as in `Distances.blocks`, and the shares (2,) of the pairs of different classes
        and of the same class that are nearer than it, and at most as far.
    """
    totals = np.array(pair_totals(measured), dtype=np.float64)
    digits = [0] * len(conditions)
    below = [np.zeros(2) for _ in conditions]  # counts
    within = list(below)
    for shift in DIGITS:
        counts = {known: np.zeros((BINS, 2)) for known in digits}
        for block, rows, columns in measured.pairs():
            same = measured.y[rows] == measured.gallery_y[columns]
            for known, so_far in counts.items():
                so_far += _histogram(block, same, shift, known)
        for i, reached in enumerate(conditions):
            total = below[i] + np.cumsum(counts[digits[i]], axis=0)  # (BINS, 2)
            digit = int(np.argmax(reached(*(total / totals).T)))
            below[i], within[i] = total[digit - 1] if digit else below[i], total[digit]
            digits[i] = digits[i] << DIGIT | digit
    found = [float(np.int64(known << FREE_BITS).view(np.float64)) for known in digits]
    return [(d, b / totals, w / totals) for d, b, w in zip(found, below, within, strict=True)]


def _histogram(block: np.ndarray, same: np.ndarray, shift: int, digits: int) -> np.ndarray:
    """Count pairs (BINS, 2) by the next digit of their distance, of those whose digits so far are the given ones."""
    keys = block.view(np.int64) >> shift
    if shift == DIGITS[0]:
        keys *= 2
        keys += same
        return np.bincount(keys.ravel(), minlength=2 * BINS).reshape(BINS, 2)
    inside = keys >> DIGIT == digits
    return np.bincount(2 * (keys[inside] % BINS) + same[inside], minlength=2 * BINS).reshape(BINS, 2)


def equal_error(measured: Distances) -> tuple[float, float]:
    """Return the equal error rate, and the smallest distance up to which more is accepted wrongly than rejected so.

    Between two neighbouring thresholds the rates are interpolated linearly, as on a curve that may mix them.
    """
    ((distance, below, within),) = crossings(measured, [lambda different, same: different >= 1 - same])
    return _where_equal(np.array([below[0], within[0]]), 1 - np.array([below[1], within[1]])), distance


def equal_error_of(different: np.ndarray, same: np.ndarray) -> tuple[float, float]:
    """Return what `equal_error` does, from distances of pairs of each sort.

    Examples
    --------
    >>> equal_error_of(np.array([2.0, 3.0, 4.0, 5.0]), np.array([1.0, 2.0]))
    (0.16666666666666666, 2.0)
    """
    thresholds = np.concatenate([[-np.inf], np.unique(np.concatenate([different, same]))])
    accepted, kept = (np.searchsorted(np.sort(d), thresholds, side="right") / len(d) for d in (different, same))
    place = int(np.argmax(accepted >= 1 - kept))
    pair = slice(place - 1, place + 1)
    return _where_equal(accepted[pair], 1 - kept[pair]), float(thresholds[place])


def _where_equal(accepted: np.ndarray, rejected: np.ndarray) -> float:
    """Return the rate at which two lines cross, from their values below and above."""
    gap = rejected - accepted  # positive below, at most zero above
    weight = gap[0] / (gap[0] - gap[1])
    return float((1 - weight) * accepted[0] + weight * accepted[1])


def error_rates(measured: Distances, thresholds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of pairs accepted wrongly (FAR), and rejected wrongly (FRR), within each distance.

    Parameters
    ----------
    measured : Distances
        The pairs.
    thresholds : array of shape (t,)
        Distances; what is as far as that is accepted.
    """
    totals, accepted = pair_totals(measured), np.zeros((2, len(thresholds)), dtype=np.int64)
    for block, rows, columns in measured.pairs():
        same = np.broadcast_to(measured.y[rows] == measured.gallery_y[columns], block.shape)
        for sort in (0, 1):
            accepted[sort] += np.searchsorted(np.sort(block[same == sort]), thresholds, side="right")
    return accepted[0] / totals[0], 1 - accepted[1] / totals[1]


def error_curve(measured: Distances, n_thresholds: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return FAR, FRR and thresholds, from where nothing is accepted to where all is.

    Parameters
    ----------
    measured : Distances
        The pairs.
    n_thresholds : int
        If there are more pairs of a sort, the thresholds are the distances of so many of them; the rates are exact.

    Returns
    -------
    far, frr, thresholds : array of shape (t,)
        Distances as in `Distances.blocks`; the first is minus infinity.
    """
    some = sample_pairs(measured, n_thresholds, np.random.default_rng(0))
    thresholds = np.concatenate([[-np.inf], np.unique(np.concatenate(some))])
    far, frr = error_rates(measured, thresholds)
    if far[-1] == 1 and frr[-1] == 0:
        return far, frr, thresholds
    return np.append(far, 1.0), np.append(frr, 0.0), np.append(thresholds, np.inf)


def sample_pairs(measured: Distances, limit: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return distances of pairs of different classes, and of the same class.

    Parameters
    ----------
    measured : Distances
        The pairs.
    limit : int
        Up to so many pairs of a sort are all taken; of more, that number is drawn, with replacement.
    rng : numpy.random.Generator
        For the draws.

    Returns
    -------
    different, same : array of shape (p,), (q,)
    """
    totals = pair_totals(measured)
    complete = [sort for sort in (0, 1) if totals[sort] <= limit]
    found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for block, rows, columns in measured.pairs() if complete else ():
        same = np.broadcast_to(measured.y[rows] == measured.gallery_y[columns], block.shape)
        for sort in complete:
            found[sort].append(block[same == sort])
    different, same = (
        np.concatenate(found[sort]) if sort in complete else _drawn(measured, bool(sort), limit, rng) for sort in (0, 1)
    )
    return different, same


def _drawn(measured: Distances, same: bool, limit: int, rng: np.random.Generator) -> np.ndarray:
    """Draw pairs of one sort, each with the same chance: a row by the number of its partners, then a partner."""
    relevant = measured.relevant()
    partners = relevant if same else len(measured.right) - measured.itself - relevant
    rows = rng.choice(len(partners), size=limit, p=partners / partners.sum())
    order = np.argsort(measured.gallery_y, kind="stable")  # (m,); classes stand together
    size = np.bincount(measured.gallery_y, minlength=int(measured.y.max()) + 1)
    first = (np.cumsum(size) - size)[measured.y[rows]]  # where the row's class begins
    drawn = rng.integers(partners[rows])
    if not same:  # counted over what stands before the class and behind it
        return measured.of(rows, order[np.where(drawn < first, drawn, drawn + size[measured.y[rows]])])
    if not measured.itself:
        return measured.of(rows, order[first + drawn])
    own = np.empty_like(order)
    own[order] = np.arange(len(order))
    return measured.of(rows, order[first + drawn + (first + drawn >= own[rows])])  # itself is stepped over
