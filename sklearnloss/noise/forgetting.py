"""Forgetting events: rows that a network loses again while it trains."""

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval

from sklearnloss.noise._judge import RowJudge, watchable_network
from sklearnloss.noise.recorder import recorded

__all__ = ["Forgetting"]


class Forgetting(RowJudge):
    """Doubt rows that a network forgets often, or never learns.

    Hard rows are forgotten too, so that it finds what is unusual rather than what is wrong.

    Parameters
    ----------
    estimator : LossClassifier or None, default=None
        Network to train; None is a perceptron with 30 epochs in batches of 64.
    threshold : int in [1, inf), default=3
        Rows that were forgotten so often, or were never learned, are doubted.
    random_state : int, RandomState or None, default=None
        Seed of the network, unless it has its own.

    Attributes
    ----------
    scores_ : array of shape (n,)
        How often a row was right at one pass and wrong at the next; of rows that were never right the number of epochs.
    noisy_mask_ : bool array of shape (n,)
        Which rows are doubted.
    classes_ : array of shape (k,)
        The classes.

    References
    ----------
    .. [1] Toneva, Sordoni, Tachet des Combes, Trischler, Bengio, Gordon. "An empirical study of example forgetting
       during deep neural network learning". ICLR 2019.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> y[7] = 2
    >>> Forgetting(random_state=0).fit(X, y).noisy_mask_[7]
    np.True_
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "threshold": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }

    def __init__(self, estimator: Any = None, *, threshold: int = 3, random_state: Any = None) -> None:
        self.estimator = estimator
        self.threshold = threshold
        self.random_state = random_state

    def _judge(self, X: Any, codes: np.ndarray, rng: np.random.Generator) -> None:
        self._validate_params()
        model = watchable_network(self.estimator, rng, "forgetting")
        recorder = recorded(model, X, codes)
        learned = recorder.learned.numpy()
        self.scores_ = np.where(learned, recorder.forgotten.numpy(), recorder.count.numpy()).astype(np.float64)
        self.noisy_mask_ = ~learned | (self.scores_ >= self.threshold)
