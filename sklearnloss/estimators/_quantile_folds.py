"""Base models of a quantile aggregation, fitted out of fold; and which rows teach, test and calibrate."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.model_selection import KFold, check_cv
from sklearn.utils import _safe_indexing

from sklearnloss.estimators._quantile_bases import QuantileModel, as_quantile_model
from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.functional.conformal import needed_rows

__all__ = ["fit_out_of_fold", "folds_of", "hold_out", "predicted", "with_seeds"]

Fold = tuple[np.ndarray, np.ndarray]


def with_seeds(model: Any, rng: np.random.RandomState) -> Any:
    """Return a clone in which every ``random_state`` that is None has a seed."""
    if not hasattr(model, "get_params"):
        return model
    model = clone(model)
    free = [
        key
        for key, value in sorted(model.get_params(deep=True).items())
        if (key == "random_state" or key.endswith("__random_state")) and value is None
    ]
    return model.set_params(**{key: rng.randint(2**31) for key in free})


def hold_out(
    groups: np.ndarray,
    weight: np.ndarray | None,
    rng: np.random.RandomState,
    *,
    conformal: str | None,
    share: float,
    levels: np.ndarray,
) -> Fold:
    """Return the rows to learn from and those held out for calibration; of each group the same share.

    Raises
    ------
    DataError
        If a group has too few of them; it says how many are needed.
    """
    rows = np.arange(len(groups))
    if conformal is None:
        return rows, rows[:0]
    usable = rows if weight is None else rows[weight > 0]
    miss = float(np.minimum(levels, 1 - levels).min()) * (2 if conformal == "cqr" else 1)
    needed = needed_rows(min(miss, 0.5))
    held = []
    for name in np.unique(groups):
        own = rng.permutation(usable[groups[usable] == name])
        n = int(np.ceil(share * len(own)))
        if n < needed:
            raise DataError(
                f"QuantileAggregator: conformal={conformal!r} with levels from {levels[0]:g} to "
                f"{levels[-1]:g} needs at least {needed} calibration rows, got {n} of {name!s}; give more rows, a "
                "larger calibration_size, or levels nearer to 0.5"
            )
        held.append(own[:n])
    out = np.sort(np.concatenate(held))
    return np.setdiff1d(rows, out), out


def folds_of(cv: Any, y: np.ndarray, learnt: np.ndarray, rng: np.random.RandomState) -> list[Fold]:
    """Return rows of training and test, of those to learn from.

    Raises
    ------
    DataError, ParameterError
        If there are fewer rows than folds, or folds have rows that there are not.
    """
    if isinstance(cv, Integral) and len(learnt) < int(cv):
        raise DataError(
            f"QuantileAggregator: cv={cv} needs at least {cv} rows to learn from, got "
            f"n_samples={len(learnt)}; give more rows, or a smaller cv"
        )
    splitter = (
        KFold(cv, shuffle=True, random_state=rng.randint(2**31))
        if isinstance(cv, Integral)
        else check_cv(cv, y, classifier=False)
    )
    folds = list(splitter.split(np.empty((len(learnt), 1)), y[learnt]))
    largest = max(int(np.max(rows, initial=0)) for fold in folds for rows in fold)
    if largest >= len(learnt):
        raise ParameterError(
            f"QuantileAggregator: cv has the row {largest}, but there are {len(learnt)} to learn from; with "
            "conformal calibration rows are held out: give an int or a splitter"
        )
    return [(learnt[a], learnt[b]) for a, b in folds]


def fit_out_of_fold(
    given: Sequence[tuple[str, Any]],
    X: Any,
    y: np.ndarray,
    weight: np.ndarray | None,
    learnt: np.ndarray,
    folds: Sequence[Fold],
    levels: np.ndarray,
    *,
    n_jobs: int | None,
) -> tuple[list[QuantileModel], np.ndarray]:
    """Fit each base model on each fold and on all rows; return those, and predictions out of fold, (n, m, w).

    Rows that no fold tests have NaN. A model that predicts no quantiles is an error before any is fitted.
    """
    parts = [*folds, (learnt, learnt[:0])]
    jobs = [
        (i, as_quantile_model(model, levels, name), train, test)
        for train, test in parts
        for i, (name, model) in enumerate(given)
    ]
    results = Parallel(n_jobs=n_jobs)(
        delayed(_fit_base)(given[i][0], model, X, y, weight, train, test, levels) for i, model, train, test in jobs
    )
    predictions = np.full((len(y), len(given), len(levels)), np.nan)
    for (i, _, _, test), (_, values) in zip(jobs, results, strict=True):
        predictions[test, i] = values
    return [model for model, _ in results[-len(given) :]], predictions


def _fit_base(
    name: str,
    model: QuantileModel,
    X: Any,
    y: np.ndarray,
    weight: np.ndarray | None,
    train: np.ndarray,
    test: np.ndarray,
    levels: np.ndarray,
) -> tuple[QuantileModel, np.ndarray]:
    """Fit a base model on some rows and return it with its predictions of others."""
    if weight is not None:
        train = train[weight[train] > 0]  # also for models that take no weights
    model.fit(_safe_indexing(X, train), y[train], None if weight is None else weight[train])
    if not len(test):
        return model, np.empty((0, len(levels)))
    return model, predicted(name, model, _safe_indexing(X, test), levels)


def predicted(name: str, model: QuantileModel, X: Any, levels: np.ndarray) -> np.ndarray:
    """Return what a base model predicts, (n, w), or say what is wrong with it."""
    values = np.asarray(model.predict_quantiles(X, levels), dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != len(levels):
        raise DataError(
            f"QuantileAggregator: the base model {name!r} must predict (n, {len(levels)}) quantiles, got {values.shape}"
        )
    if not np.isfinite(values).all():
        raise DataError(f"QuantileAggregator: the base model {name!r} predicts NaN or infinite quantiles")
    return values
