"""Targets that carry their bag: what is known of each bag, once per row, in a form that survives slicing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.exceptions import DataError

__all__ = [
    "BagTable", "bag_targets", "check_bags", "check_proportions", "counted", "is_bag_targets", "mean_by_bag",
    "own_bags", "read_bags", "rows_from_bags", "sum_by_bag",
]  # fmt: skip

SAME = 1e-6  # how far the values of one bag may differ from row to row
SUM = 1e-3  # how far proportions may be from a sum of one
SHOWN = 5  # bags named in a message


def bag_targets(proportions: Any, bags: ArrayLike) -> np.ndarray:
    """Make targets of rows of which only bags are known; slices, folds and searches take them as any y.

    Parameters
    ----------
    proportions : array-like of shape (n, k) or (n,), mapping or DataFrame
        For each row what is known of its bag: the proportions of k classes, the share of the positive class, or the
        mean response. Or for each bag, by its id: a mapping, or a DataFrame or Series whose index holds the ids.
    bags : array-like of shape (n,)
        Bag of each row: numbers or strings.

    Returns
    -------
    structured array of shape (n,)
        With the fields ``bag`` and ``p``.

    Raises
    ------
    DataError
        If an id is missing, a bag has no rows or no proportions, or its rows disagree; the bag is named.

    See Also
    --------
    rows_from_bags : The same from a list of bags.

    Examples
    --------
    >>> y = bag_targets({"a": [0.5, 0.5], "b": [1.0, 0.0]}, ["a", "b", "a"])
    >>> y["bag"].tolist(), y["p"][:2].tolist()
    (['a', 'b', 'a'], [[0.5, 0.5], [1.0, 0.0]])
    """
    ids = check_bags(bags)
    if isinstance(proportions, Mapping) or hasattr(proportions, "to_numpy"):
        values = _by_bag(proportions, ids)
    else:
        values = np.asarray(proportions, dtype=np.float64)
        if values.ndim not in (1, 2) or len(values) != len(ids):
            raise DataError(
                f"proportions must have a row for each of the {len(ids)} rows, got shape {values.shape}; for one entry "
                "a bag give a mapping from ids, or a DataFrame whose index holds them"
            )
    targets = np.empty(len(ids), dtype=[("bag", ids.dtype), ("p", np.float64, values.shape[1:])])
    targets["bag"], targets["p"] = ids, values
    read_bags(values, ids)
    return targets


def _by_bag(proportions: Any, ids: np.ndarray) -> np.ndarray:
    """Return what each row's bag has, (n, ...)."""
    if isinstance(proportions, Mapping):
        known = dict(proportions)
    else:
        known = dict(zip(proportions.index.tolist(), proportions.to_numpy(dtype=np.float64), strict=True))
        if len(known) != len(proportions):
            twice = proportions.index[proportions.index.duplicated()].tolist()
            raise DataError(f"bag {twice[0]!r} comes up twice in the index of proportions")
    present = np.unique(ids).tolist()
    if missing := [b for b in present if b not in known]:
        raise DataError(f"{_named(missing)} no proportions; give an entry for each bag")
    if empty := [b for b in known if b not in set(present)]:
        raise DataError(f"{_named(empty)} no rows; leave out what is known of empty bags")
    widths = {b: np.shape(known[b]) for b in present}
    first = present[0]
    if other := [b for b in present if widths[b] != widths[first]]:
        raise DataError(
            f"bag {other[0]!r} has proportions of shape {widths[other[0]]}, bag {first!r} of shape {widths[first]}"
        )
    table = np.array([known[b] for b in present], dtype=np.float64)
    return table[np.searchsorted(np.unique(ids), ids)]


def _named(bags: Sequence[Any]) -> str:
    """Return words for some bags that lack something."""
    shown = ", ".join(repr(b) for b in bags[:SHOWN]) + (", ..." if len(bags) > SHOWN else "")
    return f"bag {shown} has" if len(bags) == 1 else f"bags {shown} have"


