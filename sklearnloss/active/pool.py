"""What a query strategy may know of a pool: computed where it is named, once a query."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.base import clone, is_regressor
from sklearn.ensemble import BaggingClassifier, BaggingRegressor, VotingClassifier, VotingRegressor
from sklearn.ensemble._forest import ForestClassifier, ForestRegressor
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing

from sklearnloss.active.gradients import gradient_norms
from sklearnloss.active.losses import losses_out_of_fold
from sklearnloss.component import Component
from sklearnloss.estimators._base import NetEstimator
from sklearnloss.estimators.embedder import MetricEmbedder
from sklearnloss.exceptions import DataError, TaskError

__all__ = [
    "Labeled", "Pool", "as_table", "committee_of", "embed", "named_facts", "predictions", "probabilities", "row_range",
]  # fmt: skip

Forest = (ForestClassifier, ForestRegressor)
Bagging = (BaggingClassifier, BaggingRegressor)
Voting = (VotingClassifier, VotingRegressor)
DENSE_BYTES = 2**30  # a sparse pool is made dense up to this size


@dataclass(frozen=True)
class Labeled:
    """Rows with labels.

    Attributes
    ----------
    X, y : arrays, X also sparse or a DataFrame
        Rows and their labels, as the user gave them.
    weights : array of shape (m,) or None
        Weights in the fit.
    """

    X: Any
    y: np.ndarray
    weights: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.y)


@dataclass
class Pool:
    """The facts of some rows of a pool.

    Attributes
    ----------
    X : array, sparse matrix or DataFrame of shape (n, d)
        The rows.
    estimator : estimator or None
        The model that was fitted to the labels; None before there are two classes.
    labeled : Labeled
        What it was fitted to.
    n : int
        How many rows are wanted.
    rng : numpy Generator
        For the strategy.
    committee : callable
        ``committee() -> list of fitted estimators``.
    component : Component
        The strategy, for messages.
    model : estimator
        What the user gave, for messages.
    """

    X: Any
    estimator: Any
    labeled: Labeled
    n: int
    rng: np.random.Generator
    committee: Callable[[], list[Any]]
    component: Component
    model: Any
    shared: dict[str, Any] = field(default_factory=dict)  # what is the same for all chunks of a pool

    def get(self, name: str) -> Any:
        """Return a fact by its name."""
        return getattr(self, f"_{name}")()

    def _X_pool(self) -> Any:
        return self.X

    def _X_labeled(self) -> Any:
        return self.labeled.X

    def _y_labeled(self) -> np.ndarray:
        return self.labeled.y

    def _n(self) -> int:
        return self.n

    def _rng(self) -> np.random.Generator:
        return self.rng

    def _estimator(self) -> Any:
        return self._fitted("the fitted model")

    def _proba(self) -> np.ndarray:
        return probabilities(self._fitted("probabilities"), self.X, self._who)

    def _label_proba(self) -> np.ndarray:
        return self._proba()

    def _prediction(self) -> np.ndarray:
        return predictions(self._fitted("predictions"), self.X, self._who)

    def _committee(self) -> np.ndarray:
        self._fitted("a committee")
        return np.stack([probabilities(member, self.X, self._who) for member in self.committee()])

    def _committee_prediction(self) -> np.ndarray:
        self._fitted("a committee")
        return np.stack([predictions(member, self.X, self._who) for member in self.committee()])

    def _embeddings(self) -> np.ndarray:
        return embed(self.estimator, self.X, self._who)

    def _embeddings_labeled(self) -> np.ndarray:
        if "embeddings_labeled" not in self.shared:
            known = len(self.labeled) > 0
            rows = embed(self.estimator, self.labeled.X, self._who) if known else self._embeddings()[:0]
            self.shared["embeddings_labeled"] = rows
        return np.asarray(self.shared["embeddings_labeled"])

    def _gradient_norms(self) -> np.ndarray:
        return gradient_norms(self._fitted("gradients"), self.X, self._proba(), self._embeddings())

    def _losses_labeled(self) -> np.ndarray:
        if "losses_labeled" not in self.shared:
            self._fitted("losses")
            losses = losses_out_of_fold(self.model, self.labeled.X, self.labeled.y, self._who)
            self.shared["losses_labeled"] = losses
        return np.asarray(self.shared["losses_labeled"])

    @property
    def _who(self) -> str:
        return self.component.title

    def _fitted(self, what: str) -> Any:
        if self.estimator is None:
            seen = len(self.labeled)
            raise DataError(
                f"{self._who} asks by {what}, but {_short(self.model)} could not be fitted: "
                + (f"the {seen} labeled rows are all of one class" if seen else "no row has a label")
                + "; begin with a strategy that needs no model ('random', 'coreset', 'typiclust', 'probcover'), or "
                "label a row of another class"
            )
        return self.estimator


def as_table(X: Any, who: str) -> Any:
    """Return rows that can be picked by number; a list becomes an array, a sparse matrix one of rows.

    Raises
    ------
    DataError
        If there are none, or they have no columns.
    """
    if sparse.issparse(X):
        return X if X.format == "csr" else X.tocsr()
    X = X if hasattr(X, "shape") else np.asarray(X)
    if len(X.shape) < 2:
        raise DataError(
            f"Expected 2D array, got {len(X.shape)}D array instead. Reshape your data: {who} takes rows (n, d)"
        )
    if X.shape[0] == 0:
        raise DataError(f"Found array with 0 sample(s) (shape={X.shape}) while a minimum of 1 is required by {who}.")
    return X


def row_range(X: Any, rows: Any) -> Any:
    """Return some rows: of an array by a slice without a copy, of anything else as scikit-learn does."""
    if isinstance(rows, slice) and hasattr(X, "iloc"):
        return X.iloc[rows]
    return X[rows] if isinstance(rows, slice) else _safe_indexing(X, rows)


def probabilities(estimator: Any, X: Any, who: str) -> np.ndarray:
    """Return probabilities of classes (n, k), or of labels (n, n_labels).

    Raises
    ------
    TaskError
        If the estimator gives none.
    DataError
        If some are no numbers.
    """
    if not hasattr(estimator, "predict_proba"):
        raise TaskError(
            f"{who} asks by probabilities, which {_short(estimator)} does not give; wrap it in CalibratedClassifierCV, "
            "or take a strategy that needs none ('random', 'coreset', 'typiclust', 'probcover')"
        )
    proba = estimator.predict_proba(X)
    if isinstance(proba, list):  # one table a label, as scikit-learn's classifiers of several labels give
        proba = np.column_stack([table[:, -1] if table.shape[1] > 1 else _certain(table) for table in proba])
    proba = np.asarray(proba)
    _check_numbers(proba, who, f"predict_proba of {_short(estimator)}")
    return proba


def _certain(table: np.ndarray) -> np.ndarray:
    """Return zeros, for a label of which no positive was seen."""
    return np.zeros(len(table))


def predictions(estimator: Any, X: Any, who: str) -> np.ndarray:
    """Return predicted numbers (n,).

    Raises
    ------
    TaskError
        If there are several targets.
    DataError
        If some are no numbers.
    """
    values = np.asarray(estimator.predict(X), dtype=np.float64)
    if values.ndim > 1 and values.shape[1] > 1:
        raise TaskError(f"{who} looks at one target, {_short(estimator)} predicts {values.shape[1]}")
    values = values.reshape(len(values))
    _check_numbers(values, who, f"predict of {_short(estimator)}")
    return values


def embed(estimator: Any, X: Any, who: str) -> np.ndarray:
    """Return rows as the last layer of a network, or the last step of a pipeline, sees them; else X itself.

    Raises
    ------
    DataError
        If they are no finite numbers, or X is too large a sparse matrix.
    """
    if isinstance(estimator, MetricEmbedder):
        X = estimator.transform(X)
    elif isinstance(estimator, NetEstimator):
        X = estimator._features(X)
    elif isinstance(estimator, Pipeline):
        return embed(estimator[-1], estimator[:-1].transform(X), who)
    if sparse.issparse(X):
        size = 8 * X.shape[0] * X.shape[1]
        if size > DENSE_BYTES:
            raise DataError(
                f"{who} measures distances, for which the sparse rows {X.shape} would take {size / 2**30:.0f} GiB; put "
                "a TruncatedSVD before the model, in a Pipeline"
            )
        X = X.toarray()
    try:
        rows = np.asarray(X, dtype=None if getattr(X, "dtype", None) == np.float32 else np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(
            f"{who} measures distances, but X holds no numbers ({error}); encode it in a Pipeline"
        ) from None
    rows = rows.reshape(len(rows), -1)
    _check_numbers(rows, who, "the embedding" if estimator is not None else "X")
    return rows


def committee_of(estimator: Any, labeled: Labeled, size: int, fit: Callable[..., Any], seed: int) -> list[Any]:
    """Return the members of an ensemble, or models fitted to rows drawn with repetition.

    Parameters
    ----------
    estimator : fitted estimator
        An ensemble of scikit-learn, whose members they are; of anything else, clones are fitted.
    labeled : Labeled
        What it was fitted to.
    size : int
        How many clones.
    fit : callable
        ``fit(estimator, labeled) -> fitted estimator``.
    seed : int
        Seed of the draws, and of the clones' own ``random_state``.
    """
    if isinstance(estimator, Forest):
        return [_Member(tree, estimator) for tree in estimator.estimators_]
    if isinstance(estimator, Bagging):
        columns = estimator.estimators_features_
        return [_Member(m, estimator, c) for m, c in zip(estimator.estimators_, columns, strict=True)]
    if isinstance(estimator, Voting):
        return [_Member(member, estimator) for member in estimator.estimators_]
    rng = np.random.default_rng(seed)
    members = []
    for _ in range(size):
        rows = _drawn_again(labeled.y, rng, classes=not is_regressor(estimator))
        member = clone(estimator)
        seeds = {
            k: int(rng.integers(2**31)) for k in sorted(member.get_params()) if k.split("__")[-1] == "random_state"
        }
        weights = None if labeled.weights is None else labeled.weights[rows]
        members.append(fit(member.set_params(**seeds), Labeled(row_range(labeled.X, rows), labeled.y[rows], weights)))
    return members


class _Member:
    """A member of an ensemble that takes the rows, and gives the columns, of the whole."""

    def __init__(self, member: Any, whole: Any, columns: Any = None) -> None:
        self.member, self.whole, self.columns = member, whole, columns
        self.__sklearn_tags__ = whole.__sklearn_tags__

    def predict(self, X: Any) -> Any:
        """Return the member's predictions."""
        return self.member.predict(self._rows(X))

    def predict_proba(self, X: Any) -> Any:
        """Return the member's probabilities, with a column for each class of the whole."""
        proba = self.member.predict_proba(self._rows(X))
        width = len(self.whole.classes_)
        if proba.shape[1] == width:
            return proba
        full = np.zeros((len(proba), width))
        full[:, np.asarray(self.member.classes_, dtype=np.int64)] = proba
        return full

    def _rows(self, X: Any) -> Any:
        named = hasattr(self.member, "feature_names_in_")
        X = X if named or not hasattr(X, "to_numpy") else X.to_numpy()
        return X if self.columns is None or len(self.columns) == X.shape[1] else X[:, self.columns]


def _drawn_again(y: np.ndarray, rng: np.random.Generator, *, classes: bool) -> np.ndarray:
    """Return rows drawn with repetition; of classes, each as often as there are rows of it."""
    if not classes or y.ndim > 1:
        return rng.integers(len(y), size=len(y))
    codes = np.unique(y, return_inverse=True)[1]
    groups = [np.flatnonzero(codes == c) for c in range(codes.max() + 1)]
    return np.concatenate([rng.choice(group, len(group)) for group in groups])


def _check_numbers(values: np.ndarray, who: str, what: str) -> None:
    wrong = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if wrong.any():
        raise DataError(
            f"{who}: {what} is NaN or infinite in {int(wrong.sum())} of {len(values)} rows, first in row "
            f"{int(wrong.argmax())}; impute the values, or leave the rows out"
        )


def _short(estimator: Any) -> str:
    return type(estimator).__name__


def named_facts(pool: Pool, component: Component) -> tuple[list[Any], Mapping[str, Any]]:
    """Return what a strategy takes, by place and by keyword."""
    wanted = (*component.needs, *component.wishes)
    return [pool.get(name) for name in component.data], {name: pool.get(name) for name in wanted}
