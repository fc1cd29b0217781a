"""Episodes of few-shot learning."""

from collections.abc import Iterator
from math import inf
from typing import Annotated

import numpy as np

from sklearnloss.component import sampler
from sklearnloss.constraints import Interval, PositiveInt
from sklearnloss.exceptions import DataError


@sampler("episodic")
def episodic(
    y: np.ndarray,
    *,
    batch_size: int,
    rng: np.random.Generator,
    ways: Annotated[int, Interval(2, inf, "left")] | None = None,
    n_support: PositiveInt = 1,
    n_query: PositiveInt = 4,
) -> Iterator[np.ndarray]:
    """Make each batch a small problem of its own: of several classes some rows to learn from, and others to ask for.

    Parameters
    ----------
    y : array of shape (n,)
        Class of each row. Classes of a single row are left out.
    batch_size : int
        Says how many classes fit, if ``ways`` does not; it limits nothing else.
    rng : numpy.random.Generator
        Source of classes and rows.
    ways : int in [2, inf), default=None
        Classes of a batch, at most all; None is as many as fit, two at least.
    n_support : int in [1, inf), default=1
        Rows of each class to learn from; a loss of episodes is told the same number: ``Loss("proto_triplet",
        n_support=...)``.
    n_query : int in [1, inf), default=4
        Rows of each class to ask for.

    Yields
    ------
    array of int
        Row numbers of a batch, grouped by class, in each class the ``n_support`` rows first.

    Raises
    ------
    DataError
        If fewer than two classes have two rows.

    Notes
    -----
    Episodes are drawn independently, and there are as many as fill the number of rows once. No row is both learnt from
    and asked for; of a class with fewer rows than ``n_support + n_query`` some come twice on their side.

    References
    ----------
    .. [1] Snell, Swersky, Zemel. "Prototypical networks for few-shot learning". NeurIPS 2017.

    Examples
    --------
    >>> y = np.repeat([0, 1, 2], 10)
    >>> rows = next(episodic(y, batch_size=8, rng=np.random.default_rng(0), n_query=3))
    >>> len(rows), len(set(y[rows]))
    (8, 2)
    """
    classes = [rows for rows in (np.flatnonzero(y == label) for label in np.unique(y)) if len(rows) > 1]
    if len(classes) < 2:
        raise DataError(
            f"sampler 'episodic' needs two classes with two rows or more, y has {len(classes)}; use 'per_class'"
        )
    shots = n_support + n_query
    ways = min(len(classes), max(2, batch_size // shots) if ways is None else ways)
    for _ in range(-(-len(y) // (ways * shots))):
        chosen = rng.choice(len(classes), ways, replace=False)
        yield np.concatenate([_shots(rng.permutation(classes[c]), n_support, n_query) for c in chosen])


def _shots(rows: np.ndarray, n_support: int, n_query: int) -> np.ndarray:
    """Return rows to learn from, then others to ask for."""
    cut = n_support
    if len(rows) < n_support + n_query:
        cut = max(1, len(rows) * n_support // (n_support + n_query))
    return np.concatenate([np.resize(rows[:cut], n_support), np.resize(rows[cut : cut + n_query], n_query)])
