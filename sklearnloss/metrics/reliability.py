"""Reliability diagram."""

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.figures import new_axes
from sklearnloss.functional.probabilities import binned, check_probabilities, expected_gap, top_label

__all__ = ["ReliabilityDisplay"]

DIAGONAL = "perfectly calibrated"


class ReliabilityDisplay:
    """Reliability diagram: how often predictions are right, by how sure they are.

    Use `from_estimator` or `from_predictions`. Each marker is a bin, its area the share of rows; the bars are the gaps
    that the expected calibration error averages. Unlike scikit-learn's ``CalibrationDisplay`` it takes many classes.

    Parameters
    ----------
    confidence, accuracy, count : array-like of shape (m,)
        Mean probability of each bin, observed frequency, and number of rows.
    name : str, default=None
        What the legend calls it.

    Attributes
    ----------
    confidence_, accuracy_, count_ : array of shape (m,)
        The bins that are not empty.
    ece_ : float
        Expected calibration error of these bins.
    ax_, figure_, line_ : matplotlib Axes, Figure and Line2D
        What `plot` drew on and drew.

    Examples
    --------
    >>> display = ReliabilityDisplay([0.3, 0.8], [0.5, 0.8], [10, 30])
    >>> round(display.ece_, 4)
    0.05
    """

    ax_: Any
    figure_: Any
    line_: Any

    def __init__(
        self, confidence: ArrayLike, accuracy: ArrayLike, count: ArrayLike, *, name: str | None = None
    ) -> None:
        self.confidence_ = np.asarray(confidence)
        self.accuracy_ = np.asarray(accuracy)
        self.count_ = np.asarray(count)
        self.ece_ = expected_gap(self.confidence_, self.accuracy_, self.count_)
        self.name = name

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_prob: ArrayLike,
        *,
        n_bins: int = 10,
        strategy: Literal["uniform", "quantile"] = "uniform",
        labels: Any | None = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the diagram of predicted probabilities.

        Parameters
        ----------
        y_true : array-like of shape (n,)
            Class of each row, in 0..k-1, or in ``labels``.
        y_prob : array-like of shape (n,) or (n, k)
            Probability of the positive class (1, or the second of ``labels``); or of every class, of which the most
            probable is judged.
        n_bins : int in [1, inf), default=10
            Number of bins.
        strategy : {"uniform", "quantile"}, default="uniform"
            Bins of equal width, or of equal numbers of rows.
        labels : array-like of shape (k,), default=None
            The class of each column.
        name : str, default=None
            What the legend calls it.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For matplotlib's ``Axes.plot``.

        Returns
        -------
        ReliabilityDisplay
        """
        proba, y, weight = check_probabilities(y_true, y_prob, labels=labels)
        confidence, accuracy, count = binned(*top_label(proba, y), weight, n_bins=n_bins, strategy=strategy)
        return cls(confidence, accuracy, count.astype(int), name=name).plot(ax, **kwargs)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        n_bins: int = 10,
        strategy: Literal["uniform", "quantile"] = "uniform",
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the diagram of a fitted classifier: of ``classes_[1]`` if there are two, else of the predicted class.

        Parameters
        ----------
        estimator : classifier with ``predict_proba`` and ``classes_``
            Fitted.
        X : array-like of shape (n, d)
            Rows it was not trained on.
        y : array-like of shape (n,)
            Their classes.
        n_bins : int in [1, inf), default=10
            Number of bins.
        strategy : {"uniform", "quantile"}, default="uniform"
            Bins of equal width, or of equal numbers of rows.
        name : str, default=None
            What the legend calls it; None is the name of the estimator's class.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For matplotlib's ``Axes.plot``.

        Returns
        -------
        ReliabilityDisplay
        """
        proba = np.asarray(estimator.predict_proba(X))
        return cls.from_predictions(
            y,
            proba[:, 1] if proba.shape[1] == 2 else proba,
            n_bins=n_bins,
            strategy=strategy,
            labels=estimator.classes_,
            name=type(estimator).__name__ if name is None else name,
            ax=ax,
            **kwargs,
        )

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the diagram; several may share an ``ax``.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        name : str, default=None
            What the legend calls it; None is the name it was given.
        **kwargs
            For matplotlib's ``Axes.plot``.

        Returns
        -------
        ReliabilityDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = new_axes("ReliabilityDisplay", 4, 4) if ax is None else ax
        name = self.name if name is None else name
        error = f"ECE {self.ece_:.3f}"
        first = DIAGONAL not in ax.get_legend_handles_labels()[1]
        if first:
            ax.plot([0, 1], [0, 1], linestyle=":", color="0.4", linewidth=1.2, label=DIAGONAL)
            ax.set(xlabel="Predicted probability (marker area: rows)", ylabel="Observed frequency")
            ax.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal")
        style = {"label": error if name is None else f"{name}, {error}"} | kwargs
        (line,) = ax.plot(self.confidence_, self.accuracy_, **style)
        color = line.get_color()
        ax.vlines(self.confidence_, self.confidence_, self.accuracy_, color=color, alpha=0.3, linewidth=5)
        area = 10 + 600 * self.count_ / self.count_.sum()  # a rare bin still shows
        ax.scatter(self.confidence_, self.accuracy_, area, color=color, edgecolor="white", linewidth=0.8, zorder=3)
        ax.set_title(error if first else "")  # of several, each has its own in the legend
        ax.legend(loc="upper left", frameon=False)
        self.ax_, self.figure_, self.line_ = ax, ax.figure, line
        return self
