"""Base models of a quantile aggregation: whatever can be brought to predict quantiles, behind one interface."""

import inspect
from collections.abc import Sequence
from typing import Any, Protocol, Self

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.linear_model import QuantileRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.validation import has_fit_parameter

from sklearnloss.estimators.regressor import LossRegressor
from sklearnloss.exceptions import TaskError
from sklearnloss.functional.distributions import Quantiles
from sklearnloss.spec import choose

__all__ = ["ByLevel", "QuantileModel", "as_quantile_model", "default_models"]

CELLS = 5_000_000  # of the weights that a forest gives training rows, held at once
FEW = 5  # levels at which the default models that need a fit for each are fitted
NETWORK: dict[str, Any] = {"hidden_layer_sizes": (128, 128), "lr": 2e-3, "batch_size": 128}
STEPS, SHORTEST, LONGEST = 3000, 30, 200  # of the default networks' training; the last two are epochs


class QuantileModel(Protocol):
    """What the aggregation asks of a base model."""

    def fit(self, X: Any, y: np.ndarray, sample_weight: np.ndarray | None) -> Any:
        """Fit, with the weights if the model takes them."""

    def predict_quantiles(self, X: Any, levels: np.ndarray) -> np.ndarray:
        """Return quantiles (n, len(levels))."""


def _fit(estimator: Any, X: Any, y: np.ndarray, sample_weight: np.ndarray | None) -> Any:
    if sample_weight is None or not has_fit_parameter(estimator, "sample_weight"):
        return estimator.fit(X, y)
    return estimator.fit(X, y, sample_weight=sample_weight)


