"""Bags made of rows, for experiments; and proportions with noise that protects the rows."""

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array

from sklearnloss.bags.targets import check_proportions, read_bags
from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.training.seeds import generator_of

__all__ = ["make_bags", "onto_simplex", "privatize"]

KINDS = ("random", "feature", "cluster", "label_dependent")


def make_bags(
    X: Any,
    y: ArrayLike | None = None,
    *,
    bag_size: int = 16,
    how: str = "random",
    column: int | str | None = None,
    random_state: Any = None,
) -> np.ndarray:
    """Put rows in bags, to try out on labelled data what learning from bags would give.

    Parameters
    ----------
    X : array-like, DataFrame or sparse matrix of n rows and d columns
        Rows.
    y : array-like of shape (n,), default=None
        Classes of rows; for ``"label_dependent"`` only.
    bag_size : int in [1, inf), default=16
        Rows of a bag, about: ``round(m / bag_size)`` bags, one at least, are made of m rows, with sizes that differ by
        one at most. Exact where m is a multiple of it.
    how : {"random", "feature", "cluster", "label_dependent"}, default="random"
        ``"random"``: any rows together; proportions differ by chance only.

        ``"feature"``: rows that are alike in a column, as people of one place. A column of numbers is sorted and cut,
        equal numbers in random order. A column of anything else, or one with no more distinct numbers than there would
        be bags, is taken by its values: rows of one value are cut into bags at random, and no bag has two values.

        ``"cluster"``: rows that are alike in all columns. The square root of the number of bags, rounded, is the
        number of k-means clusters of the standardised columns; the rows of a cluster are cut into bags at random.

        ``"label_dependent"``: proportions that vary strongly. Each bag draws its own from a Dirichlet distribution
        around the classes' shares, uniform on the simplex where those are equal, and takes rows accordingly; when a
        class is used up the others fill in.
    column : int or str, default=None
        Which column for ``"feature"``, by place, or by name in a DataFrame; None is the first.
    random_state : int, RandomState or None, default=None
        Seed.

    Returns
    -------
    int array of shape (n,)
        Bag of each row, 0 to the number of bags less one.

    Raises
    ------
    ParameterError
        If a parameter is out of range, or has nothing to do with ``how``.
    DataError
        If X has no rows or not this column, y is missing, or there are not as many classes as rows.

    See Also
    --------
    bag_targets : From bags and proportions to targets.
    privatize : Noise for proportions.

    References
    ----------
    .. [1] Scott, Zhang. "Learning from label proportions: a mutual contamination framework". NeurIPS 2020.
    .. [2] Brahmbhatt, Pokala, Saket, Raghuveer. "LLP-Bench: a large scale tabular benchmark for learning from label
       proportions". arXiv:2310.10096, 2023.

    Examples
    --------
    >>> X = np.array([[0.3], [0.1], [0.4], [0.2]])
    >>> make_bags(X, bag_size=2, how="feature").tolist()
    [1, 0, 1, 0]
    """
    if how not in KINDS:
        raise ParameterError(f"how must be one of {', '.join(KINDS)}; got {how!r}")
    if not isinstance(bag_size, Integral) or isinstance(bag_size, bool) or bag_size < 1:
        raise ParameterError(f"bag_size must be an int in [1, inf), got {bag_size!r}")
    if column is not None and how != "feature":
        raise ParameterError(f"column is for how='feature'; leave it out with how={how!r}")
    n = X.shape[0] if hasattr(X, "shape") else len(X)
    if not n:
        raise DataError("X has no rows")
    rng = generator_of(random_state)
    if how == "label_dependent":
        return _by_label(_classes(y, n), int(bag_size), rng)
    if how == "random":
        parts = [rng.permutation(n)]
    elif how == "feature":
        parts = _alike(_column(X, column), _n_bags(n, bag_size), rng)
    else:
        parts = _clusters(X, max(1, round(_n_bags(n, bag_size) ** 0.5)), rng)
    return _cut(parts, int(bag_size))


def _n_bags(n: int, bag_size: int) -> int:
    return max(1, round(n / bag_size))


def _cut(parts: list[np.ndarray], bag_size: int) -> np.ndarray:
    """Return the bags of rows when each part, in its order, is cut into bags."""
    bags = np.empty(sum(len(part) for part in parts), dtype=int)
    number = 0
    for part in parts:
        for rows in np.array_split(part, _n_bags(len(part), bag_size)):
            bags[rows] = number
            number += 1
    return bags


