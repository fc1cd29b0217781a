"""Distances between embeddings in blocks of rows, in numpy: what metrics of embeddings count, and how ties are told.

A matrix product adds up the same sum in different orders, so distances that are equal on paper may differ in their last
bits. They are rounded far above that, and rows that are the same to the bit are as far from a query to the bit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.exceptions import DataError, ParameterError, TaskError

__all__ = [
    "Distances",
    "Ranks",
    "check_distance",
    "check_embeddings",
    "check_labels",
    "embed",
    "measure",
    "positive_int",
    "ranks",
    "unit_rows",
]

BLOCK = 2**21  # entries of a block of distances: 16 MiB
GRID = 2.0**-36  # distances are rounded to it; products of 1,000 columns are off by 2**-48
FREE_BITS = 12  # low bits of a distance that are always zero


def check_embeddings(embeddings: ArrayLike, name: str = "embeddings") -> np.ndarray:
    """Return embeddings as float64 (n, d).

    Raises
    ------
    DataError
        If they are no table of finite numbers.

    Examples
    --------
    >>> check_embeddings([[1, 2]])
    array([[1., 2.]])
    """
    if hasattr(embeddings, "toarray"):
        raise DataError(f"{name} must be a dense array of shape (n, d), got a sparse one; use .toarray()")
    try:
        rows = np.asarray(embeddings, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{name} must be numbers of shape (n, d): {error}") from None
    if rows.ndim != 2 or not rows.shape[1]:
        raise DataError(f"{name} must have shape (n, d), one row for each sample, got {rows.shape}")
    if not len(rows):
        raise DataError(f"{name} has no rows")
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        bad = int(finite.argmin())
        raise DataError(f"{name} must be finite, but row {bad} is not ({(~finite).sum()} of {len(rows)} such rows)")
    return rows


def check_distance(distance: str) -> str:
    """Return the name of a distance, or refuse one that there is not.

    Raises
    ------
    ParameterError
        With what was given.
    """
    if distance not in ("cosine", "euclidean"):
        raise ParameterError(f"distance must be one of 'cosine', 'euclidean', got {distance!r}")
    return distance


def positive_int(name: str, value: Any) -> int:
    """Return the value, or refuse what is no int in [1, inf).

    Raises
    ------
    ParameterError
        With the name and what was given.
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
        raise ParameterError(f"{name} must be an int in [1, inf), got {value!r}")
    return int(value)


