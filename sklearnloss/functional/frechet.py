"""Fréchet means among classes that have distances, in numpy."""

import numpy as np

__all__ = ["farthest_class", "frechet_choice", "reachable"]

EQUAL = 1e-12  # of costs, in units of the largest


def frechet_choice(proba: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Return the class with the smallest expected squared distance, of equals the first.

    Parameters
    ----------
    proba : array of shape (n, k)
        Probabilities of the seen classes.
    distances : array of shape (k, N)
        From each seen class to all.

    Returns
    -------
    int array of shape (n,)

    Examples
    --------
    >>> path = np.abs(np.subtract.outer(np.arange(3.0), np.arange(3.0)))
    >>> frechet_choice(np.array([[0.4, 0.25, 0.35]]), path)
    array([1])
    """
    return np.asarray((proba @ distances**2).argmin(axis=1))


def reachable(distances: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return which classes are a Fréchet mean of a seen class, or of some mixture of two.

    Parameters
    ----------
    distances : array of shape (N, N)
        Between all classes.
    seen : int array of shape (k,)
        Seen classes.

    Returns
    -------
    bool array of shape (N,)
        Of classes that are as near, all.

    Notes
    -----
    As the weight moves from one seen class to the other, the expected squared distance of each class is a line, and the
    means are those on the lower envelope of all lines. It is found corner by corner: between two neighbors lies another
    if it is lower where their lines cross. O(N) for each pair and each mean between them, far pairs first.

    Examples
    --------
    >>> path = np.abs(np.subtract.outer(np.arange(5.0), np.arange(5.0)))
    >>> reachable(path, np.array([0, 3])).tolist()
    [True, True, True, True, False]
    """
    square = distances[seen] ** 2  # (k, N)
    found = np.zeros(distances.shape[0], dtype=bool)
    found[seen] = True
    pairs = [(i, j) for i in range(len(seen)) for j in range(i)]
    pairs.sort(key=lambda pair: -square[pair[0], seen[pair[1]]])  # far ones have most between them
    for i, j in pairs:
        a, b = square[i], square[j]
        share = b[seen[i]] / max(b[seen[i]] + a[seen[j]], 1e-300)  # where the two cost the same
        below = share * a + (1 - share) * b <= share * a[seen[j]] * (1 + EQUAL)  # no other line can be lower
        if (below & ~found).any():
            found |= _means_between(a, b, seen[i], seen[j])
    return found


def _means_between(a: np.ndarray, b: np.ndarray, i: int, j: int) -> np.ndarray:
    """Return which classes minimize ``s a + (1 - s) b`` for some s in (0, 1), given two that do at one and at zero."""
    found = np.zeros(len(a), dtype=bool)
    tiny = EQUAL * max(a.max(), b.max())
    p, q = np.array([i]), np.array([j])  # neighbors so far: p is better in the first cost, q in the second
    while True:
        more_a, more_b = a[q] - a[p], b[p] - b[q]
        apart = (more_a > tiny) & (more_b > tiny)
        if not apart.any():
            return found
        p, q = p[apart], q[apart]
        s = (more_b[apart] / (more_a[apart] + more_b[apart]))[:, None]
        cost = s * a + (1 - s) * b  # (neighbors, N), where their lines cross
        lowest = cost.min(axis=1)
        found |= (cost <= lowest[:, None] + tiny).any(axis=0)
        lower = lowest < cost[np.arange(len(p)), p] - tiny
        best = cost[lower].argmin(axis=1)
        p, q = np.concatenate([p[lower], best]), np.concatenate([best, q[lower]])


def farthest_class(distances: np.ndarray, seen: np.ndarray) -> int | None:
    """Return the class that is farthest from all that can be reached, of equals the first; None if all can.

    Examples
    --------
    >>> path = np.abs(np.subtract.outer(np.arange(7.0), np.arange(7.0)))
    >>> farthest_class(path, np.array([0, 2]))
    6
    """
    can = reachable(distances, seen)
    if can.all():
        return None
    away = np.where(can, -np.inf, distances[can].min(axis=0))
    return int(away.argmax())
