"""Continuous ranked probability score of ensembles."""

from numpy.typing import ArrayLike

from sklearnloss.component import metric
from sklearnloss.functional.forecasts import average, check_forecasts, ensemble_score


@metric("crps", greater_is_better=False, aliases=("crps_ensemble",))
def crps(y_true: ArrayLike, ensemble: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    r"""Distance of the members from the outcome, less half their distance from each other.

    In the units of y; of one member it is the absolute error.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, n_targets)
        Outcomes.
    ensemble : array-like of shape (n, m) or (n, n_targets, m)
        Members, in any order.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows.

    Returns
    -------
    float
        Not negative.

    Raises
    ------
    DataError
        If the arrays do not fit together, or are not finite.

    See Also
    --------
    fair_crps : What an ensemble of infinitely many such members would get on average.

    Notes
    -----
    .. math:: \frac1m \sum_j |x_j - y| - \frac{1}{2 m^2} \sum_{j,k} |x_j - x_k|

    O(m log m) by sorting. The integral of the squared distance of the step function from that of the outcome.

    References
    ----------
    .. [1] Gneiting, Raftery. "Strictly proper scoring rules, prediction, and estimation". JASA 102, 2007.

    Examples
    --------
    >>> round(crps([1.0], [[0.0, 1.0, 3.0]]), 6)
    0.333333
    """
    y, members, weight = check_forecasts(y_true, ensemble, sample_weight, "ensemble")
    return average(ensemble_score(y, members, alpha=0), weight)