@dataclass(frozen=True)
class Distances:
    """Distances of queries to a gallery, made by `measure`.

    Attributes
    ----------
    left, right : array of shape (n, p), (m, p)
        Their product is the distance in units of ``step``.
    step : array of shape (n,)
        What the distances of a query are rounded to; a power of two.
    y, gallery_y : array of shape (n,), (m,)
        Codes of the classes; of zeros without labels.
    twin : array of shape (m,)
        The first row of the gallery that is the same to the bit.
    itself : bool
        Whether the queries are the gallery, so that a row is not compared with itself.
    distance : {"cosine", "euclidean"}
        What is measured: ``1 - cosine``, or the square of the Euclidean distance divided by ``unit**2``.
    unit : float
        What lengths were divided by.
    """

    left: np.ndarray
    right: np.ndarray
    step: np.ndarray
    y: np.ndarray
    gallery_y: np.ndarray
    twin: np.ndarray
    itself: bool
    distance: str
    unit: float

    def blocks(self, queries: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield some queries, and their distances (b, m) to the whole gallery: infinite to oneself."""
        queries = np.arange(len(self.left)) if queries is None else queries
        height = max(1, BLOCK // len(self.right))
        double = self.twin != np.arange(len(self.right))
        for start in range(0, len(queries), height):
            rows = queries[start : start + height]
            block = self._rounded(self.left[rows] @ self.right.T, self.step[rows, None])
            if double.any():
                block[:, double] = block[:, self.twin[double]]
            if self.itself:
                block[np.arange(len(rows)), rows] = np.inf
            yield rows, block

    def pairs(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield distances, and the rows and columns they belong to, which broadcast against them; each pair once."""
        if not self.itself:
            columns = np.arange(len(self.right))
            for rows, block in self.blocks():
                yield block, rows[:, None], columns
            return
        n = len(self.left)
        height = max(1, min(BLOCK // n, n))
        for start in range(0, n, height):
            rows, after = np.arange(start, min(start + height, n)), np.arange(start + height, n)
            first, second = np.triu_indices(len(rows), 1)
            if len(first):
                yield self.of(rows[first], rows[second]), rows[first], rows[second]
            if len(after):
                block = self.left[rows] @ self.right[start + height :].T
                yield self._rounded(block, self.step[rows, None]), rows[:, None], after

    def of(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Return the distances of single pairs.

        Parameters
        ----------
        rows, columns : array of shape (p,)
            Places among the queries and in the gallery.
        """
        height = max(1, BLOCK // self.left.shape[1])
        parts = [slice(start, start + height) for start in range(0, max(len(rows), 1), height)]
        products = [np.einsum("ij,ij->i", self.left[rows[p]], self.right[columns[p]]) for p in parts]
        return self._rounded(np.concatenate(products), self.step[rows])

    def shown(self, distances: ArrayLike) -> np.ndarray:
        """Return distances as a user knows them: ``1 - cosine``, or the Euclidean distance in the units of X."""
        values = np.asarray(distances)
        return values if self.distance == "cosine" else np.sqrt(values) * self.unit

    def relevant(self) -> np.ndarray:
        """Return how many rows of the gallery have the class of each query, itself not counted."""
        size = np.bincount(self.gallery_y, minlength=int(self.y.max()) + 1)
        return size[self.y] - self.itself

    def answerable(self) -> np.ndarray:
        """Return the queries that have another row of their class in the gallery, those with few first.

        Raises
        ------
        DataError
            If there are none.
        """
        relevant = self.relevant()
        queries = np.argsort(relevant, kind="stable")[
            (relevant == 0).sum() :
        ]  # alike together: blocks need fewer ranks
        if not len(queries):
            where = "y has no class of two rows" if self.itself else "no class of y is among gallery_labels"
            raise DataError(f"{where}, so no query has anything to find")
        return queries

    def same(self, queries: np.ndarray) -> np.ndarray:
        """Return whether some queries and each row of the gallery are of one class, (b, m)."""
        return self.y[queries, None] == self.gallery_y

    @staticmethod
    def _rounded(products: np.ndarray, step: np.ndarray) -> np.ndarray:
        """Round in place, to multiples of the step, and to the bits of a float64 but for the last twelve.

        The step covers the error of distances that are small against the query's length; the bits cover that of
        distances that are large against it.
        """
        np.maximum(products, 0.0, out=products)
        np.rint(products, out=products)
        products *= step
        bits = products.view(np.int64)
        bits += 1 << (FREE_BITS - 1)
        bits &= -1 << FREE_BITS
        return products


def measure(
    embeddings: ArrayLike,
    y: ArrayLike | None = None,
    gallery: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    *,
    distance: str,
    two_classes: bool = True,
) -> Distances:
    """Check embeddings and labels, and return what their distances are computed from.

    Parameters
    ----------
    embeddings : array-like of shape (n, d)
        The queries.
    y : array-like of shape (n,), default=None
        Their classes; None where there are none to compare.
    gallery : array-like of shape (m, d), default=None
        What is searched; None is the queries themselves, a row not being its own neighbour.
    gallery_labels : array-like of shape (m,), default=None
        The classes of the gallery.
    distance : {"cosine", "euclidean"}
        The cosine of a row of zeros is 0 to all.
    two_classes : bool, default=True
        Whether one class alone is refused.

    Returns
    -------
    Distances

    Raises
    ------
    DataError
        If these do not fit together.
    ParameterError
        If there is no such distance.
    """
    check_distance(distance)
    queries = check_embeddings(embeddings)
    itself = gallery is None
    rows = queries if gallery is None else check_embeddings(gallery, "gallery")
    if rows.shape[1] != queries.shape[1]:
        raise DataError(
            f"embeddings and gallery must have the same columns, got {queries.shape[1]} and {rows.shape[1]}"
        )
    if itself and len(rows) < 2:
        raise DataError("embeddings has one row; without a gallery there must be two at least, to compare them")
    codes, gallery_codes = _codes(y, gallery_labels, len(queries), len(rows), itself=itself)
    if y is not None and two_classes and (gallery_codes == gallery_codes[0]).all():
        where = "y" if itself else "gallery_labels"
        raise DataError(f"{where} has one class, of which every neighbour is; there must be two at least")
    place = _cosine if distance == "cosine" else _euclidean
    left, right, step, unit = place(queries, rows)
    return Distances(left, right, step, codes, gallery_codes, _twins(right), itself, distance, unit)


def _twins(rows: np.ndarray) -> np.ndarray:
    """Return the first place where each row stands."""
    first: dict[bytes, int] = {}
    digests = (blake2b(row, digest_size=16).digest() for row in np.ascontiguousarray(rows + 0.0))  # -0.0 is 0.0
    return np.array([first.setdefault(digest, place) for place, digest in enumerate(digests)])


def _codes(
    y: ArrayLike | None, gallery_labels: ArrayLike | None, n: int, m: int, *, itself: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the classes of queries and gallery as numbers from zero."""
    if itself and gallery_labels is not None:
        raise DataError("gallery_labels was given without a gallery; give both, or neither")
    if y is None:
        return np.zeros(n, dtype=np.int64), np.zeros(m, dtype=np.int64)
    labels = check_labels(y, n)
    if itself:
        codes = np.unique(labels, return_inverse=True)[1]
        return codes, codes
    if gallery_labels is None:
        raise DataError("gallery was given without gallery_labels; give both, or neither")
    others = check_labels(gallery_labels, m, "gallery_labels", "gallery")
    if (labels.dtype.kind in "US") != (others.dtype.kind in "US"):
        raise DataError(f"y and gallery_labels must be of one kind, got {labels.dtype} and {others.dtype}")
    codes = np.unique(np.concatenate([labels, others]), return_inverse=True)[1]
    return codes[:n], codes[n:]


def embed(transformer: Any, X: Any) -> np.ndarray:
    """Return what a fitted transformer makes of rows, as float64 (n, d); None takes the rows as they are.

    Raises
    ------
    TaskError
        If it has no ``transform``.
    DataError
        If it gives no table of finite numbers.
    """
    if transformer is None:
        return check_embeddings(X, "X")
    name = type(transformer).__name__
    transform = getattr(transformer, "transform", None)
    if transform is None:
        raise TaskError(
            f"{name} has no transform, so it gives no embeddings; use a transformer, or a Pipeline that ends in one"
        )
    return check_embeddings(transform(X), f"{name}.transform(X)")


def check_labels(y: ArrayLike, n: int, name: str = "y", of: str = "embeddings") -> np.ndarray:
    """Return labels of one kind, (n,).

    Raises
    ------
    DataError
        If they are no column of n labels, mix words and numbers, or are missing.

    Examples
    --------
    >>> check_labels(["b", "a"], 2)
    array(['b', 'a'], dtype='<U1')
    """
    labels = np.asarray(y)
    if labels.ndim != 1:
        raise DataError(f"{name} must have shape ({n},), one class for each row of {of}, got {labels.shape}")
    if len(labels) != n:
        raise DataError(f"{of} and {name} must have the same number of rows, got {n} and {len(labels)}")
    if labels.dtype == object:
        kinds = {str if isinstance(label, str) else type(label) for label in labels}
        labels = labels.astype(str) if kinds == {str} else np.asarray(labels.tolist())
        if labels.dtype.kind in "OUS" and kinds != {str}:
            raise DataError(f"{name} must hold labels of one kind, got {', '.join(sorted(k.__name__ for k in kinds))}")
    if labels.dtype.kind == "f" and np.isnan(labels).any():
        raise DataError(f"{name} has NaN for row {int(np.isnan(labels).argmax())}; leave out rows without a class")
    return labels


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Return rows of length one; those of zeros stay as they are.

    Examples
    --------
    >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]]))
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    largest = np.abs(rows).max(axis=1, keepdims=True)
    scaled = rows / np.where(largest > 0, largest, 1.0)  # squares neither overflow nor vanish
    length = np.linalg.norm(scaled, axis=1, keepdims=True)
    return scaled / np.where(length > 0, length, 1.0)


