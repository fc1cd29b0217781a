"""Which query strategy suits these data? Active learning replayed with each, over the same seeds."""

import html
import math
import os
import re
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from joblib import delayed
from sklearn import config_context
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.metrics import get_scorer
from sklearn.utils import _safe_indexing, column_or_1d
from sklearn.utils.validation import check_consistent_length

from sklearnloss.active.learner import ActiveLearner, is_labeled
from sklearnloss.active.pool import as_table, row_range
from sklearnloss.active.simulate import seeds_of, simulate, split_pool
from sklearnloss.comparison.engine import Compared, Engine, Watcher
from sklearnloss.comparison.engine import Shared as SharedProblem
from sklearnloss.comparison.fits import Record, first_line, load_problem, pinned
from sklearnloss.comparison.progress import watcher_for
from sklearnloss.comparison.scoring import name_of_scorer, title
from sklearnloss.comparison.splitting import Split
from sklearnloss.comparison.store import MemoryStore, Store, fingerprint
from sklearnloss.comparison.strategy_findings import StrategyFindings, StrategySettings
from sklearnloss.comparison.strategy_report import render
from sklearnloss.comparison.strategy_text import table
from sklearnloss.estimators._fingerprint import Fingerprint
from sklearnloss.exceptions import ComparisonInterrupted, DataError, DataWarning, ParameterError, did_you_mean
from sklearnloss.figures import new_axes
from sklearnloss.files import write_atomically
from sklearnloss.spec import Spec, as_spec, choose

__all__ = ["StrategyComparison", "compare_strategies", "usual_strategies"]

LIBRARIES = ("sklearnloss", "scikit-learn", "torch", "numpy")
LEARNER = ("committee", "subsample")  # parameters of the learner that a user may give
SHOWN = 3  # best strategies that a picture draws in color with their bands, beside the baseline
COLORS = ("#0b62b0", "#c24a00", "#00795a", "#9b2f86", "#8a6300", "#5a4fcf", "#b3213f")  # as on the page, when light
DASHES: tuple[Any, ...] = ("-", (0, (7, 3)), (0, (2, 3)), (0, (9, 3, 2, 3)), (0, (14, 4)))
INK, QUIET = "0.1", "0.72"


@dataclass(frozen=True)
class Asked:
    """A strategy of a comparison: its name in tables, and what the learner takes."""

    name: str
    spec: Any

    @property
    def key(self) -> str:
        """A hash of what decides whom it asks, code of the user's included."""
        choice = choose("strategy", self.spec)
        return _mark([choice.component.obj, choice.all_params()])


@dataclass(frozen=True)
class Pools:
    """Everything that is the same for all strategies.

    Attributes
    ----------
    X, y : array, sparse matrix or DataFrame
        All rows.
    splits : tuple of Split
        Into pool and rows to judge by, one a seed.
    scorers : mapping of str to callable
        One: the score of a learning curve.
    """

    X: Any
    y: np.ndarray
    splits: tuple[Split, ...]
    scorers: Mapping[str, Any]


