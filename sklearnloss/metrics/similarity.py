"""Histogram of similarities."""

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.figures import new_axes
from sklearnloss.functional.neighbors import check_distance, embed, measure, positive_int
from sklearnloss.functional.verification import equal_error_of, sample_pairs
from sklearnloss.metrics._axes import COLORS, INK, name_of

__all__ = ["SimilarityDisplay"]

SORTS = (("different class", COLORS[1]), ("same class", COLORS[0]))
AXES = {"cosine": "cosine similarity", "euclidean": "Euclidean distance"}


class SimilarityDisplay:
    """Histograms of how similar two rows are: of the same class, and of different classes, with the threshold between.

    Use `from_embeddings` or `from_estimator`. The threshold is that of the equal error rate: to its sides lie as many
    pairs of different classes that look the same, of all such, as pairs of the same class that look different.

    Parameters
    ----------
    different, same : array-like of shape (p,), (q,)
        Distances of pairs of different classes, and of the same class: ``1 - cosine``, or Euclidean.
    distance : {"cosine", "euclidean"}, default="cosine"
        Which it is; cosines are drawn as similarities.
    name : str, default=None
        The title.

    Attributes
    ----------
    different_, same_ : array of shape (p,), (q,)
        The distances.
    eer_ : float
        Equal error rate of these pairs.
    threshold_ : float
        Where it is reached, as it is drawn: a cosine, or a distance.
    ax_, figure_ : matplotlib Axes and Figure
        What `plot` drew on.

    Examples
    --------
    >>> display = SimilarityDisplay([0.8, 1.0, 1.1, 0.25], [0.1, 0.2, 0.3, 0.5])
    >>> display.eer_, display.threshold_
    (0.25, 0.7)
    """

    ax_: Any
    figure_: Any

    def __init__(
        self,
        different: ArrayLike,
        same: ArrayLike,
        *,
        distance: Literal["cosine", "euclidean"] = "cosine",
        name: str | None = None,
    ) -> None:
        self.different_ = np.asarray(different, dtype=np.float64)
        self.same_ = np.asarray(same, dtype=np.float64)
        self.distance = check_distance(distance)
        self.name = name
        self.eer_, threshold = equal_error_of(self.different_, self.same_)
        self.threshold_ = float(self._drawn(threshold))

    @classmethod
    def from_embeddings(
        cls,
        embeddings: ArrayLike,
        y: ArrayLike,
        gallery: ArrayLike | None = None,
        gallery_labels: ArrayLike | None = None,
        *,
        distance: Literal["cosine", "euclidean"] = "cosine",
        max_pairs: int = 200_000,
        random_state: int = 0,
        bins: int = 60,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the histograms of pairs of embeddings.

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
            What is measured.
        max_pairs : int in [1, inf), default=200_000
            If there are more pairs of a sort, so many are drawn.
        random_state : int in [0, inf), default=0
            Seed of the draw.
        bins : int in [1, inf), default=60
            Number of bars from end to end.
        name : str, default=None
            The title.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For matplotlib's ``Axes.hist``.

        Returns
        -------
        SimilarityDisplay

        Raises
        ------
        DataError
            If the arrays do not fit together, are not finite, have one class, or no class has two rows.
        """
        measured = measure(embeddings, y, gallery, gallery_labels, distance=distance)
        limit = positive_int("max_pairs", max_pairs)
        different, same = sample_pairs(measured, limit, np.random.default_rng(random_state))
        display = cls(measured.shown(different), measured.shown(same), distance=distance, name=name)
        return display.plot(ax, bins=bins, **kwargs)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        distance: Literal["cosine", "euclidean"] = "cosine",
        max_pairs: int = 200_000,
        random_state: int = 0,
        bins: int = 60,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw the histograms of what a fitted transformer makes of rows.

        Parameters
        ----------
        estimator : fitted transformer
            Something with ``transform``, such as a Pipeline that ends in a transformer.
        X : array-like of shape (n, d)
            Rows, best some it was not trained on.
        y : array-like of shape (n,)
            Their classes.
        distance, max_pairs, random_state, bins
            As in `from_embeddings`.
        name : str, default=None
            The title; None is the name of the estimator's class, of a Pipeline that of its last step.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For matplotlib's ``Axes.hist``.

        Returns
        -------
        SimilarityDisplay
        """
        return cls.from_embeddings(
            embed(estimator, X),
            y,
            distance=distance,
            max_pairs=max_pairs,
            random_state=random_state,
            bins=bins,
            name=name_of(estimator) if name is None else name,
            ax=ax,
            **kwargs,
        )

    def plot(self, ax: Any = None, *, bins: int = 60, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the histograms, each of area one, and the threshold.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        bins : int in [1, inf), default=60
            Number of bars from end to end.
        name : str, default=None
            The title; None is the name it was given.
        **kwargs
            For matplotlib's ``Axes.hist``.

        Returns
        -------
        SimilarityDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = new_axes("SimilarityDisplay", 5.6, 3.4) if ax is None else ax
        values = [self._drawn(self.different_), self._drawn(self.same_)]
        edges = np.histogram_bin_edges(np.concatenate(values), positive_int("bins", bins))
        for (label, color), drawn, edge in zip(SORTS, values, ("--", "-"), strict=True):
            style = {"bins": edges, "density": True, "color": color} | kwargs
            ax.hist(drawn, **(style | {"alpha": 0.35, "histtype": "stepfilled"}))
            ax.hist(drawn, **(style | {"histtype": "step", "linewidth": 1.4, "linestyle": edge}), label=label)
        ax.axvline(self.threshold_, color=INK, linewidth=1.1, linestyle=":")
        ax.set_ylim(0, 1.12 * ax.get_ylim()[1])  # room for the words above
        left = self.threshold_ < np.mean(ax.get_xlim())
        ax.annotate(
            f"EER {self.eer_:.1%} at {self.threshold_:.3g}",
            (self.threshold_, 0.97),
            (5 if left else -5, 0),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            ha="left" if left else "right",
            va="top",
            color=INK,
            fontsize=9,
        )
        ax.set(xlabel=AXES[self.distance], ylabel="density of pairs")
        ax.set_title((self.name if name is None else name) or "", loc="left", pad=24)  # above the legend
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, borderpad=0)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _drawn(self, distances: Any) -> Any:
        return 1 - distances if self.distance == "cosine" else distances
