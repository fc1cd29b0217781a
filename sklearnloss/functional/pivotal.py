"""Drawing so many rows with given probabilities, seldom neighbors together, in numpy."""

import numpy as np

__all__ = ["inclusion_probabilities", "pivotal_rows", "space_order"]

CERTAIN = 1e-9  # rounding of a probability of zero or one
ROUNDING = 1e-6  # of what a whole pool of them leaves


def inclusion_probabilities(scores: np.ndarray, n: int) -> np.ndarray:
    """Return ``min(1, c * scores)`` with c such that they add up to n.

    Parameters
    ----------
    scores : array of shape (m,)
        Not negative. Where fewer than n are positive, the others share what is missing.
    n : int
        How many rows are to be drawn, at most m.

    Returns
    -------
    array of shape (m,)
        In (0, 1].

    Notes
    -----
    The largest are certain; how many is told by one sort, so that there is no search for c.

    Examples
    --------
    >>> inclusion_probabilities(np.array([4.0, 1.0, 1.0]), 2)
    array([1. , 0.5, 0.5])
    """
    scores = np.maximum(scores, scores.max(initial=0) * 1e-12)
    if not scores.any():
        scores = np.ones(len(scores))
    ordered = np.sort(scores)[::-1]
    rest = np.cumsum(ordered[::-1])[::-1]  # of the k-th and those after it
    certain = np.arange(len(ordered))
    factor = (n - certain[:n]) / rest[:n]  # if the first k are certain
    fits = factor * ordered[:n] <= 1 + CERTAIN
    c = factor[fits.argmax()] if fits.any() else np.inf
    return np.minimum(np.minimum(1.0, c * scores), 1.0)


def space_order(places: np.ndarray, tree: str, rng: np.random.Generator) -> np.ndarray:
    """Return the rows in the order of a tree's leaves, whose nodes halve their rows.

    Parameters
    ----------
    places : array of shape (m, d)
        Where rows lie.
    tree : {"coordinate", "pca", "random"}
        By the median of one column after the other, of the first principal direction of each part, or by chance.
    rng : numpy Generator
        For ``"random"``.

    Returns
    -------
    array of shape (m,)
        Row numbers; the first half of every node comes before the second.

    Examples
    --------
    >>> space_order(np.array([[3.0], [1.0], [2.0], [0.0]]), "coordinate", np.random.default_rng(0))
    array([3, 1, 2, 0])
    """
    if tree == "random":
        return rng.permutation(len(places))
    order = np.arange(len(places))
    stack = [(0, len(places), 0)]
    while stack:
        start, end, depth = stack.pop()
        if end - start < 2 or (tree == "pca" and end - start == 2):  # which of two comes first does not matter
            continue
        rows = order[start:end]
        if tree == "coordinate":
            values = places[rows, depth % places.shape[1]]
        else:
            values = _along_first_direction(places[rows])
        middle = start + (end - start + 1) // 2
        order[start:end] = rows[np.argsort(values, kind="stable")]
        stack += [(start, middle, depth + 1), (middle, end, depth + 1)]
    return order


def _along_first_direction(rows: np.ndarray) -> np.ndarray:
    """Return where rows lie on the first principal direction, but for scale and sign."""
    centered = rows - rows.mean(axis=0)
    if len(rows) <= rows.shape[1]:  # the smaller of the two products has the same values
        return np.linalg.eigh(centered @ centered.T)[1][:, -1]
    return np.asarray(centered @ np.linalg.eigh(centered.T @ centered)[1][:, -1])


def pivotal_rows(p: np.ndarray, order: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return rows drawn with these probabilities, by a tournament of halves.

    Parameters
    ----------
    p : array of shape (m,)
        Probabilities; if they add up to an integer, so many rows are drawn.
    order : array of shape (m,)
        Rows in the order of the tree's leaves.
    rng : numpy Generator
        What decides.

    Returns
    -------
    array of int
        Row numbers, sorted.

    Examples
    --------
    >>> pivotal_rows(np.array([1.0, 0.5, 0.5]), np.arange(3), np.random.default_rng(0)).tolist()
    [0, 1]
    """
    bounds = [np.array([0, len(order)])]  # of the nodes, a level at a time: all games of a level are played at once
    while np.diff(bounds[-1]).max() > 1:
        half = (np.diff(bounds[-1]) + 1) // 2
        bounds.append(np.unique(np.concatenate([bounds[-1], bounds[-1][:-1] + half])))
    rows, left = order, p[order]
    drawn: list[np.ndarray] = []
    for level in range(len(bounds) - 1, 0, -1):
        first = np.searchsorted(bounds[level], bounds[level - 1])  # first child of each node, and the end
        pairs = np.flatnonzero(np.diff(first) == 2)
        i, j = first[pairs], first[pairs] + 1
        first_stays, after, decided = _games(left[i], left[j], rng)
        drawn.append(np.where(first_stays, rows[j], rows[i])[decided])
        stays = first[:-1].copy()
        stays[pairs] = np.where(first_stays, i, j)
        rows, left = rows[stays], left[stays]
        left[pairs] = after
    last = left[0]
    if abs(last - round(last)) < ROUNDING:  # the probabilities add up to an integer
        last = round(last)
    if rng.random() < last:
        drawn.append(rows)
    return np.sort(np.concatenate([np.empty(0, dtype=np.int64), *drawn]))


def _games(a: np.ndarray, b: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return whether the first of two goes on, with which probability one does, and whether the other is drawn."""
    both = a + b
    decided = both > 1 + CERTAIN
    # the first goes on with the odds of their probabilities, or, where one is drawn, of what these lack to one
    lacks_a, lacks_b = np.maximum(1 - a, 0), np.maximum(1 - b, 0)
    wins, total = np.where(decided, lacks_a, a), np.where(decided, lacks_a + lacks_b, both)
    first_stays = rng.random(len(a)) * total < wins
    return first_stays, np.where(decided, both - 1, np.minimum(both, 1)), decided
