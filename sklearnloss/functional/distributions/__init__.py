"""Predictive distributions in numpy: what a loss that knows more than a point predicts.

A link of a loss on ``columns`` returns one of these in the units that the network was trained in; `LossRegressor`
brings it back to the units of y.
"""

from sklearnloss.functional.distributions.base import Distribution
from sklearnloss.functional.distributions.ensemble import Ensemble
from sklearnloss.functional.distributions.gamma import Gamma
from sklearnloss.functional.distributions.histogram import HALF, Histogram, TailedHistogram
from sklearnloss.functional.distributions.location_scale import Laplace, Normal, StudentT
from sklearnloss.functional.distributions.mixture import NormalMixture
from sklearnloss.functional.distributions.quantiles import Quantiles

__all__ = [
    "HALF", "Distribution", "Ensemble", "Gamma", "Histogram", "Laplace", "Normal", "NormalMixture", "Quantiles",
    "StudentT", "TailedHistogram",
]  # fmt: skip
