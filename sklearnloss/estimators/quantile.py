"""One quantile forecast from several: weights learnt on predictions out of fold, without crossing, with coverage."""

from dataclasses import dataclass
from numbers import Integral
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import RegressorMixin
from sklearn.utils import Bunch, Tags, _safe_indexing, check_array, check_random_state, column_or_1d, get_tags
from sklearn.utils.metaestimators import _BaseComposition
from sklearn.utils.validation import (
    _check_sample_weight,
    _num_samples,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from sklearnloss.component import estimator
from sklearnloss.constraints import Constraint, Interval, Levels, Seed
from sklearnloss.estimators._quantile_bases import default_models
from sklearnloss.estimators._quantile_folds import fit_out_of_fold, folds_of, hold_out, predicted, with_seeds
from sklearnloss.estimators._quantile_weights import Granularity, Mixer, Objective, learn
from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.figures import new_axes
from sklearnloss.functional.conformal import cqr_shifts, one_sided_shifts, shifted
from sklearnloss.functional.distributions import Quantiles
from sklearnloss.functional.forecasts import average, pinball_values
from sklearnloss.functional.noncrossing import uncrossed

__all__ = ["QuantileAggregator"]

NINETEEN = (
    0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95,
)  # fmt: skip
LEARNT = ("coarse", "medium", "fine")
EVERYONE = "all rows"  # the only group where none were given


def _are_models(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, list) and bool(value) and all(isinstance(v, tuple) and len(v) == 2 for v in value)


def _are_folds(value: Any) -> bool:
    if isinstance(value, Integral):
        return not isinstance(value, bool) and int(value) >= 2
    return hasattr(value, "split") or (hasattr(value, "__iter__") and not isinstance(value, str))


Models = Annotated[Any, Constraint(_are_models, "a list of at least one (name, estimator), or None", choices=(None,))]
Folds = Annotated[Any, Constraint(_are_folds, "an int in [2, inf), a splitter or an iterable of folds", choices=(3, 5))]


@estimator("quantile_aggregator")
class QuantileAggregator(RegressorMixin, _BaseComposition):  # type: ignore[misc]
    r"""Combine the quantiles of several models into one forecast.

    Weights are learnt on predictions out of fold, as those of a stack are: a model that learns its training rows by
    heart gains nothing. Whatever predicts quantiles may take part, side by side.

    Parameters
    ----------
    estimators : list of (str, estimator), default=None
        Base models by name. Each has ``predict_quantiles(X, levels)``, such as ``LossRegressor("pinball")``; or
        ``predict(X, quantiles=...)``, such as the forests of quantile-forest; or a parameter for the level, such as
        scikit-learn's `QuantileRegressor` and gradient boosting with ``loss="quantile"``, of which a clone is fitted
        for each level; or is a random forest or extra trees, whose leaves hold quantiles; or is a Pipeline that ends in
        one. ``"drop"`` leaves one out. None is a linear model, gradient boosting, a forest and two networks.
    quantiles : sequence of float in (0, 1), rising, default=(0.05, 0.1, ..., 0.95)
        Levels.
    weights : {"average", "median", "best", "coarse", "medium", "fine"}, default="medium"
        What is learnt: nothing, for the mean or the median of the models; which model has the least pinball loss; a
        weight for each model; for each model and level; or for each model and level at each level.
    local : bool, default=False
        Whether weights depend on X, through a small network; X must be numbers then.
    crossing : {"sort", "isotonic", "minmax", "penalty"} or None, default="sort"
        How crossing is prevented, in training and after it: sorted; neighbours in the wrong order become their mean;
        running extremes from the median; or a penalty in training and sorted after it. None lets quantiles cross.
    conformal : {"cqr", "one_sided"} or None, default=None
        Shift quantiles by what rows held out say, so that central intervals, or bounds on one side, cover in finite
        samples.
    calibration_size : float in (0, 1), default=0.2
        Share of the rows, of each group, that is held out for that; without ``conformal`` none are.
    cv : int, splitter or iterable, default=5
        Folds, of the rows that are not held out; an int shuffles. Rows that no fold tests do not teach the weights.
    loss : {"pinball", "huber_pinball", "wis"}, default="pinball"
        What the weights minimise: the pinball loss; with its corner rounded; or the weighted interval score, which is
        twice the pinball loss, and asks for symmetric levels.
    n_jobs : int or None, default=None
        Base models fitted at the same time.
    random_state : int, RandomState or None, default=None
        Seed of folds, of rows held out, of local weights, and of base models that have none of their own.
    store_predictions : bool, default=False
        Whether to keep ``predictions_``, from which `fit_predictions` learns other weights without fitting again.

    Attributes
    ----------
    estimators_ : list
        Fitted base models, each with ``predict_quantiles``.
    names_ : list of str
        Their names.
    named_estimators_ : Bunch
        They by name.
    weights_ : dict of array of shape (w,), or None
        Weight of each model at each level; of local ones the mean over the training rows, of fine ones the sum over a
        model's levels. None for the median of models.
    loss_curve_ : list of float
        What learning the weights watched, after each step; empty if there was nothing to learn.
    quantiles_ : array of shape (w,)
        Levels.
    shifts_ : dict of array of shape (w,)
        What conformal calibration adds to each quantile, for each group; empty without it.
    predictions_ : array of shape (n, n_models, w)
        What the base models predict for the rows of ``fit``, each by one that was not fitted on it; NaN where no fold
        tests a row. Only with ``store_predictions``.
    n_features_in_, feature_names_in_
        As scikit-learn defines them.

    See Also
    --------
    LossRegressor : Quantiles of one network.
    sklearn.ensemble.StackingRegressor : The same for points.

    Notes
    -----
    Each base model is fitted ``cv + 1`` times. With conformal calibration these rows are those not held out. Outcomes
    and rows to predict must be exchangeable within each group; then, with :math:`n` rows held out, an interval of the
    levels :math:`a/2` and :math:`1 - a/2` covers with probability at least :math:`1 - a` (``"cqr"``), and a bound of
    level :math:`\tau` holds with at least :math:`\max(\tau, 1 - \tau)` (``"one_sided"``). This holds for the levels in
    ``quantiles``; between them forecasts are interpolated. Rows held out count once, whatever their weight.

    ``sample_weight`` reaches the base models that take it, and the weights of the aggregation.

    References
    ----------
    .. [1] Fakoor, Kim, Mueller, Smola, Tibshirani. "Flexible model aggregation for quantile regression". JMLR 24, 2023.
    .. [2] Romano, Patterson, Candès. "Conformalized quantile regression". NeurIPS 2019.
    .. [3] Meinshausen. "Quantile regression forests". JMLR 7, 2006.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.ensemble import RandomForestRegressor
    >>> from sklearn.linear_model import QuantileRegressor
    >>> X, y = load_diabetes(return_X_y=True)
    >>> models = [("linear", QuantileRegressor(alpha=0)), ("forest", RandomForestRegressor(50, min_samples_leaf=5))]
    >>> model = QuantileAggregator(models, quantiles=(0.1, 0.5, 0.9), cv=3, random_state=0).fit(X, y)
    >>> model.predict_quantiles(X[:2]).shape, model.predict_interval(X[:2], coverage=0.8).shape
    ((2, 3), (2, 2))
    >>> sorted(model.weights_)
    ['forest', 'linear']
    """

    def __init__(
        self,
        estimators: Models = None,
        *,
        quantiles: Levels = NINETEEN,
        weights: Literal["average", "median", "best", "coarse", "medium", "fine"] = "medium",
        local: bool = False,
        crossing: Literal["sort", "isotonic", "minmax", "penalty"] | None = "sort",
        conformal: Literal["cqr", "one_sided"] | None = None,
        calibration_size: Annotated[float, Interval(0, 1)] = 0.2,
        cv: Folds = 5,
        loss: Literal["pinball", "huber_pinball", "wis"] = "pinball",
        n_jobs: int | None = None,
        random_state: Seed = None,
        store_predictions: bool = False,
    ) -> None:
        self.estimators = estimators
        self.quantiles = quantiles
        self.weights = weights
        self.local = local
        self.crossing = crossing
        self.conformal = conformal
        self.calibration_size = calibration_size
        self.cv = cv
        self.loss = loss
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.store_predictions = store_predictions

    # -- parameters ---------------------------------------------------------------------------------------------------

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return parameters; if ``deep``, base models by name and their parameters too."""
        return self._get_params("estimators", deep=deep)

    def set_params(self, **params: Any) -> Self:
        """Set parameters; the name of a base model replaces it, ``name__parameter`` changes it."""
        return self._set_params("estimators", **params)

    @property
    def named_estimators(self) -> Bunch:
        """Base models as they were given, by name."""
        return Bunch(**dict(self.estimators or []))

    def _check(self) -> np.ndarray:
        """Return the levels, or say which parameter is wrong."""
        for parameter in type(self).component.parameters:
            value = getattr(self, parameter.name)
            if not parameter.constraint.allows(value):
                raise ParameterError(
                    f"QuantileAggregator: {parameter.name} must be {parameter.constraint}, got {value!r}"
                )
        levels = np.asarray(self.quantiles, dtype=np.float64)
        for option, value in (("loss", self.loss), ("conformal", self.conformal)):
            if value in ("wis", "cqr") and not np.allclose(levels + levels[::-1], 1, rtol=0, atol=1e-9):
                raise ParameterError(
                    f"QuantileAggregator: {option}={value!r} needs levels that are symmetric around 0.5, got "
                    f"{tuple(levels.tolist())}"
                )
        if self.local and self.weights not in LEARNT:
            raise ParameterError(
                f"QuantileAggregator: local=True needs weights that are learnt, one of {', '.join(LEARNT)}; got "
                f"weights={self.weights!r}"
            )
        return levels

    def _chosen(self, levels: np.ndarray, n: int, rng: np.random.RandomState) -> list[tuple[str, Any]]:
        """Return the base models by name, each with a seed."""
        given = default_models(levels, n) if self.estimators is None else self.estimators
        self._validate_names([name for name, _ in given])
        kept = [(name, model) for name, model in given if not isinstance(model, str) or model != "drop"]
        if not kept:
            raise ParameterError("QuantileAggregator: all estimators are dropped; keep at least one")
        return [(name, with_seeds(model, rng)) for name, model in kept]

    # -- fit ----------------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None, group: ArrayLike | None = None) -> Self:
        """Fit the base models, learn their weights, and calibrate.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, d)
            Rows, as the base models take them.
        y : array-like of shape (n,)
            Outcomes.
        sample_weight : array-like of shape (n,), default=None
            Weights, not negative, not all zero.
        group : array-like of shape (n,), default=None
            Groups that conformal calibration covers each for itself; prediction needs them then. Ignored without it.

        Returns
        -------
        self

        Raises
        ------
        ParameterError
            If a parameter is out of range.
        TaskError
            If a base model predicts no quantiles; it is named.
        DataError
            If there are too few rows to calibrate; it says how many are needed.
        """
        levels = self._check()
        rng = check_random_state(self.random_state)
        X, outcomes = self._checked_rows(X, y)
        given = self._chosen(levels, len(outcomes), rng)
        weight = _weights(sample_weight, X)
        groups = self._groups(group, len(outcomes))
        learnt, held = self._parts(levels, groups, weight, rng)
        folds = folds_of(self.cv, outcomes, learnt, rng)
        self.estimators_, predictions = fit_out_of_fold(
            given, X, outcomes, weight, learnt, folds, levels, n_jobs=self.n_jobs
        )
        self.names_ = [name for name, _ in given]
        self.named_estimators_ = Bunch(**dict(zip(self.names_, self.estimators_, strict=True)))
        if len(held):
            predictions[held] = self._of_bases(_safe_indexing(X, held), levels)
        features = self._features(X) if self.local else None
        seen = ~np.isnan(predictions[learnt]).any(axis=(1, 2))  # a splitter may leave rows out
        rows = _Rows(outcomes, weight, features, groups, learnt[seen], held)
        self._aggregate(levels, predictions, rows, rng.randint(2**31))
        if self.store_predictions:
            self.predictions_ = predictions
        return self

    def fit_predictions(
        self,
        G: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        X: ArrayLike | None = None,
        group: ArrayLike | None = None,
    ) -> Self:
        """Learn weights, and calibrate, from predictions that are there already; no base model is fitted.

        Parameters
        ----------
        G : array-like of shape (n, n_models, w)
            Quantiles that each model predicts for rows it was not trained on.
        y : array-like of shape (n,)
            Outcomes.
        sample_weight : array-like of shape (n,), default=None
            Weights.
        X : array-like of shape (n, d), default=None
            Features, for local weights.
        group : array-like of shape (n,), default=None
            Groups for conformal calibration.

        Returns
        -------
        self

        Raises
        ------
        DataError
            If the arrays do not fit together.
        """
        levels = self._check()
        rng = check_random_state(self.random_state)
        predictions = self._checked_predictions(G, levels)
        outcomes = check_array(y, ensure_2d=False, dtype=np.float64, input_name="y")
        if outcomes.shape != (len(predictions),):
            raise DataError(f"y must have shape ({len(predictions)},), one for each row of G, got {outcomes.shape}")
        for name in {"estimators_", "predictions_"} & vars(self).keys():
            delattr(self, name)  # those of an earlier fit have nothing to do with G
        names = [name for name, model in self.estimators or [] if not isinstance(model, str)]
        m = predictions.shape[1]
        self.names_ = names if len(names) == m else [f"model_{i}" for i in range(m)]
        weight = _weights(sample_weight, predictions)
        groups = self._groups(group, len(outcomes))
        learnt, held = self._parts(levels, groups, weight, rng)
        rows = _Rows(outcomes, weight, self._given_features(X, len(outcomes)), groups, learnt, held)
        return self._aggregate(levels, predictions, rows, rng.randint(2**31))

    def _checked_rows(self, X: Any, y: Any) -> tuple[Any, np.ndarray]:
        if y is None:
            raise ValueError("This QuantileAggregator estimator requires y to be passed, but the target y is None.")
        X = self._checked_X(X, reset=True)
        outcomes = check_array(column_or_1d(y, warn=True), ensure_2d=False, dtype=np.float64, input_name="y")
        check_consistent_length(X, outcomes)
        return X, outcomes

    def _checked_X(self, X: Any, *, reset: bool) -> Any:
        """Return X as the base models get it: a DataFrame as it is, anything else as an array."""
        if hasattr(X, "iloc") or hasattr(X, "columns"):
            validate_data(self, X, skip_check_array=True, reset=reset)
            return X
        return validate_data(self, X, reset=reset, dtype=None, accept_sparse="csr", ensure_all_finite="allow-nan")

    def _groups(self, group: ArrayLike | None, n: int) -> np.ndarray:
        """Return the group of each row; all are of one where none are given, or nothing is calibrated."""
        self._grouped = group is not None and self.conformal is not None
        if not self._grouped:
            return np.full(n, EVERYONE)
        groups = np.asarray(group)
        if groups.shape != (n,):
            raise DataError(f"group must have shape ({n},), one for each row, got {groups.shape}")
        return groups

    def _parts(
        self, levels: np.ndarray, groups: np.ndarray, weight: np.ndarray | None, rng: np.random.RandomState
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows to learn from and those held out."""
        return hold_out(groups, weight, rng, conformal=self.conformal, share=self.calibration_size, levels=levels)

    def _aggregate(self, levels: np.ndarray, predictions: np.ndarray, rows: "_Rows", seed: int) -> Self:
        """Learn weights from predictions out of fold, then shifts from the rows held out."""
        self.quantiles_ = levels
        learnt, held = rows.learnt, rows.held
        weight = np.ones(len(learnt)) if rows.weight is None else rows.weight[learnt]
        X = None if rows.features is None else rows.features[learnt]
        self._mixer = self._learn(predictions[learnt], rows.y[learnt], weight, X, seed)
        self.loss_curve_ = [] if self._mixer is None else self._mixer.losses
        self.weights_ = self._mean_weights(predictions[learnt], rows.y[learnt], weight, X)
        self.shifts_: dict[Any, np.ndarray] = {}
        if self.conformal is None:
            return self
        raw = self._combined(predictions[held], None if rows.features is None else rows.features[held])
        find = cqr_shifts if self.conformal == "cqr" else one_sided_shifts
        for name in np.unique(rows.groups):
            own = rows.groups[held] == name
            self.shifts_[name.item()] = find(rows.y[held][own], raw[own], levels)
        return self

    def _learn(self, G: np.ndarray, y: np.ndarray, weight: np.ndarray, X: np.ndarray | None, seed: int) -> Mixer | None:
        if self.weights not in LEARNT:
            return None
        granularity = Granularity(self.weights, G.shape[1], G.shape[2])
        objective = Objective(self.loss, self.crossing, torch.from_numpy(self.quantiles_))
        return learn(granularity, objective, G, y, weight, X, seed)

    def _mean_weights(
        self, G: np.ndarray, y: np.ndarray, weight: np.ndarray, X: np.ndarray | None
    ) -> dict[str, np.ndarray] | None:
        _, m, w = G.shape
        if self.weights == "median":
            return None
        if self.weights == "average":
            found = np.full((m, w), 1 / m)
        elif self.weights == "best":
            losses = [average(pinball_values(y, G[:, i], self.quantiles_), weight) for i in range(m)]
            found = np.repeat(np.arange(m)[:, None] == np.argmin(losses), w, axis=1).astype(float)
        else:
            assert self._mixer is not None
            found = self._mixer.weights(len(G), X)
            found = np.average(found, axis=0, weights=weight) if found.ndim == 3 else found
        return dict(zip(self.names_, found, strict=True))

    # -- prediction ---------------------------------------------------------------------------------------------------

    def _features(self, X: Any) -> np.ndarray:
        """Return X as numbers, for local weights."""
        values: np.ndarray = check_array(X, dtype=np.float64, input_name="X")
        return values

    def _given_features(self, X: ArrayLike | None, n: int) -> np.ndarray | None:
        if not self.local:
            return None
        if X is None:
            raise DataError("QuantileAggregator: local weights depend on X; pass X= beside G")
        features = self._features(X)
        if len(features) != n:
            raise DataError(f"X must have {n} rows, as G has, got {len(features)}")
        return features

    def _checked_predictions(self, G: ArrayLike, levels: np.ndarray) -> np.ndarray:
        predictions = np.asarray(G, dtype=np.float64)
        if predictions.ndim != 3 or 0 in predictions.shape or predictions.shape[2] != len(levels):
            raise DataError(
                f"G must have shape (n, n_models, {len(levels)}), a column for each level, got {predictions.shape}"
            )
        if not np.isfinite(predictions).all():
            raise DataError("G holds NaN or infinite values")
        return predictions

    def _of_bases(self, X: Any, levels: np.ndarray) -> np.ndarray:
        """Return what the base models predict, (n, m, w)."""
        named = zip(self.names_, self.estimators_, strict=True)
        return np.stack([predicted(name, model, X, levels) for name, model in named], axis=1)

    def _combined(self, predictions: np.ndarray, X: np.ndarray | None) -> np.ndarray:
        """Return quantiles (n, w), not calibrated."""
        if self._mixer is not None:
            values = self._mixer.predict(predictions, X)
        elif self.weights_ is None:
            values = np.median(predictions, axis=1)
        else:
            values = np.einsum("nmw,mw->nw", predictions, np.stack([self.weights_[name] for name in self.names_]))
        if self.crossing is None:
            return values
        how = "sort" if self.crossing == "penalty" else self.crossing
        ordered: np.ndarray = uncrossed(torch.from_numpy(values), how, torch.from_numpy(self.quantiles_)).numpy()
        return ordered

    def _calibrated(self, values: np.ndarray, group: ArrayLike | None) -> np.ndarray:
        if not self.shifts_:
            return values
        if not self._grouped:
            if group is not None:
                raise DataError("QuantileAggregator: fit was not given a group, so predictions have none; leave it out")
            (shift,) = self.shifts_.values()
            return shifted(values, shift, self.quantiles_, ordered=self.crossing is not None)
        known = ", ".join(map(repr, self.shifts_))
        if group is None:
            raise DataError(f"QuantileAggregator: calibrated by group; pass group=, each of {known}")
        groups = np.asarray(group)
        if groups.shape != (len(values),):
            raise DataError(f"group must have shape ({len(values)},), one for each row, got {groups.shape}")
        if unknown := [g for g in groups.tolist() if g not in self.shifts_]:
            raise DataError(f"QuantileAggregator: group {unknown[0]!r} was not calibrated; known are {known}")
        shifts = np.stack([self.shifts_[g] for g in groups.tolist()]) if len(groups) else np.empty((0, values.shape[1]))
        return shifted(values, shifts, self.quantiles_, ordered=self.crossing is not None)

    def predict_models(self, X: Any) -> np.ndarray:
        """Return the quantiles of each base model, as `predict_predictions` takes them.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, d)
            Rows.

        Returns
        -------
        array of shape (n, n_models, w)
            In the order of ``names_`` and ``quantiles_``.
        """
        check_is_fitted(self, "estimators_")
        return self._of_bases(self._checked_X(X, reset=False), self.quantiles_)

    def predict_predictions(
        self, G: ArrayLike, *, X: ArrayLike | None = None, group: ArrayLike | None = None
    ) -> np.ndarray:
        """Return quantiles of predictions that are there already.

        Parameters
        ----------
        G : array-like of shape (n, n_models, w)
            Quantiles that each model predicts.
        X : array-like of shape (n, d), default=None
            Features, for local weights.
        group : array-like of shape (n,), default=None
            Groups, if ``fit`` had them.

        Returns
        -------
        array of shape (n, w)
        """
        check_is_fitted(self, "quantiles_")
        predictions = self._checked_predictions(G, self.quantiles_)
        if predictions.shape[1] != len(self.names_):
            raise DataError(f"G must have {len(self.names_)} models, as in fit, got {predictions.shape[1]}")
        values = self._combined(predictions, self._given_features(X, len(predictions)))
        return self._calibrated(values, group)

    def predict_quantiles(
        self, X: Any, levels: ArrayLike | None = None, *, group: ArrayLike | None = None
    ) -> np.ndarray:
        """Return quantiles.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, d)
            Rows.
        levels : float or sequence of float, default=None
            Levels, in any order, between the first and the last of ``quantiles``; others than those are interpolated.
            None is ``quantiles``.
        group : array-like of shape (n,), default=None
            Groups, if ``fit`` had them.

        Returns
        -------
        array of shape (n, len(levels))
        """
        check_is_fitted(self, "estimators_")
        columns = self._asked(levels)
        X = self._checked_X(X, reset=False)
        values = self._combined(self._of_bases(X, self.quantiles_), self._features(X) if self.local else None)
        return self._at(self._calibrated(values, group), columns)

    def _asked(self, levels: ArrayLike | None) -> np.ndarray:
        if levels is None:
            return self.quantiles_
        asked = np.atleast_1d(np.asarray(levels, dtype=np.float64))
        first, last = self.quantiles_[[0, -1]]
        if asked.ndim != 1 or not ((asked > first - 1e-9) & (asked < last + 1e-9)).all():
            raise ParameterError(
                f"QuantileAggregator: levels must lie in [{first:g}, {last:g}], between the first and the last of "
                f"quantiles, got {levels!r}; fit with more of them"
            )
        return asked

    def _at(self, values: np.ndarray, asked: np.ndarray) -> np.ndarray:
        near = np.abs(asked[:, None] - self.quantiles_)  # (a, w)
        if (near.min(axis=1) < 1e-9).all():
            return values[:, near.argmin(axis=1)]
        return Quantiles(values, self.quantiles_).quantiles(asked)

    def predict_dist(self, X: Any, *, group: ArrayLike | None = None) -> Quantiles:
        """Return distributions that have these quantiles, with straight lines between them.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, d)
            Rows.
        group : array-like of shape (n,), default=None
            Groups, if ``fit`` had them.

        Returns
        -------
        Quantiles
            With ``mean()``, ``cdf(y)``, ``ppf(q)``, ``sample(size)`` and ``crps(y)``. Beyond the outermost levels the
            outermost lines go on.
        """
        return Quantiles(self.predict_quantiles(X, group=group), self.quantiles_)

    def predict(self, X: Any, *, group: ArrayLike | None = None) -> np.ndarray:
        """Return medians (n,)."""
        return self.predict_quantiles(X, 0.5, group=group)[:, 0]

    def predict_interval(self, X: Any, coverage: float = 0.9, *, group: ArrayLike | None = None) -> np.ndarray:
        """Return central intervals.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, d)
            Rows.
        coverage : float in (0, 1), default=0.9
            Share of outcomes that should lie inside; what conformal calibration promises holds for pairs of levels that
            are in ``quantiles``.
        group : array-like of shape (n,), default=None
            Groups, if ``fit`` had them.

        Returns
        -------
        array of shape (n, 2)
            Lower and upper ends.
        """
        if not 0 < coverage < 1:
            raise ParameterError(f"coverage must be a number in (0, 1), got {coverage!r}")
        return self.predict_quantiles(X, ((1 - coverage) / 2, (1 + coverage) / 2), group=group)

    # -- weights ------------------------------------------------------------------------------------------------------

    def weights_of(self, X: Any) -> np.ndarray:
        """Return the weights of rows.

        Parameters
        ----------
        X : array-like or DataFrame of shape (n, d)
            Rows.

        Returns
        -------
        array of shape (n, n_models, w)
            Not negative, each row and level summing to one over the models.

        Raises
        ------
        ParameterError
            For the median of models, which has no weights.
        """
        weights = self._stacked()
        if self._mixer is None or not self._mixer.local:
            return np.repeat(weights[None], _num_samples(X), axis=0)
        features = self._features(X)
        return self._mixer.weights(len(features), features)

    def _stacked(self) -> np.ndarray:
        check_is_fitted(self, "quantiles_")
        if self.weights_ is None:
            raise ParameterError("QuantileAggregator: the median of models has no weights; choose another weights=")
        return np.stack([self.weights_[name] for name in self.names_])

    def plot_weights(self, ax: Any = None) -> Any:
        """Draw the weight of each model at each level, one upon the other.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        weights = self._stacked()
        ax = new_axes("plot_weights", 6, 3) if ax is None else ax
        edges = np.concatenate([[0.0], (self.quantiles_[1:] + self.quantiles_[:-1]) / 2, [1.0]])
        below = np.zeros(len(self.quantiles_))
        for name, own in zip(self.names_, weights, strict=True):
            ax.bar(edges[:-1], own, np.diff(edges), below, align="edge", label=name, edgecolor="white", linewidth=0.5)
            below += own
        ax.set(xlabel="level", ylabel="weight", xlim=(0, 1), ylim=(0, 1))
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
        return ax

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "quantiles_")

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        models = [model for _, model in self.estimators or [] if not isinstance(model, str)]
        tags.input_tags.sparse = bool(models) and all(get_tags(model).input_tags.sparse for model in models)
        tags.input_tags.allow_nan = bool(models) and all(get_tags(model).input_tags.allow_nan for model in models)
        return tags


@dataclass(frozen=True)
class _Rows:
    """What is known of the rows beside the predictions of the base models."""

    y: np.ndarray
    weight: np.ndarray | None
    features: np.ndarray | None  # for local weights
    groups: np.ndarray
    learnt: np.ndarray  # row numbers
    held: np.ndarray  # row numbers


def _weights(sample_weight: ArrayLike | None, X: Any) -> np.ndarray | None:
    if sample_weight is None:
        return None
    if not np.asarray(sample_weight, dtype=np.float64).any():
        raise DataError("QuantileAggregator: sample_weight is zero everywhere; at least one row must count")
    weight: np.ndarray = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
    return weight
