"""Targets of a classifier: from what the user gives to codes, and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels
from sklearn.utils.validation import column_or_1d

from sklearnloss.exceptions import TaskError

__all__ = ["ClassTargets", "Kind", "order_of"]

Kind = Literal["binary", "multiclass", "multilabel"]


def order_of(y: Any) -> list[Any] | None:
    """Return the categories of an ordered pandas Categorical from lowest to highest, or None of anything else."""
    dtype: Any = getattr(y, "dtype", None)
    return list(dtype.categories) if getattr(dtype, "ordered", False) else None


@dataclass(frozen=True)
class ClassTargets:
    """The classes of a problem.

    Attributes
    ----------
    kind : {"binary", "multiclass", "multilabel"}
        What y is.
    classes : array of shape (k,)
        Sorted; the columns of ``predict_proba``. For labels, their numbers.
    order : array of shape (k,)
        ``order[code]`` is the place of a code in ``classes``: the identity unless the classes were given an order.
    ordered : bool, default=False
        Whether the classes were given an order.
    """

    kind: Kind
    classes: np.ndarray
    order: np.ndarray
    ordered: bool = False

    @property
    def n_classes(self) -> int:
        """Number of classes, or of labels."""
        return len(self.classes)

    @classmethod
    def of(
        cls,
        y: Any,
        *,
        classes: Any = None,
        class_order: Sequence[Any] | None = None,
        categories: Sequence[Any] | None = None,
    ) -> "ClassTargets":
        """Find the classes.

        Parameters
        ----------
        y : array of shape (n,) or (n, n_labels)
            Targets.
        classes : array or None
            All classes, if y may lack some.
        class_order : sequence or None
            The classes in their order.
        categories : sequence or None
            The same without a ``class_order``; it may hold others.

        Raises
        ------
        ValueError
            If y is continuous or has one class, or the given classes do not fit.
        """
        found_type = type_of_target(y, input_name="y")
        if found_type not in ("binary", "multiclass"):  # the others, and those that cannot be learnt
            check_classification_targets(y)
        if found_type == "multilabel-indicator":
            if class_order is not None:
                raise TaskError("class_order is for classes; y has several labels per row")
            labels = np.arange(y.shape[1])
            return cls("multilabel", labels, labels)
        if y.ndim == 2 and y.shape[1] > 1:
            raise ValueError(f"y must be (n,), or (n, n_labels) of zeros and ones; got {y.shape} with other values")
        found = np.unique(column_or_1d(y))
        known = found if classes is None else unique_labels(np.asarray(classes))
        if classes is not None and (missing := np.setdiff1d(found, known)).size:
            raise ValueError(f"y holds {missing.tolist()}, which are not in classes {known.tolist()}")
        if len(known) < 2:
            raise ValueError(f"a classifier needs at least two classes, got one class: {known.tolist()}")
        order = np.arange(len(known))
        if class_order is None and categories is not None:
            class_order = [label for label in categories if label in known]
        if class_order is not None:
            given = np.asarray(class_order)
            if sorted(given.tolist()) != sorted(known.tolist()):
                raise ValueError(f"class_order must hold each class once: {known.tolist()}; got {given.tolist()}")
            order = np.searchsorted(known, given)
        return cls("binary" if len(known) == 2 else "multiclass", known, order, class_order is not None)

    def check_same(self, classes: Any) -> None:
        """Refuse classes other than those of the first call.

        Raises
        ------
        ValueError
            With both.
        """
        if classes is None or np.array_equal(np.unique(np.asarray(classes)), self.classes):
            return
        raise ValueError(
            f"classes={np.asarray(classes).tolist()} are not those of the first call, {self.classes.tolist()}; "
            "leave classes out, or begin anew"
        )

    def encode(self, y: Any) -> np.ndarray:
        """Return codes (n,) in 0..k-1 in the order of the classes, or the label matrix.

        Raises
        ------
        ValueError
            If y holds a class that is not known, or has another number of labels.
        """
        if self.kind == "multilabel":
            matrix = y.toarray() if hasattr(y, "toarray") else np.asarray(y)
            if matrix.ndim != 2 or matrix.shape[1] != self.n_classes:
                raise ValueError(f"y must be (n, {self.n_classes}), got {matrix.shape}")
            return matrix.astype(np.int64)
        values = column_or_1d(y, warn=True)
        place = np.clip(np.searchsorted(self.classes, values), 0, self.n_classes - 1)
        if (strange := self.classes[place] != values).any():
            unknown = np.unique(values[strange]).tolist()
            raise ValueError(f"y holds {unknown}, which are not among the classes {self.classes.tolist()}")
        return np.argsort(self.order)[place]

    def by_class(self, columns: np.ndarray) -> np.ndarray:
        """Return the columns of codes in the order of ``classes``."""
        return columns if self.kind == "multilabel" else columns[:, np.argsort(self.order)]

    def by_code(self, columns: np.ndarray) -> np.ndarray:
        """Return the columns of ``classes`` in the order of codes."""
        return columns if self.kind == "multilabel" else columns[:, self.order]

    def counts(self, codes: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the weight of each class, or of each label's positives."""
        if self.kind == "multilabel":
            return codes.sum(0).astype(float) if weights is None else weights @ codes
        return np.bincount(codes, weights=weights, minlength=self.n_classes).astype(float)

    def values(self) -> np.ndarray | None:
        """Return the classes as numbers in the order of codes, or None if they are no numbers."""
        ordered = self.classes[self.order]
        return ordered.astype(float) if ordered.dtype.kind in "iufb" else None
