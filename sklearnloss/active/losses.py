"""The loss of each labeled row by a model that did not see it."""

from typing import Any

import numpy as np
from sklearn.base import clone, is_regressor
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.utils import _safe_indexing

from sklearnloss.exceptions import DataError, TaskError

__all__ = ["losses_out_of_fold"]

TINY = 1e-15


def losses_out_of_fold(model: Any, X: Any, y: np.ndarray, who: str, *, folds: int = 5) -> np.ndarray:
    """Return the log loss of each row, or the squared error of a regression, from models of the other folds.

    Parameters
    ----------
    model : estimator
        Clones of it are fitted.
    X : array, sparse matrix or DataFrame of shape (m, d)
        Labeled rows.
    y : array of shape (m,)
        Their labels.
    who : str
        Who asks, for messages.
    folds : int, default=5
        Fewer where a class has fewer rows.

    Raises
    ------
    DataError
        If a class has one row only, or there are fewer than two rows.
    """
    number = is_regressor(model)
    if not number and y.ndim > 1:
        raise TaskError(f"{who} looks at one label a row, got {y.shape[1]}")
    rarest = len(y) if number else int(np.unique(y, return_counts=True)[1].min())
    parts = min(folds, rarest)
    if parts < 2:
        raise DataError(
            f"{who} needs two labeled rows of each class at least, to judge each by a model that did not see it; label "
            "more rows by 'random' or 'margin' first"
        )
    splitter = KFold(parts, shuffle=True, random_state=0) if number else StratifiedKFold(parts)
    losses = np.empty(len(y))
    for train, test in splitter.split(np.zeros(len(y)), y):
        fitted = clone(model).fit(_safe_indexing(X, train), y[train])
        rows = _safe_indexing(X, test)
        if number:
            losses[test] = (np.asarray(fitted.predict(rows)).reshape(len(test)) - y[test]) ** 2
        else:
            places = np.searchsorted(fitted.classes_, y[test])
            proba = np.asarray(fitted.predict_proba(rows))[np.arange(len(test)), places]
            losses[test] = -np.log(np.maximum(proba, TINY))
    return losses
