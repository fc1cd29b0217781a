"""Cross-validation that keeps bags whole."""

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import BaseCrossValidator, BaseShuffleSplit
from sklearn.utils import indexable

from sklearnloss.bags.targets import check_bags, is_bag_targets, mean_by_bag
from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.training.seeds import generator_of

__all__ = ["BagKFold", "BagShuffleSplit", "StratifiedBagKFold"]

ROWS = 1.5  # how much the numbers of rows count beside the proportions, when both cannot be even


def codes_of(y: Any, groups: Any, n_rows: int, who: str) -> tuple[np.ndarray, int]:
    """Return the number of each row's bag (n,), and how many bags there are.

    Raises
    ------
    DataError
        If there are no ids, there are two of them, or they are not one for each row.
    """
    if is_bag_targets(y):
        if groups is not None:
            raise DataError(f"{who}: y carries its bags already (it was made by bag_targets); leave groups out")
        groups = y["bag"]
    if groups is None:
        raise DataError(f"{who} needs bags: make y with bag_targets(proportions, bags), or give split(X, y, groups)")
    ids = check_bags(groups)
    if len(ids) != n_rows:
        raise DataError(f"{who}: bags must have an id for each of the {n_rows} rows, got {len(ids)}")
    known, code = np.unique(ids, return_inverse=True)
    return code, len(known)


def check_count(n_splits: Any, who: str, least: int) -> None:
    """Refuse a number of splits that is none.

    Raises
    ------
    ParameterError
        If it is not a whole number, or too small.
    """
    if not isinstance(n_splits, Integral) or isinstance(n_splits, bool) or n_splits < least:
        raise ParameterError(f"{who}: n_splits must be an int in [{least}, inf), got {n_splits!r}")


def deal(vectors: np.ndarray, order: np.ndarray, n_folds: int) -> np.ndarray:
    """Return the fold of each bag, such that the sums of their vectors are nearly the same in all folds.

    Each bag in turn goes where it adds least to the sum of squares of the folds' sums.

    Parameters
    ----------
    vectors : array of shape (b, m)
        What is to be even: of one column, such as numbers of rows, the least full fold is taken.
    order : int array of shape (b,)
        Which bag comes first; the large ones should.
    n_folds : int
        Folds, at most b; none is left empty.

    Examples
    --------
    >>> deal(np.array([[5.0], [4.0], [3.0], [2.0]]), np.arange(4), 2).tolist()
    [0, 1, 1, 0]
    """
    fold, filled = np.empty(len(vectors), dtype=int), np.zeros(n_folds, dtype=bool)
    held = np.zeros((n_folds, vectors.shape[1]))
    for done, bag in enumerate(order.tolist()):
        added = held @ vectors[bag]  # |held + vector|^2 - |held|^2, less what is the same for every fold
        if np.count_nonzero(~filled) >= len(vectors) - done:
            added = np.where(filled, np.inf, added)
        best = int(added.argmin())
        fold[bag], filled[best] = best, True
        held[best] += vectors[bag]
    return fold


