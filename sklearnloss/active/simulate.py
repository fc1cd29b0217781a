"""What a strategy would have cost: active learning replayed on rows whose labels are all known."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.base import is_regressor
from sklearn.metrics import check_scoring
from sklearn.utils.validation import has_fit_parameter

from sklearnloss.active.learner import ActiveLearner
from sklearnloss.active.pool import as_table, row_range
from sklearnloss.active.stopping import StoppingRule
from sklearnloss.exceptions import DataError, ParameterError
from sklearnloss.figures import new_axes

__all__ = ["Simulation", "first_rows", "seeds_of", "simulate", "split_pool"]


@dataclass(frozen=True)
class Simulation:
    """A learning curve.

    Attributes
    ----------
    n_labels : int array of shape (r + 1,)
        Labels before the first round, and after each.
    scores : array of shape (r + 1,)
        Scores on rows that were held out.
    asked : list of int arrays
        Rows of the pool of each round, in the order of asking; first the rows that it began with.
    seconds : array of shape (r,)
        What each query took, without the fits.
    strategy, scoring : str
        What was asked by, and judged by.
    stopped : bool
        Whether a stopping rule ended it.
    """

    n_labels: np.ndarray
    scores: np.ndarray
    asked: list[np.ndarray] = field(repr=False)
    seconds: np.ndarray = field(repr=False)
    strategy: str
    scoring: str
    stopped: bool = False

    @property
    def area(self) -> float:
        """Mean score over the labels (trapezoidal), from the first to the last; of one round its score."""
        span = self.n_labels[-1] - self.n_labels[0]
        return float(np.trapezoid(self.scores, self.n_labels) / span) if span else float(self.scores[0])

    def labels_to_reach(self, score: float) -> int | None:
        """Return the number of labels with which a score was first reached; None if it was not."""
        reached = np.flatnonzero(self.scores >= score)
        return int(self.n_labels[reached[0]]) if len(reached) else None

    def plot(self, ax: Any = None, **kwargs: Any) -> Any:
        """Draw the scores over the number of labels.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.
        **kwargs
            For matplotlib's ``Axes.plot``.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = new_axes("Simulation.plot", 5.2, 3.4) if ax is None else ax
        ax.plot(self.n_labels, self.scores, **({"label": self.strategy, "linewidth": 1.6} | kwargs))
        ax.set(xlabel="labels", ylabel=self.scoring)
        ax.spines[["top", "right"]].set_visible(False)
        return ax


def first_rows(y: np.ndarray, n: int, rng: np.random.Generator, *, classes: bool) -> np.ndarray:
    """Return rows to begin with: of classes in their proportions, each at least once where ``n`` allows it.

    Examples
    --------
    >>> y = np.repeat(["a", "b", "c"], [80, 15, 5])
    >>> rows = first_rows(y, 10, np.random.default_rng(0), classes=True)
    >>> np.unique(y[rows], return_counts=True)[1].tolist()
    [8, 1, 1]
    """
    order = rng.permutation(len(y))
    if not classes or y.ndim > 1:
        return order[:n]
    codes = np.unique(y, return_inverse=True)[1][order]
    counts = np.bincount(codes)
    # the place of each row in the queue of its class, in units of that class: rows are taken as these come up
    place = np.empty(len(y))
    for c in range(len(counts)):
        of_class = np.flatnonzero(codes == c)
        place[of_class] = (np.arange(counts[c]) + 0.5) / counts[c]
        place[of_class[0]] = -1.0 if n >= len(counts) else place[of_class[0]]
    return order[np.argsort(place, kind="stable")[:n]]


