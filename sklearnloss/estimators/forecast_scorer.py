"""Metrics of forecasts that say more than a point, as scikit-learn scorers."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.exceptions import ParameterError, TaskError
from sklearnloss.functional.distributions import Distribution, Ensemble, Normal
from sklearnloss.functional.forecasts import NINE, average, check_forecasts, check_levels, forecast
from sklearnloss.registry import components
from sklearnloss.scorers import WeightedScorer
from sklearnloss.spec import Choice, Metric, as_spec

__all__ = ["ForecastScorer", "forecast_scorer"]

COVERAGE = 0.9
METHODS = {  # what a metric judges, the name of its second argument, and what predicts it
    "quantiles": "predict_quantiles",
    "interval": "predict_interval",
    "ensemble": "predict_dist",
    "parameters": "predict_dist",
}
ASKED = {"quantiles": "levels", "interval": "coverage"}  # what those are asked for


class ForecastScorer(WeightedScorer):
    """Scores a fitted regressor by a metric of its quantiles, intervals or distributions; greater is better.

    Made by `forecast_scorer`. It can be pickled, takes ``sample_weight``, and compares equal to one of the same metric
    and parameters.

    Parameters
    ----------
    metric : Metric
        What is measured, with its parameters.
    asked : sequence of float or float, default=None
        Levels of quantiles, or coverage of intervals, to judge; only for a metric without a parameter for it. None is
        tenths, or 0.9.

    Attributes
    ----------
    metric, asked
        As given.
    sign : int
        1, or -1 where less of the metric is better.
    """

    def __init__(self, metric: Metric, asked: Any = None) -> None:
        self.metric = metric
        self.asked = asked
        component = self._chosen().component
        if component.role != "y_true" or component.data[1] not in METHODS:
            known = [c.name for c in components("metric") if c.role == "y_true" and c.data[1] in METHODS]
            raise TaskError(f"{component.title} judges no forecasts; forecast_scorer takes {', '.join(known)}")

    @property
    def sign(self) -> int:
        """1, or -1 where less of the metric is better."""
        return 1 if self._chosen().component.greater_is_better else -1

    def __call__(
        self, estimator: Any, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None, **facts: Any
    ) -> float:
        """Return the score of rows.

        Parameters
        ----------
        estimator : fitted regressor
            With ``predict_quantiles(X, levels)``, ``predict_interval(X, coverage)`` or ``predict_dist(X)``, as the
            metric needs; such as `LossRegressor`, `QuantileAggregator` or a search over one.
        X : array-like of shape (n, d)
            Rows.
        y : array-like of shape (n,) or (n, n_targets)
            Their outcomes.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.
        **facts
            Refused.

        Returns
        -------
        float
            The metric, or its negative where less is better.

        Raises
        ------
        TaskError
            If the estimator does not predict what the metric judges.
        DataError
            If the metric refuses the rows.
        """
        self._refuse(facts)
        judged = self._judged(estimator, X)
        if isinstance(judged, Distribution):  # it scores itself, exactly
            _, values, weight = check_forecasts(y, judged.crps(np.asarray(y))[..., None], sample_weight, "crps")
            return self.sign * average(values, weight)
        return self.sign * float(self._chosen().build()(y, judged, sample_weight))

    def _judged(self, estimator: Any, X: Any) -> np.ndarray | Distribution:
        choice = self._chosen()
        judged = choice.component.data[1]
        if judged in ASKED:
            given = choice.all_params().get(ASKED[judged], self.asked)
            default = NINE if judged == "quantiles" else COVERAGE
            return np.asarray(forecast(self, METHODS[judged], estimator, X, default if given is None else given))
        found = forecast(self, METHODS[judged], estimator, X)
        if judged == "parameters" and isinstance(found, Normal):
            return np.stack([found.mu, found.scale], axis=-1)
        if judged == "ensemble" and isinstance(found, Ensemble):
            return found.members
        if choice.component.full_name == "core:crps":
            assert isinstance(found, Distribution)
            return found
        wanted = "normal distributions" if judged == "parameters" else "ensembles"
        raise TaskError(f"{self!r} judges {wanted}, not {type(found).__name__}; forecast_scorer('crps') judges any")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ForecastScorer) and (self.metric, self.asked) == (other.metric, other.asked)

    def __hash__(self) -> int:
        return hash((ForecastScorer, self.metric))

    def __repr__(self) -> str:
        shown = repr(self.metric).removeprefix("Metric(").removesuffix(")")
        if self.asked is None:
            return f"forecast_scorer({shown})"
        return f"forecast_scorer({shown}, {ASKED[self._chosen().component.data[1]]}={self.asked!r})"

    def _chosen(self) -> Choice:
        return self.metric.choose()  # by name at each call: a pickle carries names, no components


def forecast_scorer(metric: str | Callable[..., float] | Metric, /, **params: Any) -> ForecastScorer:
    """Make a scorer of a metric of forecasts, for ``scoring=`` wherever scikit-learn takes one.

    Parameters
    ----------
    metric : str, callable or Metric
        Of quantiles ``"pinball"``, ``"wis"``, ``"crps_quantile"``, ``"d2_quantiles"``, ``"crossing_rate"``, ``"pit"``;
        of intervals ``"interval_score"``, ``"coverage"``, ``"width"``; of distributions ``"crps"``, which takes all;
        of ensembles ``"fair_crps"``, ``"afcrps"``, ``"energy_score"``; of normal distributions ``"crps_gaussian"``; one
        of a plugin; or a function ``f(y_true, quantiles, sample_weight)`` of your own, whose second argument is named
        ``quantiles``, ``interval``, ``ensemble`` or ``parameters``; mark it with
        ``@metric("name", greater_is_better=False)`` if less is better.
    **params
        Its hyperparameters; ``levels`` of any metric of quantiles and ``coverage`` of any metric of intervals, which
        are asked of the estimator too.

    Returns
    -------
    ForecastScorer
        ``scorer(estimator, X, y, sample_weight=None)``: the metric, its sign turned where less is better.

    Raises
    ------
    UnknownNameError, ParameterError
        If there is no such metric, or a parameter is unknown or out of range.
    TaskError
        If it is no metric of forecasts.

    Notes
    -----
    ``coverage`` and ``width`` are no scores: the widest, or the narrowest, intervals would be chosen. Search with
    ``interval_score``, and read the two beside it.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import cross_val_score
    >>> from sklearnloss import LossRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = LossRegressor("gaussian_nll", max_epochs=20, random_state=0)
    >>> scorer = forecast_scorer("wis", levels=(0.1, 0.5, 0.9))
    >>> cross_val_score(model, X, y, scoring=scorer, cv=3).shape
    (3,)
    """
    chosen = as_spec("metric", metric)
    component = chosen.choose().component
    judged = component.data[1] if len(component.data) > 1 else None
    name = ASKED.get(judged) if judged is not None else None
    own = {p.name for p in component.parameters}
    asked = params.pop(name) if name in params and name not in own else None
    if asked is not None and name == "levels":
        check_levels(asked, "levels")
    if asked is not None and name == "coverage" and not 0 < asked < 1:
        raise ParameterError(f"coverage must be a number in (0, 1), got {asked!r}")
    return ForecastScorer(Metric(chosen.spec, **{**chosen.params, **params}), asked)