def _column(X: Any, column: int | str | None) -> np.ndarray:
    """Return a column (n,)."""
    if isinstance(column, str):
        if column not in list(getattr(X, "columns", [])):
            raise DataError(f"X has no column {column!r}")
        return np.asarray(X[column])
    place = 0 if column is None else column
    table = X.tocsc() if hasattr(X, "tocsc") else X
    width = X.shape[1] if hasattr(X, "shape") else np.asarray(X).shape[1]
    if not isinstance(place, Integral) or not -width <= place < width:
        raise DataError(f"column must be an int in [0, {width}) or a name, got {column!r}")
    if hasattr(table, "iloc"):
        return np.asarray(table.iloc[:, place])
    if hasattr(table, "tocsc"):
        return np.asarray(table[:, [place]].toarray()).ravel()
    return np.asarray(table)[:, place]


def _alike(values: np.ndarray, n_bags: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return rows that are alike, sorted by number, or one part for each value; equal ones in random order."""
    numbers = values.dtype.kind in "fiu"
    if numbers and not np.isfinite(values.astype(float)).all():
        raise DataError("the column holds NaN or infinite values; rows cannot be sorted by it")
    codes = np.unique(values if numbers else values.astype(str), return_inverse=True)[1]
    order = rng.permutation(len(values))
    order = order[np.argsort(codes[order], kind="stable")]
    if numbers and codes.max() >= n_bags:
        return [order]
    return np.split(order, np.cumsum(np.bincount(codes))[:-1])


def _clusters(X: Any, k: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the rows of each cluster, in random order."""
    table = check_array(X, accept_sparse="csr", dtype=np.float64)
    table = StandardScaler(with_mean=not hasattr(table, "tocsr")).fit_transform(table)
    found = KMeans(k, n_init=1, random_state=int(rng.integers(2**31))).fit_predict(table)
    order = rng.permutation(len(found))
    return [part for part in (order[found[order] == c] for c in range(k)) if len(part)]


def _classes(y: ArrayLike | None, n: int) -> np.ndarray:
    """Return the code of each row's class."""
    if y is None:
        raise DataError("how='label_dependent' needs y, the class of each row")
    values = np.asarray(y)
    if values.shape != (n,):
        raise DataError(f"y must have shape ({n},), the class of each row, got {values.shape}")
    return np.unique(values, return_inverse=True)[1]


def _by_label(codes: np.ndarray, bag_size: int, rng: np.random.Generator) -> np.ndarray:
    """Return bags whose proportions of classes were drawn."""
    left = np.bincount(codes)
    alpha = len(left) * left / len(codes)
    pools = [rng.permutation(np.flatnonzero(codes == c)) for c in range(len(left))]
    bags = np.empty(len(codes), dtype=int)
    sizes = [len(part) for part in np.array_split(codes, _n_bags(len(codes), bag_size))]
    for number, place in enumerate(rng.permutation(len(sizes)).tolist()):  # the last to choose get what is left
        taken = np.minimum(rng.multinomial(sizes[number], rng.dirichlet(alpha)), left)
        taken += rng.multivariate_hypergeometric(left - taken, sizes[number] - int(taken.sum()))
        for c, count in enumerate(taken.tolist()):
            start = len(pools[c]) - left[c]
            bags[pools[c][start : start + count]] = place
        left = left - taken
    return bags


def privatize(proportions: Any, epsilon: float, *, sizes: Any, random_state: Any = None) -> tuple[Any, Any]:
    r"""Add noise to proportions such that they say little of any row.

    Parameters
    ----------
    proportions : array-like of shape (b, k) or (b,), or mapping
        Proportions of the classes in each bag, or the share of the positive class; or these by the bag's id.
    epsilon : float in (0, inf)
        The privacy parameter; small is more private, and noisier.
    sizes : array-like of shape (b,), or mapping
        Rows of each bag, at least one.
    random_state : int, RandomState or None, default=None
        Seed. Who knows it can take the noise off again.

    Returns
    -------
    noisy : array of shape (b, k) or (b,), or dict
        Proportions in [0, 1] that sum to one.
    noise_scale : array of shape (b,), or dict
        Standard deviation of the noise in each proportion of a bag, before it was moved into the simplex; for
        ``LLPClassifier.fit(..., noise_scale=...)``, once for each row.

    Raises
    ------
    ParameterError
        If epsilon is out of range.
    DataError
        If proportions are negative or do not sum to one, or there is not a size for each bag.

    Notes
    -----
    The Laplace mechanism. To replace a row of a bag of n rows by another moves two of its counts by one, so its k
    shares by :math:`2/n` in total, and each gets Laplace noise of scale :math:`2/(n \epsilon)`. Of two classes one
    share is all there is to know; it moves by :math:`1/n`, so noise of scale :math:`1/(n \epsilon)` is added to it and
    taken off the other. Then the nearest point of the simplex is taken.

    The guarantee: for any two data sets that differ in one row (its class), and any set of outcomes, the probability
    of that set differs by a factor of :math:`e^\epsilon` at most. It holds for each bag; for the release of all bags
    together, since a row is in one; and for whatever is computed from the noisy proportions alone, such as the
    projection, or a model of them and of X (post-processing). It does not hide which rows are in which bag, the sizes
    or X, is for one release (those of the same rows add their epsilons up), and protects one row, not all rows of one
    person. ``noise_scale`` depends on sizes and epsilon only, and tells nothing. The proof is for real numbers; the
    digits of floating-point noise can give more away [2]_. For a release to adversaries take an audited library, and
    this to learn what the noise costs.

    References
    ----------
    .. [1] Dwork, McSherry, Nissim, Smith. "Calibrating noise to sensitivity in private data analysis". TCC 2006.
    .. [2] Mironov. "On significance of the least significant bits for differential privacy". CCS 2012.
    .. [3] Duchi, Shalev-Shwartz, Singer, Chandra. "Efficient projections onto the l1-ball for learning in high
       dimensions". ICML 2008.

    Examples
    --------
    >>> noisy, noise_scale = privatize({"a": [0.2, 0.8], "b": [0.5, 0.5]}, 1.0, sizes={"a": 100, "b": 10})
    >>> round(noise_scale["a"], 4), round(noise_scale["b"], 4)
    (0.0141, 0.1414)
    """
    if isinstance(proportions, Mapping):
        ids = list(proportions)
        if not isinstance(sizes, Mapping) or set(sizes) != set(ids):
            raise DataError("sizes must be a mapping with the same bags as proportions")
        values = [proportions[b] for b in ids]
        noisy, spread = privatize(values, epsilon, sizes=[sizes[b] for b in ids], random_state=random_state)
        return dict(zip(ids, noisy, strict=True)), dict(zip(ids, spread.tolist(), strict=True))
    if not isinstance(epsilon, Real) or not 0 < epsilon < np.inf:
        raise ParameterError(f"epsilon must be a float in (0, inf), got {epsilon!r}")
    known, counts = np.asarray(proportions, dtype=np.float64), np.asarray(sizes, dtype=np.float64)
    if known.ndim not in (1, 2) or not len(known) or (known.ndim == 2 and known.shape[1] < 2):
        raise DataError(f"proportions must have shape (b, k), or (b,) for the positive class, got {known.shape}")
    if counts.shape != (len(known),) or not ((counts >= 1) & np.isfinite(counts)).all():
        raise DataError(f"sizes must have shape ({len(known)},), the rows of each bag, at least one")
    rng = generator_of(random_state)
    shares = check_proportions(read_bags(known, np.arange(len(known))), whole=False).values
    if shares.shape[1] == 2:
        scale = 1 / (counts * epsilon)
        noise = rng.laplace(size=len(known))[:, None] * np.array([-1.0, 1.0])
    else:
        scale = 2 / (counts * epsilon)
        noise = rng.laplace(size=shares.shape)
    noisy = onto_simplex(shares + scale[:, None] * noise)
    return noisy if known.ndim == 2 else noisy[:, 1], np.sqrt(2) * scale


def onto_simplex(values: np.ndarray) -> np.ndarray:
    """Return the nearest point of the simplex to each row, (b, k).

    Examples
    --------
    >>> onto_simplex(np.array([[0.5, 0.7], [1.4, -0.2]])).round(6).tolist()
    [[0.4, 0.6], [1.0, 0.0]]
    """
    falling = -np.sort(-values, axis=1)
    excess = (np.cumsum(falling, axis=1) - 1) / np.arange(1, values.shape[1] + 1)
    last = (falling > excess).sum(axis=1) - 1
    return np.maximum(values - excess[np.arange(len(values)), last][:, None], 0)