class StrategyComparison(StrategyFindings):
    """Result of `compare_strategies`.

    Attributes
    ----------
    settings : StrategySettings
        How it was done.
    rows : list of StrategyRow
        The table: largest area first, strategies without a learning curve last.
    n_labels : int array of shape (r + 1,)
        Labels before the first round, and after each.
    curves : dict of str to array of shape (n_seeds, r + 1)
        Learning curves of each strategy.
    scores : dict of str to array of shape (n_seeds,)
        Areas under them over their width: the mean score over the labels. `rank` takes several results.
    penalty : array of shape (m, m)
        How often each strategy is beaten by each other, in the order of the table.
    full_score : float
        Mean score of models that know the labels of the whole pool.
    warning : str
        Why random rows may be the better choice; empty if nothing speaks for them.
    finished : bool
        Whether every run was done.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = load_iris(return_X_y=True)
    >>> result = compare_strategies(GaussianNB(), X, y, strategies=["margin"], n_initial=6, batch_size=5, n_rounds=4)
    >>> sorted(row.strategy for row in result.rows), result.curves["margin"].shape
    (['margin', 'random'], (5, 5))
    """

    def to_frame(self) -> Any:
        """Return the table as a DataFrame, one row a strategy.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise ImportError('a DataFrame needs pandas: pip install "sklearnloss[data]"') from error
        return pandas.DataFrame([asdict(row) for row in self.rows]).set_index("strategy")

    def table(self, width: int | None = None) -> str:
        """Return the table as text; columns give way where it is wider than ``width``."""
        return table(self, width)

    def plot(self, ax: Any = None) -> Any:
        """Draw the learning curves: the best and the baseline in color, with their 95 % intervals, the others gray.

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
        ax = new_axes("StrategyComparison.plot", 6.4, 4.0) if ax is None else ax
        for place, row in reversed(list(enumerate(self.ranked))):
            self._draw(ax, place, row.strategy)
        if len(self.n_labels) and self.n_labels[0] <= self.settings.columns <= self.n_labels[-1]:
            ax.axvline(self.settings.columns, color="0.4", linestyle=":", linewidth=1.2, label="a label a column")
        if not math.isnan(self.full_score):
            ax.axhline(self.full_score, color="0.6", linewidth=0.8, linestyle="--", label="all labels")
        ax.set(xlabel="labels", ylabel=self.settings.metric)
        ax.spines[["top", "right"]].set_visible(False)
        handles, labels = ax.get_legend_handles_labels()
        order = [row.strategy for row in self.ranked]
        pairs = sorted(zip(labels, handles, strict=True), key=lambda p: order.index(p[0]) if p[0] in order else 1e9)
        ax.legend([handle for _, handle in pairs], [label for label, _ in pairs], frameon=False, fontsize=9)
        return ax

    def _draw(self, ax: Any, place: int, name: str) -> None:
        """Draw one learning curve as it looks on the page."""
        baseline = name == self.settings.baseline
        on = place < SHOWN or baseline
        color = INK if baseline else COLORS[place % len(COLORS)] if on else QUIET
        style = (0, (1, 1.5)) if baseline else DASHES[place % len(DASHES)]
        if on:
            ax.fill_between(self.n_labels, *self.interval(name), color=color, alpha=0.1, linewidth=0)
        mean = self.curves[name].mean(axis=0)
        ax.plot(self.n_labels, mean, color=color, linestyle=style, linewidth=1.8 if on else 0.9, label=name)

    def report(self, path: str | os.PathLike[str]) -> Path:
        """Write the report: one HTML file that needs nothing else.

        Parameters
        ----------
        path : str or path
            Where to.

        Returns
        -------
        Path

        Raises
        ------
        OutputError
            If it cannot be written; a file that was there is unchanged.
        """
        write_atomically(path, render(self).encode())
        return Path(path)

    def __str__(self) -> str:
        return self.table()

    def __repr__(self) -> str:
        if not self.ranked:
            return f"<StrategyComparison on {self.name}: no strategy has a learning curve>"
        first, settings = self.ranked[0], self.settings
        base = next((row for row in self.ranked if row.strategy == settings.baseline), None)
        beside = "" if base is None or base is first else f", {base.strategy} {base.area:.4f}"
        return (
            f"<StrategyComparison of {len(self.ranked)} strategies on {self.name}, {first.seeds} seeds: best "
            f"{first.strategy} {first.area:.4f}{beside} (mean {settings.metric} from {self.n_labels[0]} to "
            f"{self.n_labels[-1]} labels)>"
        )

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.table())}</pre>"


