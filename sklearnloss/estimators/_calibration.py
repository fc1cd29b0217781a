"""Probabilities from the scores of held-out rows, by a calibrator."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch

from sklearnloss.spec import Choice

__all__ = ["Calibration"]


@dataclass
class Calibration:
    """A map from scores to probabilities; one for each label where there are several.

    Attributes
    ----------
    maps : list of estimators
        The fitted calibrators: one, or one for each label.
    labelwise : bool
        Whether there are several labels a row.
    """

    maps: list[Any]
    labelwise: bool

    @classmethod
    def fit(
        cls, choice: Choice, scores: np.ndarray, y: np.ndarray, classes: np.ndarray, weights: np.ndarray | None
    ) -> Self:
        """Fit the map on held-out rows.

        Parameters
        ----------
        choice : Choice
            The calibrator.
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
        if weights is not None:
            seen = weights > 0
            scores, y, weights = scores[seen], y[seen], weights[seen]
        if y.ndim == 1:
            return cls([_fit_one(choice, scores.reshape(len(y), -1), y, classes, weights)], labelwise=False)
        both = np.array([0, 1])
        maps = [_fit_one(choice, scores[:, [j]], y[:, j], both, weights) for j in range(y.shape[1])]
        return cls(maps, labelwise=True)

    def predict_proba(self, scores: np.ndarray) -> np.ndarray:
        """Return probabilities (n, k) from scores (n,) or (n, k)."""
        if self.labelwise:
            columns = [m.predict_proba(scores[:, [j]])[:, 1] for j, m in enumerate(self.maps)]
            return np.stack(columns, axis=1)
        return self.maps[0].predict_proba(scores.reshape(len(scores), -1))

    def on_tensors(self, scores: torch.Tensor) -> torch.Tensor:
        """Return probabilities (n, k) from scores (n,) or (n, k), on the CPU."""
        return torch.from_numpy(np.ascontiguousarray(self.predict_proba(scores.numpy())))


def _fit_one(choice: Choice, scores: np.ndarray, y: np.ndarray, classes: np.ndarray, weights: np.ndarray | None) -> Any:
    if missing := sorted(set(classes.tolist()) - set(np.unique(y).tolist())):
        raise ValueError(
            f"calibrate={choice.component.name!r}: no held-out row of class {missing}; raise validation_fraction or "
            "leave calibrate off"
        )
    built: Any = choice.build()
    return built.fit(scores, y) if weights is None else built.fit(scores, y, sample_weight=weights)
