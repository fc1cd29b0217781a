"""Intervals and tests for scores of repeated splits, whose training rows overlap.

Scores of J splits of the same rows are not independent: their sample variance, divided by J, is far below the variance
of their mean. All functions here use the correction of Nadeau and Bengio, ``1/J + n_test/n_train`` in place of ``1/J``.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student

from sklearnloss.exceptions import DataError, ParameterError

__all__ = ["BayesianTTest", "TTest", "bayesian_t_test", "corrected_interval", "corrected_t_test", "holm"]

Array = np.ndarray

ROUNDING = 8 * np.finfo(np.float64).eps  # what sums of a few products leave, relative to the scores


@dataclass(frozen=True)
class TTest:
    """Result of `corrected_t_test`.

    Attributes
    ----------
    difference : float
        Mean of a less mean of b.
    t : float
        Statistic; infinite where all differences are the same and not zero, NaN of a single split.
    df : int
        Degrees of freedom, J - 1.
    p : float
        Two-sided p-value; NaN of a single split.
    """

    difference: float
    t: float
    df: int
    p: float


@dataclass(frozen=True)
class BayesianTTest:
    """Result of `bayesian_t_test`: probabilities that sum to one; NaN of a single split.

    Attributes
    ----------
    worse : float
        That a is worse than b by more than the region of practical equivalence.
    equivalent : float
        That they differ by less.
    better : float
        That a is better by more.
    """

    worse: float
    equivalent: float
    better: float


def corrected_interval(scores: ArrayLike, test_share: float, *, confidence: float = 0.95) -> tuple[float, float]:
    r"""Interval of the mean score over splits that share training rows.

    Parameters
    ----------
    scores : array-like of shape (J,)
        One score a split, all splits and repetitions together.
    test_share : float in [0, 1)
        Share of the rows that a split tests on, ``n_test / (n_train + n_test)``: 0.2 of five folds.
    confidence : float in (0, 1), default=0.95
        Level.

    Returns
    -------
    low, high : float
        NaN of a single split; equal where all scores are.

    Raises
    ------
    DataError
        If there are no scores, or some are not finite.
    ParameterError
        If a number is out of range.

    Notes
    -----
    .. math:: \bar x \pm t_{J-1} \sqrt{\Bigl(\frac1J + \frac{n_\text{test}}{n_\text{train}}\Bigr) s^2}

    It speaks of models trained on so many rows of this population; the interval is approximate, since the variance of
    resampled scores has no unbiased estimate.

    References
    ----------
    .. [1] Nadeau, Bengio. "Inference for the generalization error". Machine Learning 52, 2003.
    .. [2] Bouckaert, Frank. "Evaluating the replicability of significance tests for comparing learning algorithms".
       PAKDD 2004.

    Examples
    --------
    >>> low, high = corrected_interval([0.8, 0.9, 0.85, 0.85], test_share=0.25)
    >>> round(low, 3), round(high, 3)
    (0.751, 0.949)
    """
    if not 0 < confidence < 1:
        raise ParameterError(f"corrected_interval: confidence must be a float in (0, 1), got {confidence!r}")
    values = _scores("corrected_interval", "scores", scores)
    mean, error = _mean_and_error(values, np.abs(values).max(), _test_share("corrected_interval", test_share))
    if error == 0:
        return mean, mean
    half = error * float(student.ppf((1 + confidence) / 2, len(values) - 1))  # NaN without degrees of freedom
    return mean - half, mean + half


def corrected_t_test(a: ArrayLike, b: ArrayLike, test_share: float) -> TTest:
    """Test whether the mean difference of two models on the same splits is zero.

    Parameters
    ----------
    a, b : array-like of shape (J,)
        Scores of the two models, split by split.
    test_share : float in [0, 1)
        Share of the rows that a split tests on; 0 gives the ordinary paired t-test.

    Returns
    -------
    TTest
        ``difference``, ``t``, ``df`` and the two-sided ``p``. Where all differences are the same, p is 1 if they are
        zero and else 0.

    Raises
    ------
    DataError
        If the scores are not paired, there are none, or some are not finite.
    ParameterError
        If ``test_share`` is out of range.

    References
    ----------
    .. [1] Nadeau, Bengio. "Inference for the generalization error". Machine Learning 52, 2003.
    .. [2] Bouckaert, Frank. "Evaluating the replicability of significance tests for comparing learning algorithms".
       PAKDD 2004.

    Examples
    --------
    >>> result = corrected_t_test([0.9, 0.8, 0.9, 0.8], [0.8, 0.8, 0.8, 0.8], test_share=0.25)
    >>> round(result.t, 4), result.df, round(result.p, 3)
    (1.1339, 3, 0.339)
    """
    difference, error, df = _paired("corrected_t_test", a, b, test_share)
    if error == 0:
        t = np.copysign(np.inf, difference) if difference else 0.0
        return TTest(difference, float(t), df, 1.0 if difference == 0 else 0.0)
    t = difference / error
    return TTest(difference, t, df, float(2 * student.sf(abs(t), df)))


def bayesian_t_test(a: ArrayLike, b: ArrayLike, test_share: float, *, rope: float = 0.01) -> BayesianTTest:
    r"""Probabilities that a is worse than b, as good, or better; greater scores are better.

    Parameters
    ----------
    a, b : array-like of shape (J,)
        Scores of the two models, split by split.
    test_share : float in [0, 1)
        Share of the rows that a split tests on: the correlation of the scores of two splits.
    rope : float in [0, inf), default=0.01
        Half the width of the region of practical equivalence, in units of the score; 0 leaves better and worse only.

    Returns
    -------
    BayesianTTest
        ``worse``, ``equivalent``, ``better``. Where all differences are the same, one of them is 1; at a difference of
        zero without a region, half each.

    Raises
    ------
    DataError
        If the scores are not paired, there are none, or some are not finite.
    ParameterError
        If a number is out of range.

    Notes
    -----
    The mean difference has, under the prior that says nothing, Student's posterior

    .. math:: \delta \sim t_{J-1}\Bigl(\bar d, \Bigl(\frac1J + \frac{\rho}{1-\rho}\Bigr) s^2\Bigr)

    with ρ the test share.

    References
    ----------
    .. [1] Corani, Benavoli. "A Bayesian approach for comparing cross-validated algorithms on multiple data sets".
       Machine Learning 100, 2015.
    .. [2] Benavoli, Corani, Demšar, Zaffalon. "Time for a change: a tutorial for comparing multiple classifiers
       through Bayesian analysis". JMLR 18, 2017.

    Examples
    --------
    >>> result = bayesian_t_test([0.9, 0.8, 0.9, 0.8], [0.8, 0.8, 0.8, 0.8], test_share=0.25)
    >>> round(result.worse, 3), round(result.equivalent, 3), round(result.better, 3)
    (0.133, 0.082, 0.784)
    """
    if not 0 <= rope < np.inf:
        raise ParameterError(f"bayesian_t_test: rope must be a float in [0, inf), got {rope!r}")
    difference, error, df = _paired("bayesian_t_test", a, b, test_share)
    if error == 0:
        better, worse = float(difference > rope), float(difference < -rope)
        if rope == 0 and difference == 0:
            better = worse = 0.5
        return BayesianTTest(worse, 1.0 - better - worse, better)
    low, high = (student.cdf((end - difference) / error, df) for end in (-rope, rope))
    better = student.sf((rope - difference) / error, df)  # its own tail: 1 - high would lose small probabilities
    return BayesianTTest(float(low), float(high - low), float(better))


def holm(p: ArrayLike) -> Array:
    """Return p-values adjusted for their number by Holm's step-down method.

    Parameters
    ----------
    p : array-like of shape (m,)
        P-values; NaN stands for a test that was not made, stays NaN and does not count.

    Returns
    -------
    array of shape (m,)
        In [0, 1]; rejecting those below alpha keeps the chance of any false rejection below alpha.

    Raises
    ------
    ParameterError
        If a value is no p-value.

    References
    ----------
    .. [1] Holm. "A simple sequentially rejective multiple test procedure". Scandinavian Journal of Statistics 6, 1979.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    array([0.03, 0.06, 0.06])
    """
    values = np.asarray(p, dtype=np.float64)
    if values.ndim != 1:
        raise ParameterError(f"holm: p must have shape (m,), got {values.shape}")
    if (outside := (values < 0) | (values > 1)).any():
        raise ParameterError(f"holm: p must lie in [0, 1] or be NaN, got {values[outside][0]}")
    order = np.argsort(values)[: np.isfinite(values).sum()]  # NaN sorts last
    steps = values[order] * np.arange(len(order), 0, -1)
    adjusted = np.full_like(values, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def _paired(who: str, a: ArrayLike, b: ArrayLike, test_share: float) -> tuple[float, float, int]:
    """Return mean difference, its standard error and the degrees of freedom."""
    first, second = _scores(who, "a", a), _scores(who, "b", b)
    if len(first) != len(second):
        raise DataError(f"{who}: a and b must be scores of the same splits, got {len(first)} and {len(second)}")
    size = float(max(np.abs(first).max(), np.abs(second).max()))
    mean, error = _mean_and_error(first - second, size, _test_share(who, test_share))
    return mean, error, len(first) - 1


def _mean_and_error(values: Array, size: float, test_share: float) -> tuple[float, float]:
    """Return the mean and its corrected standard error; what lies below the rounding of scores of that size is zero."""
    mean = float(values.mean())
    if abs(mean) <= ROUNDING * size:
        mean = 0.0
    if len(values) == 1:
        return mean, np.nan
    if np.ptp(values) <= ROUNDING * size:
        return mean, 0.0
    inflated = 1 / len(values) + test_share / (1 - test_share)
    return mean, float(np.sqrt(inflated * values.var(ddof=1)))


def _scores(who: str, name: str, values: ArrayLike) -> Array:
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1 or not len(scores):
        raise DataError(f"{who}: {name} must have shape (J,), one score for each of J splits, got {scores.shape}")
    if not (finite := np.isfinite(scores)).all():
        first = int((~finite).argmax())
        raise DataError(
            f"{who}: {name} must be finite, got {scores[first]} at split {first}; leave out the split, or the model "
            "that failed on it"
        )
    return scores


def _test_share(who: str, value: float) -> float:
    if not 0 <= value < 1:
        raise ParameterError(
            f"{who}: test_share must be a float in [0, 1), the rows tested on over all rows, got {value!r}"
        )
    return float(value)
