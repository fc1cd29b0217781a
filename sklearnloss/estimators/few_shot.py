"""Few-shot classification of classes that were not trained on."""

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state

from sklearnloss.estimators.prototype import PrototypeClassifier
from sklearnloss.exceptions import DataError, ParameterError, TaskError
from sklearnloss.figures import new_axes
from sklearnloss.functional.neighbors import check_labels, embed, positive_int
from sklearnloss.scorers import UnweightedScorer

__all__ = ["FewShotEvaluator", "FewShotResult"]

MANY_CLASSES = "The number of unique classes is greater than 50%"
SHOWN = 5  # of classes with too few rows, so many are named


@dataclass(frozen=True)
class FewShotResult:
    """Accuracies of few-shot episodes.

    Attributes
    ----------
    accuracies : array of shape (episodes,)
        Share of the queries of each episode that were told right.
    ways, shots, queries : int
        Classes of an episode, and rows of each to learn from and to tell.
    classifier : str
        What was fitted in each episode.
    level : float
        Confidence of `interval`.

    Examples
    --------
    >>> FewShotResult(np.array([0.8, 0.9, 1.0]), 5, 1, 15, "PrototypeClassifier()")
    FewShotResult: 5-way 1-shot accuracy 90.0 % ± 24.8 (95 % interval of the mean of 3 episodes; 15 queries a class;
    PrototypeClassifier())
    """

    accuracies: np.ndarray = field(repr=False)
    ways: int
    shots: int
    queries: int
    classifier: str
    level: float = 0.95

    @property
    def mean(self) -> float:
        """Mean accuracy of the episodes."""
        return float(self.accuracies.mean())

    @property
    def half_width(self) -> float:
        """What `interval` reaches to each side of the mean; NaN of one episode."""
        n = len(self.accuracies)
        if n < 2:
            return float("nan")
        return float(student.ppf((1 + self.level) / 2, n - 1) * self.accuracies.std(ddof=1) / np.sqrt(n))

    @property
    def interval(self) -> tuple[float, float]:
        """Confidence interval of the mean over episodes that these rows could give; other rows vary more."""
        return self.mean - self.half_width, self.mean + self.half_width

    def plot(self, ax: Any = None, **kwargs: Any) -> Any:
        """Draw the accuracies of the episodes, their mean with its interval, and chance.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For matplotlib's ``Axes.hist``.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = new_axes("FewShotResult.plot", 5.2, 3.2) if ax is None else ax
        step = 1 / (self.ways * self.queries)  # an accuracy is a multiple of it
        width = step * max(1, round(np.ptp(self.accuracies) / step / 20))
        first = self.accuracies.min() - step / 2
        edges = np.arange(first, self.accuracies.max() + width, width)
        style = {"bins": edges, "color": "#3f90da", "alpha": 0.45, "edgecolor": "white", "linewidth": 0.5}
        ax.hist(self.accuracies, **(style | kwargs))
        if np.isfinite(self.half_width):
            ax.axvspan(*self.interval, color="#1b4f86", alpha=0.3, linewidth=0)
        ax.axvline(self.mean, color="#1b4f86", linewidth=1.6, label=f"mean {self.mean:.1%}")
        ax.axvline(1 / self.ways, color="0.4", linewidth=1.2, linestyle=":", label=f"chance {1 / self.ways:.1%}")
        ax.set(xlabel="accuracy of an episode", ylabel="episodes")
        ax.set_title(f"{self.ways}-way {self.shots}-shot", loc="left")
        ax.set_xlim(min(ax.get_xlim()[0], 1 / self.ways - 0.04), 1.01)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, frameon=False, borderpad=0)
        return ax

    def __repr__(self) -> str:
        spread = f" ± {100 * self.half_width:.1f}" if np.isfinite(self.half_width) else ""
        n = len(self.accuracies)
        return (
            f"FewShotResult: {self.ways}-way {self.shots}-shot accuracy {100 * self.mean:.1f} %{spread} "
            f"({100 * self.level:g} % interval of the mean of {n} episodes; {self.queries} queries a class; "
            f"{self.classifier})"
        )


class FewShotEvaluator(UnweightedScorer, BaseEstimator):  # type: ignore[misc]
    """How well a few rows of each new class suffice to tell its other rows, on the embeddings of a transformer.

    Each episode draws some classes, and of each a few rows to learn from (shots) and others to tell (queries). Rows are
    embedded once for all episodes. The evaluator is a scorer itself: ``GridSearchCV(..., scoring=FewShotEvaluator())``.

    Parameters
    ----------
    ways : int in [2, inf), default=5
        Classes of an episode.
    shots : int in [1, inf), default=1
        Rows of each to learn from.
    queries : int in [1, inf), default=15
        Rows of each to tell.
    episodes : int in [1, inf), default=600
        How many are drawn.
    classifier : scikit-learn classifier, default=None
        A clone of it is fitted on the shots of each episode; None is ``PrototypeClassifier()``.
    random_state : int, RandomState or None, default=None
        Seed of the episodes. As a scorer, give a number: all candidates meet the same episodes then.

    Notes
    -----
    Give rows of classes that the transformer was not trained on, such as with ``GroupKFold`` and ``groups=y``. The
    interval says how far the mean over all possible episodes of these rows may be; episodes share rows, so it says
    nothing of other rows.

    References
    ----------
    .. [1] Vinyals, Blundell, Lillicrap, Kavukcuoglu, Wierstra. "Matching networks for one shot learning". NeurIPS 2016.
    .. [2] Snell, Swersky, Zemel. "Prototypical networks for few-shot learning". NeurIPS 2017.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> X, y = load_digits(return_X_y=True)
    >>> known = y < 5
    >>> pca = PCA(16).fit(X[known])
    >>> evaluator = FewShotEvaluator(ways=5, shots=1, episodes=50, random_state=0)
    >>> evaluator.evaluate(pca, X[~known], y[~known]).mean > 0.5  # chance is 0.2
    True
    """

    def __init__(
        self,
        ways: int = 5,
        shots: int = 1,
        *,
        queries: int = 15,
        episodes: int = 600,
        classifier: Any = None,
        random_state: Any = None,
    ) -> None:
        self.ways = ways
        self.shots = shots
        self.queries = queries
        self.episodes = episodes
        self.classifier = classifier
        self.random_state = random_state

    def evaluate(self, transformer: Any, X: Any, y: ArrayLike) -> FewShotResult:
        """Return the accuracies of the episodes.

        Parameters
        ----------
        transformer : fitted transformer, or None
            Something with ``transform``, such as a Pipeline that ends in a transformer. None takes X as it is.
        X : array-like of shape (n, d)
            Rows.
        y : array-like of shape (n,)
            Their classes.

        Returns
        -------
        FewShotResult

        Raises
        ------
        ParameterError
            If a parameter is out of range.
        TaskError
            If the transformer has no ``transform``, or the classifier is none.
        DataError
            If there are fewer classes than ways, or a class has fewer rows than shots and queries.
        """
        ways, shots, queries, episodes = (
            positive_int(name, getattr(self, name)) for name in ("ways", "shots", "queries", "episodes")
        )
        if ways < 2:
            raise ParameterError(f"ways must be an int in [2, inf), got {ways}")
        classifier = self._classifier()
        embeddings = embed(transformer, X)
        labels = check_labels(y, len(embeddings), of="X")
        rows_of = self._rows_of(labels, ways, shots + queries)
        rng = np.random.default_rng(check_random_state(self.random_state).randint(2**31))
        accuracies = np.empty(episodes)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", MANY_CLASSES, UserWarning)  # a class of one row is the point here
            for i in range(episodes):
                rows = _episode(rng, rows_of, ways, shots + queries)  # (ways, shots + queries)
                learnt, told = rows[:, :shots].ravel(), rows[:, shots:].ravel()
                fitted = clone(classifier).fit(embeddings[learnt], labels[learnt])
                accuracies[i] = np.mean(fitted.predict(embeddings[told]) == labels[told])
        return FewShotResult(accuracies, ways, shots, queries, repr(classifier))

    def __call__(self, estimator: Any, X: Any, y: ArrayLike, **facts: Any) -> float:
        """Return the mean accuracy, as a scorer does.

        Parameters
        ----------
        estimator, X, y
            As in `evaluate`.
        **facts
            Refused: there are no weights here.

        Returns
        -------
        float
            In [0, 1].
        """
        self._refuse(facts)
        return self.evaluate(estimator, X, y).mean

    def _classifier(self) -> Any:
        if self.classifier is None:
            return PrototypeClassifier()
        if not hasattr(self.classifier, "fit") or not hasattr(self.classifier, "predict"):
            raise TaskError(
                f"classifier must be a scikit-learn classifier with fit and predict, got {self.classifier!r}"
            )
        return self.classifier

    @staticmethod
    def _rows_of(labels: np.ndarray, ways: int, needed: int) -> list[np.ndarray]:
        """Return the rows of each class, if there are enough classes and rows."""
        classes, codes, count = np.unique(labels, return_inverse=True, return_counts=True)
        if ways > len(classes):
            raise DataError(f"y has {len(classes)} classes, too few for {ways} ways; lower ways")
        small = np.flatnonzero(count < needed)
        if len(small):
            named = ", ".join(f"{classes[i].item()!r} ({count[i]})" for i in small[:SHOWN])
            more = f" and {len(small) - SHOWN} more" if len(small) > SHOWN else ""
            raise DataError(
                f"an episode needs {needed} rows of each class (shots + queries), too few has {named}{more}; "
                "lower shots or queries, or leave these classes out"
            )
        return np.split(np.argsort(codes, kind="stable"), np.cumsum(count)[:-1])


def _episode(rng: np.random.Generator, rows_of: list[np.ndarray], ways: int, needed: int) -> np.ndarray:
    """Draw classes, and rows of each, (ways, needed), all without replacement and in random order."""
    chosen = rng.choice(len(rows_of), size=ways, replace=False)
    return np.stack([rng.choice(rows_of[c], size=needed, replace=False) for c in chosen])
