"""Almost fair continuous ranked probability score of ensembles."""

from numpy.typing import ArrayLike

from sklearnloss.component import metric
from sklearnloss.constraints import Probability
from sklearnloss.exceptions import DataError
from sklearnloss.functional.forecasts import average, check_forecasts, ensemble_score


@metric("afcrps", greater_is_better=False, aliases=("almost_fair_crps",))
def afcrps(
    y_true: ArrayLike, ensemble: ArrayLike, sample_weight: ArrayLike | None = None, *, alpha: Probability = 0.95
) -> float:
    r"""Between the score of the members as they are and the fair one.

    Parameters
    ----------
    y_true : array-like of shape (n,) or (n, n_targets)
        Outcomes.
    ensemble : array-like of shape (n, m) or (n, n_targets, m)
        At least two members, in any order.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows.
    alpha : float in [0, 1], default=0.95
        0 is `crps`, 1 is `fair_crps`.

    Returns
    -------
    float
        Not negative, in the units of y.

    Raises
    ------
    DataError
        If the arrays do not fit together, are not finite, or there is one member.

    Notes
    -----
    .. math:: \frac1m \sum_j |x_j - y| - \frac{1 - \varepsilon}{2 m (m - 1)} \sum_{j,k} |x_j - x_k|,
              \qquad \varepsilon = \frac{1 - \alpha}{m}

    O(m log m) by sorting. It is what the loss of this name trains.

    References
    ----------
    .. [1] Lang, Alexe, Clare, Roberts, Adewoyin, Bouallègue, Chantry, Dramsch, Dueben, Hahner, Maciel,
       Prieto-Nemesio, O'Brien, Pinault, Polster, Raoult, Tietsche, Leutbecher. "AIFS-CRPS: Ensemble forecasting using a
       model trained with a loss function based on the continuous ranked probability score". 2024.

    Examples
    --------
    >>> round(afcrps([1.0], [[0.0, 1.0, 3.0]]), 4)
    0.0167
    """
    y, members, weight = check_forecasts(y_true, ensemble, sample_weight, "ensemble")
    if members.shape[-1] < 2:
        raise DataError("afcrps compares members with each other, so it needs at least 2, got 1; take crps")
    return average(ensemble_score(y, members, alpha=alpha), weight)