def compare_strategies(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    strategies: Any = None,
    n_initial: int = 20,
    batch_size: int = 10,
    n_rounds: int = 20,
    n_seeds: int = 5,
    test_size: float = 0.3,
    scoring: Any = None,
    baseline: Any = "random",
    n_jobs: int | None = None,
    threads: int = 1,
    store: str | os.PathLike[str] | None = None,
    progress: bool | str | Watcher = False,
    random_state: int = 0,
    name: str = "data",
    **params: Any,
) -> StrategyComparison:
    """Replay active learning with several strategies on labeled data like those to come, and say which learns fastest.

    Parameters
    ----------
    estimator : classifier or regressor
        The model. Parameters ``random_state`` that are None, in it and in its parts, are given the seed of the run.
    X : array, sparse matrix or DataFrame of shape (n, d)
        Rows.
    y : array of shape (n,) or (n, n_labels)
        Their labels, or numbers of a regression.
    strategies : sequence of str, callable or Strategy, or mapping of names to these, default=None
        What is compared; ``random`` is always among them. None is a few that suit the model: `usual_strategies`.
    n_initial, batch_size, n_rounds : int in [1, inf), default=20, 10, 20
        Labels to begin with, labels of a round, and rounds; fewer where the pool ends.
    n_seeds : int in [1, inf), default=5
        Splits into pool and rows to judge by, stratified by class, each with first rows of its own, the same for all
        strategies.
    test_size : float in (0, 1), default=0.3
        Share of the rows to judge by.
    scoring : str, callable or None, default=None
        As in scikit-learn; None is the model's own score.
    baseline : str, callable or Strategy, default="random"
        What the others are tested against; added if it is not among them.
    n_jobs : int or None, default=None
        Runs at a time, as in joblib.
    threads : int in [1, inf), default=1
        Of each run. Results may depend on it in their last digits, not on ``n_jobs``.
    store : path, default=None
        Folder in which finished runs are kept; the same comparison goes on from there, whatever ended it, and more
        seeds or strategies add to it.
    progress : bool or "auto", default=False
        A live table on stderr where that is a terminal and rich is installed, else lines.
    random_state : int in [0, 2**31), default=0
        What the seeds come from.
    name : str, default="data"
        What the report calls the data.
    **params
        ``committee`` and ``subsample`` of `ActiveLearner`.

    Returns
    -------
    StrategyComparison
        ``print`` it; ``rows, curves, scores, penalty, to_frame(), plot(), report(path)``. A `DataWarning` says where
        there are fewer labels than columns and random rows may be the better choice.

    Raises
    ------
    DataError, TaskError, UnknownNameError, ParameterError
        If the data, a strategy or an argument cannot be used; nothing was run then. A strategy that fails while it
        runs is a row of the table that says why.
    LoadError, OutputError
        If the store holds something else, or cannot be written.
    ComparisonInterrupted
        On Ctrl-C; its ``result`` is over what was finished.

    Notes
    -----
    The area under a learning curve is divided by its width. Intervals of areas and of points of a curve take into
    account that seeds share rows [1]_. Differences of two strategies do not carry that over: they have the pool, the
    first rows and the rows to judge by in common, and hardly correlate between seeds (replays on fresh samples of two
    distributions: at most 0.08), so that they have plain paired t-tests, which the corrected ones would make blind. Of
    areas they are adjusted for the number of strategies; those of each round, which count wins and losses at 5 %
    [2]_ [3]_, are not.

    References
    ----------
    .. [1] Nadeau, Bengio. "Inference for the generalization error". Machine Learning 52, 2003.
    .. [2] Ash, Zhang, Krishnamurthy, Langford, Agarwal. "Deep batch active learning by diverse, uncertain gradient
       lower bounds". ICLR 2020.
    .. [3] Bahri, Jiang, Schuster, Rostamizadeh. "Is margin all you need? An extensive empirical study of active
       learning on tabular data". arXiv:2210.03822, 2022.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.naive_bayes import GaussianNB
    >>> X, y = load_digits(return_X_y=True)
    >>> result = compare_strategies(GaussianNB(), X, y, strategies=["margin", "coreset"], n_rounds=5, n_seeds=3)
    >>> result.n_labels.tolist(), result.names
    ([20, 30, 40, 50, 60, 70], ['random', 'margin', 'coreset'])
    """
    X, y = as_table(X, "compare_strategies"), _labels(y, estimator)
    check_consistent_length(X, y)
    counts = {"n_initial": n_initial, "batch_size": batch_size, "n_rounds": n_rounds}
    _check_counts({**counts, "n_seeds": n_seeds, "threads": threads}, n_jobs)
    unknown = sorted(set(params) - set(LEARNER))
    if unknown:
        raise ParameterError(
            f"compare_strategies has no parameter {unknown[0]!r}{did_you_mean(unknown[0], LEARNER)}; besides its own "
            f"it takes {' and '.join(LEARNER)} of ActiveLearner"
        )
    asked, base = _find(strategies, baseline, estimator, y)
    for one in asked:  # an unknown name, or a strategy of another task, is refused before anything runs
        ActiveLearner(estimator, one.spec, unlabeled=None, **params).fit(row_range(X, slice(0, 1)), [None])
    splits = _split(y, test_size, seeds_of(_whole(random_state), n_seeds), estimator)
    n_pool, n_test = len(splits[0].train), len(splits[0].test)
    if n_pool < n_initial + batch_size or not n_test:
        raise DataError(
            f"compare_strategies: of {len(y)} rows {n_pool} are the pool and {n_test} judge, too few for "
            f"n_initial={n_initial} and a round of batch_size={batch_size}"
        )
    metric, scorer, written = _scorer(scoring, estimator)
    settings = StrategySettings(
        name=name,
        metric=metric,
        scorer=written,
        baseline=base,
        **counts,
        n_seeds=n_seeds,
        n_pool=n_pool,
        n_test=n_test,
        columns=int(X.shape[1]),
        classes=0 if is_regressor(estimator) else len(np.unique(y)) if y.ndim == 1 else int(y.shape[1]),
        random_state=random_state,
        estimator=_python(estimator),
        params=params,
        versions={library: version(library) for library in LIBRARIES},
    )
    kept: MemoryStore = MemoryStore()
    if store is not None:
        identity = {
            "data": fingerprint(X, y),
            "estimator": _mark(estimator),
            "settings": {**counts, "test_size": test_size, "random_state": random_state, "threads": threads, **params},
            "scoring": [metric, _mark(scorer)],
            "versions": {library: settings.versions[library] for library in ("sklearnloss", "scikit-learn", "torch")},
        }
        kept = Store(Path(store), identity)
    engine = Replays(
        Pools(X, y, splits, {metric: scorer}), asked, clone(estimator), kept,
        arguments={**counts, **params}, n_jobs=n_jobs, threads=threads,
    )  # fmt: skip
    interrupted = None
    try:
        engine.run(watcher_for(progress))
    except KeyboardInterrupt as error:
        interrupted = error
    finally:
        kept.close()
    records = {one.name: engine.records(one) for one in asked}
    result = StrategyComparison(settings, [one.name for one in asked], records, finished=not engine.missing)
    if interrupted is not None:
        raise ComparisonInterrupted(engine.how_far(), result, kept.path) from interrupted
    if result.warning:
        warnings.warn(result.warning, DataWarning, stacklevel=2)
    return result


