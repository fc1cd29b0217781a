"""What is predicted: whether it can be, and whether there are rows enough."""

from typing import Any

import numpy as np
from scipy import sparse

from sklearnloss.bags.targets import is_bag_targets
from sklearnloss.comparison.frames import require_pandas
from sklearnloss.comparison.reading import cut
from sklearnloss.exceptions import DataError

__all__ = ["check_classes", "check_labels", "check_positive", "check_rows", "check_shares", "plain_column"]

FEW_VALUES = 20  # numbers as different as that may still be classes
ROWS_PER_VALUE = 10  # of more different whole numbers, each needs this many rows on average


def check_classes(y: Any, *, who: str) -> Any:
    """Return a target of one class per row, whole numbers as integers.

    Parameters
    ----------
    y : Series of shape (n,)
        No value is missing.
    who : str
        The table, for the message.

    Raises
    ------
    DataError
        If it has one class, or holds quantities, dates or names of rows.
    """
    title = f"{who}: target {y.name!r}"
    if y.dtype.kind in "mM":
        raise DataError(f"{title} holds dates; it must hold classes")
    y = plain_column(y)
    n_values = y.nunique()
    if n_values < 2:
        raise DataError(
            f"{title} has one class, {_shown(y.iloc[0])}, in all {len(y)} rows; there is nothing to tell apart"
        )
    number = y.dtype.kind in "iuf"
    fractions = y.dtype.kind == "f"
    if number and n_values > FEW_VALUES and (fractions or n_values * ROWS_PER_VALUE > len(y)):
        raise DataError(
            f"{title} looks continuous: {n_values} different numbers in {len(y)} rows; comparisons are of classes. "
            "Regression is not compared yet; cut the target into classes, or name another column"
        )
    if not number and n_values == len(y) > 2:
        raise DataError(f"{title} names the rows: {n_values} different values in {len(y)} rows; it must hold classes")
    if fractions:  # classes such as 1.5 and 2.0, which scikit-learn takes for quantities
        y = y.map(str)
    return y


def check_labels(y: Any, *, who: str) -> Any:
    """Return several labels per row as zeros and ones.

    Parameters
    ----------
    y : DataFrame of shape (n, n_labels)
        No value is missing.
    who : str
        The table, for the message.

    Raises
    ------
    DataError
        If a column holds something else, or the same in every row.
    """
    labels = {}
    for name in y.columns:
        values = plain_column(y[name])
        if values.dtype.kind not in "iufb" or not values.isin([0, 1]).all():
            odd = [v for v in values.unique() if isinstance(v, str) or v not in (0, 1)]
            raise DataError(
                f"{who}: of several targets each must hold zeros and ones, {name!r} holds "
                f"{', '.join(map(_shown, odd[:3]))}; give one target for classes"
            )
        labels[name] = values.astype(int)
        if labels[name].nunique() < 2:
            raise DataError(
                f"{who}: target {name!r} is {labels[name].iloc[0]} in every row; leave it out of the targets"
            )
    return require_pandas("load_table").DataFrame(labels)


def check_shares(y: Any, *, who: str) -> Any:
    """Return shares of classes in bags as floats: a column for each class, or one for the positive class.

    Parameters
    ----------
    y : DataFrame of shape (n, k)
        No value is missing.
    who : str
        The table, for the message.

    Raises
    ------
    DataError
        If a column holds no numbers.
    """
    columns = {name: plain_column(y[name]) for name in y.columns}
    for name, values in columns.items():
        if values.dtype.kind not in "iuf":
            raise DataError(
                f"{who}: of several targets of bags each must hold the share of a class, {name!r} holds "
                f"{cut(values.unique(), 3)}; give one target for classes of rows"
            )
    shares = require_pandas("load_table").DataFrame(columns).astype("float64")
    return shares if shares.shape[1] > 1 else shares.iloc[:, 0]


