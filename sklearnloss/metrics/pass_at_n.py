"""Chance that one of several guesses is right."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.component import metric
from sklearnloss.constraints import PositiveInt
from sklearnloss.exceptions import ParameterError
from sklearnloss.functional.probabilities import check_probabilities


@metric("pass_at_n")
def pass_at_n(
    y_true: ArrayLike,
    y_prob: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    n_tries: PositiveInt = 16,
    labels: Any | None = None,
) -> float:
    r"""Chance that at least one of several guesses, drawn from a row's probabilities, is right; mean over rows.

    Parameters
    ----------
    y_true : array-like of shape (n,)
        Class of each row, in 0..k-1, or in ``labels``.
    y_prob : array-like of shape (n,) or (n, k)
        Probability of the positive class (1, or the second of ``labels``); or of every class, rows summing to one.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows; an integer weight counts like so many repetitions.
    n_tries : int in [1, inf), default=16
        Number of guesses.
    labels : array-like of shape (k,), default=None
        The class of each column, such as ``classes_`` of a classifier.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If the arrays do not fit together, or ``y_prob`` holds no probabilities.
    ParameterError
        If ``n_tries`` is out of range.

    Notes
    -----
    .. math:: \frac1n \sum_i 1 - (1 - p_{i, y_i})^N

    ``n_tries=1`` is the mean probability of the true class. The probabilities that are best for it are flatter than
    those of the classes; at ``n_tries=1`` certainty in the most frequent class is best. The loss `dco` trains for it.

    References
    ----------
    .. [1] Chen, Raventos, Cheng, Ganguli, Druckmann. "Rethinking fine-tuning when scaling test-time compute: limiting
       confidence improves mathematical reasoning". NeurIPS 2025.

    Examples
    --------
    >>> pass_at_n([0, 1], [[0.5, 0.5], [1.0, 0.0]], n_tries=3)  # 1 - 1 / 8, and never
    0.4375
    """
    if isinstance(n_tries, bool) or not isinstance(n_tries, int | np.integer) or n_tries < 1:
        raise ParameterError(f"metric 'pass_at_n': n_tries must be an int in [1, inf), got {n_tries!r}")
    proba, y, weight = check_probabilities(y_true, y_prob, sample_weight, labels)
    p = np.where(y == 1, proba, 1 - proba) if proba.ndim == 1 else proba[np.arange(len(y)), y]  # (n,)
    with np.errstate(divide="ignore"):  # of a sure row, whose chance is one
        chance = -np.expm1(n_tries * np.log1p(-np.minimum(p, 1.0)))
    return float(np.average(chance, weights=weight))
