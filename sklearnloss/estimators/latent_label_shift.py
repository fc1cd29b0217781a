"""A classifier of classes that nobody labelled, from domains that hold them in different shares."""

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import train_test_split
from sklearn.utils import Tags, check_random_state
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d, validate_data

from sklearnloss.estimators.classifier import LossClassifier
from sklearnloss.exceptions import DataError
from sklearnloss.functional.label_shift import LatentShift, discover

__all__ = ["LatentLabelShiftClassifier"]


class LatentLabelShiftClassifier(BaseEstimator):  # type: ignore[misc]
    r"""Learn classes without a single label, from rows of domains that hold the classes in different shares.

    A classifier learns to tell the domains apart. Rows that it cannot tell apart are of one class; how often each kind
    of row comes in each domain gives the shares of the classes, and these give the class of each row. It finds classes
    that no clustering of X sees, as long as p(x | class) is the same in all domains and the shares differ.

    Parameters
    ----------
    n_classes : int in [1, inf), default=2
        Number of classes; there must be as many domains at least.
    estimator : classifier with ``predict_proba`` or None, default=None
        What learns the domains; None is `LossClassifier` with ``calibrate="temperature"``. The better its
        probabilities are calibrated, the better.
    n_clusters : int in [1, inf) or None, default=None
        Clusters of domain probabilities; as many as domains unless given, never fewer than classes.
    holdout : float in [0, 1), default=0.2
        Share of the rows, of each domain, that the classifier does not see and that the shares are counted on. With 0
        they are counted on the training rows, of which a flexible classifier is too sure.
    n_init : int in [1, inf), default=10
        Starts of k-means and of the factorization; the best is kept.
    random_state : int, RandomState or None, default=None
        Seed of the split, the clusters, and the classifier if ``estimator`` is None.

    Attributes
    ----------
    classes_ : array of shape (n_classes,)
        0, 1, ..., from the commonest class to the rarest.
    domains_ : array of shape (r,)
        Sorted domains.
    class_given_domain_ : array of shape (n_classes, r)
        Share of each class in each domain; columns sum to one.
    domain_given_class_ : array of shape (r, n_classes)
        Share of each domain in each class, where domains are of equal size; columns sum to one.
    estimator_ : classifier
        Fitted to the domains.
    n_features_in_, feature_names_in_
        As scikit-learn defines them.

    See Also
    --------
    sklearnloss.LLPClassifier : Where the shares are known.

    Notes
    -----
    With the domain probabilities :math:`q(d \mid x)`, as they are for domains of equal size, and their clusters c,

    .. math:: P(c \mid d) = \sum_y P(c \mid y) P(y \mid d), \qquad
              p(y \mid x) = \bigl[p(d \mid y)\bigr]^+ q(d \mid x), \qquad
              p(y \mid x, d) \propto p(y \mid x) \, p(d \mid y)

    The first is factorized, once from the rows that lie farthest out, as if they were clusters of one class, and else
    from random starts; of factorizations that leave as little the first is kept, which is nearest to the condition
    under which the shares are known. The second is clipped at zero. Classes are found up to their order: match them to
    names by a few labelled rows. There is no ``score``, since the domains are no truth to compare the classes with.

    References
    ----------
    .. [1] Roberts, Mani, Garg, Lipton. "Unsupervised learning under latent label shift". NeurIPS 2022.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> rng = np.random.default_rng(0)
    >>> hidden, domain = np.tile([0, 0, 0, 1, 0, 1, 1, 1], 100), np.tile(list("aaaabbbb"), 100)
    >>> X = rng.normal(size=(800, 2)) + 4.0 * hidden[:, None]
    >>> model = LatentLabelShiftClassifier(estimator=LogisticRegression(), random_state=0).fit(X, domain)
    >>> found = model.predict(X)
    >>> bool(max((found == hidden).mean(), (found != hidden).mean()) > 0.95)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_classes": [Interval(Integral, 1, None, closed="left")],
        "estimator": [HasMethods(["fit", "predict_proba"]), None],
        "n_clusters": [Interval(Integral, 1, None, closed="left"), None],
        "holdout": [Interval(Real, 0, 1, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    classes_: np.ndarray
    domains_: np.ndarray
    estimator_: Any
    _found: LatentShift

    def __init__(
        self,
        n_classes: int = 2,
        *,
        estimator: Any = None,
        n_clusters: int | None = None,
        holdout: float = 0.2,
        n_init: int = 10,
        random_state: Any = None,
    ) -> None:
        self.n_classes = n_classes
        self.estimator = estimator
        self.n_clusters = n_clusters
        self.holdout = holdout
        self.n_init = n_init
        self.random_state = random_state

    def fit(self, X: Any, domain: Any) -> Self:
        """Learn the domains, and find the classes.

        Parameters
        ----------
        X : array or CSR matrix of shape (n, d)
            Rows.
        domain : array of shape (n,)
            Domain of each row, of any type; at least as many different ones as classes, and two rows of each.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter is out of range, or the data are refused.
        """
        self._validate_params()
        if domain is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None: the domains")
        X, domain = validate_data(self, X, domain, accept_sparse="csr", dtype=[np.float64, np.float32])
        check_classification_targets(domain)
        self.domains_, codes, counts = np.unique(domain, return_inverse=True, return_counts=True)
        r = len(self.domains_)
        if r < max(2, self.n_classes):
            raise DataError(
                f"{type(self).__name__} finds {self.n_classes} classes from as many domains at least, and from two; y "
                f"has {r} (a classifier cannot learn one class)"
            )
        rng = check_random_state(self.random_state)
        train = counted = np.arange(len(codes))
        if self.holdout:
            size = round(self.holdout * len(codes))
            if counts.min() < 2 or min(size, len(codes) - size) < r:
                raise DataError(
                    f"{type(self).__name__}: holdout={self.holdout} leaves a domain without rows on one side; there "
                    f"are {len(codes)} rows of {r} domains, the smallest with {counts.min()}"
                )
            train, counted = train_test_split(
                train, test_size=size, stratify=codes, random_state=rng.randint(2**31 - 1)
            )
        seed = rng.randint(2**31 - 1)
        if self.estimator is None:
            base = LossClassifier(calibrate="temperature", random_state=seed)
        else:
            base = clone(self.estimator)
        self.estimator_ = base.fit(X[train], self.domains_[codes[train]])
        share = np.bincount(codes[train], minlength=r) / len(train)
        self._found = discover(
            self._domain_proba(X[counted]),
            codes[counted],
            n_classes=self.n_classes,
            domain_share=share,
            n_clusters=self.n_clusters,
            n_init=self.n_init,
            random_state=rng,
        )
        self.classes_ = np.arange(self.n_classes)
        self.class_given_domain_ = self._found.class_given_domain
        self.domain_given_class_ = self._found.domain_given_class
        return self

    def predict_proba(self, X: Any, domain: Any = None) -> np.ndarray:
        """Return class probabilities.

        Parameters
        ----------
        X : array or CSR matrix of shape (n, d)
            Rows.
        domain : array of shape (n,), default=None
            Domain of each row, if it is known, which makes them sharper; without it a row is one of the mixture of all
            domains that were trained on.

        Returns
        -------
        array of shape (n, n_classes)
            Rows that sum to one.

        Raises
        ------
        DataError
            If a domain was not among those of ``fit``.
        """
        check_is_fitted(self)
        X = validate_data(self, X, accept_sparse="csr", dtype=[np.float64, np.float32], reset=False)
        codes = None if domain is None else self._codes(X, domain)
        return self._found.class_proba(self._domain_proba(X), codes)

    def predict(self, X: Any, domain: Any = None) -> np.ndarray:
        """Return the likeliest class of each row.

        Parameters
        ----------
        X, domain
            As in `predict_proba`.

        Returns
        -------
        int array of shape (n,)
        """
        proba = self.predict_proba(X, domain)
        return self.classes_[proba.argmax(axis=1)]

    def _domain_proba(self, X: Any) -> np.ndarray:
        """Return a column for each domain, (n, r)."""
        return np.asarray(self.estimator_.predict_proba(X), dtype=np.float64)

    def _codes(self, X: Any, domain: Any) -> np.ndarray:
        domain = column_or_1d(domain)
        check_consistent_length(X, domain)
        strange = np.setdiff1d(domain, self.domains_)
        if len(strange):
            raise DataError(
                f"{type(self).__name__}: domain {strange.tolist()[0]!r} was not in fit; known are "
                f"{self.domains_.tolist()}"
            )
        return np.searchsorted(self.domains_, domain)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.sparse = True
        return tags
