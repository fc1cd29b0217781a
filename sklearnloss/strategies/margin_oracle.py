"""Margins of the best separator, for simulations."""

from typing import Annotated, Any

import numpy as np

from sklearnloss.component import strategy
from sklearnloss.constraints import Constraint, Probability
from sklearnloss.exceptions import ParameterError
from sklearnloss.functional.top_two import top_two

__all__ = ["margin_oracle"]


def _judges(value: Any) -> bool:
    return value is None or hasattr(value, "decision_function") or hasattr(value, "predict_proba")


Oracle = Annotated[Any, Constraint(_judges, "a fitted classifier, or None")]


@strategy("margin_oracle", unit="pool", status="known")
def margin_oracle(
    X_pool: Any, *, rng: np.random.Generator, oracle: Oracle = None, explore: Probability = 0.0
) -> np.ndarray:
    r"""Ask first what is nearest to the boundary of a model that knows all labels: only for simulations.

    It tells apart what uncertainty sampling costs in itself, and what it costs that the boundary is not known yet. In
    many dimensions even the oracle is behind random rows, as long as there are fewer labels than columns.

    Parameters
    ----------
    X_pool : array, sparse matrix or DataFrame of shape (n, d)
        Rows that may be asked.
    rng : numpy Generator
        What draws the rows that are explored.
    oracle : fitted classifier or None, default=None
        The model that knows; None asks at random.
    explore : float in [0, 1], default=0.0
        Chance of each row to come before all others, in random order.

    Returns
    -------
    array of shape (n,)
        Minus the distance to the boundary, of a linear classifier of two classes; otherwise minus the lead of the first
        score, or probability, over the second. Explored rows have the next larger numbers.

    References
    ----------
    .. [1] Tifrea, Clarysse, Yang. "Margin-based sampling in high dimensions: when being active is less efficient than
       staying passive". ICML 2023.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> known = LogisticRegression().fit([[-1.0], [1.0]], [0, 1])
    >>> margin_oracle(np.array([[3.0], [-0.5], [2.0]]), rng=np.random.default_rng(0), oracle=known)
    array([-3. , -0.5, -2. ])
    """
    n = X_pool.shape[0]
    if oracle is None:
        return rng.random(n)
    utilities = -_distance(oracle, X_pool)
    explored = rng.random(n) < explore
    utilities[explored] = utilities.max(initial=0.0) + 1 + rng.random(int(explored.sum()))
    return utilities


def _distance(oracle: Any, X: Any) -> np.ndarray:
    if not hasattr(oracle, "decision_function"):
        first, second = top_two(np.asarray(oracle.predict_proba(X)))
        return first - second
    scores = np.asarray(oracle.decision_function(X), dtype=np.float64)
    if scores.ndim == 2:
        first, second = top_two(scores)
        return first - second
    weight = getattr(oracle, "coef_", None)
    length = 1.0 if weight is None else float(np.linalg.norm(weight))
    if length == 0:
        raise ParameterError("strategy 'margin_oracle': the oracle's coefficients are all zero; it knows nothing")
    return np.abs(scores) / length
