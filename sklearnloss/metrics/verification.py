"""Curve of error rates of verification."""

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from sklearnloss.figures import new_axes
from sklearnloss.functional.neighbors import embed, measure, positive_int
from sklearnloss.functional.verification import equal_error, error_curve
from sklearnloss.metrics._axes import INK, name_of

__all__ = ["VerificationDisplay", "verification_curve"]

TICKS = (0.8, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001, 1e-4, 1e-5, 1e-6)
LEAST, MOST = 1e-6, 0.8  # of the axes
CHANCE = "chance"


def verification_curve(
    embeddings: ArrayLike,
    y: ArrayLike,
    gallery: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    *,
    distance: Literal["cosine", "euclidean"] = "cosine",
    n_thresholds: int = 2000,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Error rates of telling by a threshold on their distance whether two rows are of one class.

    Parameters
    ----------
    embeddings : array-like of shape (n, d)
        Rows of any length.
    y : array-like of shape (n,)
        Their classes.
    gallery : array-like of shape (m, d), default=None
        What they are paired with. None pairs each two of them once.
    gallery_labels : array-like of shape (m,), default=None
        The classes of the gallery.
    distance : {"cosine", "euclidean"}, default="cosine"
        ``1 - cosine``, or the Euclidean distance.
    n_thresholds : int in [1, inf), default=2000
        Where there are more pairs of the same class, or of different classes, the distances of so many of them are the
        thresholds. The rates are those of all pairs.

    Returns
    -------
    far : array of shape (t,)
        Share of pairs of different classes that are accepted, being within the threshold; from 0 to 1.
    frr : array of shape (t,)
        Share of pairs of the same class that are rejected; from 1 to 0.
    thresholds : array of shape (t,)
        Distances, rising; the first, minus infinity, accepts nothing.

    Raises
    ------
    DataError
        If the arrays do not fit together, are not finite, have one class, or no class has two rows.

    Examples
    --------
    >>> far, frr, thresholds = verification_curve([[0.0], [1.0], [3.0]], [0, 0, 1], distance="euclidean")
    >>> far.tolist(), frr.tolist(), thresholds.tolist()
    ([0.0, 0.0, 0.5, 1.0], [1.0, 0.0, 0.0, 0.0], [-inf, 1.0, 2.0, 3.0])
    """
    measured = measure(embeddings, y, gallery, gallery_labels, distance=distance)
    far, frr, thresholds = error_curve(measured, positive_int("n_thresholds", n_thresholds))
    return far, frr, np.append(-np.inf, measured.shown(thresholds[1:]))


class VerificationDisplay:
    """Error rates of verification against each other, for all thresholds: the DET curve, with the equal error rate.

    Use `from_embeddings` or `from_estimator`. The axes are stretched as normal deviates, so a curve is straight where
    distances of both sorts of pairs are normal, and small rates are seen; the lower left is better.

    Parameters
    ----------
    far, frr : array-like of shape (t,)
        Share of pairs of different classes accepted, and of the same class rejected; of rising thresholds.
    eer : float
        Equal error rate.
    name : str, default=None
        What the legend calls it.

    Attributes
    ----------
    far_, frr_ : array of shape (t,)
        The curve.
    eer_ : float
        Equal error rate.
    ax_, figure_, line_ : matplotlib Axes, Figure and Line2D
        What `plot` drew on and drew.

    Examples
    --------
    >>> VerificationDisplay([0.0, 0.1, 1.0], [1.0, 0.1, 0.0], 0.1).eer_
    0.1
    """

    ax_: Any
    figure_: Any
    line_: Any

    def __init__(self, far: ArrayLike, frr: ArrayLike, eer: float, *, name: str | None = None) -> None:
        self.far_, self.frr_ = np.asarray(far), np.asarray(frr)
        self.eer_ = eer
        self.name = name

    @classmethod
    def from_embeddings(
        cls,
        embeddings: ArrayLike,
        y: ArrayLike,
        gallery: ArrayLike | None = None,
        gallery_labels: ArrayLike | None = None,
        *,
        distance: Literal["cosine", "euclidean"] = "cosine",
        n_thresholds: int = 2000,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the curve of embeddings.

        Parameters
        ----------
        embeddings, y, gallery, gallery_labels, distance, n_thresholds
            As in `verification_curve`.
        name : str, default=None
            What the legend calls it.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For matplotlib's ``Axes.plot``.

        Returns
        -------
        VerificationDisplay
        """
        measured = measure(embeddings, y, gallery, gallery_labels, distance=distance)
        far, frr, _ = error_curve(measured, positive_int("n_thresholds", n_thresholds))
        return cls(far, frr, equal_error(measured)[0], name=name).plot(ax, **kwargs)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        distance: Literal["cosine", "euclidean"] = "cosine",
        n_thresholds: int = 2000,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the curve of what a fitted transformer makes of rows.

        Parameters
        ----------
        estimator : fitted transformer
            Something with ``transform``, such as a Pipeline that ends in a transformer.
        X : array-like of shape (n, d)
            Rows, best some it was not trained on.
        y : array-like of shape (n,)
            Their classes.
        distance, n_thresholds
            As in `verification_curve`.
        name : str, default=None
            What the legend calls it; None is the name of the estimator's class, of a Pipeline that of its last step.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For matplotlib's ``Axes.plot``.

        Returns
        -------
        VerificationDisplay
        """
        name = name_of(estimator) if name is None else name
        found = embed(estimator, X)
        return cls.from_embeddings(found, y, distance=distance, n_thresholds=n_thresholds, name=name, ax=ax, **kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the curve; several may share an ``ax``.

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
        VerificationDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = new_axes("VerificationDisplay", 4.4, 4.4) if ax is None else ax
        name = self.name if name is None else name
        if CHANCE not in ax.get_legend_handles_labels()[1]:
            _prepare(ax)
        error = f"EER {self.eer_:.2%}"
        style = {"label": error if name is None else f"{name}, {error}", "linewidth": 1.8} | kwargs
        (self.line_,) = ax.plot(_stretched(self.far_), _stretched(self.frr_), **style)
        self._make_room(ax)
        at = max(_stretched(self.eer_), ax.get_xlim()[0])  # one of zero sits in the corner
        style = {"color": self.line_.get_color(), "markeredgecolor": "white", "markersize": 8}
        ax.plot(at, at, "o", **style, zorder=3, clip_on=False)
        ax.legend(loc="upper right", edgecolor="none", framealpha=0.9, fontsize=9)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _make_room(self, ax: Any) -> None:
        """Widen the axes to what is small against the equal error rate."""
        least = float(np.clip(self.eer_ / 30, LEAST, 1e-3)) if self.eer_ > 0 else 1e-4
        low, high = min(norm.ppf(least), ax.get_xlim()[0]), norm.ppf(MOST)
        ax.set(xlim=(low, high), ylim=(low, high))
        ticks: list[float] = []
        for tick in TICKS:  # the large ones first, and of the small what has room
            if norm.ppf(tick) >= low and (not ticks or norm.ppf(ticks[-1]) - norm.ppf(tick) > (high - low) / 12):
                ticks.append(tick)
        words = [f"{100 * tick:g}" for tick in ticks]
        ax.set_xticks(norm.ppf(ticks), words)
        ax.set_yticks(norm.ppf(ticks), words)


def _prepare(ax: Any) -> None:
    ends = _stretched(np.array([0.0, 1.0]))
    ax.plot(ends, -ends, linestyle=":", color="0.6", linewidth=1.2, label=CHANCE)
    ax.plot(ends, ends, color="0.85", linewidth=0.8, zorder=0)  # the rates are equal on it
    ax.set(xlabel="false acceptance rate (%)", ylabel="false rejection rate (%)", aspect="equal")
    ax.set_xlim(norm.ppf(1e-3), norm.ppf(MOST))
    ax.tick_params(labelsize=8, labelcolor=INK, color="0.6")
    ax.grid(color="0.93", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def _stretched(rates: Any) -> Any:
    """Return normal deviates, those of zero and one just outside of what is seen."""
    return norm.ppf(np.clip(rates, LEAST / 2, 1 - LEAST / 2))
