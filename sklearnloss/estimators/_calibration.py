"""Probabilities from the scores of held-out rows, by scikit-learn's calibrators; what they learn is kept as numbers."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from torch import Tensor, nn

__all__ = ["CalibratedScores", "Calibration", "ScoreMap"]


class Scores(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A fitted classifier whose rows are the scores themselves, for scikit-learn's calibrators."""

    def __init__(self, classes: np.ndarray) -> None:
        self.classes = classes

    @property
    def classes_(self) -> np.ndarray:
        """The classes."""
        return self.classes

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Do nothing."""
        return self

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        """Return X, one column as (n,)."""
        return X[:, 0] if X.shape[1] == 1 else X

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Return the class of the highest score."""
        columns = np.hstack([-X, X]) if X.shape[1] == 1 else X
        return self.classes[columns.argmax(axis=1)]

    def __sklearn_is_fitted__(self) -> bool:
        return True


@dataclass(frozen=True)
class ScoreMap:
    """What a calibrator learned: numbers from which `CalibratedScores` makes probabilities.

    Attributes
    ----------
    method : {"sigmoid", "isotonic", "temperature"}
        The calibrator.
    numbers : tuple of array
        Of sigmoid ``(a, b)``, both (c,), one for each column of scores; of isotonic the thresholds and the values of
        the first column, of the second, ...; of temperature ``(beta,)``, the inverse temperature, of shape ().
    logarithm : bool
        Whether the scores are probabilities, so that a temperature divides their logarithms.
    """

    method: str
    numbers: tuple[np.ndarray, ...]
    logarithm: bool = False


@dataclass(frozen=True)
class Calibration:
    """A map from scores to probabilities; one for each label where there are several.

    Attributes
    ----------
    maps : tuple of ScoreMap
        One, or one for each label.
    labelwise : bool
        Whether there are several labels.
    """

    maps: tuple[ScoreMap, ...]
    labelwise: bool

    @classmethod
    def fit(
        cls, method: str, scores: np.ndarray, y: np.ndarray, classes: np.ndarray, weights: np.ndarray | None
    ) -> Self:
        """Fit the map on held-out rows.

        Parameters
        ----------
        method : {"sigmoid", "isotonic", "temperature"}
            As in `sklearn.calibration.CalibratedClassifierCV`.
        scores : array of shape (m,) or (m, k)
            What ``decision_function`` gives.
        y : array of shape (m,) or (m, n_labels)
            The classes, as the user gave them.
        classes : array of shape (k,)
            Columns of the result.
        weights : array of shape (m,) or None
            Weights of the rows.

        Raises
        ------
        ValueError
            If a class has no held-out row.
        """
        if y.ndim == 2:
            labels = [(scores[:, [j]], y[:, j], np.array([0, 1])) for j in range(y.shape[1])]
            return cls(tuple(_fit(method, *label, weights) for label in labels), labelwise=True)
        return cls((_fit(method, scores.reshape(len(y), -1), y, classes, weights),), labelwise=False)

    def predict_proba(self, scores: np.ndarray) -> np.ndarray:
        """Return probabilities (n, k), in float64, from scores (n,) or (n, k)."""
        with torch.inference_mode():
            return CalibratedScores(self)(torch.as_tensor(scores)).numpy()


def _fit(method: str, columns: np.ndarray, y: np.ndarray, known: np.ndarray, weights: np.ndarray | None) -> ScoreMap:
    if missing := sorted(set(known.tolist()) - set(np.unique(y).tolist())):
        raise ValueError(
            f"calibrate={method!r}: no held-out row of class {missing}; raise validation_fraction or leave calibrate "
            "off"
        )
    whole = [(np.arange(len(y)), np.arange(len(y)))]  # the scores are fitted already: one fold of all rows
    calibrated = CalibratedClassifierCV(Scores(known), method=method, cv=whole, ensemble=False)
    with config_context(enable_metadata_routing=False):  # the weights are handed over here, not routed
        calibrated.fit(columns.astype(np.float64), y, sample_weight=weights)
    learned = calibrated.calibrated_classifiers_[0].calibrators
    if method == "sigmoid":
        return ScoreMap(method, (np.array([float(c.a_) for c in learned]), np.array([float(c.b_) for c in learned])))
    if method == "isotonic":
        return ScoreMap(method, tuple(part for c in learned for part in (c.X_thresholds_, c.y_thresholds_)))
    # scikit-learn takes scores that look like probabilities for probabilities, batch by batch; here once for all
    shares = columns.shape[1] > 1 and columns.min() >= 0 and np.allclose(columns.sum(1), 1.0) and columns.max() <= 1
    return ScoreMap(method, (np.array(float(learned[0].beta_)),), logarithm=bool(shares))


