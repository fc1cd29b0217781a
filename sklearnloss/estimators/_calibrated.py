"""The package's calibrators as torch modules, for classifiers that are exported."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sklearnloss.estimators._calibration import Calibration
from sklearnloss.exceptions import TaskError

__all__ = ["CalibratedScores", "interpolate"]


class CalibratedScores(nn.Module):
    """From scores (n,) or (n, k) to calibrated probabilities (n, k), in float64.

    Parameters
    ----------
    calibration : Calibration
        What was learned.

    Raises
    ------
    TaskError
        If its calibrator is not one of this package.
    """

    def __init__(self, calibration: Calibration) -> None:
        super().__init__()
        self.labelwise = calibration.labelwise
        self.maps = nn.ModuleList(_map_of(one) for one in calibration.maps)

    def forward(self, scores: Tensor) -> Tensor:
        """Return the probabilities."""
        scores = scores.double()
        if self.labelwise:
            return torch.cat([one(scores[:, j : j + 1])[:, 1:] for j, one in enumerate(self.maps)], dim=1)
        probabilities: Tensor = self.maps[0](scores.reshape(-1, 1) if scores.ndim == 1 else scores)
        return probabilities


def _map_of(calibrator: Any) -> nn.Module:
    """Return the module of a fitted calibrator."""
    declared = getattr(type(calibrator), "component", None)
    match "" if declared is None or not type(calibrator).__module__.startswith("sklearnloss.") else declared.name:
        case "temperature":
            return _Linear(np.array(1 / calibrator.temperature_), np.array(0.0))
        case "vector" | "matrix":
            return _Linear(calibrator.coef_, calibrator.intercept_)
        case "sigmoid":
            return _Sigmoid(calibrator.coef_, calibrator.intercept_)
        case "isotonic":
            return _Isotonic(np.split(calibrator.knots_, calibrator.n_knots_.cumsum()[:-1]))
    raise TaskError(
        f"calibrator {type(calibrator).__name__} has no form in torch; export the scores, or calibrate with one of "
        "temperature, vector, matrix, sigmoid, isotonic"
    )


def _numbers(values: np.ndarray) -> Tensor:
    return torch.tensor(np.ascontiguousarray(values), dtype=torch.float64)


class _Linear(nn.Module):
    """A linear map of the scores less their mean in each row, then softmax."""

    factor: Tensor
    shift: Tensor

    def __init__(self, factor: np.ndarray, shift: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("factor", _numbers(factor))  # (), (k,) or (k, k)
        self.register_buffer("shift", _numbers(shift))

    def forward(self, scores: Tensor) -> Tensor:
        """Return probabilities (n, k) of scores (n, k), or (n, 1) of two classes."""
        if scores.shape[1] == 1:
            scores = torch.cat([torch.zeros_like(scores), scores], dim=1)
        z = scores - scores.mean(dim=1, keepdim=True)
        mapped = z @ self.factor.T if self.factor.ndim == 2 else z * self.factor
        return torch.softmax(mapped + self.shift, dim=1)


class _Sigmoid(nn.Module):
    """A sigmoid of each column."""

    slope: Tensor
    shift: Tensor

    def __init__(self, slope: np.ndarray, shift: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("slope", _numbers(slope))  # (c,)
        self.register_buffer("shift", _numbers(shift))

    def forward(self, scores: Tensor) -> Tensor:
        """Return probabilities (n, k) of scores (n, k), or (n, 1) of two classes."""
        return _shares(torch.sigmoid(_one_of_two(scores) * self.slope + self.shift))


class _Isotonic(nn.Module):
    """A rising, piecewise linear function of each column, constant beyond its ends."""

    def __init__(self, lines: list[np.ndarray]) -> None:
        super().__init__()
        self.count = len(lines)
        for place, line in enumerate(lines):
            self.register_buffer(f"line_{place}", _numbers(line.T))  # (2, m)

    def forward(self, scores: Tensor) -> Tensor:
        """Return probabilities (n, k) of scores (n, k), or (n, 1) of two classes."""
        columns = _one_of_two(scores)
        lines = [getattr(self, f"line_{place}") for place in range(self.count)]
        return _shares(torch.stack([interpolate(columns[:, j], *line) for j, line in enumerate(lines)], dim=1))


def _one_of_two(scores: Tensor) -> Tensor:
    return scores[:, 1:] - scores[:, :1] if scores.shape[1] == 2 else scores


def _shares(columns: Tensor) -> Tensor:
    """Return rows that sum to one: of one column the other class is added, of zeros alone all shares are equal."""
    if columns.shape[1] == 1:
        return torch.cat([1 - columns, columns], dim=1)
    total = columns.sum(dim=1, keepdim=True)
    return torch.where(total == 0, 1 / columns.shape[1], columns / torch.where(total == 0, 1.0, total))


def interpolate(x: Tensor, knots: Tensor, values: Tensor) -> Tensor:
    """Return the piecewise linear function through the knots (m,) at x (n,), constant beyond them."""
    last = len(knots) - 1
    if last == 0:
        return values[0].expand(x.shape)
    x = x.clamp(knots[0], knots[last])
    # the last knot that is not above x; torch's ONNX exporter knows bucketize, but not searchsorted
    left = (torch.bucketize(x, knots, right=True) - 1).clamp(max=last - 1)  # (n,)
    slope = (values[left + 1] - values[left]) / (knots[left + 1] - knots[left])
    return values[left] + slope * (x - knots[left])
