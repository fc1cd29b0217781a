"""Confident learning: labels against the joint distribution of given and true classes."""

from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import HasMethods

from sklearnloss.noise._judge import RowJudge, out_of_fold

__all__ = ["ConfidentLearning", "confident_classes"]


def confident_classes(proba: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the class that each row confidently belongs to, and the bar of each class.

    Parameters
    ----------
    proba : array of shape (n, k)
        Probabilities by models that did not see the row.
    codes : array of shape (n,)
        Given classes, each of which occurs.

    Returns
    -------
    confident : int array of shape (n,)
        The most probable of the classes whose bar is met; -1 where none is.
    bars : array of shape (k,)
        Mean probability of a class over the rows that were given it.

    Examples
    --------
    >>> proba = np.array([[0.9, 0.1], [0.8, 0.2], [0.95, 0.05], [0.2, 0.8]])
    >>> confident_classes(proba, np.array([0, 0, 1, 1]))[0]
    array([ 0, -1,  0,  1])
    """
    k = proba.shape[1]
    bars = np.array([proba[codes == c, c].mean() for c in range(k)])
    met = proba >= bars - 1e-12
    confident = np.where(met, proba, -np.inf).argmax(axis=1)
    return np.where(met.any(axis=1), confident, -1), bars


class ConfidentLearning(RowJudge):
    r"""Doubt rows that confidently belong to another class than they were given.

    Parameters
    ----------
    estimator : classifier or None, default=None
        Gives the probabilities of rows that it did not see; None is a `LossClassifier`.
    cv : int in [2, inf), splitter or iterable, default=5
        Folds.
    random_state : int, RandomState or None, default=None
        Seed of the folds, and of the model unless it has its own.

    Attributes
    ----------
    scores_ : array of shape (n,)
        One minus the probability of the given class.
    noisy_mask_ : bool array of shape (n,)
        Which rows are doubted.
    suggested_ : array of shape (n,)
        The most probable class.
    proba_ : array of shape (n, k)
        Probabilities of each row by a model that did not see it.
    bars_ : array of shape (k,)
        What a probability must reach to be confident: its mean over the rows that were given the class.
    confident_joint_ : int array of shape (k, k)
        How many rows of a given class (rows) confidently belong to each class (columns).
    classes_ : array of shape (k,)
        The classes.

    Notes
    -----
    Since a bar is the model's usual confidence in a class, classes in which it is less sure are not doubted more. Rows
    off the diagonal of the confident joint are doubted.

    References
    ----------
    .. [1] Northcutt, Jiang, Chuang. "Confident learning: estimating uncertainty in dataset labels". JAIR 70, 2021.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> y[7] = 2
    >>> judge = ConfidentLearning(random_state=0).fit(X, y)
    >>> int(judge.scores_.argmax()), int(judge.suggested_[7])
    (7, 0)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "cv": ["cv_object"],
        "random_state": ["random_state"],
    }

    def __init__(self, estimator: Any = None, *, cv: Any = 5, random_state: Any = None) -> None:
        self.estimator = estimator
        self.cv = cv
        self.random_state = random_state

    def _judge(self, X: Any, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        self._validate_params()
        proba = out_of_fold(self.estimator, X, codes, self.cv, rng, "method 'confident_learning'")
        confident, self.bars_ = confident_classes(proba, codes)
        k = len(self.classes_)
        sure = confident >= 0
        self.confident_joint_ = np.zeros((k, k), dtype=np.int64)
        np.add.at(self.confident_joint_, (codes[sure], confident[sure]), 1)
        self.scores_ = 1 - proba[np.arange(len(codes)), codes]
        self.noisy_mask_ = sure & (confident != codes)
        self.proba_ = proba
        return proba.argmax(axis=1)
