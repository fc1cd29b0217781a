"""Metrics of embeddings as scikit-learn scorers."""

from collections.abc import Callable
from typing import Any

import numpy as np

from sklearnloss.exceptions import DataError, TaskError
from sklearnloss.functional.neighbors import embed
from sklearnloss.registry import components
from sklearnloss.scorers import UnweightedScorer
from sklearnloss.spec import Choice, Metric, as_spec

__all__ = ["EmbeddingScorer", "embedding_scorer"]

FOLDS = (
    ". For a transformer cv=3 means folds in the order of the rows; mix the classes, cv=StratifiedKFold(3, "
    "shuffle=True), or keep those of many apart, groups=y with cv=GroupKFold(3)"
)


class EmbeddingScorer(UnweightedScorer):
    """Scores a fitted transformer by a metric of what it makes of rows; greater is better, whatever the metric.

    Made by `embedding_scorer`. It can be pickled, and compares equal to one of the same metric and parameters.

    Parameters
    ----------
    metric : Metric
        What is measured, with its parameters.

    Attributes
    ----------
    metric : Metric
        As given.
    sign : int
        1, or -1 where less of the metric is better.
    """

    def __init__(self, metric: Metric) -> None:
        self.metric = metric
        component = self._chosen().component
        if component.role != "embeddings":
            known = ", ".join(c.name for c in components("metric") if c.role == "embeddings")
            raise TaskError(
                f"{component.title} judges {component.role or 'nothing'}, not embeddings; "
                f"embedding_scorer takes {known}"
            )

    @property
    def sign(self) -> int:
        """1, or -1 where less of the metric is better."""
        return 1 if self._chosen().component.greater_is_better else -1

    def __call__(self, estimator: Any, X: Any, y: Any = None, **facts: Any) -> float:
        """Return the score of rows.

        Parameters
        ----------
        estimator : fitted transformer, or None
            Something with ``transform``, such as a Pipeline that ends in a transformer. None judges X as it is.
        X : array-like of shape (n, d)
            Rows, which are queries and gallery at once.
        y : array-like of shape (n,), default=None
            Their classes; some metrics need none.
        **facts
            Refused: there are no weights here.

        Returns
        -------
        float
            The metric, or its negative where less is better.

        Raises
        ------
        FactError
            If weights are given.
        TaskError
            If the estimator has no ``transform``.
        DataError
            If the metric refuses the rows, or needs y.
        """
        self._refuse(facts)
        choice = self._chosen()
        wants_y = "y" in choice.component.data
        if wants_y and y is None:
            raise DataError(f"{choice.component.title} needs the classes of the rows: scorer(estimator, X, y)")
        embeddings = embed(estimator, X)
        try:
            value = choice.build()(embeddings, y) if wants_y else choice.build()(embeddings)
        except DataError as error:
            advice = FOLDS if wants_y and len(set(np.asarray(y).ravel().tolist())) == 1 else ""
            raise DataError(f"{self!r} cannot judge these {len(embeddings)} rows: {error}{advice}") from error
        return self.sign * float(value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EmbeddingScorer) and self.metric == other.metric

    def __hash__(self) -> int:
        return hash((EmbeddingScorer, self.metric))

    def __repr__(self) -> str:
        return f"embedding_scorer{repr(self.metric).removeprefix('Metric')}"

    def _chosen(self) -> Choice:
        return self.metric.choose()  # by name at each call: a pickle carries names, no components


def embedding_scorer(metric: str | Callable[..., float] | Metric, /, **params: Any) -> EmbeddingScorer:
    """Make a scorer of a metric of embeddings, for ``scoring=`` wherever scikit-learn takes one.

    Parameters
    ----------
    metric : str, callable or Metric
        ``"map_at_r"``, ``"r_precision"``, ``"recall_at_k"``, ``"nmi"``, ``"eer"``, ``"opis"``, ``"tolerance"``,
        ``"uniformity"``, ``"utilization"``, one of a plugin, or a function ``f(embeddings, y, *, ...)`` of your own;
        mark it with ``@metric("name", greater_is_better=False)`` if less is better.
    **params
        Its hyperparameters.

    Returns
    -------
    EmbeddingScorer
        ``scorer(estimator, X, y)``: the metric of ``estimator.transform(X)``, its sign turned where less is better.

    Raises
    ------
    UnknownNameError, ParameterError
        If there is no such metric, or a parameter is unknown or out of range.
    TaskError
        If it is no metric of embeddings.

    Notes
    -----
    For a transformer scikit-learn takes ``cv=3`` as folds in the order of the rows, which of sorted rows have one class
    each. ``StratifiedKFold`` gives every fold all classes; ``GroupKFold`` with ``groups=y`` judges by classes that were
    not trained on, as metric learning does.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import GridSearchCV, StratifiedKFold
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X, y = load_iris(return_X_y=True)
    >>> scorer = embedding_scorer("map_at_r", distance="euclidean")
    >>> model = make_pipeline(StandardScaler(), PCA())
    >>> search = GridSearchCV(model, {"pca__n_components": [1, 2]}, scoring=scorer, cv=StratifiedKFold(3)).fit(X, y)
    >>> search.best_params_, round(float(search.best_score_), 3)
    ({'pca__n_components': 1}, 0.769)
    """
    chosen = as_spec("metric", metric)
    return EmbeddingScorer(Metric(chosen.spec, **{**chosen.params, **params}))
