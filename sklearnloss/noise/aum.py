"""Area under the margin: labels that a network learns against its will."""

from numbers import Real
from typing import Annotated, Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import HasMethods
from sklearn.utils._param_validation import Interval as Range

from sklearnloss.component import selection
from sklearnloss.constraints import Interval, Seed
from sklearnloss.exceptions import DataError
from sklearnloss.noise._judge import Classifier, RowJudge, watchable_network
from sklearnloss.noise.recorder import recorded

__all__ = ["AreaUnderMargin"]


@selection("aum")
class AreaUnderMargin(RowJudge):
    r"""Doubt rows whose own class does not lead while a network learns them.

    A wrong label is learned late, from its row alone, against all rows that look like it. How far its logit led, on
    average over training, tells it apart long before the network has it by heart. What is still usual is told by rows
    whose labels are wrong by design: some are given a class that does not exist.

    Parameters
    ----------
    estimator : LossClassifier or None, default=None
        Network to train; None is a perceptron with 30 epochs in batches of 64. Few epochs at a constant learning rate
        are best, about half of what a fit would take; rows held out or calibration are left off.
    percentile : float in (0, 100], default=99
        Of the margins of rows with the false class: rows below are doubted. 100 doubts as much as possible.
    random_state : int, RandomState or None, default=None
        Seed of the false classes, and of the network unless it has its own.

    Attributes
    ----------
    scores_ : array of shape (n,)
        Minus the mean margin; the larger, the more doubtful.
    noisy_mask_ : bool array of shape (n,)
        Which rows are doubted.
    thresholds_ : array of shape (2,)
        Scores from which on, in either run.
    fake_ : int array of shape (n,)
        In which run, 0 or 1, a row had the false class; -1 in none.
    classes_ : array of shape (k,)
        The classes.

    Notes
    -----
    With logits :math:`z^{(t)}` of the forward passes that train, over epochs t,

    .. math:: \mathrm{AUM}_i = \frac1T \sum_t \Big( z^{(t)}_{y_i} - \max_{c \ne y_i} z^{(t)}_c \Big)

    Two disjoint sets of :math:`n / (k + 1)` rows get the false class k, each in its own run, so that every row is
    judged by a run in which its label was its own; rows that were in neither by the first. A row is doubted where its
    margin is at most the percentile of the false rows of that run. Two fits, and a number a row.

    The order of the scores is good throughout, the percentile is not: of two classes that overlap, such as incomes
    above and below a bound, nearly all rows look like the best of those with the false class, and are doubted. Take a
    lower percentile there, or ``LabelNoiseDetector(contamination=...)``.

    References
    ----------
    .. [1] Pleiss, Zhang, Elenberg, Weinberger. "Identifying mislabeled data using the area under the margin ranking".
       NeurIPS 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> y[7] = 2
    >>> judge = AreaUnderMargin(random_state=0).fit(X, y)
    >>> int(judge.scores_.argmax()), bool(judge.noisy_mask_[7])
    (7, True)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "percentile": [Range(Real, 0, 100, closed="right")],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Classifier = None,
        *,
        percentile: Annotated[float, Interval(0, 100, "right")] = 99.0,
        random_state: Seed = None,
    ) -> None:
        self.estimator = estimator
        self.percentile = percentile
        self.random_state = random_state

    def _judge(self, X: Any, codes: np.ndarray, rng: np.random.Generator) -> None:
        self._validate_params()
        model = watchable_network(self.estimator, rng, "aum")
        n, k = len(codes), len(self.classes_)
        size = round(n / (k + 1))
        if size < 1:
            raise DataError(f"method 'aum' gives one in {k + 1} rows a false class, but there are only {n} rows")
        order = rng.permutation(n)
        self.fake_ = np.full(n, -1)
        self.fake_[order[:size]], self.fake_[order[size : 2 * size]] = 0, 1
        self.scores_, self.thresholds_ = np.empty(n), np.empty(2)
        own_run = (self.fake_ == 0).astype(np.int64)  # the first, where its label was its own
        for run in (0, 1):
            fake = self.fake_ == run
            recorder = recorded(model, X, np.where(fake, k, codes))
            scores = -(recorder.total / recorder.count).numpy()
            # of margins the lower side of the percentile: of scores the upper
            self.thresholds_[run] = -np.percentile(-scores[fake], self.percentile)
            mine = own_run == run
            self.scores_[mine] = scores[mine]
        self.noisy_mask_ = self.scores_ >= self.thresholds_[own_run]
