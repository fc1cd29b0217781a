"""What a comparison learns from: labels of rows as they were given, or what is known of bags."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from sklearnloss.bags.targets import (
    BagTable,
    bag_targets,
    check_bags,
    check_proportions,
    counted,
    is_bag_targets,
    read_bags,
)
from sklearnloss.comparison.tasks import find_task
from sklearnloss.exceptions import DataError

__all__ = ["Target", "holds_shares", "read_target"]

PLAIN = "y = bag_targets(np.asarray(y), bags)"
SORTED = """\
classes = np.array({names})
y = bag_targets(np.asarray(y)[:, {order}], bags)"""
COUNTED = """\
y, classes = np.asarray(y), np.unique(y)
y = bag_targets({b: (y[bags == b][:, None] == classes).mean(axis=0) for b in np.unique(bags)}, bags)"""


@dataclass(frozen=True)
class Target:
    """What fits are given for y.

    Attributes
    ----------
    values : array of shape (n,) or (n, n_labels)
        Labels of rows, or what `bag_targets` makes. Where bags were given as classes of rows it has a third field,
        ``label``, the number of each row's class: nothing is trained on it or chosen by it.
    names : array of shape (k,) or None
        The names of the classes where y does not have them and fits must be told.
    code : str
        Python that makes y, and ``classes``, of what was given where that is something else.
    """

    values: np.ndarray
    names: np.ndarray | None = None
    code: str = ""

    @cached_property
    def classes(self) -> np.ndarray | None:
        """Classes of rows (k,); None for several labels, and where bags are all that is known."""
        return None if self.values.ndim == 2 or is_bag_targets(self.values) else np.unique(self.values)

    @cached_property
    def table(self) -> BagTable:
        """What is known of each bag: proportions (b, k) that sum to one."""
        return check_proportions(read_bags(self.values["p"], self.values["bag"]), whole=False)

    def name_of(self, number: int) -> str:
        """Return the name of a class of bags."""
        return str(number if self.names is None else self.names[number])

    def told(self, trained: Iterable[np.ndarray]) -> "Target":
        """Return the target with the names of all classes if one of the fits, given these rows, would miss a class."""
        if self.classes is None:
            return self
        if all(len(np.unique(self.values[rows])) == len(self.classes) for rows in trained):
            return self
        return replace(self, names=self.classes, code="classes = np.unique(y)")


def read_target(y: Any, bags: Any = None) -> Target:
    """Return what fits are given for y.

    Parameters
    ----------
    y : array or DataFrame of shape (n,) or (n, k)
        Labels of rows. With bags, shares of the classes or of the positive class, or classes of rows; or what
        `bag_targets` makes.
    bags : array of shape (n,), default=None
        Bag of each row.

    Raises
    ------
    DataError
        If rows and bags do not fit, or what is known of bags cannot be used.
    """
    if is_bag_targets(y):
        if bags is not None:
            raise DataError("y carries its bags already (it was made by bag_targets); leave bags out")
        check_proportions(read_bags(y["p"], y["bag"]))
        return Target(np.asarray(y))
    values = y.toarray() if hasattr(y, "toarray") else np.asarray(y)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if bags is None:
        return Target(values)
    ids = check_bags(bags)
    if len(ids) != len(values):
        raise DataError(f"bags must have an id for each of the {len(values)} rows of y, got {len(ids)}")
    if values.ndim == 2:
        return _shares(values, getattr(y, "columns", None), ids)
    if holds_shares(values, ids):
        return _known(values, ids, PLAIN)
    return _counted(values, ids)


def holds_shares(values: np.ndarray, bags: np.ndarray) -> bool:
    """Whether a column holds the share of a class in each row's bag, and not the class of each row.

    Fractions are shares, and so are other numbers than 0 and 1 that are the same on all rows of each bag: classes of
    rows differ somewhere, or nobody would need bags.

    Parameters
    ----------
    values : array of shape (n,)
        The column.
    bags : array of shape (n,)
        Ids.

    Examples
    --------
    >>> bags = np.array(["a", "a", "b", "b"])
    >>> holds_shares(np.array([0.5, 0.5, 0.1, 0.1]), bags), holds_shares(np.array([0, 1, 1, 1]), bags)
    (True, False)
    >>> holds_shares(np.array([50, 50, 10, 10]), bags)  # percent, which will be refused
    True
    """
    if values.dtype.kind not in "iuf":
        return False
    known = np.isfinite(values)
    if (values[known] != np.round(values[known])).any():
        return True
    _, first, code = np.unique(bags, return_index=True, return_inverse=True)
    same = bool((values == values[first][code])[known].all())
    return same and not np.isin(values[known], (0, 1)).all()


def _shares(values: np.ndarray, columns: Any, ids: np.ndarray) -> Target:
    """Return the target of several columns, the share of a class in each, sorted by the names of the classes."""
    try:
        values = values.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"y must hold numbers, the share of a class in each column: {error}") from None
    names = np.arange(values.shape[1]) if columns is None else np.asarray(list(columns))
    if names.dtype.kind not in "iuU":
        names = names.astype(str)
    if len(np.unique(names)) < len(names):
        raise DataError(f"y has two columns of one name among {names.tolist()}; each class needs a name of its own")
    if np.array_equal(names, np.arange(len(names))):
        return _known(values, ids, PLAIN)
    order = np.argsort(names)
    code = SORTED.format(names=names[order].tolist(), order=order.tolist())
    return _known(values[:, order], ids, code, names[order])


def _known(values: np.ndarray, ids: np.ndarray, code: str, classes: np.ndarray | None = None) -> Target:
    check_proportions(read_bags(values, ids), classes)
    return Target(bag_targets(values, ids), classes, code)


def _counted(labels: np.ndarray, ids: np.ndarray) -> Target:
    """Return the target of classes of rows, each bag's proportions."""
    find_task(labels)
    classes, code = np.unique(labels, return_inverse=True)
    table = counted(np.eye(len(classes))[code], ids)
    check_proportions(table, classes)
    values = np.empty(
        len(ids), dtype=[("bag", ids.dtype), ("p", np.float64, (len(classes),)), ("label", np.int64)]
    )  # fmt: skip
    values["bag"], values["p"], values["label"] = ids, table.values[table.code], code
    return Target(values, classes, COUNTED)
