"""What all ways to doubt labels share: they give each row a number, and say from which number on it is doubted."""

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.utils import Tags, assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, column_or_1d, validate_data

from sklearnloss.active.pool import as_table
from sklearnloss.constraints import Constraint
from sklearnloss.estimators.classifier import LossClassifier
from sklearnloss.exceptions import DataError, TaskError
from sklearnloss.training.seeds import generator_of

__all__ = ["Classifier", "Folds", "RowJudge", "margins", "network", "out_of_fold", "watchable_network"]


def _classifies(value: Any) -> bool:
    return value is None or hasattr(value, "fit")


def _splits(value: Any) -> bool:
    return (
        bool(value >= 2)
        if isinstance(value, int | np.integer)
        else isinstance(value, Iterable) or hasattr(value, "split")
    )


Classifier = Annotated[Any, Constraint(_classifies, "a classifier, or None")]
Folds = Annotated[Any, Constraint(_splits, "an int in [2, inf), a splitter or an iterable of folds")]


class RowJudge(BaseEstimator):  # type: ignore[misc]
    """Base of the ways to doubt labels: ``fit(X, y)`` gives ``scores_``, ``threshold_`` and ``noisy_mask_``."""

    random_state: Any
    classes_: np.ndarray
    scores_: np.ndarray
    noisy_mask_: np.ndarray
    suggested_: np.ndarray | None

    _needs_model: ClassVar[bool] = True

    def fit(self, X: Any, y: Any) -> Self:
        """Doubt the labels of rows.

        Parameters
        ----------
        X : array, sparse matrix or DataFrame of shape (n, d)
            Rows.
        y : array of shape (n,)
            Their labels, of two classes at least.

        Returns
        -------
        self

        Raises
        ------
        DataError
            If there is one class, or too few rows.
        """
        X = as_table(X, type(self).__name__)
        validate_data(self, X, skip_check_array=True)  # learns number and names of the columns
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_consistent_length(X, y)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise DataError(
                f"{type(self).__name__} compares classes, but there is one class: all labels are "
                f"{self.classes_.tolist()[0]!r}"
            )
        self.suggested_ = None
        suggested = self._judge(X, codes, generator_of(self.random_state))
        if suggested is not None:
            self.suggested_ = self.classes_[suggested]
        return self

    def _judge(self, X: Any, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
        """Set ``scores_`` and ``noisy_mask_``; return the codes of the classes that rows should rather have."""
        raise NotImplementedError

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.input_tags.sparse = True  # as far as the model takes it
        return tags


def network(estimator: Any, rng: np.random.Generator, **params: Any) -> Any:
    """Return a clone of the user's classifier, or a perceptron; what has no seed gets one."""
    if estimator is None:
        return LossClassifier(random_state=int(rng.integers(2**31)), **params)
    model = clone(estimator)
    unseeded = {k: v for k, v in model.get_params().items() if k.split("__")[-1] == "random_state" and v is None}
    return model.set_params(**{k: int(rng.integers(2**31)) for k in sorted(unseeded)})


def watchable_network(estimator: Any, rng: np.random.Generator, method: str) -> LossClassifier:
    """Return a network that shows its rows while it trains.

    Raises
    ------
    TaskError
        If the user's classifier does not.
    """
    model = network(estimator, rng, max_epochs=30, batch_size=64)
    if not isinstance(model, LossClassifier):
        raise TaskError(
            f"method {method!r} watches a network while it trains, which {type(model).__name__} does not show; give a "
            "LossClassifier, or use method='confident_learning', 'cv_margin' or 'knn'"
        )
    return model


def out_of_fold(estimator: Any, X: Any, codes: np.ndarray, cv: Any, rng: np.random.Generator, who: str) -> np.ndarray:
    """Return probabilities of the classes, of each row by a model that did not see it.

    Raises
    ------
    TaskError
        If the model gives none.
    DataError
        If a class has fewer rows than there are folds.
    """
    model = network(estimator, rng)
    if not hasattr(model, "predict_proba"):
        raise TaskError(
            f"{who} looks at probabilities, which {type(model).__name__} does not give; wrap it in "
            "CalibratedClassifierCV, or use method='knn'"
        )
    if isinstance(cv, int | np.integer):
        rarest = int(np.bincount(codes).min())
        if rarest < cv:
            raise DataError(
                f"{who}: cv={cv} folds, but a class has {rarest} row(s) only; leave rare classes out, or take fewer "
                "folds"
            )
        cv = StratifiedKFold(int(cv), shuffle=True, random_state=int(rng.integers(2**31)))
    return np.asarray(cross_val_predict(model, X, codes, cv=cv, method="predict_proba"))


def margins(proba: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """Return how far the probability of a row's own class leads the largest other one."""
    own = proba[np.arange(len(codes)), codes]
    others = proba.copy()
    others[np.arange(len(codes)), codes] = -np.inf
    return np.asarray(own - others.max(axis=1))
