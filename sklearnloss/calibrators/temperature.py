"""Temperature scaling."""

from sklearnloss.calibrators._scores import Array, ScoreCalibrator, fit_inverse_temperature
from sklearnloss.component import calibrator

__all__ = ["TemperatureScaling"]


@calibrator("temperature")
class TemperatureScaling(ScoreCalibrator):
    r"""One number divides all scores: confidence is corrected, no prediction changes.

    Rows are the scores of a fitted model, best of held-out rows: (n, k), or (n,) for two classes.

    Attributes
    ----------
    temperature_ : float
        Above one where the model was too sure.
    classes_ : array of shape (k,)
        The classes, sorted as the columns of the scores are.
    n_features_in_ : int
        Number of columns.

    Notes
    -----
    .. math:: p = \operatorname{softmax}(z / T)

    T has the least negative log likelihood. It lies within a factor 1e5 of the root mean square of the scores less
    their mean in each row. Rows that the scores separate have no best T: it stops where its logarithm would win less
    than 1e-10, so probabilities stay short of certainty. O(n k) a step.

    References
    ----------
    .. [1] Guo, Pleiss, Sun, Weinberger. "On calibration of modern neural networks". ICML 2017.

    Examples
    --------
    >>> scores, y = [2.0, 2.0, 2.0, 2.0, -2.0, -2.0, -2.0, -2.0], [1, 1, 1, 0, 0, 0, 0, 1]
    >>> model = TemperatureScaling().fit(scores, y)
    >>> round(model.temperature_, 3), model.predict_proba([2.0]).round(3)
    (1.82, array([[0.25, 0.75]]))
    """

    def _learn(self, z: Array, y: Array, weights: Array, scale: float) -> None:
        self.temperature_ = 1 / fit_inverse_temperature(z, y, weights, scale)

    def _logits(self, z: Array) -> Array:
        return z / self.temperature_
