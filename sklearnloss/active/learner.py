"""Active learning around any classifier or regressor: which rows to label next."""

import warnings
from collections.abc import Iterator
from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier, is_regressor
from sklearn.exceptions import DataConversionWarning
from sklearn.utils import Tags, get_tags
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _check_sample_weight, check_consistent_length, check_is_fitted

from sklearnloss.active.keys import row_keys
from sklearnloss.active.pool import Labeled, Pool, as_table, committee_of, named_facts, row_range
from sklearnloss.component import Component
from sklearnloss.constraints import Seed
from sklearnloss.estimators._params import SpecParams
from sklearnloss.exceptions import DataError, ParameterError, TaskError, TrainingError
from sklearnloss.functional.choosing import largest
from sklearnloss.spec import Choice, choose
from sklearnloss.training.seeds import generator_of

__all__ = ["ActiveLearner", "is_labeled"]

CHUNK = 65_536  # rows whose facts are held at a time, where a strategy looks at rows one by one
NUMBERS = frozenset({"prediction", "committee_prediction"})  # what only regressors give
OF_CLASSES = frozenset({"proba", "committee", "gradient_norms"})  # classifiers of one class a row
OF_LABELS = frozenset({"label_proba"})  # of several labels a row
COLUMN = (
    "A column-vector y was passed when a 1d array was expected. Please change the shape of y to (n_samples,), for "
    "example using ravel()."
)


def is_labeled(y: Any, unlabeled: Any = -1, *, numbers: bool = False) -> np.ndarray:
    """Return which rows have a label.

    Parameters
    ----------
    y : array-like of shape (n,) or (n, n_labels)
        Labels. A missing value (NaN, None) is no label; neither is ``unlabeled``.
    unlabeled : object, default=-1
        What stands for no label.
    numbers : bool, default=False
        Whether labels are numbers of a regression, of which only missing ones are no label.

    Returns
    -------
    bool array of shape (n,)
        Of several labels, whether all are there.

    Examples
    --------
    >>> is_labeled([0, -1, 2]).tolist(), is_labeled(["a", None, "?"], unlabeled="?").tolist()
    ([True, False, True], [True, False, False])
    """
    values = _as_labels(y)
    missing = values != values if values.dtype.kind in "fc" else np.zeros(values.shape, dtype=bool)
    if values.dtype.kind == "O":
        flat = [v is None or v != v or (not numbers and _equals(v, unlabeled)) for v in values.ravel().tolist()]
        missing = np.array(flat, dtype=bool).reshape(values.shape)
    elif not numbers and unlabeled is not None and _comparable(values, unlabeled):
        missing = missing | (values == unlabeled)
    known: np.ndarray = np.logical_not(missing if missing.ndim == 1 else missing.any(axis=1))
    return known


def _as_labels(y: Any) -> np.ndarray:
    values = y.to_numpy() if hasattr(y, "to_numpy") else y
    if sparse.issparse(values):
        return values.toarray()
    if not hasattr(values, "__array__"):
        values = list(values)
        mixed = len({isinstance(v, str) for v in values if v is not None}) > 1 or any(v is None for v in values)
        return np.array(values, dtype=object) if mixed else np.asarray(values)
    return np.asarray(values)


def _equals(value: Any, unlabeled: Any) -> bool:
    return isinstance(value, str) == isinstance(unlabeled, str) and bool(value == unlabeled)


def _comparable(values: np.ndarray, unlabeled: Any) -> bool:
    return (values.dtype.kind in "US") == isinstance(unlabeled, str)


def _delegated(name: str) -> Any:
    def check(learner: "ActiveLearner") -> bool:
        fitted = getattr(learner, "estimator_", None)
        getattr(learner.estimator if fitted is None else fitted, name)
        return True

    return available_if(check)


