"""Whether asking the uncertain rows first pays at all."""

import warnings
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from joblib import Parallel, delayed
from scipy import sparse
from sklearn.base import clone, is_classifier
from sklearn.utils import _safe_indexing

from sklearnloss.active.simulate import Simulation, seeds_of, simulate, split_pool
from sklearnloss.component import diagnostic
from sklearnloss.constraints import Constraint, PositiveInt, Seed
from sklearnloss.exceptions import DataError, DataWarning
from sklearnloss.figures import new_axes

__all__ = ["ActiveVersusPassive", "al_vs_passive", "clearly_ahead", "few_labels"]

CLOSE = 0.15  # error of the model that knows all labels, from which on classes overlap


@dataclass(frozen=True)
class ActiveVersusPassive:
    """A strategy beside random rows, over the same seeds.

    Attributes
    ----------
    n_labels : int array of shape (r,)
        Labels before the first round, and after each.
    active, passive : arrays of shape (n_seeds, r)
        Scores on rows that were held out.
    dimension : int
        Columns of X.
    full_score : float
        Mean score of models that know the whole pool.
    strategy : str
        What was compared.
    """

    n_labels: np.ndarray
    active: np.ndarray = field(repr=False)
    passive: np.ndarray = field(repr=False)
    dimension: int
    full_score: float
    strategy: str

    @property
    def gain(self) -> np.ndarray:
        """Mean score of the strategy minus that of random rows, (r,)."""
        return np.asarray((self.active - self.passive).mean(axis=0))

    @property
    def share_passive_better(self) -> float:
        """Share of the budgets after the first at which random rows are ahead on average."""
        return float((self.gain[1:] < 0).mean())

    @property
    def labels_per_dimension(self) -> float:
        """Labels at the end, over columns."""
        return float(self.n_labels[-1] / self.dimension)

    @property
    def warning(self) -> str:
        """Why random rows may be the better choice; empty if nothing speaks for them."""
        if self.labels_per_dimension >= 1 or clearly_ahead((self.active - self.passive).mean(axis=1)):
            return ""
        overlap = "overlap" if 1 - self.full_score > CLOSE else "are well apart"
        how = f"{100 * self.gain.mean():+.1f} points on average; classes {overlap}"
        return few_labels(int(self.n_labels[-1]), self.dimension, repr(self.strategy), how)

    def plot(self, ax: Any = None) -> Any:
        """Draw both curves, each seed thin and the mean thick, and where there is a label a column.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        matplotlib Axes

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        ax = new_axes("ActiveVersusPassive.plot", 5.2, 3.4) if ax is None else ax
        for scores, name, color in ((self.active, self.strategy, "#1b4f86"), (self.passive, "random", "#b2572b")):
            ax.plot(self.n_labels, scores.T, color=color, alpha=0.25, linewidth=0.8)
            ax.plot(self.n_labels, scores.mean(axis=0), color=color, linewidth=1.8, label=name)
        if self.n_labels[0] <= self.dimension <= self.n_labels[-1]:
            ax.axvline(self.dimension, color="0.4", linestyle=":", linewidth=1.2, label="a label a column")
        ax.axhline(self.full_score, color="0.6", linewidth=0.8, linestyle="--", label="all labels")
        ax.set(xlabel="labels", ylabel="score")
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False)
        return ax

    def __repr__(self) -> str:
        return (
            f"ActiveVersusPassive: {self.strategy!r} {100 * self.gain.mean():+.1f} points against random rows on "
            f"average of {len(self.n_labels)} budgets and {len(self.active)} seeds; random ahead at "
            f"{100 * self.share_passive_better:.0f} % of the budgets; {self.labels_per_dimension:.2g} labels a column"
        )


def clearly_ahead(gains: np.ndarray) -> bool:
    """Return whether the mean gain over seeds (n_seeds,) is above twice its standard error; not so of one seed.

    Examples
    --------
    >>> clearly_ahead(np.array([0.02, 0.03, 0.025])), clearly_ahead(np.array([0.02, -0.03])), clearly_ahead(np.ones(1))
    (True, False, False)
    """
    return len(gains) > 1 and bool(gains.mean() > 2 * gains.std(ddof=1) / np.sqrt(len(gains)))


def few_labels(n_labels: int, dimension: int, who: str, how: str) -> str:
    """Return the warning of fewer labels than columns: who may be behind random rows, and how they stand here."""
    return (
        f"{n_labels} labels for {dimension} columns: below one label a column {who} may be behind random rows (here "
        f"{how}); reduce the columns, or begin with 'random' or 'typiclust'"
    )


def _fits(value: Any) -> bool:
    return hasattr(value, "fit") and hasattr(value, "predict")


Model = Annotated[Any, Constraint(_fits, "a classifier or regressor")]
Asked = Annotated[Any, Constraint(lambda v: isinstance(v, str) or callable(v) or hasattr(v, "choose"), "a strategy")]
Scoring = Annotated[Any, Constraint(lambda v: v is None or isinstance(v, str) or callable(v), "a scorer, or None")]


@diagnostic("al_vs_passive", status="known")
def al_vs_passive(
    estimator: Model,
    X: Any,
    y: Any,
    *,
    strategy: Asked = "margin",
    n_initial: PositiveInt = 20,
    batch_size: PositiveInt = 10,
    n_rounds: PositiveInt = 20,
    n_seeds: PositiveInt = 5,
    test_size: Annotated[float, Constraint(lambda v: isinstance(v, float) and 0 < v < 1, "a float in (0, 1)")] = 0.3,
    scoring: Scoring = None,
    n_jobs: Annotated[int | None, Constraint(lambda v: v is None or isinstance(v, int), "an int or None")] = None,
    random_state: Seed = 0,
) -> ActiveVersusPassive:
    r"""Replay a strategy and random rows on labeled data, and say which is ahead at which budget.

    Uncertainty is measured by a model that knows little. With fewer labels than columns even the distance to the true
    boundary is a worse guide than chance.

    Parameters
    ----------
    estimator : classifier or regressor
        The model.
    X, y : arrays of n rows
        Labeled data like those to come.
    strategy : str, callable or Strategy, default="margin"
        What is compared to random rows.
    n_initial, batch_size, n_rounds : int in [1, inf), default=20, 10, 20
        Rows to begin with, rows of a round, and rounds.
    n_seeds : int in [1, inf), default=5
        Splits into pool and test rows, each with first rows of its own.
    test_size : float in (0, 1), default=0.3
        Share of the rows to judge by.
    scoring : str, callable or None, default=None
        As in scikit-learn; None is the model's own score.
    n_jobs : int or None, default=None
        Replays at a time.
    random_state : int, RandomState or None, default=0
        Seed of splits and replays.

    Returns
    -------
    ActiveVersusPassive
        With ``plot()``; a `DataWarning` repeats its ``warning``.

    Raises
    ------
    DataError
        If there are fewer rows than the replay begins with.

    References
    ----------
    .. [1] Tifrea, Clarysse, Yang. "Margin-based sampling in high dimensions: when being active is less efficient than
       staying passive". ICML 2023.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = load_digits(return_X_y=True)
    >>> found = al_vs_passive(GaussianNB(), X, y, n_rounds=5, n_seeds=2)
    >>> found.n_labels.tolist(), found.labels_per_dimension
    ([20, 30, 40, 50, 60, 70], 1.09375)
    """
    y = np.asarray(y)
    X = X.tocsr() if sparse.issparse(X) else X if hasattr(X, "shape") else np.asarray(X)
    if round((1 - test_size) * len(y)) < n_initial + batch_size:
        raise DataError(
            f"al_vs_passive: of {len(y)} rows {1 - test_size:.0%} are the pool, too few for n_initial={n_initial} and "
            f"a round of batch_size={batch_size}"
        )
    seeds = seeds_of(random_state, n_seeds)
    settings = {"n_initial": n_initial, "batch_size": batch_size, "n_rounds": n_rounds, "scoring": scoring}
    runs = Parallel(n_jobs=n_jobs)(
        delayed(_replay)(clone(estimator), X, y, seed, test_size, strategy, settings) for seed in seeds
    )
    active, passive, full = zip(*runs, strict=True)
    shortest = min(len(run.n_labels) for run in (*active, *passive))
    result = ActiveVersusPassive(
        active[0].n_labels[:shortest],
        np.stack([run.scores[:shortest] for run in active]),
        np.stack([run.scores[:shortest] for run in passive]),
        int(X.shape[1]),
        float(np.mean(full)),
        active[0].strategy,
    )
    if result.warning:
        warnings.warn(result.warning, DataWarning, stacklevel=2)
    return result


def _replay(
    estimator: Any, X: Any, y: np.ndarray, seed: int, test_size: float, strategy: Any, settings: dict[str, Any]
) -> tuple[Simulation, Simulation, float]:
    pool, test = split_pool(y, test_size, seed, classes=is_classifier(estimator))
    rows = [_safe_indexing(X, pool), y[pool], _safe_indexing(X, test), y[test]]
    active, passive = (
        simulate(estimator, *rows, strategy=name, random_state=seed, **settings) for name in (strategy, "random")
    )
    everything = simulate(
        estimator, *rows, strategy="random", random_state=seed, **{**settings, "n_initial": len(pool)}
    ).scores[0]
    return active, passive, float(everything)
