"""Drawing so many rows with given probabilities, seldom neighbors together, in numpy."""

import numpy as np

__all__ = ["inclusion_probabilities", "pivotal_rows", "space_order"]

CERTAIN = 1e-9  # rounding of a probability of zero or one


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
        if end - start < 2:
            continue
        rows = order[start:end]
        if tree == "coordinate":
            values = places[rows, depth % places.shape[1]]
        else:
            centered = places[rows] - places[rows].mean(axis=0)
            values = centered @ np.linalg.eigh(centered.T @ centered)[1][:, -1]
        middle = start + (end - start + 1) // 2
        order[start:end] = rows[np.argsort(values, kind="stable")]
        stack += [(start, middle, depth + 1), (middle, end, depth + 1)]
    return order


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
    drawn: list[int] = []
    # the halves of a node of m rows are its first (m + 1) // 2 and the rest: followed from the leaves up
    last, probability = _tournament(order, p, rng, drawn)
    if rng.random() < probability:
        drawn.append(last)
    return np.array(sorted(drawn), dtype=np.int64)


def _tournament(order: np.ndarray, p: np.ndarray, rng: np.random.Generator, drawn: list[int]) -> tuple[int, float]:
    """Return the row that is left of these, and its probability; append those that were drawn."""
    if len(order) == 1:
        return int(order[0]), float(p[order[0]])
    middle = (len(order) + 1) // 2
    (i, a), (j, b) = (_tournament(half, p, rng, drawn) for half in (order[:middle], order[middle:]))
    if a + b <= 1 + CERTAIN:
        if a + b == 0:
            return i, 0.0
        return (i, min(a + b, 1.0)) if rng.random() < a / (a + b) else (j, min(a + b, 1.0))
    left = a + b - 1
    if a >= 1 - CERTAIN and b >= 1 - CERTAIN:
        drawn.append(i)
        return j, 1.0
    if rng.random() < (1 - b) / (2 - a - b):
        drawn.append(i)
        return j, left
    drawn.append(j)
    return i, left
