"""ProbCover."""

from typing import Annotated

import numpy as np
from sklearn.neighbors import NearestNeighbors

from sklearnloss.component import strategy
from sklearnloss.constraints import Positive, PositiveInt, Search

__all__ = ["probcover"]

TREE_COLUMNS = 5


@strategy("probcover", unit="batch")
def probcover(
    embeddings: np.ndarray,
    *,
    embeddings_labeled: np.ndarray,
    n: int,
    rng: np.random.Generator,
    radius: Annotated[Positive | None, Search(0.1, 5, log=True)] = None,
    max_rows: Annotated[PositiveInt, Search(10, 100_000)] = 20_000,
) -> np.ndarray:
    r"""Ask rows whose balls cover most of the pool that no label covers yet: for the first labels of all.

    It looks at no model.

    Parameters
    ----------
    embeddings : array of shape (n_pool, d)
        Embeddings of the pool.
    embeddings_labeled : array of shape (m, d)
        Those of the rows with labels.
    n : int
        How many rows are wanted.
    rng : numpy Generator
        What draws the rows that are looked at, and rows once everything is covered.
    radius : float in (0, inf) or None, default=None
        Radius of the balls, in units of the embeddings. It should be as large as balls of one class allow; None takes
        the median distance of a row to its tenth neighbor.
    max_rows : int in [1, inf), default=20000
        Of a larger pool so many rows, drawn at random, are covered and asked, but not fewer than ``n``.

    Returns
    -------
    array of shape (n,)
        Row numbers, in the order of asking.

    Notes
    -----
    Greedy: each row is that with the most uncovered rows within the radius, itself counted, of equals the first.

    References
    ----------
    .. [1] Yehuda, Dekel, Hacohen, Weinshall. "Active learning through a covering lens". NeurIPS 2022.

    Examples
    --------
    >>> pool = np.array([[0.0], [0.4], [0.8], [5.0], [5.3]])
    >>> probcover(pool, embeddings_labeled=pool[:0], n=2, rng=np.random.default_rng(0), radius=0.5).tolist()
    [1, 3]
    """
    size = max(n, max_rows)
    kept = np.arange(len(embeddings))
    if size < len(kept):
        kept = np.sort(rng.choice(len(kept), size, replace=False))
    middle = embeddings.mean(axis=0)  # far from the origin products lose the digits of distances
    rows = embeddings[kept] - middle
    # trees of many columns look at every row, slower than products do
    search = NearestNeighbors(algorithm="brute" if rows.shape[1] > TREE_COLUMNS else "kd_tree").fit(rows)
    reach = _usual_reach(search, rows) if radius is None else radius
    near = search.radius_neighbors(rows, reach, return_distance=False)
    covered = np.zeros(len(rows), dtype=bool)
    if len(embeddings_labeled):
        for ball in search.radius_neighbors(embeddings_labeled - middle, reach, return_distance=False):
            covered[ball] = True
    gain = np.array([(~covered[ball]).sum() for ball in near])
    free = np.ones(len(rows), dtype=bool)
    chosen: list[int] = []
    while len(chosen) < n:
        best = int(np.where(free, gain, -1).argmax())
        if gain[best] <= 0:
            rest = rng.choice(np.flatnonzero(free), n - len(chosen), replace=False)
            return np.asarray(kept[np.concatenate([np.array(chosen, dtype=np.int64), rest])])
        chosen.append(best)
        free[best] = False
        for row in near[best][~covered[near[best]]]:
            gain[near[row]] -= 1  # balls are symmetric: these no longer gain by it
        covered[near[best]] = True
    return np.asarray(kept[chosen])


def _usual_reach(search: NearestNeighbors, rows: np.ndarray) -> float:
    """Return the median distance to the tenth neighbor."""
    q = min(10, len(rows) - 1)
    if q < 1:
        return 1.0
    distance = float(np.median(search.kneighbors(n_neighbors=q)[0][:, -1]))
    least = 1e-7 * float(np.abs(rows).max())  # what rounding leaves between equal rows
    return max(distance, least) or 1.0
