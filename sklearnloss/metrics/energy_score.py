"""Energy score of ensembles of several targets."""

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.component import metric
from sklearnloss.exceptions import DataError
from sklearnloss.functional.forecasts import average, check_forecasts


@metric("energy_score", greater_is_better=False)
def energy_score(
    y_true: ArrayLike, ensemble: ArrayLike, sample_weight: ArrayLike | None = None, *, fair: bool = False
) -> float:
    r"""Distance of the members from the outcome, less half their distance from each other, in all targets at once.

    It judges, as scores of one target after the other cannot, which values of the targets go with which.

    Parameters
    ----------
    y_true : array-like of shape (n, n_targets)
        Outcomes. Targets of large numbers count most: bring them to one scale.
    ensemble : array-like of shape (n, n_targets, m)
        Members; the k-th of each target belong together.
    sample_weight : array-like of shape (n,), default=None
        Weights of the rows.
    fair : bool, default=False
        Whether distances between members are averaged over pairs of different ones, so that the mean of the score does
        not depend on how many there are; else over all pairs.

    Returns
    -------
    float
        Not negative.

    Raises
    ------
    DataError
        If the arrays do not fit together, are not finite, or there is one member and it is to be fair.

    See Also
    --------
    crps : What it is for one target.

    Notes
    -----
    .. math:: \frac1m \sum_j \lVert x_j - y \rVert - \frac{1}{2 m^2} \sum_{j,k} \lVert x_j - x_k \rVert

    O(m**2) for each row; members are compared one distance in their order at a time, so memory is that of the ensemble.

    References
    ----------
    .. [1] Gneiting, Raftery. "Strictly proper scoring rules, prediction, and estimation". JASA 102, 2007.

    Examples
    --------
    >>> energy_score([[0.0, 0.0]], [[[0.0, 3.0], [0.0, 4.0]]])  # 2.5 - 5 / 4
    1.25
    """
    y, members, weight = check_forecasts(y_true, ensemble, sample_weight, "ensemble")
    if y.ndim != 2:
        raise DataError(f"energy_score: y_true must have shape (n, n_targets), got {y.shape}; crps takes one target")
    m = members.shape[-1]
    if fair and m < 2:
        raise DataError("energy_score: fair=True averages over pairs of members, so it needs at least 2, got 1")
    far = np.linalg.norm(members - y[..., None], axis=1).mean(axis=-1)  # (n,)
    apart = sum(
        (np.linalg.norm(members[..., k:] - members[..., :-k], axis=1).sum(axis=-1) for k in range(1, m)),
        start=np.zeros(len(y)),
    )
    return average(far - apart / (m * (m - 1) if fair else m**2), weight)
