"""The share of positives among unlabelled rows."""

from collections.abc import Callable
from numbers import Integral, Real
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.utils import ClassifierTags, Tags, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import validate_data

from sklearnloss import constraints
from sklearnloss.component import estimator
from sklearnloss.constraints import Constraint, Seed
from sklearnloss.estimators.classifier import LossClassifier
from sklearnloss.exceptions import DataError, ParameterError

__all__ = ["ClassPriorEstimator", "best_bin", "elkan_noto"]

GAMMA, DELTA = 0.01, 0.1  # margin and error probability of the bound, as its authors have them


def _predicts_probabilities(value: Any) -> bool:
    return value is None or (hasattr(value, "fit") and hasattr(value, "predict_proba"))


def _is_region(value: Any) -> bool:
    return value is None or callable(value) or hasattr(value, "predict_proba") or hasattr(value, "__len__")


Classifier = Annotated[Any, Constraint(_predicts_probabilities, "a classifier with predict_proba, or None")]
Region = Annotated[Any, Constraint(_is_region, "a function, a mask of shape (n,), a fitted classifier, or None")]
Folds = Annotated[int, constraints.Interval(2, float("inf"), "left")]
Share = Annotated[float, constraints.Interval(0, 1, "right")]


def elkan_noto(positive: np.ndarray, unlabeled: np.ndarray) -> float:
    r"""Return the share of positives from probabilities of being labelled, by their mean over labelled rows.

    Parameters
    ----------
    positive : array of shape (n_p,)
        ``P(labelled | x)`` of the labelled rows, by a classifier that did not see them.
    unlabeled : array of shape (n_u,)
        The same of the others; only their number counts.

    Returns
    -------
    float
        In [0, 1].

    Notes
    -----
    A positive is labelled with the probability :math:`c = \bar g`, so there are :math:`n_p / c` positives in all, and
    :math:`(n_p / n_u) (1 - c) / c` of the unlabelled rows are. Where g differs among positives, c is too small and the
    share too large.

    References
    ----------
    .. [1] Elkan, Noto. "Learning classifiers from only positive and unlabeled data". KDD 2008.

    Examples
    --------
    >>> elkan_noto(np.full(100, 0.5), np.zeros(200))
    0.5
    """
    c = max(float(np.mean(positive)), np.finfo(float).tiny)
    return min(1.0, len(positive) / len(unlabeled) * (1 - c) / c)


def best_bin(positive: np.ndarray, unlabeled: np.ndarray) -> float:
    r"""Return the share of positives from the top of the scores, where unlabelled rows are rarest against positives.

    Parameters
    ----------
    positive : array of shape (n_p,)
        Scores of labelled rows, larger for positives, by a classifier that did not see them; only their order counts.
    unlabeled : array of shape (n_u,)
        Scores of the others.

    Returns
    -------
    float
        In [0, 1].

    Notes
    -----
    With the shares :math:`q_u(z), q_p(z)` of rows that score z at least, the ratio :math:`q_u / q_p` is never below the
    share of positives. It is taken where its upper confidence bound is smallest:

    .. math:: \hat z = \arg\min_z \frac{q_u(z)}{q_p(z)} + \frac{1 + \gamma}{q_p(z)}
              \Bigl(\sqrt{\tfrac{\log(4 / \delta)}{2 n_u}} + \sqrt{\tfrac{\log(4 / \delta)}{2 n_p}}\Bigr)

    with ``gamma=0.01`` and ``delta=0.1``.

    References
    ----------
    .. [1] Garg, Wu, Smola, Balakrishnan, Lipton. "Mixture proportion estimation and PU learning: a modern approach".
       NeurIPS 2021.

    Examples
    --------
    >>> best_bin(np.full(1000, 0.9), np.repeat([0.9, 0.1], [300, 700]))
    0.3
    """
    n_p, n_u = len(positive), len(unlabeled)
    z = np.unique(positive)
    of_positive = 1 - np.searchsorted(np.sort(positive), z) / n_p
    of_unlabeled = 1 - np.searchsorted(np.sort(unlabeled), z) / n_u
    width = np.sqrt(np.log(4 / DELTA) / 2 / n_u) + np.sqrt(np.log(4 / DELTA) / 2 / n_p)
    ratio = of_unlabeled / of_positive
    return min(1.0, round(float(ratio[np.argmin(ratio + (1 + GAMMA) * width / of_positive)]), 12))