def usual_strategies(estimator: Any, y: np.ndarray) -> tuple[str, ...]:
    """Return strategies that suit a model, where the user named none.

    Parameters
    ----------
    estimator : classifier or regressor
        The model.
    y : array of shape (n,) or (n, n_labels)
        Labels.

    Examples
    --------
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.naive_bayes import GaussianNB
    >>> usual_strategies(GaussianNB(), np.array([0, 1]))
    ('random', 'margin', 'entropy', 'badge', 'coreset', 'typiclust')
    >>> usual_strategies(Ridge(), np.array([0.5, 1.5]))
    ('random', 'greedy_x', 'greedy_xy', 'qbc_variance')
    """
    if is_regressor(estimator):
        return "random", "greedy_x", "greedy_xy", "qbc_variance"
    if not hasattr(estimator, "predict_proba"):
        return "random", "coreset", "typiclust", "probcover"
    if y.ndim == 2:
        return "random", "max_loss", "min_confidence", "coreset"
    return "random", "margin", "entropy", "badge", "coreset", "typiclust"


# -- what is compared -------------------------------------------------------------------------------------------------


def _find(strategies: Any, baseline: Any, estimator: Any, y: np.ndarray) -> tuple[list[Asked], str]:
    """Return the strategies, chance among them, and the name of the baseline."""
    if strategies is None:
        strategies = usual_strategies(estimator, y)
    if isinstance(strategies, str | Spec) or callable(strategies):
        strategies = [strategies]
    if isinstance(strategies, Mapping):
        asked = [Asked(str(name), spec) for name, spec in strategies.items()]
    else:
        asked = [Asked(_name_of(spec), spec) for spec in strategies]
    asked = _with(Asked("random", "random"), asked)
    if isinstance(baseline, str) and baseline in {one.name for one in asked}:
        base = baseline
    else:
        wanted = Asked(_name_of(baseline), baseline)
        asked = _with(wanted, asked)
        base = next(one.name for one in asked if one.key == wanted.key)
    names = [one.name for one in asked]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"strategies holds {twice!r} twice; leave one out, or give it a name: {{name: strategy}}")
    return asked, base


