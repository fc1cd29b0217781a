"""Algebra of predicted probabilities, in numpy: checks of them, the confidence of a prediction, and bins of it."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.exceptions import ParameterError

__all__ = ["binned", "check_probabilities", "expected_gap", "top_label"]

TOLERANCE = 1e-5  # of a row's sum; float32 softmax stays well below


def check_probabilities(
    y_true: ArrayLike, y_prob: ArrayLike, sample_weight: ArrayLike | None = None, labels: Any | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return probabilities (n,) or (n, k), class codes (n,) and weights (n,), without the rows of weight zero.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        The classes.
    y_prob : array-like of shape (n,) or (n, k)
        Probability of the second of two classes, or of every class.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows; None is one each.
    labels : array-like of shape (k,), default=None
        The class of each column; None is ``0..k-1``.

    Returns
    -------
    tuple of array

    Raises
    ------
    ValueError
        If these do not fit together, or ``y_prob`` holds no probabilities.
    """
    y, proba = np.asarray(y_true), np.asarray(y_prob, dtype=np.float64)
    if proba.ndim not in (1, 2) or (proba.ndim == 2 and proba.shape[1] < 2):
        raise ValueError(f"y_prob must have shape (n,) or (n, k) with k >= 2, got {proba.shape}")
    if y.ndim != 1:
        raise ValueError(f"y_true must have shape (n,), got {y.shape}")
    if len(y) != len(proba):
        raise ValueError(f"y_true and y_prob must have the same number of rows, got {len(y)} and {len(proba)}")
    if not len(y):
        raise ValueError("y_true and y_prob have no rows")
    outside = ~((proba >= 0) & (proba <= 1))  # NaN is outside, too
    if outside.any():
        raise ValueError(f"y_prob must lie in [0, 1], got {proba[outside][0]}")
    if proba.ndim == 2:
        off = np.abs(proba.sum(axis=1) - 1)  # (n,)
        if off.max() > TOLERANCE:
            raise ValueError(f"rows of y_prob must sum to one, row {off.argmax()} sums to {proba[off.argmax()].sum()}")
    weight = _weights(sample_weight, len(y))
    codes = _codes(y, labels, 2 if proba.ndim == 1 else proba.shape[1])
    kept = weight > 0
    return proba[kept], codes[kept], weight[kept]


def _weights(sample_weight: ArrayLike | None, n: int) -> np.ndarray:
    if sample_weight is None:
        return np.ones(n)
    weight = np.asarray(sample_weight, dtype=np.float64)
    if weight.shape != (n,):
        raise ValueError(f"sample_weight must have shape ({n},), got {weight.shape}")
    if not (np.isfinite(weight) & (weight >= 0)).all() or not weight.any():
        raise ValueError("sample_weight must be finite and not negative, and not zero everywhere")
    return weight


def _codes(y: np.ndarray, labels: Any | None, k: int) -> np.ndarray:
    classes = np.arange(k) if labels is None else np.asarray(labels)
    if classes.shape != (k,) or len(np.unique(classes)) != k:
        raise ValueError(f"labels must be {k} different classes, one per column of y_prob, got {classes.tolist()}")
    same = y[:, None] == classes  # (n, k)
    unknown = ~same.any(axis=1)
    if unknown.any():
        advice = "; pass labels=, the class of each column" if labels is None else ""
        raise ValueError(f"y_true must be among {classes.tolist()}, got {y[unknown][0].item()!r}{advice}")
    return same.argmax(axis=1)


def top_label(proba: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return confidence (n,) and whether it was right (n,): of the positive class, or of the most probable one."""
    if proba.ndim == 1:
        return proba, y.astype(np.float64)
    return proba.max(axis=1), (proba.argmax(axis=1) == y).astype(np.float64)


def binned(
    confidence: np.ndarray, correct: np.ndarray, weight: np.ndarray, *, n_bins: int, strategy: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean confidence, mean correctness and total weight of each bin that is not empty.

    Parameters
    ----------
    confidence, correct, weight : array of shape (n,)
        Weights are positive.
    n_bins : int in [1, inf)
        Number of bins.
    strategy : {"uniform", "quantile"}
        Bins of equal width, or of equal weight; equal confidences share a bin.

    Returns
    -------
    tuple of array of shape (m,)
        At most ``n_bins`` bins, by increasing confidence.

    Raises
    ------
    ParameterError
        If ``n_bins`` or ``strategy`` is out of range.
    """
    if isinstance(n_bins, bool) or not isinstance(n_bins, int | np.integer) or n_bins < 1:
        raise ParameterError(f"n_bins must be an int in [1, inf), got {n_bins!r}")
    if strategy not in ("uniform", "quantile"):
        raise ParameterError(f"strategy must be one of 'uniform', 'quantile', got {strategy!r}")
    edges = np.arange(1, n_bins) / n_bins  # rounds as the shares of weight do, which linspace does not
    if strategy == "quantile":
        edges = np.unique(np.quantile(confidence, edges, method="inverted_cdf", weights=weight))
    place = np.searchsorted(edges, confidence)  # (n,); bins are open on the left
    total, right, sure = (np.bincount(place, weight * v) for v in (np.ones_like(weight), correct, confidence))
    full = total > 0
    return sure[full] / total[full], right[full] / total[full], total[full]


def expected_gap(confidence: np.ndarray, accuracy: np.ndarray, weight: np.ndarray) -> float:
    """Return the mean distance of accuracy from confidence over bins."""
    return float(np.average(np.abs(accuracy - confidence), weights=weight))