def check_positive(y: Any, positive: Any, *, who: str) -> Any:
    """Return whether each row is of the class that counts as positive.

    Parameters
    ----------
    y : Series of shape (n,)
        Two classes.
    positive : object
        One of them, or its text.
    who : str
        The table, for the message.

    Raises
    ------
    DataError
        If there are other than two classes, or this is none of them.
    """
    if y.ndim == 2:
        raise DataError(f"positive={positive!r} is for one target of two classes; {who} has {y.shape[1]} targets")
    classes = list(y.unique())
    if len(classes) != 2:
        raise DataError(f"positive={positive!r} is for two classes; target {y.name!r} has {len(classes)}")
    found = [value for value in classes if str(value) == str(positive)]
    if not found:
        raise DataError(f"positive={positive!r} is no class of target {y.name!r}: {' and '.join(map(_shown, classes))}")
    return (y == found[0]).rename(f"{y.name} is {found[0]}")


def check_rows(y: Any, n_splits: int, *, groups: Any = None) -> None:
    """Refuse a target that cannot be split so that every part can be learnt from.

    Parameters
    ----------
    y : array of shape (n,) or (n, n_labels)
        Classes, or labels of zeros and ones; or what `bag_targets` makes.
    n_splits : int in [2, inf)
        Parts of the cross-validation.
    groups : array of shape (n,), default=None
        Rows of one group stay together.

    Raises
    ------
    DataError
        If there are fewer rows, groups or bags than parts, or a class or label has one row only.

    Examples
    --------
    >>> check_rows(["a", "a", "b", "b"], 2)
    >>> check_rows(["a", "a", "b"], 2)
    Traceback (most recent call last):
    sklearnloss.exceptions.DataError: only one row of class 'b'; a class needs two, to learn from one and judge by \
    another: add rows, join it with another class, or take the row out
    """
    y = y.toarray() if sparse.issparse(y) else np.asarray(y)
    if len(y) < n_splits:
        raise DataError(
            f"{len(y)} rows cannot be split into {n_splits} parts; give more rows, or at most {len(y)} splits"
        )
    kept = {"groups": groups, "bags": y["bag"] if is_bag_targets(y) else None}
    for what, ids in kept.items():
        if ids is not None and (count := len(set(np.asarray(ids).tolist()))) < n_splits:
            raise DataError(
                f"{count} {what}, each kept whole, cannot be split into {n_splits} parts; give at most {count} splits"
            )
    if is_bag_targets(y):
        return
    if y.ndim == 2:
        ones = y.sum(axis=0)
        if rare := np.flatnonzero(np.minimum(ones, len(y) - ones) < 2).tolist():
            raise DataError(f"labels {cut(rare)} (counted from 0) have fewer than two ones or zeros; leave them out")
        return
    classes, counts = _counts(y)
    if alone := sorted((c for c, count in zip(classes, counts, strict=True) if count == 1), key=_order):
        shown = ", ".join(map(_shown, alone[:10])) + (f" and {len(alone) - 10} more" if len(alone) > 10 else "")
        raise DataError(
            f"only one row of class {shown}; a class needs two, to learn from one and judge by another: add rows, join "
            "it with another class, or take the row out"
        )


def _order(value: Any) -> tuple[str, Any]:
    """Return what to sort by: classes of several types do not compare."""
    return type(value).__name__, value


def _counts(y: np.ndarray) -> tuple[list[Any], list[int]]:
    counts: dict[Any, int] = {}
    for value in y.tolist():
        counts[value] = counts.get(value, 0) + 1
    return list(counts), list(counts.values())


def plain_column(y: Any) -> Any:
    """Return a column without pandas' own types; whole numbers as integers, texts and mixtures as they are."""
    if y.dtype.kind == "b" or (y.dtype == object and all(isinstance(v, (bool, np.bool_)) for v in y)):
        return y.astype(bool)
    if type(y.dtype).__name__ == "CategoricalDtype":
        y = y.astype(y.cat.categories.dtype)
    if y.dtype == object and not all(isinstance(v, str) for v in y):
        y = y.infer_objects()
        y = y.map(str) if y.dtype == object else y  # texts and numbers in one column cannot be sorted
    if y.dtype.kind in "iu":
        return y.astype("int64")
    if y.dtype.kind == "f":
        y = y.astype("float64")
        return y.astype("int64") if (y == y.round()).all() and y.abs().max() < 2**53 else y
    return y


def _shown(value: Any) -> str:
    """Return a value as Python writes it, NumPy's numbers like any, quantities with few digits."""
    value = value.item() if isinstance(value, np.generic) else value
    return f"{value:g}" if isinstance(value, float) else repr(value)
