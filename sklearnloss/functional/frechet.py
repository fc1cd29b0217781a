"""Fréchet means among classes that have distances, in numpy."""

import numpy as np

__all__ = ["farthest_class", "frechet_choice", "reachable"]

MIXTURES = 65  # weights of two classes that are tried


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
    """Return which classes are the Fréchet mean of a seen class, or of a mixture of two.

    Parameters
    ----------
    distances : array of shape (N, N)
        Between all classes.
    seen : int array of shape (k,)
        Seen classes.

    Returns
    -------
    bool array of shape (N,)

    Examples
    --------
    >>> path = np.abs(np.subtract.outer(np.arange(5.0), np.arange(5.0)))
    >>> reachable(path, np.array([0, 3])).tolist()
    [True, True, True, True, False]
    """
    square = distances[seen] ** 2  # (k, N)
    found = np.zeros(distances.shape[0], dtype=bool)
    found[seen] = True
    share = np.linspace(0, 1, MIXTURES)[:, None]
    for i in range(len(seen)):
        for j in range(i):
            cost = share * square[i] + (1 - share) * square[j]  # (mixtures, N)
            found |= (cost <= cost.min(axis=1, keepdims=True) + 1e-12).any(axis=0)
    return found


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