def check_bags(bags: ArrayLike) -> np.ndarray:
    """Return ids as an array (n,) that sorts.

    Raises
    ------
    DataError
        If one is missing, or they are not one for each row.
    """
    given = np.asarray(bags)
    if given.ndim != 1 or not len(given):
        raise DataError(f"bags must have shape (n,), the id of each row's bag, got shape {given.shape}")
    if given.dtype.kind == "O":
        missing = np.array([b is None or b != b for b in given.tolist()])
    else:
        missing = np.isnan(given) if given.dtype.kind == "f" else np.zeros(len(given), dtype=bool)
    if missing.any():
        raise DataError(f"bags lacks the id of row {int(missing.argmax())} ({int(missing.sum())} rows in all)")
    if given.dtype.kind != "O":
        return given
    kinds = {type(b).__name__ for b in given.tolist()}
    if len(kinds) > 1:
        raise DataError(f"bags must be all numbers or all strings, got {', '.join(sorted(kinds))}")
    return np.array(given.tolist())


def is_bag_targets(y: Any) -> bool:
    """Whether y was made by `bag_targets`."""
    names = getattr(getattr(y, "dtype", None), "names", None)
    return names is not None and {"bag", "p"} <= {*names}


@dataclass(frozen=True)
class BagTable:
    """What is known of bags.

    Attributes
    ----------
    ids : array of shape (b,)
        Sorted.
    values : array of shape (b, ...)
        What each bag has.
    code : int array of shape (n,)
        Place of each row's bag in ``ids``.
    """

    ids: np.ndarray
    values: np.ndarray
    code: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """Rows of each bag."""
        return np.bincount(self.code, minlength=len(self.ids))


def sum_by_bag(values: np.ndarray, code: np.ndarray, n_bags: int) -> np.ndarray:
    """Return the sum of the rows (n, ...) of each bag, (b, ...)."""
    columns = [np.bincount(code, weights=column, minlength=n_bags) for column in values.reshape(len(values), -1).T]
    return np.stack(columns, axis=1).reshape(n_bags, *values.shape[1:])


