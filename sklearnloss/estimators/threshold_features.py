"""Probabilities of lying below thresholds of the target, as features of a regression."""

from collections.abc import Iterable, Iterator
from numbers import Integral
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.model_selection._split import check_cv
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import Tags, check_random_state, get_tags
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from sklearnloss.component import estimator
from sklearnloss.constraints import Constraint, NonNegativeInt, Seed
from sklearnloss.exceptions import ParameterError

__all__ = ["ThresholdFeatures"]


def _predicts_probabilities(value: Any) -> bool:
    return value is None or (hasattr(value, "fit") and hasattr(value, "predict_proba"))


def _splits(value: Any) -> bool:
    if isinstance(value, int | np.integer):
        return bool(value >= 2)
    return hasattr(value, "split") or isinstance(value, Iterable)


Classifier = Annotated[Any, Constraint(_predicts_probabilities, "a classifier with predict_proba, or None")]
Folds = Annotated[Any, Constraint(_splits, "an int in [2, inf), a splitter or an iterable of folds")]


@estimator("threshold_features")
class ThresholdFeatures(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    r"""Columns ``P(y <= t | x)`` at quantiles t of the target, each from a classifier, for a regressor to build on.

    The columns of training rows come from classifiers that did not see these rows, so that the regressor learns how
    far they can be trusted.

    Parameters
    ----------
    estimator : classifier with ``predict_proba`` or None, default=None
        Classifier of each threshold; None is a standardized logistic regression.
    n_thresholds : int in [0, inf), default=16
        Thresholds, at evenly spaced quantiles of y; those that coincide count once.
    cv : int in [2, inf), splitter or iterable, default=5
        Folds of the training rows; an int shuffles them. Every row must be in one test fold.
    monotone : bool, default=True
        Whether the probabilities of a row are sorted, so that they rise with the threshold.
    estimate : bool, default=False
        Whether to add the estimate of y that the probabilities amount to.
    passthrough : bool, default=True
        Whether the columns of X come first.
    n_jobs : int or None, default=None
        Classifiers fitted at a time, as in `joblib.Parallel`.
    random_state : int, RandomState or None, default=None
        Seed of the shuffling.

    Attributes
    ----------
    thresholds_ : array of shape (n_thresholds_,)
        Rising; below the largest target.
    classifiers_ : list of classifiers
        Fitted to all training rows, one for each threshold.
    n_features_in_, feature_names_in_
        As scikit-learn defines them.

    Notes
    -----
    ``fit(X, y).transform(X)`` is for other rows: for those of ``fit`` take ``fit_transform(X, y)``, as a pipeline does.
    The thresholds themselves are quantiles of all training targets. Sorting moves probabilities nearer to the true
    ones, if it moves them [2]_. The estimate is :math:`t_1 + \sum_s (1 - P_s)(t_{s + 1} - t_s)`. As many fits as
    thresholds, times one more than folds.

    References
    ----------
    .. [1] Troisemaine, Lemaire. "Constructing variables using classifiers as an aid to regression: an empirical
       assessment". arXiv:2403.06829, 2024.
    .. [2] Chernozhukov, Fernández-Val, Galichon. "Quantile and probability curves without crossing". Econometrica 78,
       2010.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import LinearRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = make_pipeline(ThresholdFeatures(n_thresholds=4, random_state=0), LinearRegression()).fit(X, y)
    >>> model[0].thresholds_
    array([ 77., 115., 168., 232.])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict_proba"]), None],
        "n_thresholds": [Interval(Integral, 0, None, closed="left")],
        "cv": ["cv_object"],
        "monotone": ["boolean"],
        "estimate": ["boolean"],
        "passthrough": ["boolean"],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Classifier = None,
        *,
        n_thresholds: NonNegativeInt = 16,
        cv: Folds = 5,
        monotone: bool = True,
        estimate: bool = False,
        passthrough: bool = True,
        n_jobs: int | None = None,
        random_state: Seed = None,
    ) -> None:
        self.estimator = estimator
        self.n_thresholds = n_thresholds
        self.cv = cv
        self.monotone = monotone
        self.estimate = estimate
        self.passthrough = passthrough
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the classifiers that `transform` uses.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        y : array-like of shape (n,)
            Targets.

        Returns
        -------
        ThresholdFeatures
            Itself.

        Raises
        ------
        ValueError
            If a parameter is out of range, or the data are refused.
        """
        self._prepare(X, y)
        return self

    def fit_transform(self, X: Any, y: Any) -> np.ndarray:
        """Fit, and return the features of the training rows from classifiers that did not see them.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        y : array-like of shape (n,)
            Targets.

        Returns
        -------
        array of shape (n, n_features_out)

        Raises
        ------
        ParameterError
            If ``cv`` does not test every row once.
        """
        X, below = self._prepare(X, y)
        probabilities = np.empty(below.shape)
        for train, test in self._folds(X, y):
            for s, classifier in enumerate(self._fitted(X[train], below[train])):
                probabilities[test, s] = _probability(classifier, X[test])
        return self._features(X, probabilities)

    def transform(self, X: Any) -> np.ndarray:
        """Return the features of other rows.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.

        Returns
        -------
        array of shape (n, n_features_out)
        """
        check_is_fitted(self)
        X = self._checked(X, reset=False)
        columns = [_probability(classifier, X) for classifier in self.classifiers_]
        return self._features(X, np.stack(columns, axis=1) if columns else np.empty((len(X), 0)))

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns: those of X, ``below0``, ``below1``, ..., and ``estimate``.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Names of the columns of X.

        Returns
        -------
        array of str
        """
        check_is_fitted(self)
        names = list(_check_feature_names_in(self, input_features)) if self.passthrough else []
        names += [f"below{s}" for s in range(len(self.thresholds_))]
        return np.asarray([*names, "estimate"] if self._estimates else names, dtype=object)

    @property
    def _estimates(self) -> bool:
        return self.estimate and len(self.thresholds_) > 0

    def _checked(self, X: Any, **further: Any) -> Any:
        finite = "allow-nan" if self.__sklearn_tags__().input_tags.allow_nan else True
        return validate_data(self, X, dtype=np.float64, ensure_all_finite=finite, **further)

    def _prepare(self, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Fit thresholds and classifiers; return the rows, and where each target lies (n, n_thresholds_)."""
        self._validate_params()
        X, y = self._checked(X, y=y, y_numeric=True)
        levels = (np.arange(self.n_thresholds) + 1) / (self.n_thresholds + 1)
        found = np.unique(np.quantile(y, levels)) if len(levels) else np.empty(0)
        self.thresholds_ = found[found < y.max()]  # all targets lie below the others
        below = y[:, None] <= self.thresholds_
        self.classifiers_ = self._fitted(X, below)
        return X, below

    def _fitted(self, X: np.ndarray, below: np.ndarray) -> list[Any]:
        """Return a classifier for each threshold; of rows on one side, the side."""
        base = self.estimator
        if base is None:
            base = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        return list(Parallel(n_jobs=self.n_jobs)(delayed(_fit)(base, X, column) for column in below.T))

    def _folds(self, X: np.ndarray, y: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        cv = self.cv
        if isinstance(cv, Integral):
            cv = KFold(cv, shuffle=True, random_state=check_random_state(self.random_state))
        folds = list(check_cv(cv, classifier=False).split(X, y))
        times = np.bincount(np.concatenate([test for _, test in folds]), minlength=len(X))
        if (times != 1).any():
            raise ParameterError(
                f"ThresholdFeatures: cv must test every row once, but {(times != 1).sum()} of {len(X)} are tested "
                "never or again; give an int, KFold or GroupKFold"
            )
        return iter(folds)

    def _features(self, X: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        if self.monotone:
            probabilities = np.sort(probabilities, axis=1)
        parts = [X, probabilities] if self.passthrough else [probabilities]
        if self._estimates:
            above = (1 - probabilities[:, :-1]) @ np.diff(self.thresholds_)
            parts.append((self.thresholds_[0] + above)[:, None])
        return np.hstack(parts)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.allow_nan = self.estimator is not None and get_tags(self.estimator).input_tags.allow_nan
        return tags


def _fit(base: Any, X: np.ndarray, below: np.ndarray) -> Any:
    """Return the fitted classifier, or the probability where there is one class."""
    return clone(base).fit(X, below) if below.any() and not below.all() else float(below[0])


def _probability(classifier: Any, X: np.ndarray) -> np.ndarray:
    """Return the probabilities (n,) of lying below."""
    if isinstance(classifier, float):
        return np.full(len(X), classifier)
    return np.asarray(classifier.predict_proba(X)[:, 1])