class CalibratedScores(nn.Module):
    """From scores (n,) or (n, k) to calibrated probabilities (n, k), in float64.

    Parameters
    ----------
    calibration : Calibration
        What was learned.
    """

    def __init__(self, calibration: Calibration) -> None:
        super().__init__()
        self.labelwise = calibration.labelwise
        self.maps = nn.ModuleList(_MAPS[one.method](one) for one in calibration.maps)

    def forward(self, scores: Tensor) -> Tensor:
        """Return the probabilities."""
        scores = scores.double()
        if self.labelwise:
            return torch.cat([one(scores[:, j : j + 1])[:, 1:] for j, one in enumerate(self.maps)], dim=1)
        probabilities: Tensor = self.maps[0](scores.reshape(-1, 1) if scores.ndim == 1 else scores)
        return probabilities


class _Numbers(nn.Module):
    """A map with its numbers in buffers ``number_0, number_1, ...``."""

    def __init__(self, learned: ScoreMap) -> None:
        super().__init__()
        self.count, self.logarithm = len(learned.numbers), learned.logarithm
        for place, values in enumerate(learned.numbers):
            self.register_buffer(f"number_{place}", torch.tensor(values, dtype=torch.float64))

    @property
    def numbers(self) -> list[Tensor]:
        """The buffers in their order."""
        return [getattr(self, f"number_{place}") for place in range(self.count)]


class _Sigmoid(_Numbers):
    """A sigmoid of each column."""

    def forward(self, scores: Tensor) -> Tensor:
        """Return probabilities (n, k) of scores (n, c)."""
        slope, intercept = self.numbers
        return _shares(torch.sigmoid(-(slope * scores + intercept)))


class _Isotonic(_Numbers):
    """A rising, piecewise linear function of each column, constant beyond its ends."""

    def forward(self, scores: Tensor) -> Tensor:
        """Return probabilities (n, k) of scores (n, c)."""
        lines = list(zip(self.numbers[::2], self.numbers[1::2], strict=True))
        return _shares(torch.stack([_interpolate(scores[:, j], *line) for j, line in enumerate(lines)], dim=1))


class _Temperature(_Numbers):
    """One factor of all scores; of a single one, which is half the difference of two."""

    def forward(self, scores: Tensor) -> Tensor:
        """Return probabilities (n, k) of scores (n, c)."""
        if scores.shape[1] == 1:
            scores = torch.cat([-scores, scores], dim=1)
        logits = (scores + 1e-12).log() if self.logarithm else scores  # the 1e-12 is scikit-learn's
        return torch.softmax(self.numbers[0] * logits, dim=1)


_MAPS: dict[str, type[_Numbers]] = {"sigmoid": _Sigmoid, "isotonic": _Isotonic, "temperature": _Temperature}


def _shares(columns: Tensor) -> Tensor:
    """Return rows that sum to one: of one column the other class is added, of zeros alone all shares are equal."""
    if columns.shape[1] == 1:
        return torch.cat([1 - columns, columns], dim=1)
    total = columns.sum(dim=1, keepdim=True)
    return torch.where(total == 0, 1 / columns.shape[1], columns / torch.where(total == 0, 1.0, total))


def _interpolate(x: Tensor, knots: Tensor, values: Tensor) -> Tensor:
    """Return the piecewise linear function through the knots (m,) at x (n,), constant beyond them."""
    last = len(knots) - 1
    if last == 0:
        return values[0].expand(x.shape)
    x = x.clamp(knots[0], knots[last])
    # the last knot that is not above x; torch's ONNX exporter knows bucketize, but not searchsorted
    left = (torch.bucketize(x, knots, right=True) - 1).clamp(max=last - 1)  # (n,)
    slope = (values[left + 1] - values[left]) / (knots[left + 1] - knots[left])
    return values[left] + slope * (x - knots[left])
