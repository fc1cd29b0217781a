"""Continuous ranked probability score that does not depend on the size of the ensemble."""

from numpy.typing import ArrayLike

from sklearnloss.component import metric
from sklearnloss.exceptions import DataError
from sklearnloss.functional.forecasts import average, check_forecasts, ensemble_score


@metric("fair_crps", greater_is_better=False)
def fair_crps(y_true: ArrayLike, ensemble: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    r"""Score of the distribution that the members were drawn from, estimated without bias from a few of them.

    Compare ensembles of different sizes with it. `crps` is larger, the more so the fewer members there are.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, n_targets)
        Outcomes.
    ensemble : array-like of shape (n, m) or (n, n_targets, m)
        At least two members, in any order.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows.

    Returns
    -------
    float
        Not negative, in the units of y.

    Raises
    ------
    DataError
        If the arrays do not fit together, are not finite, or there is one member only.

    Notes
    -----
    .. math:: \frac1m \sum_j |x_j - y| - \frac{1}{2 m (m - 1)} \sum_{j,k} |x_j - x_k|

    If all members but one equal the outcome, it is zero wherever that one is. O(m log m) by sorting.

    References
    ----------
    .. [1] Ferro. "Fair scores for ensemble forecasts". Quarterly Journal of the Royal Meteorological Society 140, 2014.
    .. [2] Lang et al. "AIFS-CRPS: ensemble forecasting using a model trained with a loss function based on the
       continuous ranked probability score". 2024.

    Examples
    --------
    >>> fair_crps([1.0, 0.0], [[0.0, 1.0, 4.0], [1.0, 1.0, 1.0]])
    0.5
    """
    y, members, weight = check_forecasts(y_true, ensemble, sample_weight, "ensemble")
    if members.shape[-1] < 2:
        raise DataError("fair_crps needs at least two members, got 1; crps takes one")
    return average(ensemble_score(y, members, alpha=1), weight)