class ActiveLearner(SpecParams, MetaEstimatorMixin, BaseEstimator):  # type: ignore[misc]
    r"""A model that says which rows of a pool to label next.

    ``fit(X, y)`` takes a table of which some rows have labels, ``query()`` says which others are worth asking, and
    ``teach(X[rows], answers)`` learns them. It predicts as the model does, which is fitted anew to all labels each
    time; what the user gave stays as it was.

    Parameters
    ----------
    estimator : classifier or regressor
        Any of scikit-learn's, a pipeline, or one of this package.
    strategy : str, callable or Strategy, default="margin"
        Which rows are asked first: ``sklearnloss list strategy``.
    batch_size : int in [1, inf), default=10
        Rows of a query.
    committee : int in [2, inf), default=8
        Models of a strategy that asks a committee: clones fitted to rows that are drawn with repetition. An ensemble
        (random forest, bagging, voting) has its own members.
    unlabeled : object, default=-1
        What stands for no label in y, besides missing values (NaN, None). Of a regression only missing values count,
        as -1 is a number.
    subsample : int in [1, inf) or None, default=None
        Of a larger pool so many rows, drawn at random for each query, are looked at.
    random_state : int, RandomState, Generator or None, default=None
        Seed of ties, draws and committees; the model has its own.

    Attributes
    ----------
    estimator_ : estimator or None
        The fitted model; None where the labels are of fewer than two classes, when only strategies without a model
        can ask.
    classes_ : array of shape (k,)
        The classes seen so far, of a classifier.
    X_labeled_, y_labeled_ : arrays
        What it was fitted to.
    utilities_ : array of shape (n_pool,) or None
        What the strategy gave each row at the last query; NaN for rows that were not looked at, None after a strategy
        that chooses batches.
    query_weights_ : array of shape (n,) or None
        Weights with which the rows of the last query are to be learned from, where the strategy gives some.
    n_features_in_, feature_names_in_
        As scikit-learn defines them.

    Notes
    -----
    A pool may be sparse, a DataFrame or a memory map. Strategies that look at rows one by one see it in chunks of
    65,536 rows, so that a pool of millions takes the memory of one chunk, and of a number for each row.

    A row with a label is not asked again: of the pool given to `fit` by its place, of another by its values.

    References
    ----------
    .. [1] Settles. "Active learning literature survey". University of Wisconsin-Madison, 2009.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> known = np.full(150, -1)
    >>> known[[0, 60, 120]] = y[[0, 60, 120]]
    >>> learner = ActiveLearner(LogisticRegression(), batch_size=5, random_state=0).fit(X, known)
    >>> for _ in range(4):
    ...     rows = learner.query()
    ...     learner = learner.teach(X[rows], y[rows])
    >>> len(learner.y_labeled_), round(learner.score(X, y), 2)
    (23, 0.99)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict"])],
        "strategy": "no_validation",  # type: ignore[dict-item]
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "committee": [Interval(Integral, 2, None, closed="left")],
        "unlabeled": "no_validation",  # type: ignore[dict-item]
        "subsample": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": "no_validation",  # type: ignore[dict-item]
    }
    _spec_kinds: ClassVar[dict[str, str]] = {"strategy": "strategy"}

    def __init__(
        self,
        estimator: Any,
        strategy: Any = "margin",
        *,
        batch_size: int = 10,
        committee: int = 8,
        unlabeled: Any = -1,
        subsample: int | None = None,
        random_state: Seed = None,
    ) -> None:
        self.estimator = estimator
        self.strategy = strategy
        self.batch_size = batch_size
        self.committee = committee
        self.unlabeled = unlabeled
        self.subsample = subsample
        self.random_state = random_state

    estimator_: Any
    utilities_: np.ndarray | None
    query_weights_: np.ndarray | None
    _keys: np.ndarray | None
    _members: list[Any] | None

    # -- learning -----------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the model to the rows with labels; the others are the pool.

        Parameters
        ----------
        X : array, sparse matrix, memory map or DataFrame of shape (n, d)
            All rows; it is kept, not copied.
        y : array of shape (n,) or (n, n_labels)
            Their labels, ``unlabeled`` or missing where there is none.
        sample_weight : array of shape (n,), default=None
            Weights of rows in the fit.

        Returns
        -------
        self

        Raises
        ------
        ParameterError, TaskError
            If the strategy is unknown, or not for such a model.
        DataError
            If X and y have not the same length.
        """
        self._validate_params()
        if y is None:
            raise ValueError("ActiveLearner requires y to be passed, but the target y is None")
        X = as_table(X, "ActiveLearner")
        y = self._labels(y)
        self._chosen(y.ndim > 1)
        check_consistent_length(X, y)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        self._rng = generator_of(self.random_state)
        self._X, self._keys, self._asked = X, None, np.empty(0, dtype=np.int64)
        self._is_labeled = is_labeled(y, self.unlabeled, numbers=is_regressor(self.estimator))
        rows = np.flatnonzero(self._is_labeled)
        values = y[rows]
        if values.dtype.kind == "O" and len(values):
            values = np.array(values.tolist())  # labels without the holes between them
        self.query_weights_, self.utilities_ = None, None
        self._learn(Labeled(row_range(X, rows), values, None if weights is None else weights[rows]))
        return self

    def teach(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn the answers to a query, or any other rows, besides all labels so far.

        Parameters
        ----------
        X : array, sparse matrix or DataFrame of shape (m, d)
            Rows. Those that equal one of the pool take its place, those of the last query first.
        y : array of shape (m,) or (m, n_labels)
            Their labels. A row without one is skipped, and may be asked again.
        sample_weight : array of shape (m,), default=None
            Weights in the fit; rows taught without any have one.

        Returns
        -------
        self

        Raises
        ------
        DataError
            If X does not look like the rows of before, or X and y have not the same length; nothing is learned then.
        """
        check_is_fitted(self, "y_labeled_")
        X = as_table(X, "ActiveLearner")
        if len(X.shape) != len(self._X.shape) or X.shape[1:] != self._X.shape[1:]:
            raise DataError(f"teach takes rows like those of fit, {self._X.shape[1:]}, got an X of {X.shape}")
        y = self._labels(y)
        check_consistent_length(X, y)
        if y.ndim != self.y_labeled_.ndim:
            raise DataError(f"teach takes labels like those of fit, got a y of {y.shape}")
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, X)
        known = np.flatnonzero(is_labeled(y, self.unlabeled, numbers=is_regressor(self.estimator)))
        if not len(known):
            return self
        rows, old = row_range(X, known), self._labeled
        places = self._places(rows)
        values = y[known]
        values = np.array(values.tolist()) if values.dtype.kind == "O" else values
        both = None
        if old.weights is not None or weights is not None:
            before = np.ones(len(old)) if old.weights is None else old.weights
            both = np.concatenate([before, np.ones(len(known)) if weights is None else weights[known]])
        joined = np.concatenate([old.y, values]) if len(old) else values
        self._learn(Labeled(_stacked(old.X, rows) if len(old) else rows, joined, both))
        self._is_labeled[places] = True
        return self

    def _learn(self, labeled: Labeled) -> None:
        """Fit the model to labels; nothing changes if that fails."""
        fitted = None
        classes = is_classifier(self.estimator) and labeled.y.ndim == 1
        if len(labeled) and (not classes or len(np.unique(labeled.y)) > 1):
            fitted = self._fitted(clone(self.estimator), labeled)
        self.estimator_, self._labeled = fitted, labeled
        self._members = None
        self.X_labeled_, self.y_labeled_ = labeled.X, labeled.y

    @staticmethod
    def _fitted(estimator: Any, labeled: Labeled) -> Any:
        if labeled.weights is None:
            return estimator.fit(labeled.X, labeled.y)
        return estimator.fit(labeled.X, labeled.y, sample_weight=labeled.weights)

    @staticmethod
    def _labels(y: Any) -> np.ndarray:
        values = _as_labels(y)
        if values.dtype.kind == "f" and np.isinf(values).any():
            raise DataError(
                f"Input y contains infinity or a value too large for dtype('{values.dtype}'). A row without a label "
                "has NaN"
            )
        if values.ndim == 2 and values.shape[1] == 1:
            warnings.warn(COLUMN, DataConversionWarning, stacklevel=3)
            return values[:, 0]
        return values

    def _places(self, rows: Any) -> np.ndarray:
        """Return the rows of the pool without a label that equal these; each only once, those just asked first."""
        keys = row_keys(rows)
        asked = self._asked[~self._is_labeled[self._asked]]
        if len(asked) == len(keys) and (row_keys(row_range(self._X, asked)) == keys).all():
            return asked
        own = self._keys = row_keys(self._X) if self._keys is None else self._keys
        free = np.flatnonzero(~self._is_labeled & np.isin(own, keys))
        free = free[np.lexsort([~np.isin(free, asked), own[free]])]
        found, wanted = np.unique(keys, return_counts=True)
        starts = np.searchsorted(own[free], found)
        ends = np.searchsorted(own[free], found, side="right")
        spans = [free[a : min(b, a + w)] for a, b, w in zip(starts, ends, wanted, strict=True)]
        return np.concatenate([np.empty(0, dtype=np.int64), *spans])

    # -- asking -------------------------------------------------------------------------------------------------------

    def query(self, X_pool: Any = None, n: int | None = None) -> np.ndarray:
        """Return the rows to label next, the most useful first.

        Parameters
        ----------
        X_pool : array, sparse matrix, memory map or DataFrame of shape (n_pool, d), default=None
            Rows that may be asked; None are those of `fit` that have no label yet.
        n : int, default=None
            How many; None is ``batch_size``, or what is left.

        Returns
        -------
        array of int of shape (n,)
            Numbers of rows of ``X_pool``, or of the X given to `fit`.

        Raises
        ------
        DataError
            If nothing is left to label, fewer than ``n`` are, or the strategy needs a model and there is none yet.
        TaskError
            If the model lacks what the strategy asks by.
        """
        check_is_fitted(self, "y_labeled_")
        choice = self._chosen(self.y_labeled_.ndim > 1)
        own = X_pool is None
        pool = self._X if own else as_table(X_pool, "ActiveLearner")
        if not own and pool.shape[1:] != self._X.shape[1:]:
            raise DataError(f"query takes rows like those of fit, {self._X.shape[1:]}, got an X_pool of {pool.shape}")
        free = ~self._is_labeled if own else ~np.isin(row_keys(pool), row_keys(self._labeled.X))
        rows = np.flatnonzero(free) if len(free) else np.empty(0, dtype=np.int64)
        n = self._wanted(n, len(rows), "X" if own else "X_pool")
        if self.subsample is not None and self.subsample < len(rows):
            rows = np.sort(self._rng.choice(rows, max(self.subsample, n), replace=False))
        self.utilities_, self.query_weights_ = None, None
        asked = self._ask(choice, pool, rows, n)
        self._asked = asked if own else np.empty(0, dtype=np.int64)
        return asked

    def _wanted(self, n: Any, left: int, what: str) -> int:
        if not left:
            raise DataError(f"ActiveLearner: nothing is left to label, all rows of {what} have one")
        if n is None:
            return min(self.batch_size, left)
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 1:
            raise ParameterError(f"ActiveLearner.query: n must be an int in [1, inf), got {n!r}")
        if n > left:
            raise DataError(f"ActiveLearner.query: n={n}, but only {left} rows of {what} have no label")
        return int(n)

    def _chosen(self, several: bool) -> Choice:
        """Return the strategy, if it is for such a model and such labels."""
        choice = choose("strategy", self.strategy)
        asks_by = {*choice.component.data, *choice.component.needs}
        if asks_by & NUMBERS and not is_regressor(self.estimator):
            raise TaskError(
                f"{choice.component.title} asks by predictions of numbers, but {type(self.estimator).__name__} is a "
                "classifier; use 'margin', or a regressor"
            )
        if asks_by & (OF_CLASSES | OF_LABELS) and is_regressor(self.estimator):
            raise TaskError(
                f"{choice.component.title} asks by probabilities of classes, but {type(self.estimator).__name__} is a "
                "regressor; use 'greedy_xy', 'qbc_variance' or 'leverage', or a classifier"
            )
        if asks_by & OF_CLASSES and several:
            raise TaskError(
                f"{choice.component.title} looks at one class a row, y has several labels; use 'max_loss', "
                "'min_confidence' or 'coreset'"
            )
        if asks_by & OF_LABELS and not several:
            raise TaskError(
                f"{choice.component.title} looks at several labels a row, y has one; use 'margin' or 'least_confidence'"
            )
        return choice

    def _ask(self, choice: Choice, X: Any, rows: np.ndarray, n: int) -> np.ndarray:
        component, ask = choice.component, choice.build()
        whole = len(rows) == X.shape[0]
        if component.unit == "row":
            utilities = np.full(X.shape[0], np.nan)
            shared: dict[str, Any] = {}
            for part in _parts(rows, whole):
                data, facts = named_facts(self._pool(component, row_range(X, part), n, shared), component)
                utilities[part] = self._checked(component, ask(*data, **facts))
            self.utilities_ = utilities
            return largest(utilities, n, self._rng)
        data, facts = named_facts(self._pool(component, X if whole else row_range(X, rows), n, {}), component)
        answer = ask(*data, **facts)
        if component.unit == "pool":
            utilities = np.full(X.shape[0], np.nan)
            utilities[rows] = self._checked(component, answer)
            self.utilities_ = utilities
            return largest(utilities, n, self._rng)
        picked, weights = answer if isinstance(answer, tuple) else (answer, None)
        picked = np.asarray(picked)
        if len(picked) != n or len(np.unique(picked)) != n:
            raise TrainingError(
                f"{component.title} chose {len(picked)} rows, {len(np.unique(picked))} different ones, of {n}"
            )
        self.query_weights_ = None if weights is None else np.asarray(weights)
        return np.asarray(rows[picked])

    def _pool(self, component: Component, X: Any, n: int, shared: dict[str, Any]) -> Pool:
        return Pool(X, self.estimator_, self._labeled, n, self._rng, self._committee, component, self.estimator, shared)

    def _committee(self) -> list[Any]:
        if self._members is None:
            seed = int(self._rng.integers(2**62))
            self._members = committee_of(self.estimator_, self._labeled, self.committee, self._fitted, seed)
        return self._members

    @staticmethod
    def _checked(component: Component, utilities: Any) -> np.ndarray:
        values = np.asarray(utilities, dtype=np.float64)
        if np.isnan(values).any():
            raise TrainingError(f"{component.title} gave NaN for {int(np.isnan(values).sum())} of {len(values)} rows")
        return values

    # -- predicting ---------------------------------------------------------------------------------------------------

    def _model(self) -> Any:
        check_is_fitted(self, "y_labeled_")
        if self.estimator_ is None:
            seen = len(self.y_labeled_)
            raise DataError(
                "ActiveLearner: there is no model yet, "
                + (f"as the {seen} labeled rows are all of one class" if seen else "as no row has a label")
                + "; teach it rows of two classes at least"
            )
        return self.estimator_

    @property
    def classes_(self) -> np.ndarray:
        """The classes seen so far."""
        return np.asarray(self._model().classes_)

    @property
    def n_features_in_(self) -> int:
        """Columns of X."""
        check_is_fitted(self, "y_labeled_")
        return int(self._X.shape[1])

    def predict(self, X: Any) -> np.ndarray:
        """Return what the model predicts for rows (n, d); where only one class was seen, this class."""
        check_is_fitted(self, "y_labeled_")
        if self.estimator_ is None and len(self.y_labeled_):
            return np.repeat(self.y_labeled_[:1], as_table(X, "ActiveLearner").shape[0])
        return np.asarray(self._model().predict(X))

    @_delegated("predict_proba")
    def predict_proba(self, X: Any) -> Any:
        """Return the model's probabilities for rows (n, d)."""
        return self._model().predict_proba(X)

    @_delegated("predict_log_proba")
    def predict_log_proba(self, X: Any) -> Any:
        """Return the model's logarithms of probabilities for rows (n, d)."""
        return self._model().predict_log_proba(X)

    @_delegated("decision_function")
    def decision_function(self, X: Any) -> Any:
        """Return the model's scores for rows (n, d)."""
        return self._model().decision_function(X)

    @_delegated("score")
    def score(self, X: Any, y: Any, **params: Any) -> float:
        """Return the model's own score on rows (n, d)."""
        return float(self._model().score(X, y, **params))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "y_labeled_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags, tags.regressor_tags = inner.classifier_tags, inner.regressor_tags
        tags.target_tags = inner.target_tags
        tags.input_tags = inner.input_tags
        return tags


def _parts(rows: np.ndarray, whole: bool) -> Iterator[Any]:
    """Return rows in chunks; of a whole pool slices, which copy nothing."""
    for start in range(0, len(rows), CHUNK):
        yield slice(start, min(start + CHUNK, len(rows))) if whole else rows[start : start + CHUNK]


def _stacked(a: Any, b: Any) -> Any:
    if sparse.issparse(a):
        return sparse.vstack([a, b], format="csr")
    if hasattr(a, "iloc"):
        import pandas as pd

        return pd.concat([a, b if hasattr(b, "iloc") else pd.DataFrame(b, columns=a.columns)], ignore_index=True)
    return np.concatenate([np.asarray(a), np.asarray(b)])
