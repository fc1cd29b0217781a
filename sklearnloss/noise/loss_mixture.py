"""A mixture of the losses of clean and of wrong labels."""

from numbers import Real
from typing import Any, ClassVar

import numpy as np
from sklearn.mixture import GaussianMixture
from sklearn.utils._param_validation import HasMethods, Interval

from sklearnloss.exceptions import TaskError
from sklearnloss.noise._judge import RowJudge, network

__all__ = ["LossMixture"]

TINY = 1e-12


class LossMixture(RowJudge):
    """Doubt rows whose loss belongs to the higher of two groups, after a short training.

    A network learns what rows have in common before it learns them by heart; stopped in between, wrong labels have the
    higher losses.

    Parameters
    ----------
    estimator : classifier with ``predict_proba`` or None, default=None
        Fitted to all rows; None is a `LossClassifier` with 10 epochs in batches of 64. One that is fitted until it
        knows every row tells nothing.
    threshold : float in (0, 1), default=0.5
        Probability of the higher group above which a row is doubted.
    random_state : int, RandomState or None, default=None
        Seed of the model, unless it has its own, and of the mixture.

    Attributes
    ----------
    scores_ : array of shape (n,)
        Probability that the loss belongs to the higher group.
    losses_ : array of shape (n,)
        Log loss of each row.
    noisy_mask_ : bool array of shape (n,)
        Which rows are doubted.
    suggested_ : array of shape (n,)
        The most probable class.
    classes_ : array of shape (k,)
        The classes.

    Notes
    -----
    The mixture is of two normal distributions of the losses, which are brought to [0, 1]. Beyond the mean of the higher
    group a row's probability never falls, nor does it rise below that of the lower.

    References
    ----------
    .. [1] Arazo, Ortego, Albert, O'Connor, McGuinness. "Unsupervised label noise modeling and loss correction". ICML
       2019.
    .. [2] Li, Socher, Hoi. "DivideMix: learning with noisy labels as semi-supervised learning". ICLR 2020.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearnloss import LossClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> y[7] = 2
    >>> judge = LossMixture(LossClassifier(max_epochs=40, random_state=0), random_state=0).fit(X, y)
    >>> int(judge.losses_.argmax()), bool(judge.noisy_mask_[7])
    (7, True)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "estimator": [HasMethods(["fit", "predict_proba"]), None],
        "threshold": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    }

    def __init__(self, estimator: Any = None, *, threshold: float = 0.5, random_state: Any = None) -> None:
        self.estimator = estimator
        self.threshold = threshold
        self.random_state = random_state

    def _judge(self, X: Any, codes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        self._validate_params()
        model = network(self.estimator, rng, max_epochs=10, batch_size=64).fit(X, codes)
        if not hasattr(model, "predict_proba"):
            raise TaskError(
                f"method 'loss_mixture' looks at probabilities, which {type(model).__name__} does not give; use a loss "
                "with a link to probabilities, or calibrate="
            )
        proba = np.asarray(model.predict_proba(X))
        self.losses_ = -np.log(np.maximum(proba[np.arange(len(codes)), codes], TINY))
        self.scores_ = higher_group(self.losses_, int(rng.integers(2**31)))
        self.noisy_mask_ = self.scores_ > self.threshold
        return proba.argmax(axis=1)


def higher_group(losses: np.ndarray, seed: int) -> np.ndarray:
    """Return the probability of each loss to belong to the higher of two normal groups.

    Parameters
    ----------
    losses : array of shape (n,)
        Losses.
    seed : int
        Seed of the mixture's start.

    Examples
    --------
    >>> higher_group(np.array([0.1, 0.2, 0.0, 0.1, 3.0, 3.2, 2.9]), 0).round(2)
    array([0., 0., 0., 0., 1., 1., 1.])
    """
    span = np.ptp(losses)
    if span == 0:
        return np.zeros(len(losses))
    scaled = ((losses - losses.min()) / span)[:, None]
    mixture = GaussianMixture(2, reg_covar=5e-4, max_iter=200, random_state=seed).fit(scaled)
    means = mixture.means_.ravel()
    low, high = np.sort(means)
    inside = np.clip(scaled, low, high)  # a wide normal would claim both ends
    return np.asarray(mixture.predict_proba(inside)[:, means.argmax()])