def _cosine(queries: np.ndarray, gallery: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    left = np.column_stack([-unit_rows(queries), np.ones(len(queries))]) / GRID
    right = np.column_stack([unit_rows(gallery), np.ones(len(gallery))])
    return left, right, np.full(len(queries), GRID), 1.0


def _euclidean(queries: np.ndarray, gallery: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    largest = max(np.abs(queries).max(), np.abs(gallery).max())
    unit = float(2.0 ** min(np.frexp(largest)[1], 1000))  # a power of two rounds nothing; squares do not overflow
    centre = np.median(gallery / unit, axis=0)  # of large numbers that differ little, the difference is kept
    a, b = queries / unit - centre, gallery / unit - centre
    length_a, length_b = np.einsum("ij,ij->i", a, a), np.einsum("ij,ij->i", b, b)
    # one step for all but rows far out, whose products are off by more than it; many rows may be at the centre itself
    spread = length_b[length_b > 0]
    common = GRID * np.quantile(spread, 0.5, method="lower") if len(spread) else 0.0
    step = 2.0 ** np.frexp(np.maximum(np.maximum(common, GRID / 256 * length_a), 2.0**-900))[1]
    left = np.column_stack([-2 * a, length_a, np.ones(len(a))]) / step[:, None]
    right = np.column_stack([b, np.ones(len(b)), length_b])
    return left, right, step, unit


@dataclass(frozen=True)
class Ranks:
    """The nearest of each query up to a rank; those at the same distance form a tie, whose order means nothing.

    Attributes
    ----------
    before, start : array of shape (b, k)
        For each rank: how many of the query's class, and how many rows at all, are strictly nearer than it.
    positives, size : array of shape (b, k)
        How many of the query's class, and how many at all, are in its tie, those behind the last rank included.
    """

    before: np.ndarray
    start: np.ndarray
    positives: np.ndarray
    size: np.ndarray


def ranks(block: np.ndarray, same: np.ndarray, k: int) -> Ranks:
    """Rank the gallery for some queries.

    Parameters
    ----------
    block : array of shape (b, m)
        Distances, as `Distances.blocks` gives them.
    same : bool array of shape (b, m)
        Whether query and row are of one class.
    k : int
        Up to which rank, at most the number of finite distances in a row.

    Returns
    -------
    Ranks

    Examples
    --------
    >>> found = ranks(np.array([[0.5, 1.0, 1.0, 2.0]]), np.array([[True, False, True, True]]), 2)
    >>> found.before, found.positives, found.size
    (array([[0, 1]]), array([[1, 1]]), array([[1, 2]]))
    """
    keys = block.view(np.int64) | ~same  # (b, m); the lowest bit, free in a distance, says who is of another class
    if 4 * k < keys.shape[1]:
        keys = np.partition(keys, k - 1, axis=1)[:, :k]  # a part is found faster than all are sorted
    keys.sort(axis=1)
    keys = keys[:, :k]
    distance, hit = keys & -2, 1 - (keys & 1)  # (b, k)
    hits = np.cumsum(hit, axis=1)
    at_end = block.view(np.int64) == distance[:, -1:]  # (b, m); as far as the last rank, and maybe behind it
    new = distance[:, 1:] != distance[:, :-1]
    if new.all() and at_end.sum() == len(at_end):
        return Ranks(hits - hit, np.broadcast_to(np.arange(k), hit.shape), hit, np.broadcast_to(1, hit.shape))
    start, end = _ties(new)
    before = np.where(start > 0, np.take_along_axis(hits, np.maximum(start - 1, 0), axis=1), 0)
    last = end == k - 1
    positives = np.where(last, (at_end & same).sum(axis=1)[:, None], np.take_along_axis(hits, end, axis=1) - before)
    return Ranks(before, start, positives, np.where(last, at_end.sum(axis=1)[:, None], end - start + 1))


def _ties(new: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first and the last rank (b, k) of each tie, from whether a rank is farther than the one before."""
    b, k = new.shape[0], new.shape[1] + 1
    place, edge = np.arange(k), np.ones((b, 1), dtype=bool)
    start = np.maximum.accumulate(np.where(np.hstack([edge, new]), place, 0), axis=1)
    end = np.where(np.hstack([new, edge]), place, k - 1)
    return start, np.minimum.accumulate(end[:, ::-1], axis=1)[:, ::-1]
