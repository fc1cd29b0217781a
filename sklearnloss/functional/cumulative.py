"""Cumulative logits with weights of their own for each threshold, fitted with a fused penalty, in numpy."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

__all__ = ["CumulativeFit", "class_probabilities", "fit_cumulative", "null_intercepts", "penalty_start"]

FLOOR = 1e-8  # of a probability, below which its logarithm goes on along its tangent


@dataclass(frozen=True)
class CumulativeFit:
    """A fit.

    Attributes
    ----------
    intercepts : array of shape (k - 1,)
        Of each threshold.
    steps : array of shape (k - 1, d)
        Weights of the first threshold, and what each further one adds to those before it.
    n_iter : int
        Iterations.
    converged : bool
        Whether the steps became small.
    """

    intercepts: np.ndarray
    steps: np.ndarray
    n_iter: int = 0
    converged: bool = True

    @property
    def weights(self) -> np.ndarray:
        """Weights of each threshold, (k - 1, d)."""
        return np.cumsum(self.steps, axis=0)


def class_probabilities(X: np.ndarray, intercepts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the probabilities of the classes (n, k); where thresholds cross, none is below zero.

    Examples
    --------
    >>> class_probabilities(np.zeros((1, 1)), np.array([-1.0, 1.0]), np.zeros((2, 1))).round(3)
    array([[0.269, 0.462, 0.269]])
    """
    below = expit(X @ weights.T + intercepts)  # (n, k - 1)
    proba = np.maximum(_differences(below), 0)
    return np.asarray(proba / proba.sum(axis=1, keepdims=True))


def _differences(below: np.ndarray) -> np.ndarray:
    edge = np.zeros((len(below), 1))
    return np.diff(np.hstack([edge, below, edge + 1]), axis=1)


def null_intercepts(codes: np.ndarray, weight: np.ndarray, k: int) -> np.ndarray:
    """Return the intercepts of the model without columns: log odds of the shares below each threshold."""
    share = np.cumsum(np.bincount(codes, weight, minlength=k))[:-1] / weight.sum()
    return np.log(share / (1 - share))


def penalty_start(X: np.ndarray, codes: np.ndarray, weight: np.ndarray, k: int, *, penalize_first: bool) -> float:
    """Return the least penalty at which all penalized steps are zero, given that those before are too."""
    intercepts = null_intercepts(codes, weight, k)
    steps = np.zeros((k - 1, X.shape[1]))
    if not penalize_first:  # the first threshold's weights are free: they are fitted without the others
        fit = fit_cumulative(X, codes, weight, k, lam=1e6, penalize_first=False)
        intercepts, steps = fit.intercepts, fit.steps
    gradient = _value_and_gradient(X, codes, weight, intercepts, steps)[2]
    return float(np.abs(gradient if penalize_first else gradient[1:]).max(initial=0.0))


def _value_and_gradient(
    X: np.ndarray, codes: np.ndarray, weight: np.ndarray, intercepts: np.ndarray, steps: np.ndarray
) -> tuple[float, np.ndarray, np.ndarray]:
    """Return the mean negative log-likelihood, and its gradients by intercepts and steps."""
    n, k = len(X), len(intercepts) + 1
    below = expit(X @ np.cumsum(steps, axis=0).T + intercepts)  # (n, k - 1)
    own = _differences(below)[np.arange(n), codes]
    low = own < FLOOR
    safe = np.where(low, FLOOR, own)
    share = weight / weight.sum()
    value = float((share * np.where(low, -np.log(FLOOR) + (FLOOR - own) / FLOOR, -np.log(safe))).sum())
    slope = np.zeros((n, k + 1))  # by the probabilities of lying below, the edges included
    rows = np.arange(n)
    slope[rows, codes + 1] -= share / safe
    slope[rows, codes] += share / safe
    by_logit = slope[:, 1:-1] * below * (1 - below)  # (n, k - 1)
    by_weights = by_logit.T @ X  # (k - 1, d)
    # a step moves the weights of its own threshold and of all after it
    return value, by_logit.sum(axis=0), np.cumsum(by_weights[::-1], axis=0)[::-1]


def fit_cumulative(
    X: np.ndarray,
    codes: np.ndarray,
    weight: np.ndarray,
    k: int,
    *,
    lam: float,
    penalize_first: bool = True,
    start: CumulativeFit | None = None,
    max_iter: int = 2000,
    tol: float = 1e-7,
) -> CumulativeFit:
    """Minimize the mean negative log-likelihood plus lam times the absolute values of the steps.

    Parameters
    ----------
    X : array of shape (n, d)
        Columns, of similar scale.
    codes : int array of shape (n,)
        Classes 0..k-1 in their order; each occurs.
    weight : array of shape (n,)
        Weights of the rows.
    k : int
        Number of classes.
    lam : float in [0, inf)
        Factor of the penalty.
    penalize_first : bool, default=True
        Whether the weights of the first threshold are penalized.
    start : CumulativeFit or None, default=None
        Where to begin; None is the model without columns.
    max_iter, tol : int, float
        Iterations at most, and the change of a parameter, in units of the step's length, at which to end.

    Returns
    -------
    CumulativeFit

    Notes
    -----
    Proximal gradient steps with momentum that begins anew when the objective rises; the length of a step is halved
    until the quadratic bound holds. Steps that the penalty takes to zero are zero exactly.

    Examples
    --------
    >>> X, codes = np.array([[-1.0], [-0.5], [0.5], [1.0]]), np.array([0, 1, 1, 2])
    >>> bool((fit_cumulative(X, codes, np.ones(4), 3, lam=10.0).steps == 0).all())
    True
    """
    if start is None:
        start = CumulativeFit(null_intercepts(codes, weight, k), np.zeros((k - 1, X.shape[1])))
    point = np.hstack([start.intercepts[:, None], start.steps])  # (k - 1, 1 + d)
    threshold = np.full(point.shape, lam)
    threshold[:, 0] = 0
    if not penalize_first:
        threshold[0] = 0

    def smooth(place: np.ndarray) -> tuple[float, np.ndarray]:
        value, by_intercepts, by_steps = _value_and_gradient(X, codes, weight, place[:, 0], place[:, 1:])
        return value, np.hstack([by_intercepts[:, None], by_steps])

    def objective(place: np.ndarray, value: float) -> float:
        return value + float((threshold * np.abs(place)).sum())

    ahead, momentum, length = point.copy(), 1.0, 4.0
    best = objective(point, smooth(point)[0])
    for step in range(1, max_iter + 1):
        value, gradient = smooth(ahead)
        length *= 1.2
        while True:
            moved = ahead - length * gradient
            candidate = np.sign(moved) * np.maximum(np.abs(moved) - length * threshold, 0)
            change = candidate - ahead
            bound = value + float((gradient * change).sum()) + float((change**2).sum()) / (2 * length)
            reached = smooth(candidate)[0]
            if reached <= bound + 1e-12 * max(1.0, abs(bound)) or length < 1e-12:
                break
            length /= 2
        now = objective(candidate, reached)
        if now > best + 1e-14:  # the momentum went too far
            if momentum == 1.0:
                return CumulativeFit(point[:, 0], point[:, 1:], step, True)
            ahead, momentum = point.copy(), 1.0
            continue
        distance = np.abs(candidate - point).max()
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = candidate + (momentum - 1) / following * (candidate - point)
        point, momentum, best = candidate, following, now
        if distance <= tol * min(1.0, length):
            return CumulativeFit(point[:, 0], point[:, 1:], step, True)
    return CumulativeFit(point[:, 0], point[:, 1:], max_iter, False)
