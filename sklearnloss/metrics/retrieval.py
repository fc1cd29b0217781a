"""Strips of images with their nearest neighbours."""

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike

from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.figures import new_axes
from sklearnloss.functional.neighbors import check_embeddings, check_labels, embed, measure, positive_int
from sklearnloss.metrics._axes import INK, RIGHT, WRONG, name_of

__all__ = ["RetrievalDisplay"]

STEP, GAP, LINE = 1.16, 0.35, 1.42  # from image to image, between query and neighbours, from row to row; in images
MARKS = {True: "✓", False: "✗"}


class RetrievalDisplay:
    """Images with their nearest neighbours, a row for each query: right ones framed blue and ticked, wrong ones red.

    Use `from_embeddings` or `from_estimator`.

    Parameters
    ----------
    queries : array-like of shape (q, height, width) or (q, height, width, channels)
        Images; three or four channels are colours.
    neighbors : array-like of shape (q, k, height, width) or (q, k, height, width, channels)
        Images of the nearest, nearest first.
    query_labels : array-like of shape (q,)
        Classes of the queries.
    neighbor_labels : array-like of shape (q, k)
        Classes of the nearest.
    name : str, default=None
        The title.

    Attributes
    ----------
    hits_ : bool array of shape (q, k)
        Whether a neighbour is of the query's class.
    ax_, figure_ : matplotlib Axes and Figure
        What `plot` drew on.

    Examples
    --------
    >>> display = RetrievalDisplay(np.zeros((1, 8, 8)), np.zeros((1, 2, 8, 8)), ["a"], [["a", "b"]])
    >>> display.hits_.tolist()
    [[True, False]]
    """

    ax_: Any
    figure_: Any

    def __init__(
        self,
        queries: ArrayLike,
        neighbors: ArrayLike,
        query_labels: ArrayLike,
        neighbor_labels: ArrayLike,
        *,
        name: str | None = None,
    ) -> None:
        self.queries, self.neighbors = np.asarray(queries), np.asarray(neighbors)
        self.query_labels, self.neighbor_labels = np.asarray(query_labels), np.asarray(neighbor_labels)
        self.hits_ = self.query_labels[:, None] == self.neighbor_labels
        self.name = name

    @classmethod
    def from_embeddings(
        cls,
        embeddings: ArrayLike,
        y: ArrayLike,
        images: ArrayLike,
        *,
        image_shape: Sequence[int] | None = None,
        queries: int | Sequence[int] = 6,
        k: int = 8,
        distance: Literal["cosine", "euclidean"] = "cosine",
        random_state: int = 0,
        name: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw some images with their nearest among the others.

        Parameters
        ----------
        embeddings : array-like of shape (n, d)
            What is near.
        y : array-like of shape (n,)
            The classes.
        images : array-like of shape (n, p), (n, height, width) or (n, height, width, channels)
            What is shown.
        image_shape : tuple of int, default=None
            Height and width, and channels if there are any, of images (n, p).
        queries : int or sequence of int, default=6
            How many rows are drawn as queries; or which.
        k : int in [1, inf), default=8
            How many neighbours of each; no more than there are other rows.
        distance : {"cosine", "euclidean"}, default="cosine"
            What is near.
        random_state : int in [0, inf), default=0
            Seed of the draw.
        name : str, default=None
            The title.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        RetrievalDisplay

        Raises
        ------
        DataError
            If the arrays do not fit together, or rows are no images of that shape.
        ParameterError
            If there are not so many rows.
        """
        measured = measure(embeddings, y, distance=distance)
        n = len(measured.left)
        labels, shown = check_labels(y, n), _as_images(images, n, image_shape)
        if positive_int("k", k) > n - 1:
            raise ParameterError(f"k must be at most the {n - 1} other rows, got {k}")
        chosen = _chosen(queries, n, random_state)
        nearest = np.vstack([np.argsort(block, axis=1, kind="stable")[:, :k] for _, block in measured.blocks(chosen)])
        return cls(shown[chosen], shown[nearest], labels[chosen], labels[nearest], name=name).plot(ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        image_shape: Sequence[int] | None = None,
        queries: int | Sequence[int] = 6,
        k: int = 8,
        distance: Literal["cosine", "euclidean"] = "cosine",
        random_state: int = 0,
        name: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Draw some rows of X, which are images, with those that a fitted transformer brings near them.

        Parameters
        ----------
        estimator : fitted transformer
            Something with ``transform``, such as a Pipeline that ends in a transformer.
        X : array-like of shape (n, p), or as the estimator takes images
            Images, best some it was not trained on.
        y : array-like of shape (n,)
            Their classes.
        image_shape, queries, k, distance, random_state
            As in `from_embeddings`.
        name : str, default=None
            The title; None is the name of the estimator's class, of a Pipeline that of its last step.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        RetrievalDisplay
        """
        return cls.from_embeddings(
            embed(estimator, X),
            y,
            X,
            image_shape=image_shape,
            queries=queries,
            k=k,
            distance=distance,
            random_state=random_state,
            name=name_of(estimator) if name is None else name,
            ax=ax,
        )

    def plot(self, ax: Any = None, *, name: str | None = None) -> Self:
        """Draw the strips.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        name : str, default=None
            The title; None is the name it was given.

        Returns
        -------
        RetrievalDisplay

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        q, k = self.hits_.shape
        width = STEP * (k + 1) + GAP
        tall = self.queries.shape[1] / self.queries.shape[2]  # of one image, in its widths
        line = LINE - 1 + tall
        ax = new_axes("RetrievalDisplay", 0.78 * width, 0.78 * line * q + 0.6) if ax is None else ax
        for i in range(q):
            below = -line * i
            self._draw(ax, self.queries[i], 0.0, below, tall, str(self.query_labels[i]), INK, 0.8)
            for j in range(k):
                right = bool(self.hits_[i, j])
                text = f"{MARKS[right]} {self.neighbor_labels[i, j]}"
                place = STEP * (j + 1) + GAP
                self._draw(ax, self.neighbors[i, j], place, below, tall, text, RIGHT if right else WRONG, 2.2)
        ax.set(xlim=(-0.1, width), ylim=(-line * (q - 1) - 0.34, tall + 0.4), aspect="equal")
        ax.axis("off")
        ax.text(0.5, tall + 0.14, "query", ha="center", va="bottom", fontsize=8, color=INK)
        ax.text(STEP + GAP, tall + 0.14, "nearest first", ha="left", va="bottom", fontsize=8, color=INK)
        ax.set_title((self.name if name is None else name) or "")
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw(
        self, ax: Any, image: np.ndarray, left: float, below: float, tall: float, text: str, color: Any, line: float
    ) -> None:
        """Draw an image with its frame, and a line of text beneath."""
        from matplotlib.patches import Rectangle

        low, high = self._range()
        extent = (left, left + 1, below, below + tall)
        ax.imshow(image, cmap="gray", vmin=low, vmax=high, extent=extent, interpolation="nearest", aspect="equal")
        ax.add_patch(Rectangle((left, below), 1, tall, fill=False, edgecolor=color, linewidth=line, clip_on=False))
        ax.text(left + 0.5, below - 0.07, text, ha="center", va="top", fontsize=8, color=color)

    def _range(self) -> tuple[float, float]:
        """Return what is black and white in gray images, the same in all."""
        return float(min(self.queries.min(), self.neighbors.min())), float(
            max(self.queries.max(), self.neighbors.max())
        )


def _chosen(queries: int | Sequence[int], n: int, random_state: int) -> np.ndarray:
    """Return the rows to be queries: those given, or so many drawn."""
    if isinstance(queries, int | np.integer):
        count = positive_int("queries", queries)
        if count > n:
            raise ParameterError(f"queries must be at most the {n} rows, got {count}")
        return np.sort(np.random.default_rng(random_state).choice(n, size=count, replace=False))
    rows = np.asarray(queries)
    if rows.ndim != 1 or not len(rows) or rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= n:
        raise ParameterError(f"queries must be a number of rows, or rows among 0..{n - 1}, got {queries!r}")
    return rows


def _as_images(images: Any, n: int, shape: Sequence[int] | None) -> np.ndarray:
    """Return images (n, height, width), or with three or four channels that matplotlib can show."""
    rows = np.asarray(images)
    if len(rows) != n:
        raise DataError(f"embeddings and images must have the same number of rows, got {n} and {len(rows)}")
    if rows.ndim == 2:
        if shape is None:
            raise DataError(f"images have shape {rows.shape}; give image_shape=(height, width), or with channels")
        if int(np.prod(shape)) != rows.shape[1] or len(shape) not in (2, 3):
            raise DataError(f"rows of {rows.shape[1]} columns are no images of shape {tuple(shape)}")
        rows = rows.reshape(n, *shape)
    check_embeddings(rows.reshape(n, -1), "images")
    if rows.ndim == 4 and rows.shape[3] == 1:
        rows = rows[..., 0]
    if rows.ndim not in (3, 4) or (rows.ndim == 4 and rows.shape[3] not in (3, 4)):
        raise DataError(f"images must have shape (n, height, width), or 1, 3 or 4 channels behind, got {rows.shape}")
    if rows.ndim == 3 or rows.dtype == np.uint8:
        return rows
    low, high = float(rows.min()), float(rows.max())
    inside = low >= 0 and high <= 1
    return rows if inside else (rows - low) / (high - low or 1.0)  # colours are in [0, 1]