def mean_by_bag(values: np.ndarray, code: np.ndarray, n_bags: int, sample_weight: np.ndarray | None) -> np.ndarray:
    """Return the weighted mean of the rows of each bag, (b, ...); the plain one where they weigh nothing together."""
    weight = np.ones(len(code)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    weight = np.where(sum_by_bag(weight, code, n_bags)[code] > 0, weight, 1.0)
    shape = (-1, *(1,) * (values.ndim - 1))
    return sum_by_bag(weight.reshape(shape) * values, code, n_bags) / sum_by_bag(weight, code, n_bags).reshape(shape)


def own_bags(values: np.ndarray) -> BagTable:
    """Return the table in which each row is its own bag, of values (n, ...)."""
    rows = np.arange(len(values))
    return BagTable(rows, values, rows)


def counted(values: np.ndarray, bags: Any, sample_weight: Any = None) -> BagTable:
    """Return the table of means of bags, from values of their rows.

    Raises
    ------
    DataError
        If ids and rows do not fit together.
    """
    ids = check_bags(bags)
    if len(ids) != len(values):
        raise DataError(f"bags must have an id for each of the {len(values)} rows, got {len(ids)}")
    known, code = np.unique(ids, return_inverse=True)
    weight = None if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    if weight is not None and weight.shape != ids.shape:
        weight = None  # what is wrong with it is said when it is checked
    return BagTable(known, mean_by_bag(values, code, len(known), weight), code)


def read_bags(values: ArrayLike, bags: ArrayLike) -> BagTable:
    """Return the table of bags, from what is known once per row.

    Parameters
    ----------
    values : array-like of shape (n, ...)
        The same for all rows of a bag.
    bags : array-like of shape (n,)
        Ids.

    Raises
    ------
    DataError
        If the rows of a bag disagree, or a value is not finite; the bag is named.
    """
    ids, rows = check_bags(bags), np.asarray(values, dtype=np.float64)
    if len(rows) != len(ids):
        raise DataError(f"bags must have an id for each of the {len(rows)} rows, got {len(ids)}")
    known, first, code = np.unique(ids, return_index=True, return_inverse=True)
    table = rows[first]
    finite = np.isfinite(rows).reshape(len(rows), -1).all(axis=1)
    if not finite.all():
        bad = ids[int((~finite).argmax())].item()
        raise DataError(f"bag {bad!r} has NaN or infinite proportions")
    apart = np.abs(rows - table[code]).reshape(len(rows), -1).max(axis=1)
    if (apart > SAME).any():
        row = int(apart.argmax())
        raise DataError(
            f"bag {ids[row].item()!r} has different proportions on its rows: {table[code[row]].tolist()} and "
            f"{rows[row].tolist()}"
        )
    return BagTable(known, table, code)


def check_proportions(table: BagTable, classes: ArrayLike | None = None, *, whole: bool = True) -> BagTable:
    """Return the table with proportions that sum to one exactly.

    Parameters
    ----------
    table : BagTable
        With values (b, k), or (b,) for the share of a positive class.
    classes : array-like of shape (k,), default=None
        Names of the columns, for messages.
    whole : bool, default=True
        Whether these are all bags, so that they must be two and have every class.

    Raises
    ------
    DataError
        If proportions are negative or do not sum to 1 within 0.001; or, of all bags, if a class is absent everywhere,
        or there is one bag.
    """
    values = table.values
    if values.ndim == 1:
        if ((values < 0) | (values > 1)).any():
            place = int(((values < 0) | (values > 1)).argmax())
            raise DataError(
                f"bag {table.ids[place].item()!r} has the share {values[place]:g} of the positive class; shares lie in "
                "[0, 1]"
            )
        values = np.stack([1 - values, values], axis=1)
    if (values < 0).any():
        place = int((values < 0).any(axis=1).argmax())
        raise DataError(f"bag {table.ids[place].item()!r} has a negative proportion: {values[place].tolist()}")
    off = np.abs(values.sum(axis=1) - 1)
    if (off > SUM).any():
        place = int(off.argmax())
        raise DataError(
            f"bag {table.ids[place].item()!r} has proportions that sum to {values[place].sum():g}, not to 1 (within "
            f"{SUM:g}): {values[place].tolist()}"
        )
    values = values / values.sum(axis=1, keepdims=True)
    if not whole:
        return BagTable(table.ids, values, table.code)
    if len(values) < 2:
        raise DataError(
            f"there is one bag, {table.ids[0].item()!r}: its proportions do not tell its rows apart; give several bags"
        )
    absent = ~(values > 0).any(axis=0)
    if absent.any():
        names = np.arange(values.shape[1]) if classes is None else np.asarray(classes)
        raise DataError(
            f"class {names[int(absent.argmax())].item()!r} is absent from every bag, so nothing can be learnt of it; "
            "leave its column out"
        )
    return BagTable(table.ids, values, table.code)


def rows_from_bags(
    X_bags: Sequence[Any], proportions: ArrayLike, *, bags: ArrayLike | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Put bags below each other.

    Parameters
    ----------
    X_bags : sequence of array-like of shape (n_b, d)
        The rows of each bag.
    proportions : array-like of shape (b, k) or (b,)
        What is known of each bag.
    bags : array-like of shape (b,), default=None
        Their ids; None numbers them.

    Returns
    -------
    X : array of shape (n, d)
    y : structured array of shape (n,)
        As `bag_targets` makes it.

    Raises
    ------
    DataError
        If there is not one entry for each bag, or a bag has no rows.

    Examples
    --------
    >>> X, y = rows_from_bags([[[1.0], [2.0]], [[3.0]]], [[0.5, 0.5], [0.0, 1.0]])
    >>> X.ravel().tolist(), y["bag"].tolist()
    ([1.0, 2.0, 3.0], [0, 0, 1])
    """
    parts = [np.asarray(part) for part in X_bags]
    known = np.asarray(proportions, dtype=np.float64)
    ids = np.arange(len(parts)) if bags is None else check_bags(bags)
    if not parts or len(known) != len(parts) or len(ids) != len(parts):
        raise DataError(f"there are {len(parts)} bags, {len(known)} entries of proportions and {len(ids)} ids")
    if len(np.unique(ids)) != len(ids):
        raise DataError("an id comes up twice; each bag has its own")
    sizes = np.array([len(part) for part in parts])
    if (sizes == 0).any():
        raise DataError(f"bag {ids[int((sizes == 0).argmax())].item()!r} is empty; leave it out")
    place = np.repeat(np.arange(len(parts)), sizes)
    return np.concatenate(parts), bag_targets(known[place], ids[place])
