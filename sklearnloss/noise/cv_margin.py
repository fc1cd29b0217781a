"""Margins out of fold."""

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval

from sklearnloss.noise._judge import RowJudge, margins, out_of_fold

__all__ = ["CrossValidatedMargin"]


class CrossValidatedMargin(RowJudge):
    """Doubt rows of which a model that did not see them prefers another class.

    Parameters
    ----------
    estimator : classifier or None, default=None
        Gives the probabilities of rows that it did not see; None is a `LossClassifier`.
    cv : int in [2, inf), splitter or iterable, default=5
        Folds.
    threshold : float in [-1, 1], default=0.5
        How far another class must lead before a row is doubted; at zero every misclassified row is.
    random_state : int, RandomState or None, default=None
        Seed of the folds, and of the model unless it has its own.

    Attributes
    ----------
    scores_ : array of shape (n,)
        Probability of the most probable other class, minus that of the given one.
    noisy_mask_ : bool array of shape (n,)
        Which rows are doubted.
    suggested_ : array of shape (n,)
        The most probable class.
    proba_ : array of shape (n, k)
        Probabilities of each row by a model that did not see it.
    classes_ : array of shape (k,)
        The classes.

    References
    ----------
    .. [1] Brodley, Friedl. "Identifying mislabeled training data". JAIR 11, 1999.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> y[7] = 2
    >>> judge = CrossValidatedMargin(random_state=0).fit(X, y)
    >>> int(judge.scores_.argmax()), bool(judge.noisy_mask_[7])
    (7, True)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "cv": ["cv_object"],
        "threshold": [Interval(Real, -1, 1, closed="both")],
        "random_state": ["random_state"],
    }

    def __init__(self, estimator: Any = None, *, cv: Any = 5, threshold: float = 0.5, random_state: Any = None) -> None:
        self.estimator = estimator
        self.cv = cv
        self.threshold = threshold
        self.random_state = random_state

    def _judge(self, X: Any, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        self._validate_params()
        proba = out_of_fold(self.estimator, X, codes, self.cv, rng, "method 'cv_margin'")
        self.scores_ = -margins(proba, codes)
        self.noisy_mask_ = self.scores_ > self.threshold
        self.proba_ = proba
        return proba.argmax(axis=1)
