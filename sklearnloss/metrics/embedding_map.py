"""Map of embeddings."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.decomposition import PCA

from sklearnloss.exceptions import DataError
from sklearnloss.figures import new_axes
from sklearnloss.functional.neighbors import check_embeddings, check_labels, embed
from sklearnloss.metrics._axes import COLORS, INK, MARKERS, name_of

__all__ = ["EmbeddingMapDisplay"]

LEGEND = 10  # up to so many classes have a legend; more are named where they are
NAMED = 40  # of still more, the largest so many are named
FONT = 8


class EmbeddingMapDisplay:
    """Map of embeddings in two columns, each class in a colour and a marker of its own.

    Use `from_embeddings` or `from_estimator`. Up to ten classes have a legend; of more, each is named at its middle.

    Parameters
    ----------
    points : array-like of shape (n, 2)
        Where each row is.
    y : array-like of shape (n,), default=None
        The classes.
    axis_names : tuple of str, default=("", "")
        What the axes are called.
    name : str, default=None
        The title.

    Attributes
    ----------
    points_ : array of shape (n, 2)
        Where each row is.
    classes_ : array of shape (k,)
        The classes; of one that is None without ``y``.
    ax_, figure_ : matplotlib Axes and Figure
        What `plot` drew on.
    scatters_ : list of matplotlib PathCollection
        The rows of each class, in the order of ``classes_``.

    Examples
    --------
    >>> display = EmbeddingMapDisplay([[0.0, 0.0], [1.0, 1.0], [0.0, 2.0]], ["a", "b", "a"])
    >>> display.classes_.tolist()
    ['a', 'b']
    """

    ax_: Any
    figure_: Any
    scatters_: list[Any]

    def __init__(
        self,
        points: ArrayLike,
        y: ArrayLike | None = None,
        *,
        axis_names: tuple[str, str] = ("", ""),
        name: str | None = None,
    ) -> None:
        self.points_ = check_embeddings(points, "points")
        if self.points_.shape[1] != 2:
            raise DataError(f"points must have two columns, got {self.points_.shape[1]}")
        self.y = None if y is None else check_labels(y, len(self.points_), of="points")
        self.classes_ = np.array([None]) if self.y is None else np.unique(self.y)
        self.axis_names = axis_names
        self.name = name

    @classmethod
    def from_embeddings(
        cls,
        embeddings: ArrayLike,
        y: ArrayLike | None = None,
        *,
        transformer: Any = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw a map of embeddings.

        Parameters
        ----------
        embeddings : array-like of shape (n, d)
            At least two columns.
        y : array-like of shape (n,), default=None
            The classes.
        transformer : scikit-learn transformer, default=None
            Brings d columns to two; a clone of it is fitted here, such as of ``TSNE()``. None takes two columns as they
            are, and of more the two principal components.
        name : str, default=None
            The title.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For matplotlib's ``Axes.scatter``.

        Returns
        -------
        EmbeddingMapDisplay

        Raises
        ------
        DataError
            If the arrays do not fit together, are not finite, or there are no two columns.
        """
        rows = check_embeddings(embeddings)
        points, axis_names = _flattened(rows, transformer)
        return cls(points, y, axis_names=axis_names, name=name).plot(ax, **kwargs)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike | None = None,
        *,
        transformer: Any = None,
        name: str | None = None,
        ax: Any = None,
        **kwargs: Any,
    ) -> Self:
        """Draw a map of what a fitted transformer makes of rows.

        Parameters
        ----------
        estimator : fitted transformer
            Something with ``transform``, such as a Pipeline that ends in a transformer.
        X : array-like of shape (n, d)
            Rows, best some it was not trained on.
        y : array-like of shape (n,), default=None
            Their classes.
        transformer : scikit-learn transformer, default=None
            As in `from_embeddings`.
        name : str, default=None
            The title; None is the name of the estimator's class, of a Pipeline that of its last step.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For matplotlib's ``Axes.scatter``.

        Returns
        -------
        EmbeddingMapDisplay
        """
        name = name_of(estimator) if name is None else name
        return cls.from_embeddings(embed(estimator, X), y, transformer=transformer, name=name, ax=ax, **kwargs)

    def plot(self, ax: Any = None, *, name: str | None = None, **kwargs: Any) -> Self:
        """Draw the map.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        name : str, default=None
            The title; None is the name it was given.
        **kwargs
            For matplotlib's ``Axes.scatter``.

        Returns
        -------
        EmbeddingMapDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        few = self.y is not None and len(self.classes_) <= LEGEND
        ax = new_axes("EmbeddingMapDisplay", 5.6 if few else 4.8, 4.4) if ax is None else ax
        area = float(np.clip(12_000 / len(self.points_), 9, 40))  # many rows are small, and still seen one by one
        self.scatters_ = []
        for i, label in enumerate(self.classes_):
            rows = self.points_ if self.y is None else self.points_[self.y == label]
            color, marker = COLORS[i % len(COLORS)], MARKERS[(i + i // len(COLORS)) % len(MARKERS)]
            style = {"s": area, "color": color, "marker": marker, "label": str(label)}
            style |= {"edgecolor": "white", "linewidth": 0.3, "alpha": 0.85}
            self.scatters_.append(ax.scatter(*rows.T, **(style | kwargs)))
        ax.set_aspect("equal", "datalim")
        ax.set(xlabel=self.axis_names[0], ylabel=self.axis_names[1], title=self.name if name is None else name)
        ax.tick_params(labelsize=8, color="0.6", labelcolor=INK)
        ax.spines[["top", "right"]].set_visible(False)
        if few:
            place = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "frameon": False}
            ax.legend(**place, markerscale=7 / np.sqrt(area), handletextpad=0.2)
        elif self.y is not None:
            self._name_classes(ax, self.y)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _name_classes(self, ax: Any, y: np.ndarray) -> None:
        """Write each class at its middle row, the largest if there are very many."""
        from matplotlib.patheffects import withStroke

        labels, count = np.unique(y, return_counts=True)
        largest = np.sort(np.argsort(-count, kind="stable")[:NAMED])
        words = [str(label) for label in labels[largest]]
        rows = [self.points_[y == label] for label in labels[largest]]
        ax.apply_aspect()  # limits are final from here
        middles = ax.transData.transform([np.median(r, axis=0) for r in rows])
        letter = FONT / 72 * ax.figure.dpi  # pixels
        places = _pushed_apart(middles, 0.62 * letter * np.array([len(w) for w in words]), 1.15 * letter)
        halo = [withStroke(linewidth=2.5, foreground="white")]
        style = {"ha": "center", "va": "center", "fontsize": FONT, "color": "0.1", "path_effects": halo, "zorder": 4}
        for word, place in zip(words, ax.transData.inverted().transform(places), strict=True):
            ax.text(*place, word, **style)


def _pushed_apart(centers: np.ndarray, widths: np.ndarray, height: float) -> np.ndarray:
    """Move words (k, 2) up and down until they do not cover each other, or nearly so.

    Examples
    --------
    >>> _pushed_apart(np.array([[0.0, 0.0], [1.0, 0.0], [9.0, 0.0]]), np.array([4.0, 4.0, 4.0]), 1.0)[:, 1]
    array([-0.5,  0.5,  0. ])
    """
    centers = centers.copy()
    beside = np.abs(np.subtract.outer(centers[:, 0], centers[:, 0])) < (widths[:, None] + widths) / 2
    np.fill_diagonal(beside, False)
    order = np.arange(len(centers))
    for _ in range(100):
        gap = np.subtract.outer(centers[:, 1], centers[:, 1])  # (k, k)
        overlap = np.where(beside, np.maximum(height - np.abs(gap), 0.0), 0.0)
        if not overlap.any():
            break
        upward = np.where(gap == 0, np.sign(np.subtract.outer(order, order)), np.sign(gap))
        move = (upward * overlap).sum(axis=1) / 2
        centers[:, 1] += np.clip(move, -height, height)
    return centers


def _flattened(rows: np.ndarray, transformer: Any) -> tuple[np.ndarray, tuple[str, str]]:
    """Return two columns, and what the axes are called."""
    if rows.shape[1] < 2:
        raise DataError("embeddings has one column; a map needs two at least")
    if transformer is not None:
        name = type(transformer).__name__
        points = check_embeddings(clone(transformer).fit_transform(rows), f"{name}.fit_transform(embeddings)")
        return points, (f"{name} 1", f"{name} 2")
    if rows.shape[1] == 2:
        return rows, ("column 1", "column 2")
    if len(rows) < 2:
        raise DataError("embeddings has one row; principal components need two at least")
    pca = PCA(2, random_state=0)
    with np.errstate(invalid="ignore"):  # rows that fell together have no variance to take a share of
        points = pca.fit_transform(rows)
    first, second = (
        f" ({share:.0%} of variance)" if np.isfinite(share) else "" for share in pca.explained_variance_ratio_
    )
    return points, (f"principal component 1{first}", f"principal component 2{second}")
