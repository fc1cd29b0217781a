"""Ordered classes of which the last are rare: proportional odds that need not be quite proportional."""

import warnings
from numbers import Integral, Real
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold
from sklearn.model_selection._split import check_cv
from sklearn.utils._param_validation import Interval
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from sklearnloss.component import estimator
from sklearnloss.constraints import Constraint, NonNegative, Positive, PositiveInt, Seed
from sklearnloss.constraints import Interval as Range
from sklearnloss.estimators._targets import order_of
from sklearnloss.exceptions import DataError
from sklearnloss.functional.cumulative import (
    CumulativeFit,
    class_probabilities,
    fit_cumulative,
    penalty_start,
)
from sklearnloss.training.seeds import generator_of

__all__ = ["PrestoClassifier"]

Folds = Annotated[
    Any,
    Constraint(lambda v: hasattr(v, "split") or np.ndim(v) > 0 or v >= 2, "an int in [2, inf), a splitter or folds"),
]
Order = Annotated[Any, Constraint(lambda v: v is None or np.ndim(v) == 1, "a sequence of classes, or None")]


@estimator("presto")
class PrestoClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    r"""Cumulative logits whose weights may change from threshold to threshold, if the data insist.

    Where the last class is rare, its border alone has few rows to learn from, and the border before it many.
    Proportional odds give all borders the same weights, a fit of the rare class by itself shares nothing: this shrinks
    the differences between neighboring borders, and sets most of them to zero.

    Parameters
    ----------
    lam : float in [0, inf) or None, default=None
        Penalty of the steps from border to border; None is chosen by cross-validated Brier score on a path.
    penalize_first : bool, default=True
        Whether the weights of the first border are penalized too, as in the authors' code: a large penalty then leaves
        no weights at all. False leaves them free, and a large penalty gives proportional odds.
    n_lams : int in [1, inf), default=20
        Penalties of the path, from the one at which every penalized step is zero, falling geometrically.
    ratio : float in (0, 1), default=0.01
        The last of the path over the first.
    cv : int in [2, inf), splitter or iterable, default=5
        Folds for the choice; an int shuffles them, and is lowered where a class has fewer rows.
    class_order : sequence or None, default=None
        The classes from the lowest to the highest; None takes the order of numbers, or of a pandas Categorical.
    max_iter : int in [1, inf), default=2000
        Iterations of a fit.
    tol : float in (0, inf), default=1e-6
        Change of a parameter at which it ends.
    random_state : int, RandomState or None, default=None
        Seed of the folds.

    Attributes
    ----------
    coef_ : array of shape (k - 1, d)
        Weights of each border, in units of X.
    intercept_ : array of shape (k - 1,)
        Of each border.
    steps_ : array of shape (k - 1, d)
        Weights of the first border, and differences of each from the one before, in units of the standard deviations
        of X; exact zeros where the penalty decided.
    lam_ : float
        The penalty.
    lams_, scores_ : arrays of shape (n_lams,)
        The path, and its cross-validated Brier scores (lower is better); with ``lam=None``.
    classes_ : array of shape (k,)
        The classes, sorted.
    n_features_in_, feature_names_in_
        As scikit-learn defines them.

    Notes
    -----
    .. math:: P(y \le k \mid x) = \sigma(\alpha_k + \beta_k' x), \qquad
        \min\ -\overline{\log p_{y_i}} + \lambda \Big( \lVert \beta_1 \rVert_1
        + \sum_{k \ge 2} \lVert \beta_k - \beta_{k-1} \rVert_1 \Big)

    on standardized columns. Two classes are logistic regression with an L1 penalty. Where borders cross, a probability
    would be negative: its logarithm goes on along its tangent below 1e-8 in the fit, and predictions are cut at zero.

    References
    ----------
    .. [1] Faletto, Bien. "Predicting rare events by shrinking towards proportional odds". ICML 2023.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> X, t = load_diabetes(return_X_y=True)
    >>> y = np.digitize(t, [150, 250, 310])
    >>> model = PrestoClassifier(lam=0.01).fit(X, y)
    >>> model.coef_.shape, round(float((model.steps_[1:] == 0).mean()), 1)
    ((3, 10), 0.8)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "lam": [Interval(Real, 0, None, closed="left"), None],
        "penalize_first": ["boolean"],
        "n_lams": [Interval(Integral, 1, None, closed="left")],
        "ratio": [Interval(Real, 0, 1, closed="neither")],
        "cv": ["cv_object"],
        "class_order": ["array-like", None],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        lam: NonNegative | None = None,
        *,
        penalize_first: bool = True,
        n_lams: PositiveInt = 20,
        ratio: Annotated[float, Range(0, 1)] = 0.01,
        cv: Folds = 5,
        class_order: Order = None,
        max_iter: PositiveInt = 2000,
        tol: Positive = 1e-6,
        random_state: Seed = None,
    ) -> None:
        self.lam = lam
        self.penalize_first = penalize_first
        self.n_lams = n_lams
        self.ratio = ratio
        self.cv = cv
        self.class_order = class_order
        self.max_iter = max_iter
        self.tol = tol
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the borders.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        y : array-like of shape (n,)
            Their classes, which have an order.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.

        Returns
        -------
        self

        Raises
        ------
        DataError
            If there is one class, or the classes have no order.
        """
        self._validate_params()
        given = y
        X, y = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(y)
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        order = self._order(given, y[weight > 0])
        self.classes_ = np.sort(order)
        place = {label: number for number, label in enumerate(order.tolist())}
        kept = weight > 0
        codes = np.array([place[label] for label in y[kept].tolist()])
        X, weight, k = X[kept], weight[kept], len(order)
        self._by_class = np.argsort(order, kind="stable")
        mean = np.average(X, axis=0, weights=weight)
        scale = np.sqrt(np.average((X - mean) ** 2, axis=0, weights=weight))
        scale[scale == 0] = 1
        Z = (X - mean) / scale
        self.lam_ = float(self.lam) if self.lam is not None else self._chosen(Z, codes, weight, k)
        fit = self._fitted(Z, codes, weight, k, self.lam_, None)
        if not fit.converged:
            warnings.warn(
                f"PrestoClassifier did not settle in max_iter={self.max_iter} iterations; give more, or a larger tol",
                ConvergenceWarning,
                stacklevel=2,
            )
        self.steps_, self.coef_ = fit.steps, fit.weights / scale
        self.intercept_ = fit.intercepts - self.coef_ @ mean
        self.n_iter_ = fit.n_iter
        return self

    def _order(self, given: Any, y: np.ndarray) -> np.ndarray:
        found = np.unique(y)
        if len(found) < 2:
            raise DataError(f"PrestoClassifier needs two classes at least, got one class: {found.tolist()}")
        if self.class_order is None and y.dtype.kind in "iufb":
            return found
        order = self._named(given)
        if order is None:
            if len(found) == 2:
                return found
            raise DataError(
                f"PrestoClassifier: the classes {found.tolist()[:5]} have no order; give class_order=[lowest, ..., "
                "highest]"
            )
        missing = [label for label in found.tolist() if label not in order]
        if missing:
            raise DataError(f"PrestoClassifier: class_order has no {missing[0]!r}, which is in y")
        return np.array([label for label in order if label in set(found.tolist())])

    def _named(self, given: Any) -> list[Any] | None:
        if self.class_order is not None:
            return list(self.class_order)
        return order_of(given)

    def _fitted(
        self, Z: np.ndarray, codes: np.ndarray, weight: np.ndarray, k: int, lam: float, start: CumulativeFit | None
    ) -> CumulativeFit:
        return fit_cumulative(
            Z,
            codes,
            weight,
            k,
            lam=lam,
            penalize_first=self.penalize_first,
            start=start,
            max_iter=self.max_iter,
            tol=self.tol,
        )

    def _chosen(self, Z: np.ndarray, codes: np.ndarray, weight: np.ndarray, k: int) -> float:
        """Return the penalty of the path with the best cross-validated Brier score."""
        top = penalty_start(Z, codes, weight, k, penalize_first=self.penalize_first)
        self.lams_ = top * np.geomspace(1, self.ratio, self.n_lams) if self.n_lams > 1 else np.array([top])
        cv = self.cv
        folds = min(int(cv), int(np.bincount(codes).min())) if isinstance(cv, Integral) else 2
        if folds < 2:
            raise DataError(
                "PrestoClassifier chooses lam by cross-validation, but a class has one row only; give lam, or join "
                "classes"
            )
        seed = int(generator_of(self.random_state).integers(2**31))
        splitter = StratifiedKFold(folds, shuffle=True, random_state=seed) if isinstance(cv, Integral) else check_cv(cv)
        scores = np.zeros(self.n_lams)
        for train, test in splitter.split(Z, codes):
            fit: CumulativeFit | None = None
            truth = np.eye(k)[codes[test]]
            for number, lam in enumerate(self.lams_):
                fit = self._fitted(Z[train], codes[train], weight[train], k, float(lam), fit)
                error = ((class_probabilities(Z[test], fit.intercepts, fit.weights) - truth) ** 2).sum(axis=1)
                scores[number] += float(weight[test] @ error)
        self.scores_ = scores / weight.sum()
        return float(self.lams_[scores.argmin()])

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return the probabilities of the classes, in the order of ``classes_``, (n, k).

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return class_probabilities(X, self.intercept_, self.coef_)[:, self._by_class]

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable class of each row, (n,).

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        """
        proba = self.predict_proba(X)
        return self.classes_[proba.argmax(axis=1)]