class _BagFolds(BaseCrossValidator):  # type: ignore[misc]
    """Folds of whole bags; what is to be even in them differs."""

    __metadata_request__split: ClassVar[dict[str, bool]] = {"groups": True}

    def __init__(self, n_splits: int = 5, *, shuffle: bool = False, random_state: Any = None) -> None:
        check_count(n_splits, type(self).__name__, 2)
        if not isinstance(shuffle, bool | np.bool_):
            raise ParameterError(f"{type(self).__name__}: shuffle must be True or False, got {shuffle!r}")
        if not shuffle and random_state is not None:
            raise ParameterError(f"{type(self).__name__}: random_state does nothing without shuffle=True; leave it out")
        self.n_splits = n_splits
        self.shuffle = shuffle
        self.random_state = random_state

    def _vectors(self, y: Any, code: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        """Return what is to be even in the folds, (b, m)."""
        raise NotImplementedError

    def _iter_test_indices(self, X: Any = None, y: Any = None, groups: Any = None) -> Iterator[np.ndarray]:
        n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
        code, n_bags = codes_of(y, groups, n_rows, type(self).__name__)
        if self.n_splits > n_bags:
            raise DataError(
                f"{type(self).__name__}: {self.n_splits} folds need as many bags, but there are only {n_bags}; lower "
                "n_splits"
            )
        vectors = self._vectors(y, code, np.bincount(code))
        size = np.sqrt(np.square(vectors).sum(axis=1))
        if self.shuffle:  # bags of like size in random order, the large ones still first
            rank = generator_of(self.random_state).permutation(n_bags)
            size = np.floor(np.log2(np.maximum(size, np.finfo(float).tiny)))
        else:
            rank = np.arange(n_bags)
        fold = deal(vectors, np.lexsort((rank, -size)), self.n_splits)[code]
        for number in range(self.n_splits):
            yield np.flatnonzero(fold == number)

    def split(self, X: Any, y: Any = None, groups: ArrayLike | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate row numbers to learn from and to test on.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        y : array of shape (n,) or (n, k), default=None
            What `bag_targets` makes, which carries the bags; else anything, with ``groups``.
        groups : array-like of shape (n,), default=None
            Id of each row's bag.

        Yields
        ------
        train, test : int arrays
            Row numbers, rising; each bag is whole in one of them.

        Raises
        ------
        DataError
            If there are no bags, they are given twice, or there are fewer than folds.
        """
        yield from super().split(X, y, groups)

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of folds; the arguments do not matter."""
        return int(self.n_splits)


class BagKFold(_BagFolds):
    """K folds of whole bags, with nearly the same number of rows.

    What is known of a bag says nothing of a part of it, so a bag is learnt from or tested on as a whole.

    Parameters
    ----------
    n_splits : int in [2, inf), default=5
        Folds.
    shuffle : bool, default=False
        Whether bags of like size are dealt in random order.
    random_state : int, RandomState or None, default=None
        Seed of that order; only with ``shuffle``.

    See Also
    --------
    StratifiedBagKFold : Folds with nearly the same proportions too.
    BagShuffleSplit : Random splits.

    Notes
    -----
    Bags go one by one to the fold with the fewest rows, the largest first, as in scikit-learn's ``GroupKFold``. With
    ``shuffle`` the order is random among bags whose sizes have the same power of two in them. O(b log b + b n_splits).

    Bags come from ``y`` if `bag_targets` made it, else from ``groups``, which is requested under metadata routing;
    ``BagKFold().set_split_request(groups="bags")`` takes the ``bags`` that a search hands to
    ``LLPClassifier.fit(X, y, bags=...)``.

    Examples
    --------
    >>> from sklearnloss import bag_targets
    >>> y = bag_targets({"a": 0.1, "b": 0.9, "c": 0.3}, ["a", "b", "b", "a", "c", "c"])
    >>> for train, test in BagKFold(3).split(np.zeros((6, 2)), y):
    ...     print(train, test)
    [1 2 4 5] [0 3]
    [0 3 4 5] [1 2]
    [0 1 2 3] [4 5]
    """

    def _vectors(self, y: Any, code: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        return sizes[:, None].astype(float)


class StratifiedBagKFold(_BagFolds):
    """K folds of whole bags, with nearly the same proportions and nearly the same number of rows.

    Parameters
    ----------
    n_splits : int in [2, inf), default=5
        Folds.
    shuffle : bool, default=False
        Whether bags that weigh alike are dealt in random order.
    random_state : int, RandomState or None, default=None
        Seed of that order; only with ``shuffle``.

    See Also
    --------
    BagKFold : Folds that are even in rows only.

    Notes
    -----
    A bag has a vector: its share of all rows, and that share times how far its proportions are from those of all rows,
    in units of their spread. Bags are dealt, the longest vectors first, each to the fold where the sum of squares of
    the folds' sums grows least: folds with many rows, or with much of a class, get the bags that make up for it. Rows
    count a little more, and few bags of very different sizes allow neither. Works for any number of classes, and for
    mean responses alike. O(b n_splits k).

    Bags come as in `BagKFold`. With ``groups``, y has the proportions of each row's bag (n, k), the share of the
    positive class or the mean response (n,), or classes of rows.

    Examples
    --------
    >>> from sklearnloss import bag_targets
    >>> share = dict(enumerate([0.9, 0.2, 0.8, 0.1, 0.7, 0.4, 0.6, 0.3]))
    >>> y = bag_targets(share, np.repeat(np.arange(8), 3))
    >>> for folds in (BagKFold(2), StratifiedBagKFold(2)):
    ...     print([round(float(y["p"][test].mean()), 2) for _, test in folds.split(np.zeros((24, 1)), y)])
    [0.75, 0.25]
    [0.5, 0.5]
    """

    def _vectors(self, y: Any, code: np.ndarray, sizes: np.ndarray) -> np.ndarray:
        share = sizes / sizes.sum()
        known = self._known(y, len(code))
        means = mean_by_bag(known, code, len(sizes), None)
        apart = means - share @ means
        spread = np.sqrt(share @ np.square(apart))
        apart /= np.where(spread > 0, spread, 1) * np.sqrt(means.shape[1])
        return share[:, None] * np.concatenate([np.full((len(sizes), 1), ROWS), apart], axis=1)

    def _known(self, y: Any, n_rows: int) -> np.ndarray:
        """Return numbers of which the means over bags are to be even, (n, k)."""
        if y is None:
            raise DataError(f"{type(self).__name__} needs y, with what is known of the bags; BagKFold does without")
        values = y["p"] if is_bag_targets(y) else np.asarray(y)
        if values.ndim == 1 and values.dtype.kind != "f":  # classes of rows
            classes, codes = np.unique(values, return_inverse=True)
            values = np.eye(len(classes))[codes]
        values = np.asarray(values, dtype=np.float64).reshape(n_rows, -1)
        if not np.isfinite(values).all():
            raise DataError(f"{type(self).__name__}: y holds NaN or infinite values")
        return values


class BagShuffleSplit(BaseShuffleSplit):  # type: ignore[misc]
    """Random splits that keep bags whole.

    Parameters
    ----------
    n_splits : int in [1, inf), default=5
        Splits, each drawn anew.
    test_size : float in (0, 1) or int in [1, inf), default=0.2
        A float is the share of rows to test on, met as nearly as whole bags allow; an int is the number of bags.
    random_state : int, RandomState or None, default=None
        Seed of the draws.

    See Also
    --------
    BagKFold : Folds that test on each bag once.

    Notes
    -----
    Bags in random order are tested on until their rows are nearest to the share that was asked for; one at least, and
    one at least is left to learn from. Bags come as in `BagKFold`.

    Examples
    --------
    >>> bags = np.repeat([0, 1, 2, 3, 4], [2, 2, 2, 2, 2])
    >>> for train, test in BagShuffleSplit(2, test_size=0.4, random_state=0).split(np.zeros((10, 1)), groups=bags):
    ...     print(np.unique(bags[train]), np.unique(bags[test]))
    [0 1 3] [2 4]
    [0 2 3] [1 4]
    """

    __metadata_request__split: ClassVar[dict[str, bool]] = {"groups": True}

    def __init__(self, n_splits: int = 5, *, test_size: float = 0.2, random_state: Any = None) -> None:
        check_count(n_splits, type(self).__name__, 1)
        count = isinstance(test_size, Integral) and not isinstance(test_size, bool) and test_size >= 1
        share = isinstance(test_size, Real) and not isinstance(test_size, Integral) and 0 < test_size < 1
        if not count and not share:
            raise ParameterError(
                f"{type(self).__name__}: test_size must be a float in (0, 1), the share of rows, or an int in [1, "
                f"inf), the number of bags; got {test_size!r}"
            )
        self.n_splits = n_splits
        self.test_size = test_size
        self.random_state = random_state

    def split(self, X: Any, y: Any = None, groups: ArrayLike | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Generate row numbers to learn from and to test on.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        y : array of shape (n,) or (n, k), default=None
            What `bag_targets` makes, which carries the bags; else anything, with ``groups``.
        groups : array-like of shape (n,), default=None
            Id of each row's bag.

        Yields
        ------
        train, test : int arrays
            Row numbers, rising; each bag is whole in one of them.

        Raises
        ------
        DataError
            If there are no bags, they are given twice, or there are too few.
        """
        X, y, groups = indexable(X, y, groups)
        n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
        code, n_bags = codes_of(y, groups, n_rows, type(self).__name__)
        counted = isinstance(self.test_size, Integral)
        if n_bags < 2 or (counted and self.test_size >= n_bags):
            raise DataError(
                f"{type(self).__name__}: bags are needed to test on ({self.test_size if counted else 1}) and to learn "
                f"from, but there are only {n_bags}"
            )
        sizes, rng = np.bincount(code), generator_of(self.random_state)
        for _ in range(self.n_splits):
            order = rng.permutation(n_bags)
            count = int(self.test_size)
            if not counted:
                count = 1 + int(np.abs(np.cumsum(sizes[order])[:-1] - self.test_size * n_rows).argmin())
            tested = np.isin(code, order[:count])
            yield np.flatnonzero(~tested), np.flatnonzero(tested)
