"""Margins of the best separator, for simulations."""

from typing import Annotated, Any

import numpy as np

from sklearnloss.component import strategy
from sklearnloss.constraints import Constraint, Probability
from sklearnloss.exceptions import ParameterError
from sklearnloss.functional.top_two import lead

__all__ = ["margin_oracle"]


def _judges(value: Any) -> bool:
    return value is None or hasattr(value, "decision_function") or hasattr(value, "predict_proba")


Oracle = Annotated[Any, Constraint(_judges, "a fitted classifier, or None")]


@strategy("margin_oracle", unit="pool", status="known")
def margin_oracle(
    X_pool: Any, *, n: int, rng: np.random.Generator, oracle: Oracle = None, explore: Probability = 0.0
) -> np.ndarray:
    r"""Ask first what is nearest to the boundary of a model that knows all labels: only for simulations.

    It tells apart what uncertainty sampling costs in itself, and what it costs that the boundary is not known yet. In
    many dimensions even the oracle is behind random rows, as long as there are fewer labels than columns.

    Parameters
    ----------
    X_pool : array, sparse matrix or DataFrame of shape (n_pool, d)
        Rows that may be asked.
    n : int
        How many rows are wanted.
    rng : numpy Generator
        What draws the rows that are explored.
    oracle : fitted classifier or None, default=None
        The model that knows; None asks at random.
    explore : float in [0, 1], default=0.0
        Chance of each of the ``n`` rows to be any row of the pool; one asks at random.

    Returns
    -------
    array of shape (n_pool,)
        Minus the distance to the boundary, of a linear classifier of two classes; otherwise minus the lead of the first
        score, or probability, over the second. Explored rows have numbers from one on.

    References
    ----------
    .. [1] Tifrea, Clarysse, Yang. "Margin-based sampling in high dimensions: when being active is less efficient than
       staying passive". ICML 2023.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> known = LogisticRegression().fit([[-1.0], [1.0]], [0, 1])
    >>> margin_oracle(np.array([[3.0], [-0.5], [2.0]]), n=1, rng=np.random.default_rng(0), oracle=known)
    array([-3. , -0.5, -2. ])
    """
    chance = rng.random(X_pool.shape[0])
    if oracle is None:
        return chance
    utilities = -_distance(oracle, X_pool)
    explored = np.argsort(-chance)[: rng.binomial(n, explore)]
    utilities[explored] = 1 + chance[explored]  # no distance is negative
    return utilities


def _distance(oracle: Any, X: Any) -> np.ndarray:
    if not hasattr(oracle, "decision_function"):
        return lead(np.asarray(oracle.predict_proba(X)))
    scores = np.asarray(oracle.decision_function(X), dtype=np.float64)
    if scores.ndim == 2:
        return lead(scores)
    weight = getattr(oracle, "coef_", None)
    length = 1.0 if weight is None else float(np.linalg.norm(weight))
    if length == 0:
        raise ParameterError("strategy 'margin_oracle': the oracle's coefficients are all zero; it knows nothing")
    return np.abs(scores) / length