def _with(one: Asked, asked: list[Asked]) -> list[Asked]:
    """Return strategies with this one first, unless it is among them."""
    return asked if one.key in {other.key for other in asked} else [one, *asked]


def _name_of(spec: Any) -> str:
    if isinstance(spec, str):
        return spec
    found = as_spec("strategy", spec)
    name = found.spec if isinstance(found.spec, str) else found.name
    params = ", ".join(f"{key}={value!r}" for key, value in found.params.items())
    return f"{name}({params})" if params else name


def _labels(y: Any, estimator: Any) -> np.ndarray:
    values: np.ndarray = np.asarray(y)
    if values.ndim == 2 and values.shape[1] == 1:
        values = column_or_1d(values, warn=True)
    missing = int((~is_labeled(values, None, numbers=is_regressor(estimator))).sum())
    if missing:
        raise DataError(
            f"compare_strategies replays on rows whose labels are known, but y lacks {missing} of {len(values)}; leave "
            "these rows out"
        )
    return values


def _check_counts(counts: Mapping[str, Any], n_jobs: int | None) -> None:
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
            raise ParameterError(f"compare_strategies: {name} must be an int in [1, inf), got {value!r}")
    if n_jobs == 0:
        raise ParameterError("compare_strategies: n_jobs must not be 0")


def _whole(random_state: Any) -> int:
    whole = isinstance(random_state, int | np.integer) and not isinstance(random_state, bool)
    if not whole or not 0 <= random_state < 2**31:
        raise ParameterError(
            f"compare_strategies: random_state must be an int in [0, 2**31), got {random_state!r}; every strategy is "
            "given the same seeds"
        )
    return int(random_state)


def _split(y: np.ndarray, test_size: float, seeds: Sequence[int], estimator: Any) -> tuple[Split, ...]:
    if not isinstance(test_size, float) or not 0 < test_size < 1:
        raise ParameterError(f"compare_strategies: test_size must be a float in (0, 1), got {test_size!r}")
    parts = [split_pool(y, test_size, seed, classes=is_classifier(estimator)) for seed in seeds]
    return tuple(Split(i, 0, seed, *rows) for i, (seed, rows) in enumerate(zip(seeds, parts, strict=True)))


def _scorer(scoring: Any, estimator: Any) -> tuple[str, Any, str]:
    """Return the name of the score, what computes it, and what scikit-learn calls it."""
    if scoring is not None:
        name = name_of_scorer(scoring)
        return title(name), get_scorer(scoring), name if isinstance(scoring, str) else ""
    if estimator.get_params(deep=False).get("scoring") is not None:  # a search scores as it was told
        return "score", own_score, ""
    if is_regressor(estimator):
        return "R²", own_score, "r2"
    return "accuracy", own_score, "accuracy"


def own_score(estimator: Any, X: Any, y: Any) -> float:
    """Return the model's own score."""
    return float(estimator.score(X, y))


def _python(estimator: Any) -> str:
    with config_context(print_changed_only=True):
        return re.sub(r"\n\s*", " ", estimator.__repr__(N_CHAR_MAX=100_000))


def _mark(value: Any) -> str:
    """Return a hash of an object's code and data."""
    mark = Fingerprint()
    mark.add_object(value)
    return mark.name()


# -- runs -------------------------------------------------------------------------------------------------------------