def split_pool(y: np.ndarray, test_size: float, seed: int, *, classes: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of a pool and those to judge by, sorted: of classes both have them in their proportions.

    A class of one row is in the pool.

    Examples
    --------
    >>> y = np.repeat(["a", "b", "c"], [60, 39, 1])
    >>> pool, test = split_pool(y, 0.3, 0, classes=True)
    >>> [np.unique(y[rows], return_counts=True)[1].tolist() for rows in (pool, test)]
    [[42, 27, 1], [18, 12]]
    """
    n_test = round(test_size * len(y))
    pool = first_rows(y, len(y) - n_test, np.random.default_rng(seed), classes=classes)
    held = np.ones(len(y), dtype=bool)
    held[pool] = False
    return np.sort(pool), np.flatnonzero(held)


def seeds_of(random_state: Any, n: int) -> list[int]:
    """Return seeds of splits; the first of more are those of fewer.

    Examples
    --------
    >>> seeds_of(0, 3) == seeds_of(0, 5)[:3]
    True
    """
    rng = np.random.default_rng(_seed(random_state))
    return [int(rng.integers(2**31)) for _ in range(n)]


def simulate(
    estimator: Any,
    X: Any,
    y: Any,
    X_test: Any,
    y_test: Any,
    *,
    strategy: Any = "margin",
    n_initial: int | Sequence[int] = 20,
    batch_size: int = 10,
    n_rounds: int = 20,
    scoring: Any = None,
    stop: StoppingRule | None = None,
    on_round: Callable[[ActiveLearner], None] | None = None,
    random_state: Any = None,
    **params: Any,
) -> Simulation:
    """Replay active learning on rows whose labels are known.

    Parameters
    ----------
    estimator : classifier or regressor
        The model.
    X : array, sparse matrix or DataFrame of shape (n, d)
        The pool.
    y : array of shape (n,) or (n, n_labels)
        Its labels, which are only looked at when asked.
    X_test, y_test : as X and y, of other rows
        What the model is judged by.
    strategy : str, callable or Strategy, default="margin"
        What is asked by. Weights that it gives are learned with where the model takes any.
    n_initial : int in [1, inf), or sequence of int, default=20
        Rows to begin with: so many at random, of classes in their proportions and each at least once, or these. They
        depend on ``random_state`` only, so that strategies with one seed begin alike.
    batch_size : int in [1, inf), default=10
        Rows of a round.
    n_rounds : int in [1, inf), default=20
        Rounds; fewer where the pool ends.
    scoring : str, callable or None, default=None
        As in scikit-learn; None is the model's own score.
    stop : stopping rule, default=None
        Such as ``KappaAverage()`` of ``sklearnloss.active.stopping``; it looks at the pool after each round.
    on_round : callable, default=None
        ``on_round(learner)`` after each round.
    random_state : int, RandomState, Generator or None, default=None
        Seed of the first rows and of the learner.
    **params
        Further ones of `ActiveLearner`.

    Returns
    -------
    Simulation

    Raises
    ------
    DataError
        If the pool has fewer rows than it begins with.
    ParameterError
        If a number is out of range.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> X, y = load_digits(return_X_y=True)
    >>> X = X / 16
    >>> curve = simulate(LogisticRegression(), X[:1000], y[:1000], X[1000:], y[1000:], n_rounds=5, random_state=0)
    >>> curve.n_labels.tolist(), bool(curve.scores[-1] > curve.scores[0] + 0.05)
    ([20, 30, 40, 50, 60, 70], True)
    """
    X, y = as_table(X, "simulate"), np.asarray(y)
    numbers = is_regressor(estimator)
    _check_counts(n_initial, batch_size, n_rounds, X.shape[0])
    # the first rows have a stream of their own, so that what a strategy draws does not move them
    begin, run = np.random.SeedSequence(_seed(random_state)).spawn(2)
    if isinstance(n_initial, int | np.integer):
        first = first_rows(y, int(n_initial), np.random.default_rng(begin), classes=not numbers)
    else:
        first = np.asarray(n_initial)
    learner = ActiveLearner(
        estimator,
        strategy,
        batch_size=batch_size,
        unlabeled=None,
        random_state=int(np.random.default_rng(run).integers(2**31)),
        **params,
    )
    known = np.zeros(X.shape[0], dtype=bool)
    known[first] = True
    learner.fit(X, _hidden(y, known))
    scorer, weighted = check_scoring(learner, scoring), has_fit_parameter(estimator, "sample_weight")
    counts, scores = [len(first)], [float(scorer(learner, X_test, y_test))]
    asked, seconds, stopped = [first], [], False
    if stop is not None:
        stop.begin()
        stopped = stop(learner, X)
    while len(asked) <= n_rounds and counts[-1] < X.shape[0] and not stopped:
        start = perf_counter()
        rows = learner.query()
        seconds.append(perf_counter() - start)
        learner.teach(row_range(X, rows), y[rows], learner.query_weights_ if weighted else None)
        asked.append(rows)
        counts.append(counts[-1] + len(rows))
        scores.append(float(scorer(learner, X_test, y_test)))
        if on_round is not None:
            on_round(learner)
        stopped = stop is not None and stop(learner, X)
    return Simulation(
        np.array(counts),
        np.array(scores),
        asked,
        np.array(seconds),
        _name(strategy),
        "score" if scoring is None else str(getattr(scoring, "__name__", scoring)),
        stopped,
    )


def _hidden(y: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return the labels, missing where they are not known yet."""
    kind = np.float64 if y.dtype.kind == "f" else object
    hidden = np.full(y.shape, np.nan if kind is np.float64 else None, dtype=kind)
    hidden[known] = y[known]
    return hidden


def _seed(random_state: Any) -> Any:
    if random_state is None:
        return None
    if isinstance(random_state, int | np.integer):
        return int(random_state)
    if isinstance(random_state, np.random.Generator):
        return int(random_state.integers(2**62))
    return int(random_state.randint(2**31))


def _name(strategy: Any) -> str:
    if isinstance(strategy, str):
        return strategy
    return str(getattr(strategy, "__name__", strategy))


def _check_counts(n_initial: Any, batch_size: Any, n_rounds: Any, n: int) -> None:
    counts = {"batch_size": batch_size, "n_rounds": n_rounds}
    if isinstance(n_initial, int | np.integer) or np.ndim(n_initial) == 0:
        counts["n_initial"] = n_initial
        first = n_initial
    else:
        first = len(n_initial)
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ParameterError(f"simulate: {name} must be an int in [1, inf), got {value!r}")
    if first > n:
        raise DataError(f"simulate: n_initial={first}, but the pool has {n} rows")
