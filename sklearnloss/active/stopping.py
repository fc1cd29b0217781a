"""When to stop asking: rules that look at a learner after each round."""

from collections import deque
from typing import Any, Protocol

import numpy as np
from sklearn.base import BaseEstimator, is_regressor
from sklearn.metrics import cohen_kappa_score

from sklearnloss.active.pool import predictions, probabilities
from sklearnloss.exceptions import ParameterError, TaskError

__all__ = ["Budget", "ConfidentPool", "KappaAverage", "StablePredictions", "StoppingRule"]


class StoppingRule(Protocol):
    """What a stopping rule is: ``begin()`` forgets, ``__call__(learner, X)`` says after each round whether to stop."""

    def begin(self) -> None:
        """Forget an earlier run."""

    def __call__(self, learner: Any, X: Any) -> bool:
        """Return whether to stop, given the fitted learner and rows to look at."""


def _share(who: str, name: str, value: Any, *, low: float = 0.0, high: float = 1.0) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ParameterError(f"{who}: {name} must be a float in [{low:g}, {high:g}], got {value!r}")


def _rounds(who: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ParameterError(f"{who}: rounds must be an int in [1, inf), got {value!r}")


class Budget(BaseEstimator):  # type: ignore[misc]
    """Stop at a number of labels.

    Parameters
    ----------
    n_labels : int in [1, inf)
        Labels in all, the first ones counted.

    Examples
    --------
    >>> Budget(200)
    Budget(n_labels=200)
    """

    def __init__(self, n_labels: int) -> None:
        self.n_labels = n_labels

    def begin(self) -> None:
        """Check the parameter."""
        if isinstance(self.n_labels, bool) or not isinstance(self.n_labels, int) or self.n_labels < 1:
            raise ParameterError(f"Budget: n_labels must be an int in [1, inf), got {self.n_labels!r}")

    def __call__(self, learner: Any, X: Any) -> bool:
        """Return whether the learner has so many labels."""
        return len(learner.y_labeled_) >= self.n_labels


class StablePredictions(BaseEstimator):  # type: ignore[misc]
    """Stop when the predictions hardly change from round to round.

    Parameters
    ----------
    change : float in [0, 1], default=0.01
        Share of rows whose class changes, or of the variance of a regression's predictions that its changes make up, at
        or below which a round is calm.
    rounds : int in [1, inf), default=3
        Calm rounds in a row.

    References
    ----------
    .. [1] Zhu, Wang, Hovy, Ma. "Confidence-based stopping criteria for active learning for data annotation". ACM TSLP
       6, 2010.

    Examples
    --------
    >>> StablePredictions(rounds=2)
    StablePredictions(rounds=2)
    """

    def __init__(self, *, change: float = 0.01, rounds: int = 3) -> None:
        self.change = change
        self.rounds = rounds

    def begin(self) -> None:
        """Forget an earlier run."""
        _share("StablePredictions", "change", self.change)
        _rounds("StablePredictions", self.rounds)
        self._last: np.ndarray | None = None
        self._calm = 0

    def __call__(self, learner: Any, X: Any) -> bool:
        """Return whether the last rounds were calm."""
        if is_regressor(learner):
            now = predictions(learner, X, "StablePredictions")
        else:
            now = np.asarray(learner.predict(X))
        if self._last is not None:
            self._calm = self._calm + 1 if self._changed(now) <= self.change else 0
        self._last = now
        return self._calm >= self.rounds

    def _changed(self, now: np.ndarray) -> float:
        assert self._last is not None
        if now.dtype.kind == "f" and now.ndim == 1:
            spread = now.var()
            return float(((now - self._last) ** 2).mean() / spread) if spread else float((now != self._last).any())
        different = now != self._last
        return float((different if different.ndim == 1 else different.any(axis=1)).mean())


class KappaAverage(BaseEstimator):  # type: ignore[misc]
    """Stop when models of consecutive rounds agree beyond chance, on average over some rounds.

    Parameters
    ----------
    kappa : float in [0, 1], default=0.99
        Cohen's kappa that the mean must reach.
    rounds : int in [1, inf), default=3
        Pairs of rounds that are averaged.

    References
    ----------
    .. [1] Bloodgood, Vijay-Shanker. "A method for stopping active learning based on stabilizing predictions and the
       need for user-adjustable stopping". CoNLL 2009.

    Examples
    --------
    >>> KappaAverage(kappa=0.95)
    KappaAverage(kappa=0.95)
    """

    def __init__(self, *, kappa: float = 0.99, rounds: int = 3) -> None:
        self.kappa = kappa
        self.rounds = rounds

    def begin(self) -> None:
        """Forget an earlier run."""
        _share("KappaAverage", "kappa", self.kappa)
        _rounds("KappaAverage", self.rounds)
        self._last: np.ndarray | None = None
        self._kappas: deque[float] = deque(maxlen=self.rounds)

    def __call__(self, learner: Any, X: Any) -> bool:
        """Return whether the mean kappa of the last rounds is reached."""
        if is_regressor(learner):
            raise TaskError("KappaAverage compares classes; for a regressor use StablePredictions")
        now = np.asarray(learner.predict(X))
        if now.ndim > 1:
            raise TaskError("KappaAverage compares one class a row; for several labels use StablePredictions")
        if self._last is not None:
            same = bool((now == self._last).all())  # kappa of one class alone is 0 / 0
            self._kappas.append(1.0 if same else float(cohen_kappa_score(self._last.astype(str), now.astype(str))))
        self._last = now
        return len(self._kappas) == self.rounds and float(np.mean(self._kappas)) >= self.kappa


class ConfidentPool(BaseEstimator):  # type: ignore[misc]
    """Stop when the model is sure of all rows.

    Parameters
    ----------
    uncertainty : float in [0, 1], default=0.1
        One minus the largest probability, at or below which a row is certain.
    quantile : float in [0, 1], default=0.95
        Share of the rows that must be certain.

    References
    ----------
    .. [1] Zhu, Wang, Hovy. "Multi-criteria-based strategy to stop active learning for data annotation". COLING 2008.

    Examples
    --------
    >>> ConfidentPool(quantile=1.0)
    ConfidentPool(quantile=1.0)
    """

    def __init__(self, *, uncertainty: float = 0.1, quantile: float = 0.95) -> None:
        self.uncertainty = uncertainty
        self.quantile = quantile

    def begin(self) -> None:
        """Check the parameters."""
        _share("ConfidentPool", "uncertainty", self.uncertainty)
        _share("ConfidentPool", "quantile", self.quantile)

    def __call__(self, learner: Any, X: Any) -> bool:
        """Return whether so many rows are certain."""
        proba = probabilities(learner, X, "ConfidentPool")
        if np.asarray(learner.y_labeled_).ndim > 1:  # of each label the likelier of yes and no
            doubt = np.minimum(proba, 1 - proba).max(axis=1)
        else:
            doubt = 1 - proba.max(axis=1)
        return bool((doubt <= self.uncertainty).mean() >= self.quantile)
