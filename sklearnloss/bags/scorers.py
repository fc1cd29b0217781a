"""Scores of predictions by what is known of bags: for ``scoring=`` where no row has a label."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import _check_sample_weight

from sklearnloss.bags.targets import is_bag_targets, read_bags, sum_by_bag
from sklearnloss.exceptions import DataError, ParameterError, TaskError
from sklearnloss.scorers import WeightedScorer

__all__ = [
    "SCORES",
    "BagScorer",
    "bag_interval_scorer",
    "bag_kl_scorer",
    "bag_l1_scorer",
    "bag_mse_scorer",
]

FLOOR = 1e-7  # of predicted proportions; about the precision of a float32 network, and the same for all
LEAST = 1 / 12  # of the variance of a count: that of rounding to a whole number


class Judged(NamedTuple):
    """What is known and predicted of bags.

    Attributes
    ----------
    known : array of shape (b, k)
        Proportions, or mean responses.
    rows : array of shape (n, k)
        Predictions of rows.
    code : int array of shape (n,)
        Bag of each row, 0..b-1.
    weight : array of shape (n,)
        Weights of rows, positive.
    """

    known: np.ndarray
    rows: np.ndarray
    code: np.ndarray
    weight: np.ndarray

    @property
    def size(self) -> np.ndarray:
        """Weight of each bag, (b,)."""
        return self.total(np.ones(len(self.code)))

    @property
    def predicted(self) -> np.ndarray:
        """Mean prediction of each bag, (b, k)."""
        return self.total(self.rows) / self.size[:, None]

    def total(self, values: np.ndarray) -> np.ndarray:
        """Return the weighted sum over each bag, (b, ...)."""
        return sum_by_bag((self.weight * values.T).T, self.code, len(self.known))


def l1(bags: Judged) -> float:
    """Return minus the sum of absolute errors of a bag's proportions, bags by their weight: 0 is exact, -2 the worst.

    Examples
    --------
    >>> one = Judged(np.array([[0.5, 0.5]]), np.array([[1.0, 0.0], [0.6, 0.4]]), np.array([0, 0]), np.ones(2))
    >>> round(l1(one), 6)
    -0.6
    """
    return -float(np.average(np.abs(bags.predicted - bags.known).sum(axis=1), weights=bags.size))


def kl(bags: Judged) -> float:
    """Return minus the divergence of predicted from known proportions, in nats, bags by their weight: 0 is exact.

    Examples
    --------
    >>> one = Judged(np.array([[0.5, 0.5]]), np.array([[1.0, 0.0], [0.6, 0.4]]), np.array([0, 0]), np.ones(2))
    >>> round(kl(one), 6)
    -0.223144
    """
    ratio = np.where(bags.known > 0, bags.known, 1) / np.where(bags.known > 0, np.maximum(bags.predicted, FLOOR), 1)
    apart = (bags.known * np.log(ratio)).sum(axis=1)
    return -float(np.average(np.maximum(apart, 0), weights=bags.size))  # the floor may add to a sum of one


def interval(bags: Judged) -> float:
    """Return the mean log density of the known counts, normal around what rows predict and with their variance.

    Examples
    --------
    >>> one = Judged(np.array([[0.5, 0.5]]), np.array([[0.9, 0.1], [0.1, 0.9]]), np.array([0, 0]), np.ones(2))
    >>> round(interval(one), 6)
    -0.061539
    """
    off = bags.size[:, None] * (bags.known - bags.predicted)
    variance = np.maximum(bags.total(bags.rows * (1 - bags.rows)), LEAST)
    return -float(np.mean(np.log(2 * np.pi * variance) + off**2 / variance) / 2)


def mse(bags: Judged) -> float:
    """Return minus the squared error of mean responses, bags by their weight: 0 is exact.

    Examples
    --------
    >>> mse(Judged(np.array([[2.0]]), np.array([[0.0], [1.0]]), np.array([0, 0]), np.ones(2)))
    -2.25
    """
    return -float(np.average(np.square(bags.predicted - bags.known).mean(axis=1), weights=bags.size))


SCORES: dict[str, tuple[Callable[[Judged], float], str]] = {  # and what rows are asked for
    "bag_l1_scorer": (l1, "predict_proba"),
    "bag_kl_scorer": (kl, "predict_proba"),
    "bag_interval_scorer": (interval, "predict_proba"),
    "bag_mse_scorer": (mse, "predict"),
}


class BagScorer(WeightedScorer):
    r"""Scores a fitted estimator of rows by what is known of bags; greater is better.

    For ``scoring=`` wherever scikit-learn takes one, with y made by `bag_targets`: choosing a model needs no label of a
    row. There are four: ``bag_l1_scorer``, ``bag_kl_scorer`` and ``bag_interval_scorer`` for any classifier with
    ``predict_proba``, such as `LLPClassifier` or a Pipeline, and ``bag_mse_scorer`` for `AggregateRegressor` and any
    other regressor.

    Parameters
    ----------
    name : {"bag_l1_scorer", "bag_kl_scorer", "bag_interval_scorer", "bag_mse_scorer"}
        Which.

    Attributes
    ----------
    name : str
        As given.

    See Also
    --------
    bag_targets : Makes the y that these read.
    BagKFold : Folds that keep bags whole.

    Notes
    -----
    With :math:`p_b` what is known of bag b, :math:`q_i` the prediction for row i, :math:`w_i` its weight,
    :math:`W_b = \sum_{i \in b} w_i` and :math:`q_b = \sum_{i \in b} w_i q_i / W_b`:

    .. math::

        \mathrm{l1} &= -\sum_b W_b \sum_c |p_{bc} - q_{bc}| \,/ \sum_b W_b \\
        \mathrm{kl} &= -\sum_b W_b \sum_c p_{bc} \log \frac{p_{bc}}{\max(q_{bc}, 10^{-7})} \,/ \sum_b W_b \\
        \mathrm{interval} &= \operatorname*{mean}_{b, c} \, \log \mathcal{N}\bigl(W_b p_{bc};\ W_b q_{bc},\
            \max(v_{bc}, 1/12)\bigr), \quad v_{bc} = \sum_{i \in b} w_i q_{ic} (1 - q_{ic}) \\
        \mathrm{mse} &= -\sum_b W_b \operatorname*{mean}_t (p_{bt} - q_{bt})^2 \,/ \sum_b W_b

    ``bag_l1_scorer`` is easiest to read: minus twice the share of rows that would have to change their class.
    ``bag_kl_scorer`` punishes more where a class is nearly ruled out; without its floor one bag could make it infinite.

    Both look at means of bags only: a model that says the same of all rows of a bag is as good as one that tells them
    apart. ``bag_interval_scorer`` asks more. If labels are independent given X, the count of a class in a bag is a sum
    of independent draws with the probabilities :math:`q_{ic}`; its mean is :math:`W_b q_{bc}`, its variance exactly
    :math:`v_{bc}`: less than the :math:`W_b q_{bc} (1 - q_{bc})` of a sample from the bag's mean, by as much as rows
    are told apart. So counts should lie within the interval that the predictions of rows leave: a model that is too
    sure of rows misses it, one that is not sure enough has it too wide. Whether they lie within is no proper score (the
    widest interval always holds them), and an interval of a normal distribution is off for bags of few rows. The log
    density is of the Dawid-Sebastiani kind: it depends on mean and variance only, and in expectation it is greatest at
    the true ones for bags of any size and labels of any distribution, as long as the true variance is above the floor,
    that of rounding to a whole number. It is in nats for each count. Where bags differ by more than their rows show,
    counts vary more than :math:`v_{bc}` and large bags rule; then take ``bag_kl_scorer``.

    ``sample_weight`` counts rows: a row of weight two is two rows, and a row of weight zero is none. Only
    ``bag_interval_scorer`` depends on the scale of the weights.

    References
    ----------
    .. [1] Dawid, Sebastiani. "Coherent dispersion criteria for optimal experimental design". Annals of Statistics,
       1999.
    .. [2] Gneiting, Raftery. "Strictly proper scoring rules, prediction, and estimation". Journal of the American
       Statistical Association, 2007.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> from sklearnloss import bag_targets
    >>> model = DummyClassifier(strategy="prior").fit(np.zeros((4, 1)), [0, 0, 0, 1])
    >>> y = bag_targets({"a": [0.5, 0.5], "b": [1.0, 0.0]}, ["a", "a", "b", "b"])
    >>> bag_l1_scorer(model, np.zeros((4, 1)), y)
    -0.5
    """

    def __init__(self, name: str) -> None:
        if name not in SCORES:
            raise ParameterError(f"name must be one of {', '.join(SCORES)}; got {name!r}")
        self.name = name

    def __call__(self, estimator: Any, X: Any, y: Any, sample_weight: ArrayLike | None = None, **facts: Any) -> float:
        """Return the score.

        Parameters
        ----------
        estimator : fitted classifier or regressor
            With ``predict_proba``, or ``predict``.
        X : array-like of shape (n, d)
            Rows.
        y : structured array of shape (n,)
            What `bag_targets` makes; proportions in the order of the estimator's ``classes_``.
        sample_weight : array-like of shape (n,), default=None
            Weights of the rows.
        **facts
            Refused.

        Returns
        -------
        float
            Greater is better.

        Raises
        ------
        TaskError
            If the estimator does not predict what is judged.
        DataError
            If y does not carry its bags, or does not fit the predictions.
        """
        self._refuse(facts)
        if not is_bag_targets(y):
            raise DataError(
                f"{self.name} judges what is known of bags, and y does not say which row is of which; make it with "
                "bag_targets(proportions, bags)"
            )
        judge, method = SCORES[self.name]
        if not hasattr(estimator, method):
            raise TaskError(f"{self.name} needs {method}, which {type(estimator).__name__} does not have")
        weight = _check_sample_weight(sample_weight, y, dtype=np.float64, ensure_non_negative=True)
        kept = weight > 0
        if not kept.any():
            raise DataError(f"{self.name}: sample_weight is zero for every row")
        rows = np.asarray(getattr(estimator, method)(X), dtype=np.float64)
        table = read_bags(y["p"][kept], y["bag"][kept])
        known = table.values
        if method == "predict_proba" and known.ndim == 1:
            known = np.stack([1 - known, known], axis=1)  # the share of the positive class
        known, rows = known.reshape(len(known), -1), rows.reshape(len(y), -1)
        if known.shape[1] != rows.shape[1]:
            what = "proportions of {} classes" if method == "predict_proba" else "means of {} targets"
            raise DataError(
                f"{self.name}: y has {what.format(known.shape[1])}, and {type(estimator).__name__} predicts "
                f"{rows.shape[1]}"
            )
        return judge(Judged(known, rows[kept], table.code, weight[kept]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BagScorer) and self.name == other.name

    def __hash__(self) -> int:
        return hash((BagScorer, self.name))

    def __repr__(self) -> str:
        return self.name


bag_l1_scorer = BagScorer("bag_l1_scorer")
bag_kl_scorer = BagScorer("bag_kl_scorer")
bag_interval_scorer = BagScorer("bag_interval_scorer")
bag_mse_scorer = BagScorer("bag_mse_scorer")