class Replays(Engine):
    """Runs of a comparison of strategies, seed by seed.

    Parameters
    ----------
    problem, candidates, template, store, **settings
        As of an `Engine`; the template is the model.
    arguments : mapping
        Of `simulate`.
    """

    named: ClassVar[str] = "strategy"
    counted: ClassVar[str] = "runs"

    def __init__(
        self,
        problem: Pools,
        candidates: Sequence[Asked],
        template: Any,
        store: MemoryStore,
        *,
        arguments: Mapping[str, Any],
        **settings: Any,
    ) -> None:
        super().__init__(problem, candidates, template, store, **settings)
        self.arguments = dict(arguments)

    def _key(self, candidate: Compared) -> str:
        assert isinstance(candidate, Asked)
        return candidate.key

    def _job(self, shared: SharedProblem | Path, number: int, candidate: Compared) -> Any:
        run = delayed(run_replay)
        name, spec = candidate.name, candidate.spec
        return run(shared, number, self.template, name, spec, self.arguments, threads=self.threads)


def run_replay(
    problem: Any,
    number: int,
    estimator: Any,
    name: str,
    spec: Any,
    arguments: Mapping[str, Any],
    *,
    threads: int = 1,
) -> Record:
    """Replay a strategy on a split; an error becomes a record that says what it was.

    Parameters
    ----------
    problem : Pools or Path
        The problem, or the file that it is in.
    number : int
        Which split.
    estimator : classifier or regressor
        The model.
    name : str
        Of the strategy in the record.
    spec : strategy
        What the learner takes.
    arguments : mapping
        Of `simulate`.
    threads : int, default=1
        Of numerical libraries.

    Returns
    -------
    dict
        Plain numbers, strings and lists; ``error`` is None, or says what went wrong.
    """
    pools: Any = load_problem(problem) if isinstance(problem, Path) else problem
    split = pools.splits[number]
    record: Record = {"strategy": name, "repeat": split.repeat, "fold": split.fold, "error": None}
    with warnings.catch_warnings(record=True) as caught, pinned(threads):
        warnings.simplefilter("always")
        try:
            record |= _replayed(pools, split, _seeded(estimator, split.seed), spec, arguments)
        except Exception as error:  # a strategy may raise anything; it must not cost the others
            record |= {"error": first_line(error), "traceback": traceback.format_exc(limit=-8)}
    shown = {first_line(w.message) for w in caught if not issubclass(w.category, DeprecationWarning | FutureWarning)}
    return record | {"warnings": sorted(shown)}


def _replayed(pools: Pools, split: Split, estimator: Any, spec: Any, arguments: Mapping[str, Any]) -> Record:
    [(metric, scorer)] = pools.scorers.items()
    rows = [_rows(values, part) for part in (split.train, split.test) for values in (pools.X, pools.y)]
    given = {**arguments, "scoring": scorer, "random_state": split.seed}
    started = time.perf_counter()
    run = simulate(estimator, *rows, strategy=spec, **given)
    seconds = time.perf_counter() - started
    wrong = ~np.isfinite(run.scores)
    if wrong.any():
        raise ValueError(f"the score {metric!r} is {run.scores[wrong][0]} with {run.n_labels[wrong][0]} labels")
    chance = choose("strategy", spec).component.full_name == "core:random"
    return {
        "scores": {metric: run.area},
        "curve": {"labels": run.n_labels.tolist(), "score": run.scores.tolist()},
        "seconds": run.seconds.tolist(),
        "run_seconds": seconds,
        "full": _full_score(estimator, rows, given) if chance else None,
    }


def _full_score(estimator: Any, rows: list[Any], given: Mapping[str, Any]) -> float | None:
    """Return the score of a model that knows the labels of the whole pool; None if that fails."""
    try:
        whole = {**given, "n_initial": len(rows[1]), "n_rounds": 1}
        score = float(simulate(estimator, *rows, strategy="random", **whole).scores[0])
    except Exception:  # a pool may be too large to learn at once
        return None
    return score if math.isfinite(score) else None


def _rows(values: Any, rows: np.ndarray) -> Any:
    part = _safe_indexing(values, rows)
    return np.asarray(part) if isinstance(part, np.ndarray) else part  # rows of a memory map are in memory now


def _seeded(estimator: Any, seed: int) -> Any:
    """Return a clone whose seeds that were left open are this one."""
    fresh = clone(estimator)
    return fresh.set_params(**dict.fromkeys(_open_seeds(fresh), seed))


def _open_seeds(estimator: Any) -> Iterator[str]:
    for name, value in estimator.get_params().items():
        if name.rpartition("__")[2] == "random_state" and value is None:
            yield name