class _Wrapper:
    """A model that already knows quantiles, or a wrapper's base."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: Any, y: np.ndarray, sample_weight: np.ndarray | None) -> Self:
        _fit(self.estimator, X, y, sample_weight)
        return self

    def predict_quantiles(self, X: Any, levels: np.ndarray) -> np.ndarray:
        return np.asarray(self.estimator.predict_quantiles(X, levels))


class _ByKeyword(_Wrapper):
    """A model with ``predict(X, quantiles=...)``, such as those of quantile-forest."""

    def predict_quantiles(self, X: Any, levels: np.ndarray) -> np.ndarray:
        return np.reshape(self.estimator.predict(X, quantiles=levels.tolist()), (-1, len(levels)))


class _Leaves(_Wrapper):
    """A forest: quantiles of the training targets, weighted by how often they share a leaf with the row."""

    def fit(self, X: Any, y: np.ndarray, sample_weight: np.ndarray | None) -> Self:
        _fit(self.estimator, X, y, sample_weight)
        order = np.argsort(y, kind="stable")
        leaves = self.estimator.apply(X)[order]  # (n, trees)
        self._first = np.concatenate([[0], np.cumsum(leaves.max(axis=0) + 1)])  # where the leaves of each tree begin
        weight = np.ones(len(y)) if sample_weight is None else np.asarray(sample_weight)[order]
        of_leaf = self._indicator(leaves).T.multiply(weight).tocsr()  # (leaves, n)
        total = np.asarray(of_leaf.sum(axis=1)).ravel()
        scale = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
        self._share = sparse.diags_array(scale / leaves.shape[1]) @ of_leaf
        self._y = np.asarray(y)[order]
        return self

    def _indicator(self, leaves: np.ndarray) -> Any:
        n, trees = leaves.shape
        columns = (leaves + self._first[:-1]).ravel()
        return sparse.csr_array(
            (np.ones(n * trees), columns, np.arange(0, n * trees + 1, trees)), shape=(n, self._first[-1])
        )

    def predict_quantiles(self, X: Any, levels: np.ndarray) -> np.ndarray:
        leaves = self.estimator.apply(X)
        step = max(1, CELLS // len(self._y))
        blocks = [self._block(leaves[start : start + step], levels) for start in range(0, len(leaves), step)]
        return np.concatenate(blocks)

    def _block(self, leaves: np.ndarray, levels: np.ndarray) -> np.ndarray:
        below = np.cumsum((self._indicator(leaves) @ self._share).toarray(), axis=1)  # (b, n)
        # a share is a sum of many; what rounding leaves must not move a quantile to the next target
        place = [(below < level - 1e-10).sum(axis=1) for level in levels]
        return self._y[np.minimum(np.stack(place, axis=1), len(self._y) - 1)]


class _Chain:
    """A Pipeline: its transformers, fitted once, and its last step."""

    def __init__(self, before: Pipeline, last: QuantileModel) -> None:
        self.before = before
        self.last = last

    def fit(self, X: Any, y: np.ndarray, sample_weight: np.ndarray | None) -> Self:
        self.last.fit(self.before.fit_transform(X, y), y, sample_weight)
        return self

    def predict_quantiles(self, X: Any, levels: np.ndarray) -> np.ndarray:
        return self.last.predict_quantiles(self.before.transform(X), levels)


class ByLevel(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A clone of a model of one quantile for each of some levels, with straight lines between them.

    Parameters
    ----------
    estimator : regressor with a parameter for the level
        `sklearn.linear_model.QuantileRegressor`, `sklearn.ensemble.HistGradientBoostingRegressor` or
        `sklearn.ensemble.GradientBoostingRegressor` with ``loss="quantile"``, or another with ``quantile``.
    levels : sequence of float in (0, 1), rising
        Levels.

    Attributes
    ----------
    estimators_ : list
        One for each level.
    """

    def __init__(self, estimator: Any, levels: Sequence[float]) -> None:
        self.estimator = estimator
        self.levels = levels

    def fit(self, X: Any, y: np.ndarray, sample_weight: np.ndarray | None = None) -> Self:
        """Fit the clones."""
        name = _level_parameter(self.estimator)
        assert name is not None
        models = [clone(self.estimator).set_params(**{name: float(level)}) for level in self.levels]
        self.estimators_ = [_fit(model, X, y, sample_weight) for model in models]
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return medians (n,)."""
        return self.predict_quantiles(X, [0.5])[:, 0]

    def predict_quantiles(self, X: Any, levels: Any) -> np.ndarray:
        """Return quantiles (n, len(levels)): those of the clones as they are, others between them."""
        values = np.stack([model.predict(X) for model in self.estimators_], axis=-1)
        if np.array_equal(levels, self.levels):
            return values
        return Quantiles(values, np.asarray(self.levels, dtype=float)).quantiles(levels)


def _level_parameter(estimator: Any) -> str | None:
    """Return the name of the parameter that holds the level, or None."""
    params = estimator.get_params(deep=False) if hasattr(estimator, "get_params") else {}
    if params.get("loss", "quantile") != "quantile":
        return None
    if "quantile" in params:
        return "quantile"
    return "alpha" if "loss" in params and "alpha" in params else None


def as_quantile_model(estimator: Any, levels: np.ndarray, name: str) -> QuantileModel:
    """Return a clone of an estimator behind the interface of base models.

    Raises
    ------
    TaskError
        If it cannot predict quantiles; the message names it.
    """
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        return _Chain(clone(estimator[:-1]), as_quantile_model(estimator[-1], levels, name))
    if isinstance(estimator, LossRegressor):
        estimator = _at_levels(estimator, levels)
    if hasattr(estimator, "predict_quantiles"):
        return _Wrapper(clone(estimator))
    if _level_parameter(estimator) is not None:
        return _Wrapper(ByLevel(clone(estimator), tuple(levels.tolist())))
    if hasattr(estimator, "predict") and "quantiles" in inspect.signature(estimator.predict).parameters:
        return _ByKeyword(clone(estimator))
    if isinstance(estimator, RandomForestRegressor | ExtraTreesRegressor):
        return _Leaves(clone(estimator))
    raise TaskError(
        f"QuantileAggregator: the base model {name!r}, {estimator!r}, predicts no quantiles; give one with "
        "predict_quantiles(X, levels), such as LossRegressor('pinball'), a regressor of one quantile, such as "
        "QuantileRegressor() or HistGradientBoostingRegressor(loss='quantile'), or a forest"
    )


def _at_levels(estimator: LossRegressor, levels: np.ndarray) -> LossRegressor:
    """Return it with the levels wanted, if its loss is a plain name whose hyperparameter they are."""
    if not isinstance(estimator.loss, str):
        return estimator
    if "levels" not in {p.name for p in choose("loss", estimator.loss).component.parameters}:
        return estimator
    return clone(estimator).set_params(loss__levels=tuple(levels.tolist()))


def default_models(levels: np.ndarray, n: int) -> list[tuple[str, Any]]:
    """Return five different models for n rows: linear, boosted, a forest, and two networks."""
    few = tuple(levels[np.unique(np.linspace(0, len(levels) - 1, FEW).round().astype(int))].tolist())
    boosted = HistGradientBoostingRegressor(loss="quantile", max_leaf_nodes=16)
    epochs = min(max(STEPS * NETWORK["batch_size"] // n, SHORTEST), LONGEST)
    return [
        ("linear", make_pipeline(StandardScaler(), ByLevel(QuantileRegressor(alpha=0.0, solver="highs-ipm"), few))),
        ("boosting", ByLevel(boosted, few)),
        ("forest", ExtraTreesRegressor(min_samples_leaf=3)),
        ("pinball", LossRegressor("pinball", max_epochs=epochs, **NETWORK)),
        ("gaussian_nll", LossRegressor("gaussian_nll", max_epochs=epochs, **NETWORK)),
    ]
