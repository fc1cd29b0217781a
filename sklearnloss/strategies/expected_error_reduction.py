"""Expected error reduction."""

from typing import Annotated, Any, Literal

import numpy as np
from scipy import sparse
from scipy.special import entr
from sklearn.base import clone
from sklearn.utils import _safe_indexing

from sklearnloss.component import strategy
from sklearnloss.constraints import PositiveInt, Search

__all__ = ["expected_error_reduction"]


@strategy("expected_error_reduction", unit="pool", aliases=("eer",))
def expected_error_reduction(
    proba: np.ndarray,
    *,
    X_pool: Any,
    X_labeled: Any,
    y_labeled: np.ndarray,
    estimator: Any,
    rng: np.random.Generator,
    error: Literal["log_loss", "zero_one"] = "log_loss",
    candidates: Annotated[PositiveInt, Search(2, 500)] = 50,
    judged: Annotated[PositiveInt, Search(2, 5000)] = 500,
) -> np.ndarray:
    r"""Ask first the row after which the model is expected to be surest of the rest.

    A model is fitted for each candidate and each class, so that it is for models that are fitted in no time.

    Parameters
    ----------
    proba : array of shape (n_pool, k)
        Probabilities of the classes.
    X_pool : array, sparse matrix or DataFrame of shape (n_pool, d)
        Rows that may be asked.
    X_labeled, y_labeled : arrays of m rows
        Rows with labels, and these.
    estimator : fitted classifier
        Clones of it are fitted.
    rng : numpy Generator
        What draws candidates and judged rows.
    error : {"log_loss", "zero_one"}, default="log_loss"
        What is expected of the rest: the entropy of its predictions, or one minus its largest probabilities.
    candidates : int in [1, inf), default=50
        Rows of the pool that are looked at, drawn at random; the others come after them.
    judged : int in [1, inf), default=500
        Rows of the pool by which a model is judged, drawn at random.

    Returns
    -------
    array of shape (n_pool,)
        Minus the expected error; below the smallest of these for rows that are no candidates.

    Notes
    -----
    .. math:: u_i = -\sum_c p_i(c) \, \frac1q \sum_j \mathrm{error}\big(p^{+(x_i, c)}(x_j)\big)

    References
    ----------
    .. [1] Roy, McCallum. "Toward optimal active learning through sampling estimation of error reduction". ICML 2001.

    Examples
    --------
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = np.array([[0.0], [1.0], [4.0], [5.0]]), np.array([0, 0, 1, 1])
    >>> model, pool = GaussianNB().fit(X, y), np.array([[0.4], [2.4], [9.0]])
    >>> expected_error_reduction(
    ...     model.predict_proba(pool), X_pool=pool, X_labeled=X, y_labeled=y, estimator=model,
    ...     rng=np.random.default_rng(0),
    ... ).argmax()
    np.int64(1)
    """
    n = len(proba)
    rows = np.sort(rng.choice(n, min(candidates, n), replace=False))
    rest = _safe_indexing(X_pool, np.sort(rng.choice(n, min(judged, n), replace=False)))
    expected = np.zeros(len(rows))
    for place, row in enumerate(rows):
        X = _with(X_labeled, _safe_indexing(X_pool, [row]))
        for c, label in enumerate(estimator.classes_):
            if proba[row, c] > 0:
                later = clone(estimator).fit(X, np.append(y_labeled, label)).predict_proba(rest)
                doubt = entr(later).sum(axis=1) if error == "log_loss" else 1 - later.max(axis=1)
                expected[place] += proba[row, c] * doubt.mean()
    utilities = np.full(n, -expected.max() - 1)
    utilities[rows] = -expected
    return utilities


def _with(X: Any, row: Any) -> Any:
    if sparse.issparse(X):
        return sparse.vstack([X, row], format="csr")
    if hasattr(X, "iloc"):
        import pandas as pd

        return pd.concat([X, row], ignore_index=True)
    return np.concatenate([X, row])