BASES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {"bbe": best_bin, "en": elkan_noto}


@estimator("sumpe", aliases=("class_prior",))
class ClassPriorEstimator(BaseEstimator):  # type: ignore[misc]
    r"""The share of positives among unlabelled rows, from labelled positives.

    The base estimators find the largest share that the data allow, which is too large if negatives are nowhere absent
    among positives. ``wrapper="sumpe"`` takes the excess away where it is known how sure one can be of a positive: of
    the unlabelled rows of a region, the share that is sure is kept.

    Parameters
    ----------
    base : {"bbe", "en"} or callable, default="bbe"
        ``"bbe"`` is `best_bin`, ``"en"`` `elkan_noto`, on probabilities of a classifier by cross-validation. A function
        ``base(positive, unlabeled) -> float`` gets the rows of X.
    wrapper : {"sumpe"} or None, default=None
        Whether to thin out unlabelled rows of a region.
    region : callable, bool array of shape (n,), classifier or None, default=None
        Region A of the wrapper: a function ``region(X)`` that gives True inside, or a mask of the rows of ``fit``, or a
        classifier, fitted elsewhere to positives (1, its second class) and negatives, whose probabilities are
        calibrated for the unlabelled rows: then A is the half of these that is likeliest to be positive.
    supremum : float in (0, 1] or None, default=None
        Largest ``P(positive | x)`` in A, as the unlabelled rows have it. With a classifier as region, None is its
        largest probability there.
    estimator : classifier with ``predict_proba`` or None, default=None
        What tells labelled rows from unlabelled ones; None is `LossClassifier`.
    cv : int in [2, inf), default=5
        Folds, so that no row is scored by a classifier that saw it.
    random_state : int, RandomState or None, default=None
        Seed of the folds, of the rows that are kept, and of the classifier if ``estimator`` is None.

    Attributes
    ----------
    prior_ : float
        Share of positives among the unlabelled rows, in [0, 1].
    base_prior_ : float
        What the base estimator said of the rows that were kept; without a wrapper it is ``prior_``.
    kept_ : float
        Share of the unlabelled rows that is kept, in expectation.
    n_features_in_, feature_names_in_
        As scikit-learn defines them.

    Notes
    -----
    Unlabelled rows have the density :math:`f = (1 - \kappa) g + \kappa h`, positives h. Base estimators find

    .. math:: \kappa(f \mid h) = \inf f / h = \kappa + (1 - \kappa) \inf g / h \ge \kappa

    With :math:`s = \sup_{x \in A} P(y = 1 \mid x)` and unlabelled rows kept with probability :math:`\alpha = s` in A, 1
    elsewhere, and c the share kept,

    .. math:: \kappa = c \, \kappa(\alpha f / c \mid h)

    since :math:`P(y = 1 \mid x) = \kappa h / f`. It holds for any A. If s is too large the estimate lies between the
    true share and that of the base; if it is too small, below the true share.

    References
    ----------
    .. [1] Zhu, Fjeldsted, Holland, Landon, Lintereur, Scott. "Mixture proportion estimation beyond irreducibility".
       ICML 2023.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(2, 1, 1000), rng.normal(2, 1, 600), rng.normal(-2, 1, 1400)])[:, None]
    >>> s = np.repeat([1, 0], [1000, 2000])
    >>> model = ClassPriorEstimator(estimator=LogisticRegression(), random_state=0).fit(X, s)
    >>> round(model.prior_, 1)
    0.3
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "base": [StrOptions(set(BASES)), callable],
        "wrapper": [StrOptions({"sumpe"}), None],
        "region": [callable, "array-like", HasMethods(["predict_proba"]), None],
        "supremum": [Interval(Real, 0, 1, closed="right"), None],
        "estimator": [HasMethods(["fit", "predict_proba"]), None],
        "cv": [Interval(Integral, 2, None, closed="left")],
        "random_state": ["random_state"],
    }

    prior_: float
    base_prior_: float
    kept_: float

    def __init__(
        self,
        base: Literal["bbe", "en"] | Callable[[np.ndarray, np.ndarray], float] = "bbe",
        *,
        wrapper: Literal["sumpe"] | None = None,
        region: Region = None,
        supremum: Share | None = None,
        estimator: Classifier = None,
        cv: Folds = 5,
        random_state: Seed = None,
    ) -> None:
        self.base = base
        self.wrapper = wrapper
        self.region = region
        self.supremum = supremum
        self.estimator = estimator
        self.cv = cv
        self.random_state = random_state

    def fit(self, X: Any, s: Any) -> Self:
        """Estimate the share.

        Parameters
        ----------
        X : array of shape (n, d)
            Rows.
        s : array of shape (n,)
            1 for labelled positives, 0 for unlabelled rows; of any two values the larger marks the labelled rows.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is out of range or missing, or the data are refused.
        """
        self._validate_params()
        if s is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None: 1 if labelled")
        X, s = validate_data(self, X, s, dtype=[np.float64, np.float32])
        marks, codes = np.unique(s, return_inverse=True)
        if len(marks) != 2:
            raise DataError(
                f"{type(self).__name__}: y must be 1 for labelled positives and 0 for unlabelled rows, with both "
                f"there; it has {len(marks)} class(es): {marks[:5].tolist()}"
            )
        positive, unlabeled = X[codes == 1], X[codes == 0]
        rng = check_random_state(self.random_state)
        self.kept_ = 1.0
        if self.wrapper is not None:
            alpha = self._acceptance(X, codes == 0)
            self.kept_ = float(alpha.mean())
            unlabeled = unlabeled[rng.random_sample(len(unlabeled)) < alpha]
            if not len(unlabeled):
                raise DataError(f"{type(self).__name__}: the wrapper kept none of {len(alpha)} unlabelled rows")
        self.base_prior_ = self._base(positive, unlabeled, rng)
        self.prior_ = self.kept_ * self.base_prior_
        return self

    def _acceptance(self, X: np.ndarray, unlabeled: np.ndarray) -> np.ndarray:
        """Return the probability (n_u,) with which each unlabelled row is kept."""
        who, supremum = f"{type(self).__name__}(wrapper='sumpe')", self.supremum
        if self.region is None:
            raise ParameterError(f"{who} needs region: a function of X, a mask of its rows, or a fitted classifier")
        if hasattr(self.region, "predict_proba"):
            posterior = np.asarray(self.region.predict_proba(X[unlabeled]))[:, 1]
            inside = posterior >= np.median(posterior)
            supremum = float(posterior.max()) if supremum is None else supremum
        else:
            mask = np.asarray(self.region(X) if callable(self.region) else self.region)
            if mask.shape != unlabeled.shape or mask.dtype != bool:
                raise DataError(
                    f"{who}: region must say True or False of each of the {len(X)} rows, got {mask.dtype} of shape "
                    f"{mask.shape}"
                )
            inside = mask[unlabeled]
        if supremum is None:
            raise ParameterError(f"{who} needs supremum, the largest P(positive | x) in the region")
        if not inside.any():
            raise DataError(f"{who}: no unlabelled row is in the region")
        return np.where(inside, supremum, 1.0)

    def _base(self, positive: np.ndarray, unlabeled: np.ndarray, rng: np.random.RandomState) -> float:
        if callable(self.base):
            return min(1.0, max(0.0, float(self.base(positive, unlabeled))))
        n_p = len(positive)
        smallest = min(n_p, len(unlabeled))
        if smallest < self.cv:
            raise DataError(
                f"{type(self).__name__}: cv={self.cv} folds need as many rows of both kinds, got {smallest}"
            )
        seed = rng.randint(2**31 - 1)
        model = LossClassifier(random_state=seed) if self.estimator is None else clone(self.estimator)
        folds = StratifiedKFold(self.cv, shuffle=True, random_state=rng.randint(2**31 - 1))
        X, labelled = np.concatenate([positive, unlabeled]), np.arange(n_p + len(unlabeled)) < n_p
        score = cross_val_predict(model, X, labelled.astype(int), cv=folds, method="predict_proba")[:, 1]
        return BASES[self.base](score[:n_p], score[n_p:])

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.classifier_tags = ClassifierTags(multi_class=False)
        return tags
